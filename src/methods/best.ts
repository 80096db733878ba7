/**
 * best: approximately best fit with coalescing, deferred for small blocks; all state in the arena.
 *
 * Blocks have no headers: a map of two bits per granule says where blocks start and which of them
 * are live (best-map.ts). The last freed block of the same size is taken first (exact-size caches,
 * best-caches.ts), then the bins (best-bins.ts), then the wilderness; the caches are emptied into
 * the bins before the arena grows, and when most of them lies idle. Nobody counts what they hold.
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
 *   B8 caches hold idle blocks of their size
 *   B9 an idle block is free, cached, the map or hidden: none is lost
 */
import { BEST, BEST_CACHED, BEST_HIDDEN, BEST_MAP, BEST_SMALL, FREE, GRANULE }
  from '../layout.ts';
import { assert } from '../errors.ts';
import type { Arena, Blocks, BlockStat, Finding, Method } from '../types.ts';
import { findFree, insertFree, maybeFree, release, unlinkFree } from './best-bins.ts';
import { mergeCaches } from './best-caches.ts';
import { checkBest } from './best-check.ts';
import { dropLive, isLive, setBoundary, setLive, sizeAt, sizeWord } from './best-map.ts';
import { clearBest, layEmpty, rebuildBest, settleBest, trimBest } from './best-rebuild.ts';
import {
  bump,
  coverTo,
  dropEnd,
  extendBy,
  growTo,
  obtain,
  setEnd,
  shrinkTo,
  tidyCaches,
} from './best-space.ts';
import { countBest, startOfBest, walkBest } from './best-walk.ts';
import type { Visit } from './count.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, rest: REST, caches: CACHES } = BEST;
const { hidden: HIDDEN } = BEST;
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

function allocSlow(words: Int32Array, s: number, arena: Arena, size: number): number {
  if (size > CACHED_BYTES) return allocLarge(words, s, arena, size);
  return obtain(words, s, arena, (size + 15) >>> 4);
}

function allocLarge(words: Int32Array, s: number, arena: Arena, size: number): number {
  const n = Math.ceil(size / GRANULE);
  if (n > MAX_GRANULES) return 0;
  const at = obtain(words, s, arena, n);
  if (at !== 0 || n < WORTH_SETTLING) return at;
  settleBest(words, s);
  return obtain(words, s, arena, n);
}

/** Frees a live block of more than 32 granules, or when it is time to look through the caches. */
function freeSlow(words: Int32Array, s: number, at: number): boolean {
  const map = words[s + MAP] as number;
  const n = sizeAt(words, map, at);
  dropLive(words, map, at);
  shelve(words, s, at, n);
  if ((words[s + REST] as number) <= 0) tidyCaches(words, s);
  return true;
}

/** Gives a range back that is bounded and not live: to a cache if it may be, else to the bins. */
function shelve(words: Int32Array, s: number, at: number, n: number): void {
  if (n > MOST_CACHED) {
    release(words, s, at, n);
    return;
  }
  if (n > SMALL) words[sizeWord(words[s + MAP] as number, at)] = n;
  words[at << 2] = ~(words[s + CACHES + n] as number);
  words[s + CACHES + n] = at;
}

/** Granules of the live block that starts here; 0 = there is none. */
function liveSize(words: Int32Array, s: number, at: number): number {
  if (at >>> 0 >= (words[s + COVER] as number)) return 0;
  const map = words[s + MAP] as number;
  return isLive(words, map, at) ? sizeAt(words, map, at) : 0;
}

/** Is the block that starts here live or cached? */
function isTaken(words: Int32Array, s: number, at: number): boolean {
  return (words[at << 2] as number) < 0 || isLive(words, words[s + MAP] as number, at);
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
  } else if (isTaken(words, s, at + old)) shelve(words, s, at + n, old - n);
  else release(words, s, at + n, old - n);
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
  let w = findAligned(words, s, n, step);
  if (w === 0 && (words[s + TOP] as number) + n + step > (words[s + END] as number)) {
    if (mergeCaches(words, s, 0)) w = findAligned(words, s, n, step);
  }
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
  if (tail > 0) shelve(words, s, at + n, tail);
  if (at > from) shelve(words, s, from, at - from);
  return at;
}

