/**
 * Checks every invariant of `best` (best.ts, B1–B9) over arbitrary bytes: reads only, each loop is
 * bounded by the number of granules, at most LIMIT findings.
 */
import { BEST, BEST_BINS, BEST_CACHES, BEST_MAGIC, BLOCK, FREE, GRANULE } from '../layout.ts';
import type { Arena, Finding } from '../types.ts';
import { binOf } from './best-bins.ts';
import { coveredBy } from './best-space.ts';
import { hasStart, startAtOrAbove } from './starts.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, cached: CACHED, caches: CACHES } = BEST;
const { summary: SUMMARY, binMap: BIN_MAP, bins: BINS } = BEST;
const { busy: BUSY, prevFree: PREV_FREE, sizeShift: SIZE, sizeBits: SIZE_BITS } = BLOCK;
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
  if (!checkState(check, arena)) return;
  const seen = checkChain(check);
  if (seen === undefined) return;
  checkStarts(check, seen.starts);
  const binned = checkBins(check);
  if (binned !== seen.free) {
    check.found('B6', 0, `${seen.free} free blocks, ${binned} of them in the bins`);
  }
  const cached = checkCaches(check);
  if (cached !== seen.idle) {
    check.found('B9', 0, `${seen.idle} blocks are marked busy without a start, ${cached} cached`);
  }
}

function checkState(check: Check, arena: Arena): boolean {
  const { words, s, first, top, map, cover } = check;
  const end = words[s + END] as number;
  const wrong = (detail: string): boolean => {
    check.found('B1', s >>> 2, detail);
    return false;
  };
  if (words[s + BEST.magic] !== BEST_MAGIC) return wrong('this is not a heap of method best');
  if (end !== arena.end() || end > words.length >>> 2) {
    return wrong(`the end is ${end}, the arena's ${arena.end()}`);
  }
  if (top < first || top > end) return wrong(`the wilderness starts at ${top}, end ${end}`);
  if (map < first || map >= top) return wrong(`the bitmap is said to be at ${map}`);
  const n = ((words[(map << 2) - 1] as number) & SIZE_BITS) >>> SIZE;
  if (n === 0 || map + n > top) return wrong(`the bitmap's block has ${n} granules`);
  if (cover !== coveredBy(n)) return wrong(`the bitmap covers ${coveredBy(n)}, not ${cover}`);
  return true;
}

interface Seen {
  /** Start bits that belong to blocks. */
  starts: number;
  /** Free blocks that must be in bins. */
  free: number;
  /** Blocks marked busy that have no start bit: they must be cached. */
  idle: number;
}

function checkChain(check: Check): Seen | undefined {
  const { words, top, map } = check;
  const seen: Seen = { starts: 0, free: 0, idle: 0 };
  let at = check.first;
  let freeBefore = 0;
  let mapSeen = false;
  while (at < top) {
    const header = words[(at << 2) - 1] as number;
    const n = (header & SIZE_BITS) >>> SIZE;
    if (n === 0 || at + n > top) {
      check.found('B2', at, `a block of ${n} granules leads to ${at + n}, wilderness at ${top}`);
      return undefined;
    }
    checkTags(check, at, header, freeBefore);
    freeBefore = (header & BUSY) === 0 ? n : 0;
    if (at === map) mapSeen = true;
    else count(check, seen, at, header);
    at += n;
  }
  if (freeBefore > 0) check.found('B5', top - freeBefore, 'free memory touches the wilderness');
  if (!mapSeen) check.found('B1', map, 'the bitmap is not a block');
  return seen;
}

function count(check: Check, seen: Seen, at: number, header: number): void {
  const started = at < check.cover && hasStart(check.words, check.map << 2, at);
  if (started) seen.starts += 1;
  if ((header & BUSY) === 0) {
    seen.free += 1;
    if (started) check.found('B3', at, 'a free block has a start bit');
  } else if (!started) seen.idle += 1;
}

function checkTags(check: Check, at: number, header: number, freeBefore: number): void {
  const { words } = check;
  if ((header & PREV_FREE) !== 0 !== freeBefore > 0) {
    check.found('B4', at, `says the block before is ${freeBefore > 0 ? 'busy' : 'free'}; it is not`);
  }
  if ((header & BUSY) !== 0) return;
  if (freeBefore > 0) check.found('B5', at, 'two free blocks are neighbours');
  const n = header >>> SIZE;
  const footer = words[((at + n) << 2) - FREE.footerFromEnd] as number;
  if (footer !== n) check.found('B4', at, `a free block of ${n} granules ends with ${footer}`);
}

function checkStarts(check: Check, expected: number): void {
  const { words, map, cover, top } = check;
  let bits = 0;
  let at = startAtOrAbove(words, map << 2, 0, cover);
  while (at >= 0) {
    bits += 1;
    if (at < check.first || at >= top) check.found('B3', at, 'a start bit outside the blocks');
    at = startAtOrAbove(words, map << 2, at + 1, cover);
  }
  if (bits !== expected) check.found('B3', 0, `${bits} start bits, ${expected} of them at blocks`);
}

/** Walks every bin; returns how many blocks they hold. */
function checkBins(check: Check): number {
  const { words, s } = check;
  let total = 0;
  for (let bin = 0; bin < BEST_BINS.count; bin += 1) {
    const sentinel = s + BINS + 2 * bin;
    const held = checkBin(check, bin, sentinel, check.top - check.first - total);
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

function checkBin(check: Check, bin: number, sentinel: number, most: number): number {
  const { words, first, top } = check;
  let before = sentinel;
  let w = words[sentinel + FREE.next] as number;
  let held = 0;
  while (w !== sentinel) {
    const at = w >>> 2;
    const header = words[w - 1] as number;
    if ((w & 3) !== 0 || at < first || at >= top || words[w + FREE.previous] !== before) {
      check.found('B6', before >>> 2, `bin ${bin}: a link leads to word ${w}`);
      return held;
    }
    if ((header & BUSY) !== 0 || header < 0 || binOf(header >>> SIZE) !== bin) {
      check.found('B6', at, `bin ${bin} holds a block with header ${header}`);
      return held;
    }
    held += 1;
    if (held > most) return held;
    before = w;
    w = words[w + FREE.next] as number;
  }
  if (words[sentinel + FREE.previous] !== before) {
    check.found('B6', sentinel >>> 2, `bin ${bin}: the sentinel does not know the last block`);
  }
  return held;
}

/** Walks every cache; returns how many blocks they hold. */
function checkCaches(check: Check): number {
  const { words, s } = check;
  let blocks = 0;
  let granules = 0;
  for (let n = 1; n < BEST_CACHES; n += 1) {
    let at = words[s + CACHES + n] as number;
    while (at !== 0 && blocks <= check.top) {
      if (!cacheable(check, at, n)) {
        check.found('B8', at, `the cache of ${n} granules holds what is no such block`);
        break;
      }
      blocks += 1;
      granules += n;
      at = words[at << 2] as number;
    }
  }
  if (granules !== words[s + CACHED]) {
    check.found('B8', s >>> 2, `${granules} granules are cached, not ${words[s + CACHED]}`);
  }
  return blocks;
}

function cacheable(check: Check, at: number, n: number): boolean {
  const { words, first, top, map, cover } = check;
  if (at < first || at >= Math.min(top, cover) || at === map) return false;
  const header = words[(at << 2) - 1] as number;
  return header >>> SIZE === n && (header & BUSY) !== 0 && !hasStart(words, map << 2, at);
}
