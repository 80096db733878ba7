/**
 * Where `best` gets memory when no exact-size cache serves: the bins, the wilderness, growth of the
 * arena, and the block that holds the start bitmap.
 *
 * The bitmap is an ordinary busy block without a start bit; the state word `map` is the only
 * reference to it. It covers somewhat more than the places where blocks start and is moved when they
 * outgrow it: copy, then switch the reference. `cover` is derived from its size.
 */
import { BEST, BEST_CACHES, BLOCK, GRANULE } from '../layout.ts';
import type { Arena } from '../types.ts';
import { findFree, release, takeFree } from './best-bins.ts';
import { startWords } from './starts.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, cached: CACHED, caches: CACHES } = BEST;
const { busy: BUSY, sizeShift: SIZE } = BLOCK;
/** Granules a bitmap covers beyond the last block: a quarter more, and 64 KiB. */
const SPARE_SHIFT = 2;
const SPARE = 4096;
/** Words of a block of one granule: four, less its header. */
const PAYLOAD_WORDS = GRANULE / 4;

/** Granules of the bitmap block that covers starts below `top`, with some to spare. */
export function mapGranules(top: number): number {
  const covered = top + (top >>> SPARE_SHIFT) + SPARE;
  return Math.ceil((startWords(covered) + 1) / PAYLOAD_WORDS);
}

/** Granules covered by a bitmap block of n granules. */
export function coveredBy(n: number): number {
  return (n * PAYLOAD_WORDS - 1) * 32;
}

/** Every cached block becomes ordinary free memory. true = there was one. */
export function flushCaches(words: Int32Array, s: number): boolean {
  if (words[s + CACHED] === 0) return false;
  words[s + CACHED] = 0;
  for (let n = 1; n < BEST_CACHES; n += 1) {
    let at = words[s + CACHES + n] as number;
    words[s + CACHES + n] = 0;
    while (at !== 0 && (words[(at << 2) - 1] as number) >>> SIZE === n) {
      const next = words[at << 2] as number;
      release(words, s, at, n);
      at = next;
    }
  }
  return true;
}

/** A busy block at the start of the wilderness; its room was made sure of. */
export function bump(words: Int32Array, s: number, n: number): number {
  const at = words[s + TOP] as number;
  words[(at << 2) - 1] = (n << SIZE) | BUSY;
  words[s + TOP] = at + n;
  return at;
}

/** Makes the wilderness at least `n` granules long. */
export function extendBy(words: Int32Array, s: number, arena: Arena, n: number): boolean {
  const top = words[s + TOP] as number;
  words[s + END] = arena.end();
  const short = top + n - (words[s + END] as number);
  if (short <= 0) return true;
  if (!arena.extend(short)) return false;
  words[s + END] = arena.end();
  return top + n <= (words[s + END] as number);
}

/** Makes sure that a block may start at `place`, at or behind the wilderness. */
export function coverTo(words: Int32Array, s: number, arena: Arena, place: number): boolean {
  if (place < (words[s + COVER] as number)) return true;
  const n = mapGranules(place + mapGranules(place));
  const w = findFree(words, s, n);
  let at = w === 0 ? 0 : takeFree(words, s, w, n);
  if (at === 0) {
    if (!extendBy(words, s, arena, n)) return false;
    at = bump(words, s, n);
  }
  moveMap(words, s, at);
  return true;
}

/** The busy block `at` becomes the bitmap; the old one becomes free memory. */
export function moveMap(words: Int32Array, s: number, at: number): void {
  const n = (words[(at << 2) - 1] as number) >>> SIZE;
  const old = words[s + MAP] as number;
  const oldSize = (words[(old << 2) - 1] as number) >>> SIZE;
  const kept = Math.min(n, oldSize) * PAYLOAD_WORDS - 1;
  words.copyWithin(at << 2, old << 2, (old << 2) + kept);
  words.fill(0, (at << 2) + kept, ((at + n) << 2) - 1);
  words[s + MAP] = at;
  words[s + COVER] = coveredBy(n);
  release(words, s, old, oldSize);
}

/** A busy block of n granules without a start bit, wherever there is room; 0 = no space. */
export function carve(words: Int32Array, s: number, arena: Arena, n: number): number {
  const w = findFree(words, s, n);
  if (w !== 0) {
    const at = takeFree(words, s, w, n);
    if (at !== 0) return at;
  }
  const top = words[s + TOP] as number;
  if (top + n <= (words[s + END] as number) && top < (words[s + COVER] as number)) {
    return bump(words, s, n);
  }
  return grow(words, s, arena, n);
}

function grow(words: Int32Array, s: number, arena: Arena, n: number): number {
  if (flushCaches(words, s)) return carve(words, s, arena, n);
  if (!coverTo(words, s, arena, words[s + TOP] as number)) return 0;
  return extendBy(words, s, arena, n) ? bump(words, s, n) : 0;
}
