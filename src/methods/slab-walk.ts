/**
 * What is in a heap of `slab`: the blocks of `best` in address order, and instead of each page what
 * is in it. A free slot shows as a free block; tables and hidden blocks do not show.
 */
import { GRANULE } from '../layout.ts';
import type { Blocks } from '../types.ts';
import {
  classAt,
  GROUP_GRANULES,
  groupWord,
  isLive,
  isTable,
  kindWord,
  PAGE_BYTES,
  PAGE_GRANULES,
  TABLE_BYTES,
  tableAt,
  visibleStarts,
} from './slab-pages.ts';

export type Visit = (granule: number, bytes: number, busy: boolean) => boolean;

export function walkSlab(
  words: Int32Array, s: number, large: Blocks, visit: Visit, from = 0,
): void {
  const start = classAt(words, s, from) === 0 ? from : from & -PAGE_GRANULES;
  large.walk((granule, bytes, busy) => {
    if (busy && bytes === PAGE_BYTES && classAt(words, s, granule) !== 0) {
      return walkPage(words, s, granule, from, visit);
    }
    if (busy && bytes === TABLE_BYTES && isTable(words, s, granule)) return false;
    return granule >= from && visit(granule, bytes, busy);
  }, start);
}

/** true = the visitor wants no more. */
function walkPage(
  words: Int32Array, s: number, page: number, first: number, visit: Visit,
): boolean {
  const table = tableAt(words, s, page);
  const kind = words[kindWord(table, page)];
  const bytes = classAt(words, s, page) * GRANULE;
  for (let from = page; from < page + PAGE_GRANULES; from += GROUP_GRANULES) {
    const free = words[groupWord(table, from)];
    let left = visibleStarts(words, s, kind, from);
    if (from < first) left &= first - from < GROUP_GRANULES ? -1 << first : 0;
    while (left !== 0) {
      const lowest = left & -left;
      left ^= lowest;
      if (visit(from + 31 - Math.clz32(lowest), bytes, (free & lowest) === 0)) return true;
    }
  }
  return false;
}

/** Start of the live block that holds a granule, or 0. */
export function startOfSlab(
  words: Int32Array,
  s: number,
  large: Blocks,
  granule: number,
): number {
  if (granule >>> 0 >= words.length >>> 2) return 0;
  const n = classAt(words, s, granule);
  if (n === 0) {
    const start = large.startOf(granule);
    return isTable(words, s, start) ? 0 : start;
  }
  const start = granule - ((granule & (PAGE_GRANULES - 1)) % n);
  return isLive(words, s, start) ? start : 0;
}
