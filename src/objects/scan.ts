/**
 * Looking at all objects of a type, in address order, some at a time: what was made or freed since
 * is looked up again before it is shown.
 */
import { ROLE, SEGMENT_SHIFT } from '../layout-objects.ts';
import { spaceOf } from '../region/calls.ts';
import { type Core, tagOf, type Type } from './core.ts';
import { type Handle, STALE } from './handles.ts';

/** Objects that are looked up in one go. */
const BATCH = 256;

/**
 * A cursor for each object; it is stale at the next step. ERR_STALE where everything went or moved
 * meanwhile.
 */
export function* scan(core: Core, type: Type): IterableIterator<Handle> {
  const { moves, memory } = core;
  for (const ref of objectsOf(core, type)) {
    if (core.moves !== moves) throw core.stale();
    memory.settle();
    if (memory.held(ref) < 0 || memory.tag(ref) !== tagOf(ROLE.object, type.id)) continue;
    const cursor = new (core.classOf(type, ref))(memory.word(ref), null);
    core.cursors.add(cursor);
    try {
      yield cursor;
    } finally {
      core.cursors.delete(cursor);
      cursor.$at = STALE;
    }
  }
}

/** References of objects; by the time one is given it may be gone. */
function* objectsOf({ memory }: Core, type: Type): IterableIterator<number> {
  const parts = spaceOf(memory.region)?.parts ?? [];
  const tag = tagOf(ROLE.object, type.id);
  for (let segment = 0; segment < parts.length; segment++) {
    for (let from = 0; from >= 0;) {
      const found: number[] = [];
      let next = -1;
      parts[segment]?.blocks.walk((granule, _bytes, busy) => {
        const ref = (segment << SEGMENT_SHIFT) | granule;
        if (busy && memory.tag(ref) === tag) found.push(ref);
        if (found.length === BATCH) next = granule + 1;
        return found.length === BATCH;
      }, from);
      from = next;
      yield* found;
    }
  }
}
