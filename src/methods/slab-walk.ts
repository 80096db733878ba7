/**
 * What is in a heap of `slab`: the blocks of `best` in address order, and instead of each page what
 * is in it. A free slot shows as a free block; tables and hidden blocks do not show.
 */
import { GRANULE } from '../layout.ts';
import type { Blocks, BlockStat } from '../types.ts';
import type { Visit } from './count.ts';
import {
  classAt,
  countPages,
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

export function walkSlab(
  words: Int32Array, s: number, large: Blocks, visit: Visit, from = 0,
): void {
  walkLarge(words, s, large, visit, (page) => walkPage(words, s, page, from, visit), from);
}

/**
 * The same blocks counted: those of pages by their bits, table after table, and what `best` has
 * without the pages and the tables.
 */
export function countSlab(words: Int32Array, s: number, large: Blocks, into: BlockStat): void {
  const { pages, tables, slots, free } = countPages(words, s);
  for (let n = 1; n < slots.length; n += 1) {
    const [all, idle, bytes] = [slots[n] as number, free[n] as number, n * GRANULE];
    into.busyBlocks += all - idle;
    into.busyBytes += (all - idle) * bytes;
    into.freeBlocks += idle;
    into.freeBytes += idle * bytes;
    if (all > idle) into.largestBusy = Math.max(into.largestBusy, bytes);
    if (idle > 0) into.largestFree = Math.max(into.largestFree, bytes);
  }
  const rest: BlockStat = { busyBlocks: 0, freeBlocks: 0, busyBytes: 0, freeBytes: 0,
    largestBusy: 0, largestFree: 0 };
  large.stat(rest);
  const others = Math.max(0, rest.busyBlocks - pages - tables);
  into.busyBlocks += others;
  into.busyBytes += Math.max(0, rest.busyBytes - pages * PAGE_BYTES - tables * TABLE_BYTES);
  into.freeBlocks += rest.freeBlocks;
  into.freeBytes += rest.freeBytes;
  into.largestFree = Math.max(into.largestFree, rest.largestFree);
  if (others === 0) return;
  const largest = rest.largestBusy > TABLE_BYTES ? rest.largestBusy
    : largestOf(words, s, large);
  into.largestBusy = Math.max(into.largestBusy, largest);
}

/** Of the live blocks of `best` that are neither pages nor tables. */
function largestOf(words: Int32Array, s: number, large: Blocks): number {
  let largest = 0;
  walkLarge(words, s, large, (_granule, bytes, busy) => {
    if (busy) largest = Math.max(largest, bytes);
    return false;
  }, () => false);
  return largest;
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
