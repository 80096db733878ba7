/**
 * Checks every invariant of `best` (best.ts, B1–B9) over arbitrary bytes: reads only, each loop is
 * bounded by the number of granules, at most LIMIT findings.
 */
import {
  BEST,
  BEST_BINS,
  BEST_CACHED,
  BEST_HIDDEN,
  BEST_MAGIC,
  BEST_MAP,
  BEST_SMALL,
  FREE,
  GRANULE,
} from '../layout.ts';
import type { Arena, Finding } from '../types.ts';
import { tellWork, TOLD_GRANULES } from '../work.ts';
import { binOf } from './best-bins.ts';
import { isCached } from './best-caches.ts';
import { isBoundary, isLive, lastSizeWord, sizeAt, sizeWord } from './best-map.ts';
import { COVER_SHIFT } from './best-space.ts';
import { blockAt, isOwn } from './best-walk.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, caches: CACHES } = BEST;
const { summary: SUMMARY, binMap: BIN_MAP, bins: BINS, hidden: HIDDEN } = BEST;
const SMALL = BEST_SMALL;
const LIMIT = 100;

interface Check {
  readonly words: Int32Array;
  readonly s: number;
  readonly first: number;
  readonly top: number;
  readonly map: number;
  readonly cover: number;
  found: (id: string, granule: number, detail: string) => void;
}

export function checkBest(
  words: Int32Array,
  s: number,
  arena: Arena,
  report: (finding: Finding) => void,
): void {
  let count = 0;
  const check: Check = {
    words,
    s,
    first: (s + BEST.words) >>> 2,
    top: words[s + TOP] as number,
    map: words[s + MAP] as number,
    cover: words[s + COVER] as number,
    found: (id, granule, detail) => {
      count += 1;
      if (count <= LIMIT) report({ id, address: granule * GRANULE, detail });
    },
  };
  const wrong = wrongState(check, arena);
  if (wrong !== '') {
    check.found('B1', s >>> 2, wrong);
    return;
  }
  const seen: Seen = { free: 0, cached: 0, freeBefore: false };
  if (!checkChain(check, seen)) return;
  checkAround(check);
  const binned = checkBins(check);
  if (binned !== seen.free) {
    check.found('B6', 0, `${seen.free} free blocks, ${binned} of them in the bins`);
  }
  const cached = checkCaches(check);
  if (cached !== seen.cached) {
    check.found('B9', 0, `${seen.cached} blocks say they are cached, ${cached} are`);
  }
}

function wrongState(check: Check, arena: Arena): string {
  const { words, s, first, top, map, cover } = check;
  const end = words[s + END] as number;
  const at = map >>> 2;
  if (words[s + BEST.magic] !== BEST_MAGIC) return 'this is not a heap of method best';
  if (end !== arena.end() || end > words.length >>> 2) {
    return `the end is ${end}, the arena's ${arena.end()}`;
  }
  if (top < first || top > end) return `the wilderness starts at ${top}, the end is ${end}`;
  if (map % 4 !== 0 || at < first || at >= top) return `the map is said to be at word ${map}`;
  const n = cover >>> COVER_SHIFT;
  if (cover <= 0 || n << COVER_SHIFT !== cover || at + n > top) return `the map covers ${cover}`;
  if (at + BEST_MAP.reach > cover || !isBoundary(words, map, at) || sizeAt(words, map, at) !== n) {
    return `the map's block has not the size of a map that covers ${cover}`;
  }
  return '';
}

interface Seen {
  /** Blocks that must be in bins. */
  free: number;
  /** Blocks that must be in caches. */
  cached: number;
  /** Is the block before free memory that would have been merged? */
  freeBefore: boolean;
}

function checkChain(check: Check, seen: Seen): boolean {
  const { words, s, top, map, cover } = check;
  let at = check.first;
  let own = 0;
  let due = at;
  while (at < top) {
    if (at >= due) {
      tellWork('checking blocks', at * GRANULE, top * GRANULE);
      due = at + TOLD_GRANULES;
    }
    const n = blockAt(words, s, at);
    if (n === 0) {
      check.found('B2', at, `no block starts here that ends before the wilderness at ${top}`);
      return false;
    }
    if (at + n < cover && !isBoundary(words, map, at + n)) {
      check.found('B2', at + n, `no boundary behind the block at ${at}`);
    }
    if (isOwn(words, s, at)) own += 1;
    checkBlock(check, seen, at, n);
    at += n;
  }
  if (seen.freeBefore) check.found('B5', top, 'free memory touches the wilderness');
  const hidden = words.subarray(s + HIDDEN, s + HIDDEN + BEST_HIDDEN);
  const listed = hidden.indexOf(0) < 0 ? BEST_HIDDEN : hidden.indexOf(0);
  if (own !== 1 + listed || hidden.subarray(listed).some((place) => place !== 0)) {
    check.found('B1', map >>> 2, `${listed} hidden blocks and the map, but ${own} are blocks`);
  }
  return true;
}

