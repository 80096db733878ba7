/**
 * Derives the free structures of `best` again from the ground truth, and what rests on that: clear
 * and trim. The ground truth is judged first, whole; nothing is written when it is damaged.
 */
import { BEST, BEST_CACHES, BEST_MAGIC, BLOCK } from '../layout.ts';
import type { Arena } from '../types.ts';
import { clearBins, findFree, insertFree, release, takeFree } from './best-bins.ts';
import { coveredBy, flushCaches, mapGranules, moveMap } from './best-space.ts';
import { startAtOrAbove } from './starts.ts';

const { top: TOP, end: END, map: MAP, cover: COVER, cached: CACHED, caches: CACHES } = BEST;
const { busy: BUSY, prevFree: PREV_FREE, sizeShift: SIZE, sizeBits: SIZE_BITS } = BLOCK;
const { hidden: HIDDEN } = BLOCK;

function sizeAt(words: Int32Array, at: number): number {
  return ((words[(at << 2) - 1] as number) & SIZE_BITS) >>> SIZE;
}

/** Visits the busy blocks and the bitmap in address order; false = they overlap or lead outside. */
function eachBusy(
  words: Int32Array,
  s: number,
  end: number,
  visit: (at: number, n: number) => void,
): boolean {
  const first = (s + BEST.words) >>> 2;
  const map = words[s + MAP] as number;
  const cover = coveredBy(sizeAt(words, map));
  let free = first;
  let at = startAtOrAbove(words, map << 2, 0, cover);
  let mapSeen = false;
  while (at >= 0 || !mapSeen) {
    const isMap = !mapSeen && (at < 0 || map <= at);
    const place = isMap ? map : at;
    const n = sizeAt(words, place);
    if (place < free || n === 0 || place + n > end) return false;
    visit(place, n);
    free = place + n;
    if (isMap) mapSeen = true;
    else at = startAtOrAbove(words, map << 2, at + 1, cover);
  }
  return true;
}

function soundMap(words: Int32Array, s: number, end: number): boolean {
  const map = words[s + MAP] as number;
  if (map < (s + BEST.words) >>> 2 || map >= end) return false;
  const n = sizeAt(words, map);
  return n > 0 && map + n <= end;
}

export function rebuildBest(words: Int32Array, s: number, arena: Arena): boolean {
  const end = arena.end();
  if (words[s + BEST.magic] !== BEST_MAGIC || end > words.length >>> 2) return false;
  if (!soundMap(words, s, end) || !eachBusy(words, s, end, () => {})) return false;
  words[s + COVER] = coveredBy(sizeAt(words, words[s + MAP] as number));
  words[s + END] = end;
  words[s + CACHED] = 0;
  words.fill(0, s + CACHES, s + CACHES + BEST_CACHES);
  clearBins(words, s);
  let free = (s + BEST.words) >>> 2;
  eachBusy(words, s, end, (at, n) => {
    const gap = at - free;
    const hidden = (words[(at << 2) - 1] as number) & HIDDEN;
    words[(at << 2) - 1] = hidden | (n << SIZE) | BUSY | (gap > 0 ? PREV_FREE : 0);
    if (gap > 0) insertFree(words, s, free, gap);
    free = at + n;
  });
  words[s + TOP] = free;
  return true;
}

/** An empty heap: the state, the bitmap, the wilderness. false = the arena cannot hold that. */
export function layEmpty(words: Int32Array, s: number, arena: Arena): boolean {
  const first = (s + BEST.words) >>> 2;
  const n = mapGranules(first);
  const short = first + n - arena.end();
  if (short > 0 && !arena.extend(short)) return false;
  words.fill(0, s, (first + n) * 4 - 1);
  clearBins(words, s);
  words[first * 4 - 1] = (n << SIZE) | BUSY;
  words[s + MAP] = first;
  words[s + COVER] = coveredBy(n);
  words[s + TOP] = first + n;
  words[s + END] = arena.end();
  words[s + BEST.magic] = BEST_MAGIC;
  return true;
}

/** The bits go first: from then on nothing is live. A bitmap that is lost is laid out again. */
export function clearBest(words: Int32Array, s: number, arena: Arena): void {
  if (!soundMap(words, s, arena.end())) {
    layEmpty(words, s, arena);
    return;
  }
  const map = words[s + MAP] as number;
  words.fill(0, map << 2, ((map + sizeAt(words, map)) << 2) - 1);
  rebuildBest(words, s, arena);
  settleMap(words, s);
}

export function trimBest(words: Int32Array, s: number, arena: Arena): void {
  flushCaches(words, s);
  settleMap(words, s);
  arena.retract(words[s + TOP] as number);
  words[s + END] = arena.end();
}

/** Makes the bitmap as small as it may be, and moves it down where there is room. */
function settleMap(words: Int32Array, s: number): void {
  const map = words[s + MAP] as number;
  const n = sizeAt(words, map);
  const last = map + n === words[s + TOP];
  const wanted = Math.min(n, mapGranules(last ? map : (words[s + TOP] as number)));
  const w = findFree(words, s, wanted);
  if (w !== 0 && w >>> 2 < map) {
    const at = takeFree(words, s, w, wanted);
    if (at !== 0) moveMap(words, s, at);
  } else if (wanted < n) {
    words[s + COVER] = coveredBy(wanted);
    words[(map << 2) - 1] = (wanted << SIZE) | ((words[(map << 2) - 1] as number) & (BUSY | PREV_FREE));
    words[((map + wanted) << 2) - 1] = ((n - wanted) << SIZE) | BUSY;
    release(words, s, map + wanted, n - wanted);
  }
}
