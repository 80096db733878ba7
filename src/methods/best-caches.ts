/**
 * The exact-size caches of `best`: how much they hold, and how it becomes ordinary free memory.
 *
 * A cached block looks to its neighbours like a busy one. Merging them all takes 25 ns a block when
 * their lists are followed, because each looks for its neighbours and puts links into three places.
 * Where they hold much it is quicker to go over the map once, from the top down, and make all bins
 * anew: then a block costs 3 ns, a word of the map 1, and the lowest blocks are taken first.
 */
import { BEST, BEST_CACHED, BEST_HIDDEN, BEST_MAP, BEST_SMALL, FREE } from '../layout.ts';
import { clearBins, insertFree, release } from './best-bins.ts';
import { dropBoundary, isBoundary, isLive, lastSizeWord, sizeAt, sizeWord } from './best-map.ts';

const { top: TOP, map: MAP, cover: COVER, caches: CACHES, hidden: HIDDEN } = BEST;
const { granulesShift: GRANULES, pairShift: PAIR, live: LIVE, reach: REACH } = BEST_MAP;
const SMALL = BEST_SMALL;
const MOST_CACHED = BEST_CACHED;

/** Can this be a cached block of n granules? */
export function isCached(words: Int32Array, s: number, at: number, n: number): boolean {
  const map = words[s + MAP] as number;
  if (at < s >>> 2 || at >= (words[s + TOP] as number)) return false;
  if (at + REACH > (words[s + COVER] as number) || (words[at << 2] as number) >= 0) return false;
  return isBoundary(words, map, at) && !isLive(words, map, at) && sizeAt(words, map, at) === n;
}

/** Granules the caches hold, counted until there are more than `most`. Nobody keeps this number. */
export function cachedUpTo(words: Int32Array, s: number, most: number): number {
  // A damaged list may be a ring, and lead anywhere.
  const enough = Math.min(most, words.length >>> 2);
  let held = 0;
  for (let n = 1; n <= MOST_CACHED; n += 1) {
    let at = words[s + CACHES + n] as number;
    for (; at > 0 && held <= enough; held += n) at = ~(words[(at << 2) + FREE.next] as number);
  }
  return held;
}

/**
 * Every cached block becomes ordinary free memory if they hold more than `few` granules. true =
 * they did.
 */
export function mergeCaches(words: Int32Array, s: number, few: number): boolean {
  const much = Math.min(words[s + TOP] as number, words.length >>> 2) >>> GRANULES;
  const held = cachedUpTo(words, s, Math.max(few, much));
  if (held <= few) return false;
  if (held > much) sweep(words, s);
  else flush(words, s);
  return true;
}

function flush(words: Int32Array, s: number): void {
  for (let n = MOST_CACHED; n > 0; n -= 1) {
    let at = words[s + CACHES + n] as number;
    words[s + CACHES + n] = 0;
    while (at !== 0 && isCached(words, s, at, n)) {
      const next = ~(words[(at << 2) + FREE.next] as number);
      release(words, s, at, n);
      at = next;
    }
  }
}

/** All that is idle becomes free blocks, by the map alone. */
function sweep(words: Int32Array, s: number): void {
  const map = words[s + MAP] as number;
  const own = ownFromTop(words, s);
  words.fill(0, s + CACHES, s + CACHES + MOST_CACHED + 1);
  clearBins(words, s);
  let next = 0;
  /** Start of the block above, start and end of the idle range it begins or goes on with. */
  let end = Math.min(words[s + TOP] as number, words.length >>> 2);
  let from = 0;
  let to = 0;
  const last = Math.min(end, words[s + COVER] as number) - 1;
  let keep = -1 >>> (31 - (last & 31));
  for (let base = last & ~31; base >= 0; base -= 32) {
    const pair = map + ((base >>> GRANULES) << PAIR);
    const live = words[pair + LIVE] as number;
    let bits = (words[pair] as number) & keep;
    keep = -1;
    // Most words hold live blocks only.
    if (to === 0 && (bits & ~live) === 0 && bits !== 0) {
      end = base + 31 - Math.clz32(bits & -bits);
      continue;
    }
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits);
      const at = base + bit;
      bits &= ~(1 << bit);
      while ((own[next] as number) > at) next += 1;
      if ((live & (1 << bit)) !== 0 || own[next] === at) {
        if (to !== 0) settle(words, s, from, to);
        to = 0;
      } else {
        if (end - at > SMALL) forgetSizes(words, s, at, end);
        if (to === 0) to = end;
        else dropBoundary(words, map, from);
        from = at;
      }
      end = at;
    }
  }
  if (to !== 0) settle(words, s, from, to);
}

/** What is busy though it is not live, from the top down, then -1. */
function ownFromTop(words: Int32Array, s: number): number[] {
  const own = [(words[s + MAP] as number) >>> 2, -1];
  for (let i = 0; i < BEST_HIDDEN; i += 1) {
    const at = words[s + HIDDEN + i] as number;
    if (at !== 0) own.push(at);
  }
  return own.sort((a, b) => b - a);
}

function forgetSizes(words: Int32Array, s: number, at: number, end: number): void {
  const map = words[s + MAP] as number;
  words[sizeWord(map, at)] = 0;
  if (end <= (words[s + COVER] as number)) words[lastSizeWord(map, end)] = 0;
}

/** An idle range between two that are busy: into a bin, or into the wilderness. */
function settle(words: Int32Array, s: number, from: number, to: number): void {
  if (to === words[s + TOP]) {
    if (to < (words[s + COVER] as number)) dropBoundary(words, words[s + MAP] as number, to);
    words[s + TOP] = from;
  } else insertFree(words, s, from, to - from);
}
