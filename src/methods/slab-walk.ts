/**
 * What is in a heap of `slab`: the blocks of `best` in address order, and instead of each page what
 * is in it. A free slot shows as a free block; tables and hidden blocks do not show.
 */
import { GRANULE, SLAB_GROUP } from '../layout.ts';
import type { Blocks, BlockStat } from '../types.ts';
import { bitsIn, countInto, type Visit } from './count.ts';
import {
  classAt,
  GROUP_GRANULES,
  groupWord,
  isGuarded,
  isLive,
  isTable,
  kindWord,
  PAGE_BYTES,
  PAGE_GRANULES,
  TABLE_BYTES,
  tableAt,
  visibleStarts,
} from './slab-pages.ts';

/** Words of the groups of a page. */
const PAGE_WORDS = (PAGE_GRANULES / GROUP_GRANULES) * SLAB_GROUP.words;

export function walkSlab(
  words: Int32Array, s: number, large: Blocks, visit: Visit, from = 0,
): void {
  walkLarge(words, s, large, visit, (page) => walkPage(words, s, page, from, visit), from);
}

/** The same blocks counted, those of a page by its bits. */
export function countSlab(words: Int32Array, s: number, large: Blocks, into: BlockStat): void {
  const count = countInto(into);
  walkLarge(words, s, large, count, (page) => {
    const table = tableAt(words, s, page);
    const kind = words[kindWord(table, page)];
    const n = classAt(words, s, page);
    const hidden = isGuarded(kind) ? hiddenIn(words, s, kind, page) : 0;
    const slots = Math.floor(PAGE_GRANULES / n) - hidden;
    // Bits are set where free blocks start, and nowhere else.
    const first = groupWord(table, page);
    let free = 0;
    for (let word = first; word < first + PAGE_WORDS; word += SLAB_GROUP.words) {
      free += bitsIn(words[word]);
    }
    const bytes = n * GRANULE;
    into.busyBlocks += slots - free;
    into.busyBytes += (slots - free) * bytes;
    into.freeBlocks += free;
    into.freeBytes += free * bytes;
    if (slots > free) into.largestBusy = Math.max(into.largestBusy, bytes);
    if (free > 0) into.largestFree = Math.max(into.largestFree, bytes);
    return false;
  });
}

/** How many blocks of a page are the region's own. */
function hiddenIn(words: Int32Array, s: number, kind: number, page: number): number {
  let visible = 0;
  for (let from = page; from < page + PAGE_GRANULES; from += GROUP_GRANULES) {
    visible += bitsIn(visibleStarts(words, s, kind, from));
  }
  return Math.floor(PAGE_GRANULES / classAt(words, s, page)) - visible;
}

/** Blocks of `best`, and pages by their first granule; tables do not show. */
function walkLarge(
  words: Int32Array, s: number, large: Blocks, visit: Visit, onPage: (page: number) => boolean,
  from = 0,
): void {
  const start = classAt(words, s, from) === 0 ? from : from & -PAGE_GRANULES;
  large.walk((granule, bytes, busy) => {
    if (busy && bytes === PAGE_BYTES && classAt(words, s, granule) !== 0) return onPage(granule);
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
