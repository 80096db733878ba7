/** Where blocks start in an arena of `last`: its state as last.ts describes it, for reading. */
import { GRANULE, LAST, LAST_BLOCK, LAST_SLAB_SHIFT } from '../layout.ts';
import { hasStart, startAtOrAbove, startAtOrBelow } from './starts.ts';

const { newest: NEWEST, directory: DIRECTORY } = LAST;
const { size: SIZE, sizeShift: SHIFT } = LAST_BLOCK;
const STATE_GRANULES = LAST.words / 4;
const SLAB_MASK = 2 ** LAST_SLAB_SHIFT - 1;
export const HEADER_BYTES = 12;

/** The first granule a bitmap or payload may have. */
export function firstOf(s: number): number {
  return s / 4 + STATE_GRANULES;
}

/** The first granule above the newest block. */
export function topOf(words: Int32Array, s: number): number {
  const newest = words[s + NEWEST];
  return newest === 0 ? firstOf(s) : newest + (words[newest * 4 + SIZE] >>> SHIFT);
}

/** The start at or above a granule, 0 = none; bits above the newest block do not count. */
export function startAbove(words: Int32Array, s: number, granule: number): number {
  const limit = words[s + NEWEST] + 1;
  for (let from = Math.max(granule, firstOf(s)); from < limit; ) {
    const base = from & ~SLAB_MASK;
    const map = words[s + DIRECTORY + (from >>> LAST_SLAB_SHIFT)] * 4;
    const end = Math.min(limit - base, SLAB_MASK + 1);
    const found = map === 0 ? -1 : startAtOrAbove(words, map, from - base, end);
    if (found >= 0) return base + found;
    from = base + SLAB_MASK + 1;
  }
  return 0;
}

export function usableBytes(granules: number): number {
  return granules * GRANULE - HEADER_BYTES;
}

/** The start at or below a granule, 0 = none. */
export function startBelow(words: Int32Array, s: number, granule: number): number {
  let from = Math.min(granule, words[s + NEWEST]);
  while (from >= firstOf(s)) {
    const base = from & ~SLAB_MASK;
    const map = words[s + DIRECTORY + (from >>> LAST_SLAB_SHIFT)] * 4;
    const found = map === 0 ? -1 : startAtOrBelow(words, map, from - base, 0);
    if (found >= 0) return base + found;
    from = base - 1;
  }
  return 0;
}

/** Is it the start of a block, visible or hidden? */
export function isStart(words: Int32Array, s: number, granule: number): boolean {
  if (granule > words[s + NEWEST] || granule < firstOf(s)) return false;
  const map = words[s + DIRECTORY + (granule >>> LAST_SLAB_SHIFT)] * 4;
  return map !== 0 && hasStart(words, map, granule & SLAB_MASK);
}
