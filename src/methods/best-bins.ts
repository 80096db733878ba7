/**
 * Free memory of `best`: two-level segregated bins (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS
 * 2004).
 *
 * A bin is a circular list through a sentinel of two words in the state; links are word indexes.
 * `binMap` has a bit per bin that is not empty, `summary` a bit per word of `binMap`. Links are
 * verified before they are written through, so a damaged list is dropped, not followed.
 *
 * `s` is always the index of the first state word, places and sizes are granules.
 */
import { BEST, BEST_BINS, BEST_HIDDEN, BEST_SMALL, FREE } from '../layout.ts';
import {
  dropBoundary,
  idleBefore,
  isLive,
  lastSizeWord,
  setBoundary,
  sizeWord,
} from './best-map.ts';

const { top: TOP, map: MAP, cover: COVER } = BEST;
const { summary: SUMMARY, binMap: BIN_MAP, bins: BINS, hidden: HIDDEN } = BEST;
const { next: NEXT, previous: PREVIOUS, size: SIZE } = FREE;
const LINEAR = BEST_BINS.linear;
const SPLIT = BEST_BINS.splitShift;
const SMALL = BEST_SMALL;
/** Blocks of one bin that are compared when sizes within it differ. */
const LOOK = 8;

export function binOf(n: number): number {
  if (n < LINEAR) return n;
  const shift = 31 - SPLIT - Math.clz32(n);
  return (shift << SPLIT) + (n >>> shift);
}

export function clearBins(words: Int32Array, s: number): void {
  words[s + SUMMARY] = 0;
  words.fill(0, s + BIN_MAP, s + BIN_MAP + (BEST_BINS.count >>> 5));
  for (let bin = 0; bin < BEST_BINS.count; bin += 1) emptyBin(words, s + BINS + 2 * bin);
}

function emptyBin(words: Int32Array, sentinel: number): void {
  words[sentinel + NEXT] = sentinel;
  words[sentinel + PREVIOUS] = sentinel;
}

function unmarkBin(words: Int32Array, s: number, bin: number): void {
  const at = s + BIN_MAP + (bin >>> 5);
  const bits = (words[at] as number) & ~(1 << bin);
  words[at] = bits;
  if (bits === 0) words[s + SUMMARY]! &= ~(1 << (bin >>> 5));
}

/** Puts a range between two boundaries first in its bin. */
export function insertFree(words: Int32Array, s: number, at: number, n: number): void {
  const w = at << 2;
  const bin = binOf(n);
  const sentinel = s + BINS + (bin << 1);
  const first = words[sentinel + NEXT] as number;
  words[w + NEXT] = first;
  words[w + PREVIOUS] = sentinel;
  words[w + SIZE] = n;
  words[sentinel + NEXT] = w;
  words[first + PREVIOUS] = w;
  if (first === sentinel) {
    words[s + BIN_MAP + (bin >>> 5)]! |= 1 << bin;
    words[s + SUMMARY]! |= 1 << (bin >>> 5);
  }
  if (n > SMALL) {
    const map = words[s + MAP] as number;
    words[sizeWord(map, at)] = n;
    words[lastSizeWord(map, at + n)] = n;
  }
}

/**
 * Takes the free block with its payload at word `w` out of its bin; its size, 0 = its links lie.
 */
export function unlinkFree(words: Int32Array, s: number, w: number): number {
  const next = words[w + NEXT] as number;
  const previous = words[w + PREVIOUS] as number;
  const n = words[w + SIZE] as number;
  if (words[next + PREVIOUS] !== w || words[previous + NEXT] !== w || n <= 0) return 0;
  words[previous + NEXT] = next;
  words[next + PREVIOUS] = previous;
  if (next === previous) unmarkBin(words, s, (next - s - BINS) >>> 1);
  if (n > SMALL) {
    const map = words[s + MAP] as number;
    words[sizeWord(map, w >>> 2)] = 0;
    words[lastSizeWord(map, (w >>> 2) + n)] = 0;
  }
  return n;
}