/** A binned block that holds n granules from a multiple of `step` on, or 0. */
function findAligned(words: Int32Array, s: number, n: number, step: number): number {
  const w = findFree(words, s, n);
  return w === 0 || fitsAligned(words, w, n, step) ? w : findFree(words, s, n + step - 1);
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

class Best implements Blocks {
  declare readonly words: Int32Array;
  declare readonly arena: Arena;
  /** Index of the first word of the state. */
  declare readonly s: number;

  /** Fields that are set once, and not declared empty before: V8 folds them (region/fixed.ts). */
  constructor(arena: Arena) {
    this.words = arena.words;
    this.arena = arena;
    this.s = (arena.start * 4) | 0;
  }

  alloc(size: number): number {
    if (size <= CACHED_BYTES) {
      const words = this.words;
      const s = this.s;
      const cache = (s + CACHES + ((size + 15) >>> 4)) | 0;
      const head = words[cache] as number;
      if (head > 0) {
        const next = ~(words[head << 2] as number);
        const pair = ((words[s + MAP] as number) + ((head >>> 5) << 1)) | 0;
        const bit = 1 << head;
        const live = words[pair | 1] as number;
        const idle = (words[pair] as number) & ~live & bit;
        if (idle !== 0 && next >= 0 && head < (words[s + COVER] as number)) {
          words[cache] = next;
          words[pair | 1] = live | bit;
          return head;
        }
        words[cache] = 0;
      }
    }
    return size === 0 ? this.alloc(1) : allocSlow(this.words, this.s, this.arena, size) | 0;
  }

  free(at: number): boolean {
    const words = this.words;
    const s = this.s;
    if (at >>> 0 >= (words[s + COVER] as number)) return false;
    const pair = ((words[s + MAP] as number) + ((at >>> 5) << 1)) | 0;
    const live = words[pair | 1] as number;
    const bounds = words[pair] as number;
    const bit = 1 << at;
    if ((live & bounds & bit) === 0) return false;
    // The 32 granules behind `at`, from two words: no branch that a processor would mispredict.
    const bits = ((bounds >>> at) >>> 1) | ((words[pair + 2] as number) << ~at);
    const rest = ((words[s + REST] as number) - 1) | 0;
    if (bits === 0 || rest < 0) return freeSlow(words, s, at);
    const cache = (s + CACHES + 32 - Math.clz32(bits & -bits)) | 0;
    words[s + REST] = rest;
    words[pair | 1] = live & ~bit;
    words[at << 2] = ~(words[cache] as number);
    words[cache] = at;
    return true;
  }

  get freeHead(): number {
    return GRANULE;
  }

  align(size: number, alignment: number): number {
    const cache = this.s + CACHES + ((size + 15) >>> 4);
    const head = size > CACHED_BYTES ? 0 : this.words[cache] as number;
    if (head !== 0 && (head & (alignment / GRANULE - 1)) === 0) return this.alloc(size);
    return align(this.words, this.s, this.arena, size, alignment / GRANULE);
  }

  /** Most small blocks that are to grow cannot: they are told so soon. */
  resize(at: number, size: number): boolean {
    const words = this.words;
    const s = this.s;
    const old = liveSize(words, s, at);
    const n = granulesFor(size);
    if (old === 0) return false;
    if (n > old && n <= MOST_CACHED) {
      const next = at + old;
      if (next !== words[s + TOP] && isTaken(words, s, next)) return false;
    }
    return n === old || resize(words, s, this.arena, at, size) === true;
  }

  sizeOf(granule: number): number {
    const n = liveSize(this.words, this.s, granule);
    return n === 0 ? -1 : n * GRANULE;
  }

  startOf(granule: number): number {
    return startOfBest(this.words, this.s, granule);
  }

  hide(granule: number): void {
    hide(this.words, this.s, granule);
  }

  walk(visit: Visit, from?: number): void {
    walkBest(this.words, this.s, visit, from);
  }

  stat(into: BlockStat): void {
    countBest(this.words, this.s, into);
  }

  check(report: (finding: Finding) => void): void {
    checkBest(this.words, this.s, this.arena, report);
  }

  trim(): void {
    trimBest(this.words, this.s, this.arena);
  }

  clear(): void {
    clearBest(this.words, this.s, this.arena);
  }

  rebuild(): boolean {
    return rebuildBest(this.words, this.s, this.arena);
  }
}

export const best: Method = {
  name: 'best',
  format: (arena) => layEmpty(arena.words, arena.start * 4, arena),
  attach: (arena) => new Best(arena),
};
