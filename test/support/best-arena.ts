/**
 * An arena for tests of methods: small, fresh memory full of garbage, a record of writes if wanted.
 */
import { best } from '../../src/methods/best.ts';
import type { Arena, BlockStat, Blocks, Finding } from '../../src/types.ts';

export const ROUND = 1024;
export const START = 512;

export interface TestArena extends Arena {
  readonly words: Int32Array;
  /** Granules now; a test may set it back. */
  size: number;
  readonly capacity: number;
}

export function newArena(capacity: number, words = new Int32Array(capacity * 4)): TestArena {
  const arena: TestArena = {
    words,
    start: START,
    size: START,
    capacity,
    end: () => arena.size,
    extend: (granules) => {
      const size = Math.ceil((arena.size + granules) / ROUND) * ROUND;
      if (size > capacity) return false;
      words.fill(0x5a5a5a5a, arena.size * 4, size * 4);
      arena.size = size;
      return true;
    },
    retract: (end) => {
      arena.size = Math.min(arena.size, Math.ceil(end / ROUND) * ROUND);
    },
  };
  return arena;
}

export function newBest(capacity: number): { arena: TestArena; blocks: Blocks } {
  const arena = newArena(capacity);
  if (!best.format(arena)) throw new Error('the arena is too small');
  return { arena, blocks: best.attach(arena) };
}

/** The same memory, for another process. What lies behind its end was never there. */
export function copyOf(arena: TestArena): TestArena {
  const words = new Int32Array(arena.capacity * 4);
  words.set(arena.words.subarray(0, arena.size * 4));
  const copy = newArena(arena.capacity, words);
  copy.size = arena.size;
  return copy;
}

export function findings(blocks: Blocks): Finding[] {
  const found: Finding[] = [];
  blocks.check((finding) => found.push(finding));
  return found;
}

export function statOf(blocks: Blocks): BlockStat {
  const stat = {
    busyBlocks: 0,
    freeBlocks: 0,
    busyBytes: 0,
    freeBytes: 0,
    largestBusy: 0,
    largestFree: 0,
  };
  blocks.stat(stat);
  return stat;
}

/** Start and usable bytes of every busy block. */
export function busyOf(blocks: Blocks): Map<number, number> {
  const busy = new Map<number, number>();
  blocks.walk((granule, bytes, isBusy) => {
    if (isBusy) busy.set(granule, bytes);
    return false;
  });
  return busy;
}

/**
 * The words of an arena, and what is called before each single store to them. The methods of typed
 * arrays that the code under test uses are carried out store by store.
 */
export function watched<T extends Int32Array>(words: T, beforeStore: () => void): T {
  const store = (at: number, value: number): void => {
    beforeStore();
    words[at] = value;
  };
  const fill = (value: number, from = 0, to = words.length): void => {
    for (let at = from; at < to; at += 1) if (words[at] !== value) store(at, value);
  };
  const copyWithin = (to: number, from: number, end: number): void => {
    const moved = words.slice(from, end);
    moved.forEach((value, i) => words[to + i] !== value && store(to + i, value));
  };
  return new Proxy(words, {
    get: (target, name) => {
      if (name === 'fill') return fill;
      if (name === 'copyWithin') return copyWithin;
      return Reflect.get(target, name, target);
    },
    set: (_target, name, value) => {
      store(Number(name), value as number);
      return true;
    },
  });
}
