/**
 * Where `best` gets memory when no exact-size cache serves: the bins, the wilderness, growth
 * of the arena, and the block that holds the map.
 *
 * The map is a bounded block that is not live; the state word `map` is the only reference to it. It
 * covers somewhat more than the places where blocks start and is moved when they outgrow it: copy,
 * then switch the reference. `cover` is derived from its size.
 */
import { BEST, BEST_CACHED, BEST_MAP, BEST_SMALL, FREE } from '../layout.ts';
import type { Arena } from '../types.ts';
import { findFree, release, split, unlinkFree } from './best-bins.ts';
import { dropBoundary, isBoundary, isLive, setBoundary, sizeAt, sizeWord } from './best-map.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, rest: REST, caches: CACHES } = BEST;
const SMALL = BEST_SMALL;
const MOST_CACHED = BEST_CACHED;
/** A block may start where the map goes on for this much: its end or its size fit in. */
const REACH = BEST_MAP.reach;
/** Granules one granule of map covers: four words are two pairs. */
export const COVER_SHIFT = 6;
/** A map covers more than it must by an eighth, and by 64 KiB. */
const SPARE_SHIFT = 3;
const SPARE = 4096;
/** Blocks of less than this many granules are cut BATCH at a time. */
const BATCHED = 9;
const BATCH = 8;
/** Caches that hold less than this, granules, are not emptied before the arena grows. */
const FEW = 512;
const FEW_SHIFT = 9;
/** Caches may hold this part of the arena. */
const LEFT_SHIFT = 2;
const LEFT_LEAST = 2 ** 16;

/** Granules of a map block for starts below `top`, with some to spare. */
export function mapGranules(top: number): number {
  return (top + (top >>> SPARE_SHIFT) + SPARE + REACH) >>> COVER_SHIFT;
}

/** The end of the arena is what the region says. */
export function readEnd(words: Int32Array, s: number, arena: Arena): number {
  const end = arena.end();
  words[s + END] = end;
  return end;
}

/** Every cached block becomes ordinary free memory. true = there was one. */
export function flushCaches(words: Int32Array, s: number): boolean {
  let isSome = false;
  for (let n = MOST_CACHED; n > 0; n -= 1) {
    let at = words[s + CACHES + n] as number;
    words[s + CACHES + n] = 0;
    isSome ||= at !== 0;
    while (at !== 0 && isCached(words, s, at, n)) {
      const next = ~(words[(at << 2) + FREE.next] as number);
      release(words, s, at, n);
      at = next;
    }
  }
  return isSome;
}

/** Do the caches hold more than `few` granules? Nobody counts while they are filled and emptied. */
function cachesHold(words: Int32Array, s: number, few: number): boolean {
  let held = 0;
  for (let n = 1; n <= MOST_CACHED; n += 1) {
    let at = words[s + CACHES + n] as number;
    for (; at !== 0 && held <= few; held += n) at = ~(words[(at << 2) + FREE.next] as number);
  }
  return held > few;
}

/** Can this be a cached block of n granules? */
export function isCached(words: Int32Array, s: number, at: number, n: number): boolean {
  const map = words[s + MAP] as number;
  if (at < s >>> 2 || at >= (words[s + TOP] as number)) return false;
  if (at + REACH > (words[s + COVER] as number) || (words[at << 2] as number) >= 0) return false;
  return isBoundary(words, map, at) && !isLive(words, map, at) && sizeAt(words, map, at) === n;
}

/** A block at the start of the wilderness; its room and its place in the map were made sure of. */
export function bump(words: Int32Array, s: number, n: number): number {
  const map = words[s + MAP] as number;
  const at = words[s + TOP] as number;
  const top = at + n;
  if (n > SMALL) words[sizeWord(map, at)] = n;
  if (top < (words[s + COVER] as number)) setBoundary(words, map, top);
  words[s + TOP] = top;
  return at;
}

/** Makes the wilderness at least `n` granules long. */
export function extendBy(words: Int32Array, s: number, arena: Arena, n: number): boolean {
  const top = words[s + TOP] as number;
  const short = top + n - readEnd(words, s, arena);
  if (short <= 0) return true;
  return arena.extend(short) && top + n <= readEnd(words, s, arena);
}

/** Makes sure that a block may start at `place`, at or behind the wilderness. */
export function coverTo(words: Int32Array, s: number, arena: Arena, place: number): boolean {
  if (place + REACH <= (words[s + COVER] as number)) return true;
  const n = mapGranules(place + mapGranules(place));
  const w = findFree(words, s, n);
  const m = w === 0 ? 0 : unlinkFree(words, s, w);
  let at = w >>> 2;
  if (m >= n) split(words, s, at, m, n);
  else {
    if (!extendBy(words, s, arena, n)) return false;
    at = words[s + TOP] as number;
    words[s + TOP] = at + n;
  }
  moveMap(words, s, at, n);
  return true;
}

/**
 * The range, bounded unless it lies before the wilderness, becomes the map; the old one is free.
 */
