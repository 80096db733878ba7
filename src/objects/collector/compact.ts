/**
 * Compaction: blocks at the end of a heap move to free places before them, and what is free at the
 * end is given back. The method decides where a block can go: it is asked for a place of the same
 * size, the highest blocks first, until it has none that lies lower.
 *
 * A block that moved leaves a signpost (ROLE.forward), so that nothing has to be remembered. A
 * whole collection then leads every reference past them and frees them, as it always does. So
 * one pass is: move, collect, give back; there are several, since places that become free in one
 * serve blocks of other sizes in the next. A program may say how many bytes are to be moved at
 * most, and call again: the heap is whole in between, and can be checkpointed.
 *
 * Blocks with a live view, and the head of the heap, which is its first block, stay where they are.
 * Only private memory changes: a crash before the next checkpoint leaves the old heap.
 */
import { RegionError } from '../../errors.ts';
import { GRANULE } from '../../layout.ts';
import { FORWARD, GRANULE_MASK, ROLE, ROLE_SHIFT, SEGMENT_SHIFT } from '../../layout-objects.ts';
import { spaceOf } from '../../region/calls.ts';
import type { Part } from '../../region/space.ts';
import { collectAll } from './collect.ts';
import { type Core, tagOf } from '../core.ts';
import type { Marks } from './marks.ts';
import { assertHashes } from '../hash/rehash.ts';
import { type Readers, readOptions } from '../../options.ts';
import { tellWork, TOLD_GRANULES } from '../../work.ts';

export interface CompactOptions {
  /**
   * Bytes of blocks that this call moves, about; above 0, default no limit. What refers to them
   * changes as well. A program calls again until `done`, with checkpoints in between.
   */
  moveBytes?: number;
}

export interface Compacted {
  /** Moves of blocks; a block may move more than once. */
  readonly moved: number;
  /** Bytes the region is smaller. */
  readonly bytes: number;
  /** Blocks of garbage that were freed first. */
  readonly objects: number;
  /** Milliseconds it took. */
  readonly ms: number;
  /** false = there is more to do. */
  readonly done: boolean;
}

/** Most passes, and how many of them may shrink nothing before it is enough. */
const MOST_PASSES = 16;
const MOST_IDLE = 4;
/** Bytes of blocks that may lie behind the end of the heap during a pass, one of a size. */
const MOST_BEHIND = 64 * 1024;
/** Times what is taken, everything finds room. */
const ROOMY = 1.125;
/** Bytes of what methods make for themselves. */
const LEAST_OWN = 4096;
const MOST_OWN = 32 * 1024;
const WORD_BYTES = 4;
const SIGNPOST_BYTES = (FORWARD.to + 1) * WORD_BYTES;
/** Words that are copied one by one; more by a call. */
const FEW_WORDS = 32;

const READERS: Readers<CompactOptions> = {
  moveBytes(value, name) {
    if (typeof value === 'number' && value > 0) return value;
    throw new RegionError('ERR_BAD_OPTION', `${name} is ${String(value)}; give bytes, above 0`);
  },
};

/** `head` = reference of the heap's head. ERR_CORRUPT where the heap is damaged: nothing moved. */
export function compact(
  core: Core, head: number, given: CompactOptions | undefined,
): Compacted {
  const { moveBytes = Infinity } = readOptions(given, READERS, 'compact');
  const { now, memory: { region } } = core;
  const start = now();
  const before = extentOf(core);
  let { marks, objects } = collectAll(core, head);
  assertHashes(core, marks);
  core.moving();
  let moved = 0;
  let movedBytes = 0;
  let idle = 0;
  for (let pass = 0; pass < MOST_PASSES && idle < MOST_IDLE && movedBytes < moveBytes; pass++) {
    region.compact();
    const extent = extentOf(core);
    const done = movePass(core, { head, marks, most: moveBytes - movedBytes });
    if (done.moved === 0) break;
    moved += done.moved;
    movedBytes += done.bytes;
    ({ marks } = collectAll(core, head));
    region.compact();
    idle = extentOf(core) < extent ? 0 : idle + 1;
  }
  region.compact();
  core.trim();
  return { moved, objects, bytes: before - extentOf(core), ms: now() - start,
    done: movedBytes < moveBytes };
}

function extentOf({ memory }: Core): number {
  return spaceOf(memory.region)?.extent() ?? 0;
}

/** Moves what can be moved down, the highest first, until it is `most` bytes; returns how many. */
function movePass(
  core: Core, { head, marks, most }: { head: number; marks: Marks; most: number },
): { moved: number; bytes: number } {
  const pinned = new Set(core.pins);
  const places = new Places(core);
  let moved = 0;
  let sum = 0;
  let due = Infinity;
  marks.eachDown((ref) => {
    if (ref >>> 0 < due) {
      places.tell(ref);
      due = (ref >>> 0) - TOLD_GRANULES;
    }
    if (ref === head || pinned.has(ref)) return false;
    const bytes = core.memory.held(ref);
    if (bytes < SIGNPOST_BYTES) return false;
    const to = places.below(ref, bytes);
    if (to !== 0) {
      move(core, ref, to, bytes);
      moved += 1;
      sum += bytes;
    }
    return sum >= most;
  });
  places.close();
  return { moved, bytes: sum };
}

