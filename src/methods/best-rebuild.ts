/**
 * Derives the free structures of `best` again from the ground truth, and what rests on that: clear
 * and trim. The ground truth is judged first, whole; nothing is written when it is damaged.
 */
import {
  BEST,
  BEST_CACHED,
  BEST_HIDDEN,
  BEST_MAGIC,
  BEST_MAP,
  BEST_SMALL,
  GRANULE,
} from '../layout.ts';
import type { Arena } from '../types.ts';
import { tellWork, TOLD_GRANULES } from '../work.ts';
import { clearBins, insertFree, release, split, unlinkFree } from './best-bins.ts';
import { mergeCaches } from './best-caches.ts';
import {
  dropLive,
  isBoundary,
  nextLive,
  setBoundary,
  sizeAt,
  sizeWord,
  wipe,
  wipeInside,
} from './best-map.ts';
import {
  COVER_SHIFT,
  dropEnd,
  mapGranules,
  moveMap,
  readEnd,
  shrinkTo,
} from './best-space.ts';
import { walkBest } from './best-walk.ts';

const { top: TOP, map: MAP, cover: COVER, rest: REST, caches: CACHES } = BEST;
const { hidden: HIDDEN } = BEST;
const SMALL = BEST_SMALL;

/** What is busy though it is not live, ascending: the map and the hidden blocks. */
function ownBlocks(words: Int32Array, s: number): number[] {
  const own = [(words[s + MAP] as number) >>> 2];
  for (let i = 0; i < BEST_HIDDEN; i += 1) {
    const at = words[s + HIDDEN + i] as number;
    // A gap in the list: the entries behind it would not be found, so it is damaged.
    if (at !== 0) own.push(own.length === i + 1 ? at : 0);
  }
  return own.sort((a, b) => a - b);
}

/** Granules the map covers by its own account; 0 = it cannot be a map. */
function soundCover(words: Int32Array, s: number, end: number): number {
  const map = words[s + MAP] as number;
  const at = map >>> 2;
  if (map % 4 !== 0 || at < (s + BEST.words) >>> 2 || at + 2 > end) return 0;
  // The map's own entry must lie inside the map before it can be read.
  if (map + (((at + BEST_MAP.reach) >>> 5) << 1) >= end << 2) return 0;
  const n = sizeAt(words, map, at);
  return n > 0 && n <= end - at && at + BEST_MAP.reach <= n << COVER_SHIFT ? n << COVER_SHIFT : 0;
}

/** Visits what is busy in address order; false = it overlaps or leads outside. */
function eachBusy(
  words: Int32Array,
  s: number,
  end: number,
  visit: (at: number, n: number, live: boolean) => void,
): boolean {
  const map = words[s + MAP] as number;
  const cover = soundCover(words, s, end);
  if (cover === 0) return false;
  const own = ownBlocks(words, s);
  let free = (s + BEST.words) >>> 2;
  let next = 0;
  let due = 0;
  let at = nextLive(words, map, 0, cover);
  while (at >= 0 || next < own.length) {
    if (free >= due) {
      tellWork('finding blocks', free * GRANULE, end * GRANULE);
      due = free + TOLD_GRANULES;
    }
    const ownAt = own[next] ?? cover;
    const mine = at < 0 || ownAt <= at;
    const place = mine ? ownAt : at;
    if (place < free || place + BEST_MAP.reach > cover) return false;
    const n = sizeAt(words, map, place);
    if (n <= 0 || n > end - place) return false;
    const hiding = mine && at === place;
    visit(place, n, !mine);
    free = place + n;
    if (mine) next += 1;
    if (!mine || hiding) at = nextLive(words, map, place + 1, cover);
  }
  return true;
}