export function moveMap(words: Int32Array, s: number, at: number, n: number): void {
  const old = words[s + MAP] as number;
  const oldSize = (words[s + COVER] as number) >>> COVER_SHIFT;
  const map = at << 2;
  const kept = Math.min(n, oldSize) << 2;
  words.copyWithin(map, old, old + kept);
  words.fill(0, map + kept, map + (n << 2));
  setBoundary(words, map, at);
  if (n > SMALL) words[sizeWord(map, at)] = n;
  for (const place of [at + n, words[s + TOP] as number]) {
    if (place < n << COVER_SHIFT) setBoundary(words, map, place);
  }
  words[s + COVER] = n << COVER_SHIFT;
  words[s + MAP] = map;
  release(words, s, old >>> 2, oldSize);
}

/** A bounded block of n granules that is not live yet, wherever there is room; 0 = no space. */
export function carve(words: Int32Array, s: number, arena: Arena, n: number): number {
  const w = findFree(words, s, n);
  if (w !== 0) {
    const at = w >>> 2;
    const m = unlinkFree(words, s, w);
    if (m >= n) {
      const taken = n < BATCHED && m > n ? refill(words, s, at, m, n) : n;
      split(words, s, at, m, taken);
      return at;
    }
  }
  const top = words[s + TOP] as number;
  const room = (words[s + END] as number) - top;
  const starts = (words[s + COVER] as number) - REACH - top;
  if (n <= room && starts >= 0) {
    if (n < BATCHED && starts > n) {
      const taken = refill(words, s, top, Math.min(room, starts), n);
      words[s + TOP] = top + taken - n;
    }
    bump(words, s, n);
    return top;
  }
  return grow(words, s, arena, n);
}

/**
 * Cuts more blocks of a small size from m granules at `at` than the one that was asked for, for its
 * cache: a split costs as much as ten blocks from a cache. Returns the granules cut, bounded
 * inside.
 */
function refill(words: Int32Array, s: number, at: number, m: number, n: number): number {
  const map = words[s + MAP] as number;
  const count = Math.min(BATCH, (m / n) | 0);
  let head = 0;
  for (let block = at + (count - 1) * n; block > at; block -= n) {
    setBoundary(words, map, block);
    words[(block << 2) + FREE.next] = ~head;
    head = block;
  }
  words[s + CACHES + n] = head;
  return count * n;
}

/**
 * Now and then, when as many blocks were freed as a part of the arena has granules: what was cached
 * and not used again is merged. One block is looked at, at most, for each that was freed.
 */
export function tidyCaches(words: Int32Array, s: number): void {
  const part = (words[s + TOP] as number) >>> LEFT_SHIFT;
  if (cachesHold(words, s, part)) flushCaches(words, s);
  words[s + REST] = Math.max(part, LEFT_LEAST);
}

function grow(words: Int32Array, s: number, arena: Arena, n: number): number {
  const few = FEW + ((words[s + TOP] as number) >>> FEW_SHIFT);
  if (cachesHold(words, s, few) && flushCaches(words, s)) return carve(words, s, arena, n);
  if (!coverTo(words, s, arena, words[s + TOP] as number)) return 0;
  if (extendBy(words, s, arena, n)) return bump(words, s, n);
  return flushCaches(words, s) ? carve(words, s, arena, n) : 0;
}

/** A block takes in what lies behind it; the place of its new end is bounded already. */
export function growTo(words: Int32Array, s: number, at: number, old: number, n: number): void {
  const map = words[s + MAP] as number;
  if (n <= SMALL) {
    dropBoundary(words, map, at + old);
    return;
  }
  if (old <= SMALL) {
    // By way of the largest small size: the size word must lie inside when it is written.
    setBoundary(words, map, at + SMALL);
    if (old < SMALL) dropBoundary(words, map, at + old);
    words[sizeWord(map, at)] = n;
    dropBoundary(words, map, at + SMALL);
  } else {
    words[sizeWord(map, at)] = n;
    dropEnd(words, s, at + old);
  }
}

/** A block ends sooner; what lies behind is bounded, and nobody's yet. */
export function shrinkTo(words: Int32Array, s: number, at: number, old: number, n: number): void {
  const map = words[s + MAP] as number;
  if (old > SMALL && n <= SMALL) {
    setBoundary(words, map, at + SMALL);
    words[sizeWord(map, at)] = 0;
    if (n === SMALL) return;
    setBoundary(words, map, at + n);
    dropBoundary(words, map, at + SMALL);
  } else {
    setEnd(words, s, at + n);
    if (n > SMALL) words[sizeWord(map, at)] = n;
  }
}

/** Boundaries behind the map are not written. */
export function setEnd(words: Int32Array, s: number, place: number): void {
  if (place < (words[s + COVER] as number)) setBoundary(words, words[s + MAP] as number, place);
}

export function dropEnd(words: Int32Array, s: number, place: number): void {
  if (place < (words[s + COVER] as number)) dropBoundary(words, words[s + MAP] as number, place);
}
