/** What lies where in an arena of `pool`: its state as pool.ts describes it, for reading. */
import { GRANULE, POOL, POOL_CHUNK_SHIFT, POOL_HIDDEN, POOL_MAP_GRANULES } from '../layout.ts';
import { hasStart, startAtOrBelow } from './starts.ts';

const CHUNK_MASK = 2 ** POOL_CHUNK_SHIFT - 1;

export type Visit = (granule: number, bytes: number, busy: boolean) => boolean;

/** A hidden place. */
export interface Hidden {
  readonly place: number;
  readonly granules: number;
}

/** The first granule behind the state. */
export function firstOf(s: number): number {
  return (s + POOL.words) >>> 2;
}

/** Hidden places as they are listed, up to the first gap. */
export function hiddenOf(words: Int32Array, s: number): Hidden[] {
  const found: Hidden[] = [];
  for (let i = 0; i < POOL_HIDDEN; i += 1) {
    const at = s + POOL.hidden + 2 * i;
    if (words[at] === 0) break;
    found.push({ place: words[at], granules: words[at + 1] });
  }
  return found;
}

/** Granule of the bitmap for a granule, 0 where there is none or it cannot be. */
export function mapOf(words: Int32Array, s: number, granule: number): number {
  const map = words[s + POOL.directory + (granule >>> POOL_CHUNK_SHIFT)];
  return map > 0 && map + POOL_MAP_GRANULES <= words.length >>> 2 ? map : 0;
}

export function isLive(words: Int32Array, s: number, granule: number): boolean {
  const map = mapOf(words, s, granule);
  return map !== 0 && hasStart(words, map << 2, granule & CHUNK_MASK);
}

/** What is behind the last place that makes sense. */
export interface End {
  readonly at: number;
  /** Bitmaps and hidden places that were met. */
  readonly maps: number;
  readonly hidden: number;
}

/** Where blocks follow each other from, at or before a granule: a bitmap, else the first place. */
function placeBefore(words: Int32Array, s: number, granule: number): number {
  const first = firstOf(s);
  for (let base = granule & ~CHUNK_MASK; base >= 0; base -= CHUNK_MASK + 1) {
    const map = mapOf(words, s, base);
    if (map >= first && map <= granule) return map;
  }
  return first;
}

/**
 * Visits the places of blocks from `from`, a place, up to `limit`, ascending, until the visitor
 * returns true.
 */
export function eachBlock(
  words: Int32Array,
  s: number,
  limit: number,
  visit: (granule: number) => boolean,
  from = firstOf(s),
): End {
  const n = words[s + POOL.granules];
  const hidden = hiddenOf(words, s).filter(({ place }) => place >= from)
    .sort((a, b) => a.place - b.place);
  let met = 0;
  let maps = 0;
  let at = from;
  while (at < limit) {
    const next = hidden[met];
    if (next?.place === at && next.granules > 0) {
      at += next.granules;
      met += 1;
    } else if (mapOf(words, s, at + POOL_MAP_GRANULES) === at) {
      at += POOL_MAP_GRANULES;
      maps += 1;
    } else if (n < 1 || visit(at)) break;
    else at += n;
  }
  return { at, maps, hidden: met };
}

export function walkPool(
  words: Int32Array, s: number, end: number, visit: Visit, from = 0,
): void {
  const n = words[s + POOL.granules];
  const top = Math.min(words[s + POOL.top], end, words.length >>> 2);
  let isDone = false;
  eachBlock(words, s, top, (granule) => {
    if (granule >= from) isDone = visit(granule, n * GRANULE, isLive(words, s, granule));
    return isDone;
  }, placeBefore(words, s, from));
  if (!isDone && top < end && top >= from) visit(top, (end - top) * GRANULE, false);
}

/** Start of the live block that holds a granule, or 0: it is at most a block's length below. */
export function startOfPool(words: Int32Array, s: number, granule: number): number {
  if (granule >>> 0 >= words.length >>> 2) return 0;
  const least = Math.max(granule - words[s + POOL.granules] + 1, firstOf(s));
  for (let from = granule; from >= least; ) {
    const base = from & ~CHUNK_MASK;
    const map = mapOf(words, s, from);
    const found = map === 0 ? -1
      : startAtOrBelow(words, map << 2, from - base, Math.max(0, least - base));
    if (found >= 0) return base + found;
    from = base - 1;
  }
  return 0;
}
