/**
 * Walks the blocks of `best` in address order, boundary by boundary. What is live shows as busy;
 * binned and cached blocks and the wilderness as free; the map and hidden blocks do not show. It
 * stops where the map of a damaged arena leads nowhere.
 */
import { BEST, BEST_HIDDEN, BEST_MAP, GRANULE } from '../layout.ts';
import { isLive, sizeAt } from './best-map.ts';
import type { Visit } from './count.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, hidden: HIDDEN } = BEST;

/** Size of whatever starts at `at`; 0 = nothing that can be believed. */
export function blockAt(words: Int32Array, s: number, at: number): number {
  const top = words[s + TOP] as number;
  if (at + BEST_MAP.reach > (words[s + COVER] as number)) return 0;
  const n = sizeAt(words, words[s + MAP] as number, at);
  return n > 0 && n <= top - at ? n : 0;
}

/** Is this idle block one of the region's own? */
export function isOwn(words: Int32Array, s: number, at: number): boolean {
  if (at << 2 === words[s + MAP]) return true;
  for (let i = 0; i < BEST_HIDDEN; i += 1) if (words[s + HIDDEN + i] === at) return true;
  return false;
}

export function walkBest(words: Int32Array, s: number, visit: Visit, from = 0): void {
  const top = Math.min(words[s + TOP] as number, words.length >>> 2);
  const map = words[s + MAP] as number;
  const first = (s + BEST.words) >>> 2;
  let at = from <= first ? first : boundaryFrom(words, s, from, top);
  while (at < top) {
    const n = blockAt(words, s, at);
    if (n === 0) return;
    const live = isLive(words, map, at);
    if ((live || !isOwn(words, s, at)) && visit(at, n * GRANULE, live)) return;
    at += n;
  }
  const rest = (words[s + END] as number) - at;
  if (at === top && rest > 0) visit(at, rest * GRANULE, false);
}

/** The first boundary at or behind a granule; `top`, or `from` itself, where none comes before. */
function boundaryFrom(words: Int32Array, s: number, from: number, top: number): number {
  const map = words[s + MAP] as number;
  const end = Math.min(top, words[s + COVER] as number);
  let keep = -1 << from;
  for (let base = from & ~31; base < end; base += 32) {
    const bits = (words[map + ((base >>> 5) << 1)] as number) & keep;
    if (bits !== 0) return Math.min(top, base + 31 - Math.clz32(bits & -bits));
    keep = -1;
  }
  return Math.max(from, top);
}

/** Start of the live block that holds a granule, or 0: looks for the boundary before it. */
export function startOfBest(words: Int32Array, s: number, granule: number): number {
  if (granule >>> 0 >= (words[s + TOP] as number)) return 0;
  const map = words[s + MAP] as number;
  const first = (s + BEST.words) >>> 2;
  let at = Math.min(granule, (words[s + COVER] as number) - 1);
  let bits = (words[map + ((at >>> 5) << 1)] as number) & (-1 >>> (31 - (at & 31)));
  while (bits === 0 && at >= first) {
    at = (at & ~31) - 1;
    bits = words[map + ((at >>> 5) << 1)] as number;
  }
  if (at < first || bits === 0) return 0;
  at = (at & ~31) + 31 - Math.clz32(bits);
  return isLive(words, map, at) && granule < at + sizeAt(words, map, at) ? at : 0;
}