/** Lowest bin at or above `bin` that is not empty, or -1. */
function nextBin(words: Int32Array, s: number, bin: number): number {
  let at = bin >>> 5;
  let bits = (words[s + BIN_MAP + at] as number) & (-1 << bin);
  if (bits === 0) {
    const more = (words[s + SUMMARY] as number) & (-2 << at);
    if (more === 0) return -1;
    at = 31 - Math.clz32(more & -more);
    bits = words[s + BIN_MAP + at] as number;
  }
  return (at << 5) + 31 - Math.clz32(bits & -bits);
}

/** The smallest of the first blocks of a bin whose sizes may be too small; its word, or 0. */
function bestOfBin(words: Int32Array, sentinel: number, n: number): number {
  let found = 0;
  let best = 0x7fffffff;
  let w = words[sentinel + NEXT] as number;
  for (let look = 0; look < LOOK && w !== sentinel; look += 1) {
    const m = words[w + SIZE] as number;
    if (m >= n && m < best) {
      found = w;
      best = m;
      if (m === n) break;
    }
    w = words[w + NEXT] as number;
  }
  return found;
}

/** A binned block of at least `n` granules: the word of its payload, or 0. It stays in its bin. */
export function findFree(words: Int32Array, s: number, n: number): number {
  let bin = binOf(n);
  if (n >= LINEAR) {
    const found = bestOfBin(words, s + BINS + (bin << 1), n);
    if (found !== 0) return found;
    bin += 1;
  }
  bin = nextBin(words, s, bin);
  if (bin < 0) return 0;
  const sentinel = s + BINS + (bin << 1);
  const w = words[sentinel + NEXT] as number;
  const m = words[w + SIZE] as number;
  if (m >= n && w !== sentinel && (w >>> 2) + m < (words[s + TOP] as number)) return w;
  emptyBin(words, sentinel);
  unmarkBin(words, s, bin);
  return 0;
}

/** Is this idle block in a bin, as far as it says itself? `unlinkFree` knows. */
export function maybeFree(words: Int32Array, s: number, at: number): boolean {
  if ((words[(at << 2) + NEXT] as number) <= 0) return false;
  if (at << 2 === words[s + MAP]) return false;
  for (let i = 0; i < BEST_HIDDEN; i += 1) {
    const hidden = words[s + HIDDEN + i];
    if (hidden === 0) return true;
    if (hidden === at) return false;
  }
  return true;
}

/**
 * Gives a range back that is bounded and not live: merged with what is free around it, into the
 * wilderness or a bin.
 */
export function release(words: Int32Array, s: number, at: number, n: number): void {
  const map = words[s + MAP] as number;
  if (n > SMALL) words[sizeWord(map, at)] = 0;
  let from = at;
  const before = idleBefore(words, map, at);
  if (before !== 0 && maybeFree(words, s, before) && unlinkFree(words, s, before << 2) !== 0) {
    dropBoundary(words, map, at);
    from = before;
  }
  let next = at + n;
  if (next === words[s + TOP]) {
    if (next < (words[s + COVER] as number)) dropBoundary(words, map, next);
    words[s + TOP] = from;
    return;
  }
  if (!isLive(words, map, next) && maybeFree(words, s, next)) {
    const m = unlinkFree(words, s, next << 2);
    if (m !== 0) {
      dropBoundary(words, map, next);
      next += m;
    }
  }
  insertFree(words, s, from, next - from);
}

/** Bounds the first n of m granules that were unlinked; the rest goes back to a bin. */
export function split(words: Int32Array, s: number, at: number, m: number, n: number): void {
  if (m > n) {
    setBoundary(words, words[s + MAP] as number, at + n);
    insertFree(words, s, at + n, m - n);
  }
  if (n > SMALL) words[sizeWord(words[s + MAP] as number, at)] = n;
}
