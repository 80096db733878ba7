/**
 * best: approximately best fit with coalescing, deferred for small blocks; all state in the arena.
 *
 * A block is a header word (size in granules, flags) and the payload behind it, 16-byte aligned. The
 * last freed block of the same size is taken first (exact-size caches), then the smallest bin that
 * fits, then the wilderness; the caches are emptied into the bins before the arena grows.
 *
 * Ground truth is the start bitmap and the headers of the blocks it names; all else can be derived
 * (`rebuild`). Order of writes, so that this holds at every instant of a shared mapping:
 *   alloc   size into the header, then the start bit;      free   the start bit, then the rest;
 *   resize  grow: the absorbed memory leaves its bin, then the size, in one word;
 *           shrink: the size, in one word, then the rest becomes free;
 *   bitmap  copied, then the one reference to it is switched.
 *
 * Invariants, reported by `check` (best-check.ts):
 *   B1 the state is sane: magic, first ≤ top ≤ end = the arena's end, the bitmap block inside
 *   B2 headers follow each other from the first block exactly to the wilderness
 *   B3 every start bit is the start of a busy block, inside the covered range
 *   B4 a free block ends with its size, and the block after it says so; no other says so
 *   B5 no two free blocks are neighbours, none touches the wilderness
 *   B6 every free block is in the bin of its size, once; links agree in both directions
 *   B7 the bin map and its summary name exactly the bins that are not empty
 *   B8 caches hold blocks of their size, marked busy, without a start bit; `cached` is their sum
 *   B9 a block marked busy has a start bit, is cached or is the bitmap: none is lost
 */
import { BEST, BEST_CACHES, BLOCK, GRANULE, GRANULE_SHIFT } from '../layout.ts';
import type { Arena, Blocks, Method } from '../types.ts';
import { findFree, release, takeFree } from './best-bins.ts';
import { checkBest } from './best-check.ts';
import { clearBest, layEmpty, rebuildBest, trimBest } from './best-rebuild.ts';
import {
  bump,
  carve,
  coverTo,
  extendBy,
  flushCaches,
} from './best-space.ts';
import { countInto, walkBest } from './best-walk.ts';
import { hasStart, setStart, startAtOrBelow } from './starts.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, cached: CACHED, caches: CACHES } = BEST;
const { busy: BUSY, prevFree: PREV_FREE, sizeShift: SIZE, hidden: HIDDEN } = BLOCK;
const CACHED_SIZES = BEST_CACHES;
/** Bytes up to which a size is certainly a small integer and cached. */
const SMALL = 1024;
const HEADER_AND_ROUND = 4 + GRANULE - 1;
const MAX_GRANULES = 2 ** 28 - 1;
/** Cached memory at most, granules. */
const CACHE_LIMIT = 4096;

/** Granules of a block with `size` usable bytes. */
function granulesFor(size: number): number {
  if (size < SMALL) return (size + HEADER_AND_ROUND) >>> GRANULE_SHIFT;
  return Math.floor((size + HEADER_AND_ROUND) / GRANULE);
}

function alloc(words: Int32Array, s: number, arena: Arena, size: number): number {
  const n = granulesFor(size);
  let at = 0;
  if (n < CACHED_SIZES) at = uncache(words, s, n);
  else if (n > MAX_GRANULES) return 0;
  if (at === 0) {
    at = carve(words, s, arena, n);
    if (at === 0) return 0;
  }
  setStart(words, (words[s + MAP] as number) << 2, at);
  return at;
}

/** The last freed block of n granules, or 0. A head that lies is dropped with its list. */
function uncache(words: Int32Array, s: number, n: number): number {
  const at = words[s + CACHES + n] as number;
  if (at === 0) return 0;
  const w = at << 2;
  if ((words[w - 1] as number) >>> SIZE !== n || at >= (words[s + COVER] as number)) {
    words[s + CACHES + n] = 0;
    return 0;
  }
  words[s + CACHES + n] = words[w] as number;
  words[s + CACHED]! -= n;
  return at;
}

function free(words: Int32Array, s: number, at: number): boolean {
  if (at >>> 0 >= (words[s + COVER] as number)) return false;
  const place = ((words[s + MAP] as number) << 2) + (at >>> 5);
  const bits = words[place] as number;
  if ((bits & (1 << at)) === 0) return false;
  const w = at << 2;
  const header = words[w - 1] as number;
  if (header < 0) return false;
  words[place] = bits & ~(1 << at);
  const n = header >>> SIZE;
  const cached = (words[s + CACHED] as number) + n;
  if (n < CACHED_SIZES && cached <= CACHE_LIMIT) {
    words[w] = words[s + CACHES + n] as number;
    words[s + CACHES + n] = at;
    words[s + CACHED] = cached;
  } else release(words, s, at, n);
  return true;
}

/** The header of the live block that starts here; 0 = there is none. */
function liveHeader(words: Int32Array, s: number, at: number): number {
  if (at >>> 0 >= (words[s + COVER] as number)) return 0;
  if (!hasStart(words, (words[s + MAP] as number) << 2, at)) return 0;
  const header = words[(at << 2) - 1] as number;
  return header < 0 ? 0 : header;
}

