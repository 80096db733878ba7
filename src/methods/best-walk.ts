/**
 * Walks the blocks of `best` in address order, boundary by boundary. What is live shows as busy;
 * binned and cached blocks and the wilderness as free; the map and hidden blocks do not show. It
 * stops where the map of a damaged arena leads nowhere.
 */
import { BEST, BEST_HIDDEN, BEST_MAP, GRANULE } from '../layout.ts';
import type { BlockStat } from '../types.ts';
import { isBoundary, isLive, sizeAt } from './best-map.ts';
import { bitsIn, type Visit } from './count.ts';

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

/**
 * The same blocks counted, by words of the map: from one boundary to the next without asking for
 * sizes, 4 ns a block instead of 10.
 */
export function countBest(words: Int32Array, s: number, into: BlockStat): void {
  const map = words[s + MAP] as number;
  const first = (s + BEST.words) >>> 2;
  const top = Math.min(words[s + TOP] as number, words.length >>> 2);
  // What the map does not reach is the inside of the last block.
  const end = Math.min(top, words[s + COVER] as number);
  const live = { count: 0, sum: 0, most: 0 };
  const idle = { count: 0, sum: 0, most: 0 };
  let [last, isLast] = [first, isLive(words, map, first)];
  let keep = -2 << first;
  for (let base = first & ~31; base < end; base += 32) {
    const pair = map + ((base >>> 5) << 1);
    let bits = (words[pair] as number) & keep;
    keep = -1;
    if (bits === 0) continue;
    const alive = words[pair + 1] as number;
    if (isLast && live.most >= 31 && (bits & ~alive) === 0 && base + 32 <= end) {
      // Nothing but live blocks that end inside: none of them is larger than what was seen.
      const n = base + 31 - Math.clz32(bits & -bits) - last;
      if (n > live.most) live.most = n;
      const at = base + 31 - Math.clz32(bits);
      live.count += bitsIn(bits);
      live.sum += at - last;
      last = at;
      continue;
    }
    do {
      const low = bits & -bits;
      const at = base + 31 - Math.clz32(low);
      if (at >= end) break;
      const n = at - last;
      if (isLast) {
        live.count += 1;
        live.sum += n;
        if (n > live.most) live.most = n;
      } else {
        idle.count += 1;
        idle.sum += n;
        if (n > idle.most && !isOwn(words, s, last)) idle.most = n;
      }
      last = at;
      isLast = (alive & low) !== 0;
      bits ^= low;
    } while (bits !== 0);
  }
  if (last < top) closeCount(words, s, isLast ? live : idle, last, top);
  into.busyBlocks += live.count;
  into.busyBytes += live.sum * GRANULE;
  into.largestBusy = Math.max(into.largestBusy, live.most * GRANULE);
  leaveOut(words, s, idle);
  const rest = Math.max(0, (words[s + END] as number) - (words[s + TOP] as number));
  into.freeBlocks += idle.count + Number(rest > 0);
  into.freeBytes += (idle.sum + rest) * GRANULE;
  into.largestFree = Math.max(into.largestFree, Math.max(idle.most, rest) * GRANULE);
}

interface Sums {
  count: number;
  sum: number;
  most: number;
}

/** The last block before the wilderness. */
function closeCount(
  words: Int32Array, s: number, sums: Sums, at: number, end: number,
): void {
  sums.count += 1;
  sums.sum += end - at;
  if (end - at > sums.most && !isOwn(words, s, at)) sums.most = end - at;
}

/** What is the region's own was counted as idle. */
function leaveOut(words: Int32Array, s: number, idle: Sums): void {
  const map = words[s + MAP] as number;
  const own = new Set([map >>> 2]);
  for (let i = 0; i < BEST_HIDDEN; i += 1) own.add(words[s + HIDDEN + i] as number);
  const first = (s + BEST.words) >>> 2;
  for (const at of own) {
    if (at < first || at >= (words[s + TOP] as number)) continue;
    if (!isBoundary(words, map, at) || isLive(words, map, at)) continue;
    idle.count -= 1;
    idle.sum -= blockAt(words, s, at);
  }
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
