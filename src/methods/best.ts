/**
 * best: approximately best fit with coalescing, deferred for small blocks; all state in the arena.
 *
 * Blocks have no headers: a map of two bits per granule says where blocks start and which of them
 * are live (best-map.ts). The last freed block of the same size is taken first (exact-size caches),
 * then the bins (best-bins.ts), then the wilderness; the caches are emptied into the bins before
 * the arena grows.
 *
 * Ground truth is the map, where the map is, and which blocks are hidden; all else can be derived
 * (`rebuild`). Order of writes, so that this holds at every instant of a shared mapping:
 *   alloc   the boundary behind the block or its size, then the live bit;
 *   free    the live bit, then the rest;
 *   resize  the new end is bounded, then one word makes it the end, then what is left becomes free;
 *   hide    the entry among the hidden, then the live bit;
 *   map     copied, then the one reference to it is switched.
 *
 * Invariants, reported by `check` (best-check.ts):
 *   B1 the state is sane: magic, first ≤ top ≤ end = the arena's end, the map's block inside
 *   B2 blocks follow each other from the first exactly to the wilderness; no boundary behind
 *   B3 no bits are set inside a block but its sizes, none before the first or behind the last
 *   B4 a free block says its size, in its payload and, if large, twice in the map
 *   B5 no two free blocks are neighbours, none touches the wilderness
 *   B6 every free block is in the bin of its size, once; links agree in both directions
 *   B7 the bin map and its summary name exactly the bins that are not empty
 *   B8 caches hold idle blocks of their size; `cached` is their sum
 *   B9 an idle block is free, cached, the map or hidden: none is lost
 */
import { BEST, BEST_CACHED, BEST_HIDDEN, BEST_MAP, BEST_SMALL, FREE, GRANULE } from '../layout.ts';
import { assert } from '../errors.ts';
import type { Arena, Blocks, Method } from '../types.ts';
import { findFree, insertFree, maybeFree, release, unlinkFree } from './best-bins.ts';
import { checkBest } from './best-check.ts';
import { dropLive, isLive, setBoundary, setLive, sizeAt, sizeWord } from './best-map.ts';
import { clearBest, layEmpty, rebuildBest, settleBest, trimBest } from './best-rebuild.ts';
import {
  bump,
  carve,
  coverTo,
  dropEnd,
  extendBy,
  flushCaches,
  growTo,
  setEnd,
  shrinkTo,
} from './best-space.ts';
import { countInto, startOfBest, walkBest } from './best-walk.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, cached: CACHED, caches: CACHES } = BEST;
const { cacheLimit: CACHE_LIMIT, hidden: HIDDEN } = BEST;
const { size: FREE_SIZE } = FREE;
const SMALL = BEST_SMALL;
const MOST_CACHED = BEST_CACHED;
const CACHED_BYTES = BEST_CACHED * GRANULE;
const REACH = BEST_MAP.reach;
const MAX_GRANULES = 2 ** 28 - 1;
/** When this many granules are not to be had the map may lie in their way. */
const WORTH_SETTLING = 4096;

/** Granules of a block with `size` usable bytes. */
function granulesFor(size: number): number {
  return size <= CACHED_BYTES ? (size + 15) >>> 4 || 1 : Math.ceil(size / GRANULE);
}

function alloc(words: Int32Array, s: number, arena: Arena, size: number): number {
  if (size > CACHED_BYTES) return allocLarge(words, s, arena, size);
  const n = (size + 15) >>> 4 || 1;
  const head = words[s + CACHES + n] as number;
  if (head !== 0) {
    const next = ~(words[head << 2] as number);
    const pair = (words[s + MAP] as number) + ((head >>> 5) << 1);
    const live = words[pair + 1] as number;
    const idle = (words[pair] as number) & ~live & (1 << head);
    if (idle !== 0 && next >= 0 && head < (words[s + COVER] as number)) {
      words[s + CACHES + n] = next;
      words[s + CACHED]! -= n;
      words[pair + 1] = live | (1 << head);
      return head;
    }
    words[s + CACHES + n] = 0;
  }
  const at = carve(words, s, arena, n);
  if (at !== 0) setLive(words, words[s + MAP] as number, at);
  return at;
}

function allocLarge(words: Int32Array, s: number, arena: Arena, size: number): number {
  const n = Math.ceil(size / GRANULE);
  if (n > MAX_GRANULES) return 0;
  let at = carve(words, s, arena, n);
  if (at === 0 && n >= WORTH_SETTLING) {
    settleBest(words, s);
    at = carve(words, s, arena, n);
  }
  if (at !== 0) setLive(words, words[s + MAP] as number, at);
  return at;
}

function free(words: Int32Array, s: number, at: number): boolean {
  if (at >>> 0 >= (words[s + COVER] as number)) return false;
  const map = words[s + MAP] as number;
  const pair = map + ((at >>> 5) << 1);
  const live = words[pair + 1] as number;
  if ((live & (words[pair] as number) & (1 << at)) === 0) return false;
  const n = sizeAt(words, map, at);
  words[pair + 1] = live & ~(1 << at);
  const cached = (words[s + CACHED] as number) + n;
  if (n <= MOST_CACHED && cached <= (words[s + CACHE_LIMIT] as number)) {
    words[at << 2] = ~(words[s + CACHES + n] as number);
    words[s + CACHES + n] = at;
    words[s + CACHED] = cached;
  } else release(words, s, at, n);
  return true;
}