function sizeOf(words: Int32Array, s: number, at: number): number {
  const header = liveHeader(words, s, at);
  return header === 0 ? -1 : (header >>> SIZE) * GRANULE - 4;
}

function startOf(words: Int32Array, s: number, granule: number): number {
  if (granule >>> 0 >= (words[s + TOP] as number)) return 0;
  const last = Math.min(granule, (words[s + COVER] as number) - 1);
  const at = startAtOrBelow(words, (words[s + MAP] as number) << 2, last, 0);
  const header = at < 0 ? 0 : liveHeader(words, s, at);
  return header !== 0 && granule < at + (header >>> SIZE) ? at : 0;
}

function resize(words: Int32Array, s: number, arena: Arena, at: number, size: number): boolean {
  const header = liveHeader(words, s, at);
  const n = granulesFor(size);
  if (header === 0 || n > MAX_GRANULES) return false;
  const old = header >>> SIZE;
  if (n > old && !absorb(words, s, arena, at, old, n)) return false;
  if (n < old) {
    words[(at << 2) - 1] = (n << SIZE) | (header & PREV_FREE) | BUSY;
    words[((at + n) << 2) - 1] = ((old - n) << SIZE) | BUSY;
    release(words, s, at + n, old - n);
  }
  return true;
}

/** Grows a block over the free block or the wilderness behind it. */
function absorb(
  words: Int32Array,
  s: number,
  arena: Arena,
  at: number,
  old: number,
  n: number,
): boolean {
  const next = at + old;
  const flags = (words[(at << 2) - 1] as number) & (PREV_FREE | BUSY);
  if (next === words[s + TOP]) {
    if (at + n > (words[s + END] as number) && !extendBy(words, s, arena, n - old)) return false;
    words[s + TOP] = at + n;
    words[(at << 2) - 1] = (n << SIZE) | flags;
    return true;
  }
  const header = words[(next << 2) - 1] as number;
  if ((header & BUSY) !== 0 || old + (header >>> SIZE) < n) return false;
  if (takeFree(words, s, next << 2, n - old) === 0) return false;
  words[(at << 2) - 1] = (n << SIZE) | flags;
  return true;
}

/** A block whose payload is at a multiple of `step` granules; what is around it stays free. */
function align(words: Int32Array, s: number, arena: Arena, size: number, step: number): number {
  const n = granulesFor(size);
  if (n > MAX_GRANULES || step >= words.length >>> 2) return 0;
  const w = findFree(words, s, n + step - 1);
  let from = w === 0 ? 0 : takeFree(words, s, w, n + step - 1);
  if (from === 0) from = bumpAligned(words, s, arena, n, step);
  if (from === 0) return 0;
  const whole = (words[(from << 2) - 1] as number) >>> SIZE;
  const at = from + (-from & (step - 1));
  const tail = from + whole - (at + n);
  words[(at << 2) - 1] = (n << SIZE) | BUSY;
  if (tail > 0) {
    words[((at + n) << 2) - 1] = (tail << SIZE) | BUSY;
    release(words, s, at + n, tail);
  }
  if (at > from) release(words, s, from, at - from);
  setStart(words, (words[s + MAP] as number) << 2, at);
  return at;
}

/** A busy block at the wilderness, long enough for n granules from the next multiple of `step`. */
function bumpAligned(
  words: Int32Array,
  s: number,
  arena: Arena,
  n: number,
  step: number,
): number {
  flushCaches(words, s);
  let place = roundUp(words[s + TOP] as number, step);
  while (place >= (words[s + COVER] as number)) {
    if (place + n > MAX_GRANULES || !coverTo(words, s, arena, place)) return 0;
    place = roundUp(words[s + TOP] as number, step);
  }
  const whole = place + n - (words[s + TOP] as number);
  return extendBy(words, s, arena, whole) ? bump(words, s, whole) : 0;
}

function roundUp(place: number, step: number): number {
  return place + (-place & (step - 1));
}

function attach(arena: Arena): Blocks {
  const words = arena.words;
  const s = arena.start * 4;
  return {
    alloc: (size) => alloc(words, s, arena, size),
    align: (size, alignment) => align(words, s, arena, size, alignment / GRANULE),
    free: (granule) => free(words, s, granule),
    resize: (granule, size) => resize(words, s, arena, granule, size),
    sizeOf: (granule) => sizeOf(words, s, granule),
    startOf: (granule) => startOf(words, s, granule),
    hide: (granule) => {
      if (liveHeader(words, s, granule) !== 0) words[granule * 4 - 1]! |= HIDDEN;
    },
    walk: (visit) => walkBest(words, s, visit),
    stat: (into) => walkBest(words, s, countInto(into)),
    check: (report) => checkBest(words, s, arena, report),
    trim: () => trimBest(words, s, arena),
    clear: () => clearBest(words, s, arena),
    rebuild: () => rebuildBest(words, s, arena),
  };
}

export const best: Method = { name: 'best', format: (arena) => layEmpty(arena.words, arena.start * 4, arena), attach };
