/** Lists for tests, and what is behind them. */
import { LIST } from '../../src/layout-objects.ts';
import { type Handle, refOf } from '../../src/objects/handles.ts';
import type { ObjectHeap } from '../../src/objects/heap.ts';
import { type Kind, list, textOf } from '../../src/objects/kinds.ts';
import { checkList } from '../../src/objects/list/list-check.ts';
import type { PersistentList } from '../../src/objects/persistent.ts';
import { struct } from '../../src/objects/struct.ts';
import type { Finding } from '../../src/types.ts';

/** A list of its own, in an object of its own. */
export function newList<T>(
  heap: ObjectHeap, kind: Kind, given: Iterable<T> = [],
): PersistentList<T> {
  const name = `Holder_${textOf(kind).replaceAll(/\W/g, '_')}`;
  const holder = heap.create(struct(name, { all: list(kind) }), { all: given as Iterable<never> });
  return holder.all as unknown as PersistentList<T>;
}

/** The parts behind a list: its heap, its words, its two blocks. */
export function inside(one: unknown) {
  const handle = one as Handle;
  const { core, type } = handle.$bound;
  const ref = refOf(handle);
  const { i32 } = core.memory.views(ref);
  const at = core.memory.word(ref);
  return {
    core, type, ref, i32, at,
    elements: () => i32[at + LIST.elements],
    /** First word of the elements. */
    word: () => core.memory.word(i32[at + LIST.elements]),
  };
}

/** What the checker finds in a list. */
export function findingsOf(one: unknown): Finding[] {
  const { core, type, ref } = inside(one);
  const found: Finding[] = [];
  checkList(core, type, ref, (each) => found.push(each));
  return found;
}