/** Granules of the live block that starts here; 0 = there is none. */
function liveSize(words: Int32Array, s: number, at: number): number {
  if (at >>> 0 >= (words[s + COVER] as number)) return 0;
  const map = words[s + MAP] as number;
  return isLive(words, map, at) ? sizeAt(words, map, at) : 0;
}

function resize(words: Int32Array, s: number, arena: Arena, at: number, size: number): boolean {
  const old = liveSize(words, s, at);
  const n = granulesFor(size);
  if (n === old) return true;
  if (old === 0 || n > MAX_GRANULES) return false;
  if (n > old) return absorb(words, s, arena, at, old, n);
  shrinkTo(words, s, at, old, n);
  if (at + old === words[s + TOP]) {
    words[s + TOP] = at + n;
    dropEnd(words, s, at + old);
  } else release(words, s, at + n, old - n);
  return true;
}

/** Grows a block over what is free behind it. */
function absorb(
  words: Int32Array,
  s: number,
  arena: Arena,
  at: number,
  old: number,
  n: number,
): boolean {
  const next = at + old;
  const map = words[s + MAP] as number;
  if (next === words[s + TOP]) {
    if (at + n > (words[s + END] as number) && !extendBy(words, s, arena, n - old)) return false;
    setEnd(words, s, at + n);
    words[s + TOP] = at + n;
  } else {
    if (isLive(words, map, next) || !maybeFree(words, s, next)) return false;
    const m = words[(next << 2) + FREE_SIZE] as number;
    if (old + m < n || unlinkFree(words, s, next << 2) === 0) return false;
    if (old + m > n) {
      setBoundary(words, map, at + n);
      insertFree(words, s, at + n, old + m - n);
    }
  }
  growTo(words, s, at, old, n);
  return true;
}

/** A block whose payload is at a multiple of `step` granules; what is around it stays free. */
function align(words: Int32Array, s: number, arena: Arena, size: number, step: number): number {
  const n = granulesFor(size);
  if (n > MAX_GRANULES || step >= words.length >>> 2) return 0;
  let w = findFree(words, s, n);
  if (w !== 0 && !fitsAligned(words, w, n, step)) w = findFree(words, s, n + step - 1);
  let whole = w === 0 ? 0 : unlinkFree(words, s, w);
  let from = w >>> 2;
  if (whole === 0) {
    whole = bumpAligned(words, s, arena, n, step);
    if (whole === 0) return 0;
    from = (words[s + TOP] as number) - whole;
  }
  const map = words[s + MAP] as number;
  const at = roundUp(from, step);
  const tail = from + whole - (at + n);
  if (whole > SMALL) words[sizeWord(map, from)] = 0;
  setBoundary(words, map, at);
  if (n > SMALL) words[sizeWord(map, at)] = n;
  setEnd(words, s, at + n);
  setLive(words, map, at);
  if (tail > 0) release(words, s, at + n, tail);
  if (at > from) release(words, s, from, at - from);
  return at;
}

function fitsAligned(words: Int32Array, w: number, n: number, step: number): boolean {
  const from = w >>> 2;
  return roundUp(from, step) + n <= from + (words[w + FREE_SIZE] as number);
}

/** Takes the wilderness up to n granules behind its next multiple of `step`; how much, or 0. */
function bumpAligned(
  words: Int32Array,
  s: number,
  arena: Arena,
  n: number,
  step: number,
): number {
  flushCaches(words, s);
  let place = roundUp(words[s + TOP] as number, step);
  while (place + REACH > (words[s + COVER] as number)) {
    if (place + n > MAX_GRANULES || !coverTo(words, s, arena, place)) return 0;
    place = roundUp(words[s + TOP] as number, step);
  }
  const whole = place + n - (words[s + TOP] as number);
  if (!extendBy(words, s, arena, whole)) return 0;
  bump(words, s, whole);
  return whole;
}

function roundUp(place: number, step: number): number {
  return place + (-place & (step - 1));
}

function hide(words: Int32Array, s: number, at: number): void {
  if (liveSize(words, s, at) === 0) return;
  let i = 0;
  while (i < BEST_HIDDEN && words[s + HIDDEN + i] !== 0) i += 1;
  assert(i < BEST_HIDDEN, 'more blocks are hidden than an arena of method best has places for');
  words[s + HIDDEN + i] = at;
  dropLive(words, words[s + MAP] as number, at);
}

function attach(arena: Arena): Blocks {
  const words = arena.words;
  const s = arena.start * 4;
  return {
    alloc: (size) => alloc(words, s, arena, size),
    align: (size, alignment) => align(words, s, arena, size, alignment / GRANULE),
    free: (granule) => free(words, s, granule),
    resize: (granule, size) => resize(words, s, arena, granule, size),
    sizeOf: (granule) => {
      const n = liveSize(words, s, granule);
      return n === 0 ? -1 : n * GRANULE;
    },
    startOf: (granule) => startOfBest(words, s, granule),
    hide: (granule) => hide(words, s, granule),
    walk: (visit) => walkBest(words, s, visit),
    stat: (into) => walkBest(words, s, countInto(into)),
    check: (report) => checkBest(words, s, arena, report),
    trim: () => trimBest(words, s, arena),
    clear: () => clearBest(words, s, arena),
    rebuild: () => rebuildBest(words, s, arena),
  };
}

export const best: Method = {
  name: 'best',
  format: (arena) => layEmpty(arena.words, arena.start * 4, arena),
  attach,
};