function checkBlock(check: Check, seen: Seen, at: number, n: number): void {
  const { words, s, map } = check;
  const freeBefore = seen.freeBefore;
  seen.freeBefore = false;
  if (isLive(words, map, at) || isOwn(words, s, at)) {
    if (isOwn(words, s, at) && isLive(words, map, at)) check.found('B3', at, 'own, but live');
    checkInside(check, at, n, n > SMALL ? [sizeWord(map, at)] : []);
    return;
  }
  const link = words[(at << 2) + FREE.next] as number;
  if (link < 0) {
    seen.cached += 1;
    checkInside(check, at, n, n > SMALL ? [sizeWord(map, at)] : []);
    return;
  }
  seen.freeBefore = true;
  if (freeBefore) check.found('B5', at, 'two free blocks are neighbours');
  seen.free += 1;
  checkFree(check, at, n);
}

function checkFree(check: Check, at: number, n: number): void {
  const { words, map } = check;
  const places = n > SMALL ? [sizeWord(map, at), lastSizeWord(map, at + n)] : [];
  const sizes = [words[(at << 2) + FREE.size], ...places.map((place) => words[place])];
  if (sizes.some((size) => size !== n)) {
    check.found('B4', at, `a free block of ${n} granules says it has ${sizes.join(', ')}`);
  }
  checkInside(check, at, n, places);
}

/** No bits inside a block, but in the words where it says its size. */
function checkInside(check: Check, at: number, n: number, sizes: number[]): void {
  const { words, map } = check;
  const end = Math.min(at + n, check.cover);
  let granule = at + 1;
  while (granule < end) {
    const after = Math.min(end, (granule | 31) + 1);
    const width = after - granule;
    const mask = width === 32 ? -1 : ((1 << width) - 1) << granule;
    const pair = map + ((granule >>> 5) << 1);
    const live = sizes.includes(pair + 1) ? 0 : (words[pair + 1] as number);
    if ((((words[pair] as number) | live) & mask) !== 0) {
      check.found('B3', granule, `bits are set where no block can start, near ${granule}`);
      return;
    }
    granule = after;
  }
}

/** No bits before the first block; a boundary at the wilderness, nothing behind it. */
function checkAround(check: Check): void {
  const { words, map, first, top, cover } = check;
  checkInside(check, -1, first + 1, []);
  if (top >= cover) return;
  if (!isBoundary(words, map, top)) check.found('B2', top, 'no boundary at the wilderness');
  if (isLive(words, map, top)) check.found('B3', top, 'the wilderness is live');
  checkInside(check, top, cover - top, []);
}

/** Walks every bin; returns how many blocks they hold. */
function checkBins(check: Check): number {
  const { words, s } = check;
  let total = 0;
  for (let bin = 0; bin < BEST_BINS.count; bin += 1) {
    const sentinel = s + BINS + 2 * bin;
    const held = checkBin(check, bin, sentinel);
    total += held;
    const marked = ((words[s + BIN_MAP + (bin >>> 5)] as number) & (1 << bin)) !== 0;
    if (marked !== held > 0) check.found('B7', sentinel >>> 2, `bin ${bin}: map and list differ`);
  }
  for (let at = 0; at < BEST_BINS.count >>> 5; at += 1) {
    const marked = ((words[s + SUMMARY] as number) & (1 << at)) !== 0;
    if (marked !== (words[s + BIN_MAP + at] !== 0)) {
      check.found('B7', s >>> 2, `summary bit ${at} and bin map differ`);
    }
  }
  return total;
}

/** A block's back link names the one before it, so that no list can lead in a circle. */
function checkBin(check: Check, bin: number, sentinel: number): number {
  const { words, s, first, top } = check;
  let before = sentinel;
  let w = words[sentinel + FREE.next] as number;
  let held = 0;
  while (w !== sentinel) {
    const at = w >>> 2;
    if ((w & 3) !== 0 || at < first || at >= top || words[w + FREE.previous] !== before) {
      check.found('B6', before >>> 2, `bin ${bin}: a link leads to word ${w}`);
      return held;
    }
    const n = blockAt(words, s, at);
    if (!isIdle(check, at) || n === 0 || binOf(n) !== bin) {
      check.found('B6', at, `bin ${bin} holds what is no free block of its size`);
      return held;
    }
    held += 1;
    before = w;
    w = words[w + FREE.next] as number;
  }
  if (words[sentinel + FREE.previous] !== before) {
    check.found('B6', sentinel >>> 2, `bin ${bin}: the sentinel does not know the last block`);
  }
  return held;
}

function isIdle(check: Check, at: number): boolean {
  const { words, s, map, cover } = check;
  if (at >= cover || isOwn(words, s, at)) return false;
  return isBoundary(words, map, at) && !isLive(words, map, at);
}

/** Walks every cache; returns how many blocks they hold. */
function checkCaches(check: Check): number {
  const { words, s } = check;
  let blocks = 0;
  let granules = 0;
  for (let n = 1; n <= BEST_CACHED; n += 1) {
    let at = words[s + CACHES + n] as number;
    while (at !== 0 && granules <= check.top) {
      if (!isCached(words, s, at, n) || !isIdle(check, at)) {
        check.found('B8', at, `the cache of ${n} granules holds what is no such block`);
        break;
      }
      blocks += 1;
      granules += n;
      at = ~(words[(at << 2) + FREE.next] as number);
    }
    if (granules > check.top) check.found('B8', at, `the cache of ${n} granules is a ring`);
  }
  return blocks;
}