export function rebuildBest(words: Int32Array, s: number, arena: Arena): boolean {
  const end = arena.end();
  if (words[s + BEST.magic] !== BEST_MAGIC || end > words.length >>> 2) return false;
  if (!eachBusy(words, s, end, () => {})) return false;
  const map = words[s + MAP] as number;
  words[s + COVER] = soundCover(words, s, end);
  readEnd(words, s, arena);
  words[s + REST] = 0;
  words.fill(0, s + CACHES, s + CACHES + BEST_CACHED + 1);
  clearBins(words, s);
  const cover = words[s + COVER] as number;
  let free = (s + BEST.words) >>> 2;
  wipe(words, map, 0, free);
  eachBusy(words, s, end, (at, n, live) => {
    if (!live) {
      dropLive(words, map, at);
      setBoundary(words, map, at);
    }
    wipeInside(words, map, at, Math.min(at + n, cover));
    if (at > free) {
      bound(words, map, free, at);
      insertFree(words, s, free, at - free);
    }
    free = at + n;
  });
  words[s + TOP] = free;
  if (free < cover) bound(words, map, free, cover);
  return true;
}

/** One boundary, at the start of free memory, and nothing behind it. */
function bound(words: Int32Array, map: number, at: number, end: number): void {
  if (!isBoundary(words, map, at)) {
    dropLive(words, map, at);
    setBoundary(words, map, at);
  }
  wipe(words, map, at + 1, end);
}

/** An empty heap: the state, the map, the wilderness. false = the arena cannot hold that. */
export function layEmpty(words: Int32Array, s: number, arena: Arena): boolean {
  const first = (s + BEST.words) >>> 2;
  const n = mapGranules(first);
  const short = first + n - arena.end();
  if (short > 0 && !arena.extend(short)) return false;
  words.fill(0, s, (first + n) << 2);
  clearBins(words, s);
  const map = first << 2;
  words[s + MAP] = map;
  words[s + COVER] = n << COVER_SHIFT;
  words[s + TOP] = first + n;
  setBoundary(words, map, first);
  if (n > SMALL) words[sizeWord(map, first)] = n;
  setBoundary(words, map, first + n);
  readEnd(words, s, arena);
  words[s + BEST.magic] = BEST_MAGIC;
  return true;
}

/** The live bits go first: from then on all is free. A map that is lost is laid out again. */
export function clearBest(words: Int32Array, s: number, arena: Arena): void {
  const cover = soundCover(words, s, arena.end());
  const map = words[s + MAP] as number;
  words.fill(0, s + HIDDEN, s + HIDDEN + BEST_HIDDEN);
  for (let at = nextLive(words, map, 0, cover); at >= 0; at = nextLive(words, map, at, cover)) {
    dropLive(words, map, at);
  }
  if (rebuildBest(words, s, arena)) settleMap(words, s);
  else layEmpty(words, s, arena);
}

/** All free memory merged, and the map where it is least in the way. */
export function settleBest(words: Int32Array, s: number): void {
  mergeCaches(words, s, 0);
  settleMap(words, s);
  // What the map left may join the wilderness only now, and then the map may be smaller still.
  settleMap(words, s);
}

export function trimBest(words: Int32Array, s: number, arena: Arena): void {
  settleBest(words, s);
  arena.retract(words[s + TOP] as number);
  readEnd(words, s, arena);
}

/** Moves the map down where there is room, and makes it as small as it may be. */
function settleMap(words: Int32Array, s: number): void {
  const at = (words[s + MAP] as number) >>> 2;
  const n = (words[s + COVER] as number) >>> COVER_SHIFT;
  const last = at + n === words[s + TOP];
  const wanted = Math.min(n, mapGranules(last ? at : (words[s + TOP] as number)));
  const lower = lowestFree(words, s, wanted, at);
  if (lower !== 0) {
    const m = unlinkFree(words, s, lower << 2);
    if (m < wanted) return;
    split(words, s, lower, m, wanted);
    moveMap(words, s, lower, wanted);
  } else if (wanted < n) {
    shrinkTo(words, s, at, n, wanted);
    words[s + COVER] = wanted << COVER_SHIFT;
    if (last) {
      words[s + TOP] = at + wanted;
      dropEnd(words, s, at + n);
    } else release(words, s, at + wanted, n - wanted);
  }
}

/** The first free block of n granules before `end`, or 0. */
function lowestFree(words: Int32Array, s: number, n: number, end: number): number {
  let found = 0;
  walkBest(words, s, (at, bytes, busy) => {
    if (at < end && !busy && bytes >= n * GRANULE) found = at;
    return found !== 0 || at >= end;
  });
  return found;
}