/**
 * Where blocks may go during a pass. What the method offers above a block is kept from it until the
 * pass ends, so that it offers something else. Those plugs are blocks of the heap, chained by their
 * first words, and as large as their holes allow. Methods put blocks of their own into holes as
 * well, which stay during a pass: so those of their sizes are plugged before, where they are high.
 */
class Places {
  readonly #core: Core;
  readonly #parts: readonly Part[];
  /** By segment: granules in use before the pass. What is offered behind them is no place. */
  readonly #ends: readonly number[];
  /** By granules: there is no lower place. */
  readonly #exhausted = new Set<number>();
  #plugs = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#parts = spaceOf(core.memory.region)?.parts ?? [];
    this.#ends = this.#parts.map(({ arena }) => arena.end());
    this.#plugHigh();
  }

  /** Holes above what is needed, in which the method might put something of its own. */
  #plugHigh(): void {
    const { extent, freeBytes } = this.#core.memory.region.stat();
    const needed = (extent - freeBytes) * ROOMY / GRANULE;
    const sizes: number[] = [];
    for (const [segment, { blocks }] of this.#parts.entries()) {
      blocks.walk((granule, bytes, busy) => {
        const isFit = !busy && bytes >= LEAST_OWN && bytes <= MOST_OWN;
        if (isFit && segment * 2 ** SEGMENT_SHIFT + granule > needed) sizes.push(bytes);
        return false;
      });
    }
    const low: number[] = [];
    for (const bytes of sizes) {
      const ref = this.#alloc(bytes, this.#parts.length - 1);
      if (ref >>> 0 > needed) this.#plug(ref, bytes);
      else if (ref !== 0) low.push(ref);
    }
    for (const ref of low) this.#free(ref);
  }

  /** How far a pass is that goes down, and has come to a block. */
  tell(ref: number): void {
    const segment = ref >>> SEGMENT_SHIFT;
    const sum = (ends: readonly number[]) => ends.reduce((all, end) => all + end, 0);
    const done = sum(this.#ends.slice(segment)) - (ref & GRANULE_MASK);
    tellWork('moving objects', done * GRANULE, sum(this.#ends) * GRANULE);
  }

  /** A new block of so many bytes below another one, or 0. */
  below(ref: number, bytes: number): number {
    const granules = Math.ceil(bytes / GRANULE);
    if (this.#exhausted.has(granules)) return 0;
    for (;;) {
      const to = this.#alloc(bytes, ref >>> SEGMENT_SHIFT);
      if (to !== 0 && to >>> 0 < ref >>> 0) return to;
      const isBehind = to === 0 || this.#isBehind(to, bytes);
      // What was freed last is offered first: what lies behind is kept as well, if it is small.
      if (to !== 0 && isBehind && bytes > MOST_BEHIND) this.#free(to);
      else if (to !== 0) this.#plug(to, bytes);
      if (!isBehind) continue;
      this.#exhausted.add(granules);
      return 0;
    }
  }

  /** What was kept from the method is free again. */
  close(): void {
    const { memory } = this.#core;
    while (this.#plugs !== 0) {
      const ref = this.#plugs;
      this.#plugs = memory.tag(ref);
      this.#free(ref);
    }
  }

  #isBehind(ref: number, bytes: number): boolean {
    const end = (ref & GRANULE_MASK) + Math.ceil(bytes / GRANULE);
    return end > (this.#ends[ref >>> SEGMENT_SHIFT] ?? 0);
  }

  #plug(ref: number, bytes: number): void {
    const { memory } = this.#core;
    const part = this.#parts[ref >>> SEGMENT_SHIFT];
    let size = bytes * 2;
    while (!this.#isBehind(ref, size) && part?.blocks.resize(ref & GRANULE_MASK, size)) size *= 2;
    memory.views(ref).i32[memory.word(ref)] = this.#plugs;
    this.#plugs = ref;
  }

  /**
   * From the segments themselves: the region would ask the program for room, and the program might
   * look at a heap whose blocks are half moved. 0 = there is none.
   */
  #alloc(bytes: number, lastSegment: number): number {
    for (let segment = 0; segment <= lastSegment; segment++) {
      const granule = this.#parts[segment]?.blocks.alloc(bytes) ?? 0;
      if (granule !== 0) return (segment << SEGMENT_SHIFT) | granule;
    }
    return 0;
  }

  #free(ref: number): void {
    this.#parts[ref >>> SEGMENT_SHIFT]?.blocks.free(ref & GRANULE_MASK);
  }
}

function move(core: Core, from: number, to: number, bytes: number): void {
  const { memory, handles } = core;
  const { i32: source } = memory.views(from);
  const { i32: target } = memory.views(to);
  const at = memory.word(from);
  const place = memory.word(to);
  const words = bytes >>> 2;
  if ((bytes & (WORD_BYTES - 1)) !== 0) {
    memory.bytes(to, 0, bytes).set(memory.bytes(from, 0, bytes));
  } else if (words > FEW_WORDS) target.set(source.subarray(at, at + words), place);
  else for (let i = 0; i < words; i++) target[place + i] = source[at + i];
  if (handles.find(from) !== null) {
    const type = core.types.at(source[at] >>> ROLE_SHIFT);
    handles.move(from, to, core.classOf(type, to));
  }
  source[at + FORWARD.to] = to;
  source[at] = tagOf(ROLE.forward, 0);
}
