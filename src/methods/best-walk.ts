/**
 * Walks the blocks of `best` in address order, header by header. Busy is what has a start bit and is
 * not hidden; cached blocks show as free; the bitmap and hidden blocks do not show. It stops where
 * the headers of a damaged arena lead nowhere.
 */
import { BEST, BLOCK, GRANULE } from '../layout.ts';
import type { BlockStat } from '../types.ts';
import { hasStart } from './starts.ts';

const { top: TOP, end: END, map: MAP, cover: COVER } = BEST;
const { sizeShift: SIZE, sizeBits: SIZE_BITS } = BLOCK;
const HEADER_BYTES = 4;

export type Visit = (granule: number, bytes: number, busy: boolean) => boolean;

export function walkBest(words: Int32Array, s: number, visit: Visit): void {
  const top = Math.min(words[s + TOP] as number, words.length >>> 2);
  const map = words[s + MAP] as number;
  const cover = words[s + COVER] as number;
  let at = (s + BEST.words) >>> 2;
  while (at < top) {
    const header = words[(at << 2) - 1] as number;
    const n = (header & SIZE_BITS) >>> SIZE;
    if (n === 0 || at + n > top) return;
    const live = at < cover && hasStart(words, map << 2, at);
    const shown = live ? header >= 0 : at !== map;
    if (shown && visit(at, n * GRANULE - HEADER_BYTES, live)) return;
    at += n;
  }
  const rest = (words[s + END] as number) - at;
  if (at === top && rest > 0) visit(at, rest * GRANULE - HEADER_BYTES, false);
}

/** A visitor that adds what it sees. */
export function countInto(into: BlockStat): Visit {
  return (_granule, bytes, busy) => {
    if (busy) {
      into.busyBlocks += 1;
      into.busyBytes += bytes;
      into.largestBusy = Math.max(into.largestBusy, bytes);
    } else {
      into.freeBlocks += 1;
      into.freeBytes += bytes;
      into.largestFree = Math.max(into.largestFree, bytes);
    }
    return false;
  };
}
