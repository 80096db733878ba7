/**
 * Where `best` gets memory when no exact-size cache serves: the bins, the wilderness, growth
 * of the arena, and the block that holds the map.
 *
 * The map is a bounded block that is not live; the state word `map` is the only reference to it. It
 * covers somewhat more than the places where blocks start and is moved when they outgrow it: copy,
 * then switch the reference. `cover` is derived from its size.
 */
import { BEST, BEST_MAP, BEST_SMALL, FREE } from '../layout.ts';
import type { Arena } from '../types.ts';
import { findFree, insertFree, release, split, unlinkFree } from './best-bins.ts';
import { mergeCaches } from './best-caches.ts';
import { dropBoundary, setBoundary, sizeWord } from './best-map.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, rest: REST, caches: CACHES } = BEST;
const SMALL = BEST_SMALL;
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
const FEW = 64;
const FEW_SHIFT = 11;
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

/** A live block of n granules, wherever there is room; 0 = no space. */
export function obtain(words: Int32Array, s: number, arena: Arena, n: number): number {
  const at = carve(words, s, n);
  return at !== 0 ? at : grow(words, s, arena, n);
}

/** What the caches hold is free memory too; the arena grows where that does not help. */
function grow(words: Int32Array, s: number, arena: Arena, n: number): number {
  let at = 0;
  const few = FEW + ((words[s + TOP] as number) >>> FEW_SHIFT);
  if (mergeCaches(words, s, few)) at = carve(words, s, n);
  if (at !== 0) return at;
  const isRoom = coverTo(words, s, arena, words[s + TOP] as number)
    && extendBy(words, s, arena, n);
  if (isRoom) at = carve(words, s, n);
  return at === 0 && mergeCaches(words, s, 0) ? carve(words, s, n) : at;
}

/**
 * A live block of n granules, if there is one without growth, else 0. Of a small size some more are
 * cut than the one that was asked for, for its cache: a split costs as much as ten blocks from a
 * cache.
 *
 * One function on purpose: V8 counts what it inlines into `alloc` against inlining `alloc`, and
 * does not inline what has more than 460 bytes of bytecode.
 */
function carve(words: Int32Array, s: number, n: number): number {
  const map = words[s + MAP] as number;
  const cover = words[s + COVER] as number;
  const w = findFree(words, s, n);
  const m = w === 0 ? 0 : unlinkFree(words, s, w);
  const top = words[s + TOP] as number;
  let at = w >>> 2;
  let room = m;
  if (m < n) {
    at = top;
    room = (words[s + END] as number) - top;
    if (n > room || top + REACH > cover) return 0;
  }
  let taken = n;
  if (n < BATCHED && room > n) {
    const most = Math.min(room, cover - REACH - at);
    const last = at + Math.max(0, Math.min(BATCH, (most / n) | 0) - 1) * n;
    let head = 0;
    for (let block = last; block > at; block -= n) {
      setBoundary(words, map, block);
      words[(block << 2) + FREE.next] = ~head;
      head = block;
    }
    words[s + CACHES + n] = head;
    taken = last + n - at;
  }
  if (m < n) {
    if (at + taken < cover) setBoundary(words, map, at + taken);
    words[s + TOP] = at + taken;
  } else if (m > taken) {
    setBoundary(words, map, at + taken);
    insertFree(words, s, at + taken, m - taken);
  }
  if (n > SMALL) words[sizeWord(map, at)] = n;
  const pair = map + ((at >>> 5) << 1);
  words[pair | 1] = (words[pair | 1] as number) | (1 << at);
  return at;
}

/**
 * Now and then, when as many blocks were freed as a part of the arena has granules: what was cached
 * and not used again is merged. One block is looked at, at most, for each that was freed.
 */
export function tidyCaches(words: Int32Array, s: number): void {
  const part = (words[s + TOP] as number) >>> LEFT_SHIFT;
  mergeCaches(words, s, part);
  words[s + REST] = Math.max(part, LEFT_LEAST);
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
