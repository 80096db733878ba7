/**
 * The block map of `best`: two bits per granule in a block of the arena, instead of headers.
 *
 * For every 32 granules there is a word of boundary bits (a block, busy or free, starts here) and
 * behind it a word of live bits (a busy, visible block starts here). A block of up to 64 granules
 * ends at the next boundary. A larger one says its size in the live word after the one of its
 * start: that word lies inside the block, where no bit is set otherwise. A free one says it in its
 * last inner live word too, so that it is found from behind.
 *
 * `map` is the index of the first word, places and sizes are granules.
 */
import { BEST_MAP, BEST_SMALL } from '../layout.ts';

const { granulesShift: GRANULES, pairShift: PAIR, live: LIVE } = BEST_MAP;
const SMALL = BEST_SMALL;

export function isLive(words: Int32Array, map: number, at: number): boolean {
  const pair = map + ((at >>> GRANULES) << PAIR);
  return ((words[pair] as number) & (words[pair + LIVE] as number) & (1 << at)) !== 0;
}

export function isBoundary(words: Int32Array, map: number, at: number): boolean {
  return ((words[map + ((at >>> GRANULES) << PAIR)] as number) & (1 << at)) !== 0;
}

export function setBoundary(words: Int32Array, map: number, at: number): void {
  words[map + ((at >>> GRANULES) << PAIR)]! |= 1 << at;
}

export function dropBoundary(words: Int32Array, map: number, at: number): void {
  words[map + ((at >>> GRANULES) << PAIR)]! &= ~(1 << at);
}

export function setLive(words: Int32Array, map: number, at: number): void {
  words[map + ((at >>> GRANULES) << PAIR) + LIVE]! |= 1 << at;
}

export function dropLive(words: Int32Array, map: number, at: number): void {
  words[map + ((at >>> GRANULES) << PAIR) + LIVE]! &= ~(1 << at);
}

/** Where a large block that starts at `at` says its size. */
export function sizeWord(map: number, at: number): number {
  return map + (((at >>> GRANULES) + 1) << PAIR) + LIVE;
}

/** Where a large free block that ends at `end` says its size. */
export function lastSizeWord(map: number, end: number): number {
  return map + (((end >>> GRANULES) - 1) << PAIR) + LIVE;
}

/** Size of the block that starts at `at`. */
export function sizeAt(words: Int32Array, map: number, at: number): number {
  const pair = map + ((at >>> GRANULES) << PAIR);
  // The 32 granules behind `at` lie in two words, and the 32 behind those.
  let bits = (((words[pair] as number) >>> at) >>> 1) | ((words[pair + 2] as number) << ~at);
  if (bits !== 0) return 32 - Math.clz32(bits & -bits);
  bits = (((words[pair + 2] as number) >>> at) >>> 1) | ((words[pair + 4] as number) << ~at);
  if (bits !== 0) return 64 - Math.clz32(bits & -bits);
  return words[pair + 2 + LIVE] as number;
}

/** Start of the block that ends at `end` if that is not live, else 0. It may be what it claims. */
export function idleBefore(words: Int32Array, map: number, end: number): number {
  const bit = end & 31;
  let pair = map + ((end >>> GRANULES) << PAIR);
  let base = end - bit;
  let bits = (words[pair] as number) & ((1 << bit) - 1);
  if (bits === 0) {
    pair -= 2;
    base -= 32;
    bits = words[pair] as number;
    if (bits === 0) {
      pair -= 2;
      base -= 32;
      bits = (words[pair] as number) & (-1 << bit);
      if (bits === 0) return largeIdleBefore(words, map, end);
    }
  }
  const top = 31 - Math.clz32(bits);
  return ((words[pair + LIVE] as number) & (1 << top)) === 0 ? base + top : 0;
}

function largeIdleBefore(words: Int32Array, map: number, end: number): number {
  const n = words[lastSizeWord(map, end)] as number;
  const at = end - n;
  if (n <= SMALL || at < 0) return 0;
  return isBoundary(words, map, at) && !isLive(words, map, at) ? at : 0;
}

/** Drops every bit of granules from … end - 1. */
export function wipe(words: Int32Array, map: number, from: number, end: number): void {
  let at = from;
  while (at < end) {
    const pair = map + ((at >>> GRANULES) << PAIR);
    const after = Math.min(end, (at | 31) + 1);
    const keep = after - at === 32 ? 0 : ~(((1 << (after - at)) - 1) << at);
    words[pair]! &= keep;
    words[pair + LIVE]! &= keep;
    at = after;
  }
}

/** Drops every bit inside a busy block that ends at or behind `end`, but not its size. */
export function wipeInside(words: Int32Array, map: number, at: number, end: number): void {
  if (end - at <= SMALL) {
    wipe(words, map, at + 1, end);
    return;
  }
  const said = (at | 31) + 1;
  wipe(words, map, at + 1, said);
  words[map + ((said >>> GRANULES) << PAIR)] = 0;
  wipe(words, map, said + 32, end);
}

/** The first live block at or behind `at` and before `end`; -1 = none. */
export function nextLive(words: Int32Array, map: number, at: number, end: number): number {
  let base = at & ~31;
  let keep = -1 << at;
  while (base < end) {
    const pair = map + ((base >>> GRANULES) << PAIR);
    const bits = (words[pair] as number) & (words[pair + LIVE] as number) & keep;
    if (bits !== 0) {
      const found = base + 31 - Math.clz32(bits & -bits);
      return found < end ? found : -1;
    }
    base += 32;
    keep = -1;
  }
  return -1;
}
