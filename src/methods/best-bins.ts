/**
 * Free memory of `best`: blocks in two-level segregated bins (Masmano, Ripoll, Crespo, Real: TLSF,
 * ECRTS 2004), coalesced with boundary tags, and the wilderness behind the last block.
 *
 * A bin is a circular list through a sentinel of two words in the state; links are word indexes.
 * `binMap` has a bit per bin that is not empty, `summary` a bit per word of `binMap`. Links are
 * verified before they are written through, so a damaged list is dropped, not followed.
 *
 * `s` is always the index of the first state word, sizes and places are granules.
 */
import { BEST, BEST_BINS, BLOCK, FREE } from '../layout.ts';

const { top: TOP, end: END, summary: SUMMARY, binMap: BIN_MAP, bins: BINS } = BEST;
const { busy: BUSY, prevFree: PREV_FREE, sizeShift: SIZE } = BLOCK;
const { next: NEXT, previous: PREVIOUS, footerFromEnd: FOOTER } = FREE;
const LINEAR = BEST_BINS.linear;
const SPLIT = BEST_BINS.splitShift;
/** Blocks of one bin that are compared when sizes within it differ. */
const LOOK = 8;

export function binOf(n: number): number {
  if (n < LINEAR) return n;
  const shift = 31 - SPLIT - Math.clz32(n);
  return (shift << SPLIT) + (n >>> shift);
}

export function clearBins(words: Int32Array, s: number): void {
  words.fill(0, s + SUMMARY, s + BIN_MAP + (BEST_BINS.count >>> 5));
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

/** Writes the tags of a free block and puts it first in its bin. */
export function insertFree(words: Int32Array, s: number, at: number, n: number): void {
  const w = at << 2;
  words[w - 1] = n << SIZE;
  words[w + (n << 2) - FOOTER] = n;
  const bin = binOf(n);
  const sentinel = s + BINS + (bin << 1);
  const first = words[sentinel + NEXT] as number;
  words[w + NEXT] = first;
  words[w + PREVIOUS] = sentinel;
  words[sentinel + NEXT] = w;
  words[first + PREVIOUS] = w;
  if (first === sentinel) {
    words[s + BIN_MAP + (bin >>> 5)]! |= 1 << bin;
    words[s + SUMMARY]! |= 1 << (bin >>> 5);
  }
}

/** Takes the free block with its payload at word `w` out of its bin; false = its links lie. */
export function unlinkFree(words: Int32Array, s: number, w: number): boolean {
  const next = words[w + NEXT] as number;
  const previous = words[w + PREVIOUS] as number;
  if (words[next + PREVIOUS] !== w || words[previous + NEXT] !== w) return false;
  words[previous + NEXT] = next;
  words[next + PREVIOUS] = previous;
  if (next === previous) unmarkBin(words, s, (next - s - BINS) >>> 1);
  return true;
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
    const m = (words[w - 1] as number) >>> SIZE;
    if (m >= n && m < best) {
      found = w;
      best = m;
      if (m === n) break;
    }
    w = words[w + NEXT] as number;
  }
  return found;
}

/** A free block of at least `n` granules: the word of its payload, or 0. It stays in its bin. */
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
  const m = (words[w - 1] as number) >>> SIZE;
  if (m >= n && w !== sentinel && (w >>> 2) + m < (words[s + TOP] as number)) return w;
  emptyBin(words, sentinel);
  unmarkBin(words, s, bin);
  return 0;
}

/**
 * Makes a busy block of `n` granules at the low end of a free block; the rest stays free. Returns
 * its granule, 0 when the free block is not what it claims to be.
 */
export function takeFree(words: Int32Array, s: number, w: number, n: number): number {
  const m = (words[w - 1] as number) >>> SIZE;
  if (m < n || !unlinkFree(words, s, w)) return 0;
  const at = w >>> 2;
  if (m > n) insertFree(words, s, at + n, m - n);
  else words[w + (m << 2) - 1]! &= ~PREV_FREE;
  words[w - 1] = (n << SIZE) | BUSY;
  return at;
}

/** Gives a range back: merged with its free neighbours, into a bin or the wilderness. */
export function release(words: Int32Array, s: number, at: number, n: number): void {
  let from = at;
  let size = n;
  if (((words[(at << 2) - 1] as number) & PREV_FREE) !== 0) {
    const before = words[(at << 2) - FOOTER] as number;
    const w = (at - before) << 2;
    if (words[w - 1] === before << SIZE && unlinkFree(words, s, w)) {
      from -= before;
      size += before;
    }
  }
  const next = at + n;
  if (next === words[s + TOP]) {
    words[s + TOP] = from;
    return;
  }
  const header = words[(next << 2) - 1] as number;
  if ((header & BUSY) !== 0) words[(next << 2) - 1] = header | PREV_FREE;
  else if (unlinkFree(words, s, next << 2)) size += header >>> SIZE;
  insertFree(words, s, from, size);
}

/** Room between the wilderness and the end. */
export function wilderness(words: Int32Array, s: number): number {
  return (words[s + END] as number) - (words[s + TOP] as number);
}
