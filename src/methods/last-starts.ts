/** Where blocks start in an arena of `last`: its state as last.ts describes it, for reading. */
import { GRANULE, LAST, LAST_BLOCK, LAST_MAP_GRANULES, LAST_SLAB_SHIFT } from '../layout.ts';
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

/** The newest block, 0 where there is none or it cannot be. */
function newestOf(words: Int32Array, s: number): number {
  const newest = words[s + NEWEST];
  return newest > 0 && newest < words.length >>> 2 ? newest : 0;
}

/** Index of the first word of the bitmap for a granule, 0 where there is none or it cannot be. */
function mapOf(words: Int32Array, s: number, granule: number): number {
  const map = words[s + DIRECTORY + (granule >>> LAST_SLAB_SHIFT)];
  return map > 0 && map + LAST_MAP_GRANULES <= words.length >>> 2 ? map * 4 : 0;
}

/** The start at or above a granule, up to the newest block; 0 = none. */
export function startAbove(words: Int32Array, s: number, granule: number): number {
  const limit = newestOf(words, s) + 1;
  for (let from = Math.max(granule, firstOf(s)); from < limit; ) {
    const base = from & ~SLAB_MASK;
    const map = mapOf(words, s, from);
    const end = Math.min(limit - base, SLAB_MASK + 1);
    const found = map === 0 ? -1 : startAtOrAbove(words, map, from - base, end);
    if (found >= 0) return base + found;
    from = base + SLAB_MASK + 1;
  }
  return 0;
}

/** A start bit above the newest block in its slab, 0 = none, as it should be. */
export function startAboveNewest(words: Int32Array, s: number): number {
  const newest = newestOf(words, s);
  const map = newest === 0 ? 0 : mapOf(words, s, newest);
  const base = newest & ~SLAB_MASK;
  const found = map === 0 ? -1 : startAtOrAbove(words, map, newest - base + 1, SLAB_MASK + 1);
  return found < 0 ? 0 : base + found;
}

export function usableBytes(granules: number): number {
  return granules * GRANULE - HEADER_BYTES;
}

/** The start at or below a granule, 0 = none. */
export function startBelow(words: Int32Array, s: number, granule: number): number {
  let from = Math.min(granule, newestOf(words, s));
  while (from >= firstOf(s)) {
    const base = from & ~SLAB_MASK;
    const map = mapOf(words, s, from);
    const found = map === 0 ? -1 : startAtOrBelow(words, map, from - base, 0);
    if (found >= 0) return base + found;
    from = base - 1;
  }
  return 0;
}

/** Is it the start of a block, visible or hidden? */
export function isStart(words: Int32Array, s: number, granule: number): boolean {
  if (granule > newestOf(words, s) || granule < firstOf(s)) return false;
  const map = mapOf(words, s, granule);
  return map !== 0 && hasStart(words, map, granule & SLAB_MASK);
}
