/**
 * Pages of `slab` and the tables that know them: where blocks start in a page, what its bits say,
 * where pages come from and how groups with free blocks are listed. Pages are named by their first
 * granule, groups by any of theirs or their last one, tables by their first word.
 *
 * `words` is the whole window, `s` the index of the first state word.
 */
import { GRANULE, SLAB, SLAB_CLASSES, SLAB_GROUP, SLAB_HEAD, SLAB_HIDDEN, SLAB_KIND, SLAB_PAGE,
  SLAB_TABLE } from '../layout.ts';
import type { Blocks } from '../types.ts';
import { bitsIn } from './count.ts';

const { pages: PAGES, due: DUE, sealed: SEALED, heads: HEADS, hidden: HIDDEN } = SLAB;
const { chunk: CHUNK, kinds: KINDS, groups: GROUPS, words: TABLE_WORDS } = SLAB_TABLE;
const CHUNK_SHIFT = SLAB_TABLE.shift;
const { next: NEXT, words: GROUP_WORDS } = SLAB_GROUP;
const { word: WORD, last: LAST, words: HEAD_WORDS } = SLAB_HEAD;
const { class: CLASS_MASK, guarded: GUARDED } = SLAB_KIND;
const DIRECTORY = SLAB.directory;
const PAGE_SHIFT = SLAB_PAGE.shift;
export const PAGE_GRANULES = SLAB_PAGE.granules;
export const PAGE_BYTES = PAGE_GRANULES * GRANULE;
export const TABLE_BYTES = TABLE_WORDS * 4;
const GROUP_SHIFT = 5;
export const GROUP_GRANULES = SLAB_GROUP.granules;
/** Groups of a page. */
const GROUP_COUNT = PAGE_GRANULES / GROUP_GRANULES;
/** Pages of a chunk: what one table knows. */
const CHUNK_PAGES = 2 ** (CHUNK_SHIFT - PAGE_SHIFT);
const CHUNKS = SLAB.words - DIRECTORY;
/** Empty pages are looked for when there is this part of pages more than the last time. */
const DUE_SHIFT = 5;
const DUE_LEAST = 32;

/** By kind and group: where blocks start that are not hidden; of guarded pages not one is known. */
export const STARTS = new Int32Array((CLASS_MASK + 1) * 2 * GROUP_COUNT);
for (let n = 1; n <= SLAB_CLASSES; n += 1) {
  for (let at = 0; at + n <= PAGE_GRANULES; at += n) {
    STARTS[n * GROUP_COUNT + (at >>> GROUP_SHIFT)] |= 1 << at;
  }
}

/** How many chunks the window has. */
export function chunksOf(words: Int32Array): number {
  return Math.min(CHUNKS, Math.ceil(words.length / 2 ** (CHUNK_SHIFT + 2)));
}

/** The table of a chunk, sealed or not; 0 = it has none. */
export function tableOf(words: Int32Array, s: number, chunk: number): number {
  return Math.abs(words[s + DIRECTORY + chunk]);
}

/** The table that knows a granule; 0 = none does. */
export function tableAt(words: Int32Array, s: number, granule: number): number {
  return granule >>> CHUNK_SHIFT < CHUNKS ? tableOf(words, s, granule >>> CHUNK_SHIFT) : 0;
}

/** The word with the kind of the page of a granule that `table` knows. */
export function kindWord(table: number, granule: number): number {
  return table + KINDS + ((granule >>> PAGE_SHIFT) & (CHUNK_PAGES - 1));
}

/** The word with the free bits of the group of a granule that `table` knows. */
export function groupWord(table: number, granule: number): number {
  const group = (granule >>> GROUP_SHIFT) & (CHUNK_PAGES * GROUP_COUNT - 1);
  return table + GROUPS + group * GROUP_WORDS;
}

/** The pair of words that leads to the list of a class. */
export function headOf(s: number, n: number): number {
  return s + HEADS + n * HEAD_WORDS;
}

/** Granules of the blocks in the page of a granule; 0 = it lies in no page. */
export function classAt(words: Int32Array, s: number, granule: number): number {
  const table = tableAt(words, s, granule);
  return table === 0 ? 0 : classIn(words[kindWord(table, granule)]);
}

/** Granules of the blocks in a page of a kind. */
export function classIn(kind: number): number {
  return kind & CLASS_MASK;
}

export function isSoundKind(kind: number): boolean {
  const n = kind & CLASS_MASK;
  return kind === 0 || (n >= 1 && n <= SLAB_CLASSES && (kind & ~GUARDED) === n);
}

export function isGuarded(kind: number): boolean {
  return (kind & GUARDED) !== 0;
}

/** Bits of the group of a granule that are starts of blocks of a kind, hidden ones included. */
export function startsOf(kind: number, granule: number): number {
  const group = (granule >>> GROUP_SHIFT) & (GROUP_COUNT - 1);
  return STARTS[(kind & CLASS_MASK) * GROUP_COUNT + group];
}

/** The same without the hidden ones. */
export function visibleStarts(
  words: Int32Array, s: number, kind: number, granule: number,
): number {
  let starts = startsOf(kind, granule);
  if (!isGuarded(kind)) return starts;
  for (let at = s + HIDDEN; at < s + HIDDEN + SLAB_HIDDEN; at += 1) {
    if (words[at] >>> 5 === granule >>> 5) starts &= ~(1 << words[at]);
  }
  return starts;
}

/** Can a block start here? */
export function isStart(words: Int32Array, s: number, granule: number): boolean {
  return (startsOf(classAt(words, s, granule), granule) & (1 << granule)) !== 0;
}

export function isLive(words: Int32Array, s: number, granule: number): boolean {
  const table = tableAt(words, s, granule);
  return table !== 0 && (liveIn(words, s, table, granule) & (1 << granule)) !== 0;
}

/** Bits of the group of a granule where live blocks start. */
function liveIn(words: Int32Array, s: number, table: number, granule: number): number {
  const starts = visibleStarts(words, s, words[kindWord(table, granule)], granule);
  return starts & ~words[groupWord(table, granule)];
}

/** Is the block of `best` that starts here a table? A table says whose it is. */
export function isTable(words: Int32Array, s: number, granule: number): boolean {
  const chunk = words[(granule << 2) + CHUNK];
  return chunk >>> 0 < CHUNKS && granule > 0 && tableOf(words, s, chunk) === granule << 2;
}

/** No block of the page is live, none hidden: all are free. */
function isEmptyPage(words: Int32Array, table: number, page: number): boolean {
  const kind = words[kindWord(table, page)];
  for (let at = page; at < page + PAGE_GRANULES; at += GROUP_GRANULES) {
    if (words[groupWord(table, at)] !== startsOf(kind, at)) return false;
  }
  return true;
}

/** Visits tables and pages, the highest first, until `visit` returns true. */
export function eachPage(
  words: Int32Array,
  s: number,
  visit: (page: number, table: number) => boolean,
): boolean {
  for (let chunk = chunksOf(words) - 1; chunk >= 0; chunk -= 1) {
    const table = tableOf(words, s, chunk);
    if (table === 0) continue;
    for (let i = CHUNK_PAGES - 1; i >= 0; i -= 1) {
      if (words[table + KINDS + i] === 0) continue;
      if (visit((chunk << CHUNK_SHIFT) + (i << PAGE_SHIFT), table)) return true;
    }
  }
  return false;
}

/** A group comes first in the list of its class. */
function listGroup(words: Int32Array, s: number, table: number, granule: number): void {
  const head = headOf(s, words[kindWord(table, granule)] & CLASS_MASK);
  const word = groupWord(table, granule);
  words[word + NEXT] = words[head + LAST];
  words[head + WORD] = word;
  words[head + LAST] = granule | (GROUP_GRANULES - 1);
}

/** The groups of a page that have free blocks come first in the list of its class, ascending. */
function listPage(words: Int32Array, s: number, table: number, page: number): void {
  for (let at = page + PAGE_GRANULES - GROUP_GRANULES; at >= page; at -= GROUP_GRANULES) {
    if (words[groupWord(table, at)] !== 0) listGroup(words, s, table, at);
  }
}

/**
 * Lists all groups with free blocks again, the lowest first; empty pages, and tables that know no
 * page, go back to `large`. It is not sealed then.
 */
export function relist(words: Int32Array, s: number, large: Blocks): void {
  unseal(words, s);
  words.fill(0, headOf(s, 0), headOf(s, SLAB_CLASSES + 1));
  let count = 0;
  eachPage(words, s, (page, table) => {
    if (isEmptyPage(words, table, page)) {
      words[kindWord(table, page)] = 0;
      large.free(page);
    } else {
      listPage(words, s, table, page);
      count += 1;
    }
    return false;
  });
  for (let chunk = chunksOf(words) - 1; chunk >= 0; chunk -= 1) giveTable(words, s, large, chunk);
  words[s + PAGES] = count;
  words[s + DUE] = nextDue(count);
}

function nextDue(pages: number): number {
  return pages + Math.max(DUE_LEAST, pages >>> DUE_SHIFT);
}

function giveTable(words: Int32Array, s: number, large: Blocks, chunk: number): void {
  const table = tableOf(words, s, chunk);
  if (table === 0) return;
  for (let w = table + KINDS; w < table + GROUPS; w += 1) if (words[w] !== 0) return;
  words[s + DIRECTORY + chunk] = 0;
  large.free(table >>> 2);
}

/** Is there a page without blocks? None is while it is sealed; sealed it is where there is none. */
export function hasEmpty(words: Int32Array, s: number): boolean {
  if (words[s + SEALED] !== 0) return false;
  const isSome = hasEmptyPage(words, s);
  if (!isSome) turn(words, s, 1);
  return isSome;
}

export function hasEmptyPage(words: Int32Array, s: number): boolean {
  return eachPage(words, s, (page, table) => isEmptyPage(words, table, page));
}

export function unseal(words: Int32Array, s: number): void {
  if (words[s + SEALED] !== 0) turn(words, s, 0);
}

/** Sealed tables are negative in the directory: free takes its slow way, and looks. */
function turn(words: Int32Array, s: number, sealed: number): void {
  words[s + SEALED] = sealed;
  for (let chunk = chunksOf(words) - 1; chunk >= 0; chunk -= 1) {
    const table = tableOf(words, s, chunk);
    if (table !== 0) words[s + DIRECTORY + chunk] = sealed === 0 ? table : -table;
  }
}

/**
 * The lowest free block of the first group listed, whether it is sealed or not; 0 = none is. A list
 * that leads nowhere is dropped.
 */
export function takeListed(words: Int32Array, s: number, n: number): number {
  const head = headOf(s, n);
  const last = words[head + LAST];
  const table = last > 0 ? tableAt(words, s, last) : 0;
  const word = words[head + WORD];
  const isSound = table !== 0 && word === groupWord(table, last) && classAt(words, s, last) === n;
  const free = isSound ? words[word] : 0;
  if (free === 0) {
    if (last !== 0 || word !== 0) words.fill(0, head, head + HEAD_WORDS);
    return 0;
  }
  const lowest = free & -free;
  words[word] = free ^ lowest;
  if (free === lowest) leaveGroup(words, s, n);
  return last - Math.clz32(lowest);
}

/** The first group of a list is full: the next one comes first. */
function leaveGroup(words: Int32Array, s: number, n: number): void {
  const head = headOf(s, n);
  const next = words[words[head + WORD] + NEXT];
  const table = next > 0 ? tableAt(words, s, next) : 0;
  words[head + WORD] = table === 0 ? 0 : groupWord(table, next);
  words[head + LAST] = table === 0 ? 0 : next;
}

/**
 * Frees what `free` cannot at once: a large block, or one in a page with hidden blocks or while it
 * is sealed, when its page may be empty now. false = it is not live. One function on purpose, like
 * `allocSlow`.
 */
export function freeOther(words: Int32Array, s: number, large: Blocks, at: number): boolean {
  const table = at >>> CHUNK_SHIFT < CHUNKS ? Math.abs(words[s + DIRECTORY + (at >>> CHUNK_SHIFT)])
    : 0;
  const page = (at >>> PAGE_SHIFT) & (CHUNK_PAGES - 1);
  const kind = table === 0 ? 0 : words[table + KINDS + page];
  if (kind === 0) {
    const chunk = words[(at << 2) + CHUNK];
    const isTableHere = chunk >>> 0 < CHUNKS && at > 0 && tableOf(words, s, chunk) === at << 2;
    return !isTableHere && large.free(at);
  }
  const group = (at >>> GROUP_SHIFT) & (CHUNK_PAGES * GROUP_COUNT - 1);
  const word = table + GROUPS + group * GROUP_WORDS;
  const free = words[word];
  const n = kind & CLASS_MASK;
  const starts = n >= 1 && n <= SLAB_CLASSES && (kind & ~GUARDED) === n
    ? visibleStarts(words, s, kind, at) : 0;
  if ((starts & ~free & (1 << at)) === 0) return false;
  words[word] = free | (1 << at);
  if (free === 0) {
    const head = headOf(s, n);
    words[word + NEXT] = words[head + LAST];
    words[head + WORD] = word;
    words[head + LAST] = at | (GROUP_GRANULES - 1);
  }
  if (words[s + SEALED] !== 0 && isEmptyPage(words, table, at & -PAGE_GRANULES)) unseal(words, s);
  return true;
}

/** Lists groups of a class, which has none; false = no page is to be had. */
export function refill(words: Int32Array, s: number, large: Blocks, n: number): boolean {
  if (words[s + PAGES] >= words[s + DUE]) {
    if (hasEmptyPage(words, s)) relist(words, s, large);
    else words[s + DUE] = nextDue(words[s + PAGES]);
    if (words[headOf(s, n) + WORD] !== 0) return true;
  }
  return takePage(words, s, large, n);
}

/**
 * A block of `large` becomes a page with one store. A live block of exactly this size that is none
 * is the rest of a call that was cut short: no other block has it.
 */
function takePage(words: Int32Array, s: number, large: Blocks, n: number): boolean {
  const page = large.align(PAGE_BYTES, PAGE_BYTES);
  if (page === 0) return false;
  const table = tableAt(words, s, page) || takeTable(words, s, large, page >>> CHUNK_SHIFT);
  if (table === 0) {
    large.free(page);
    return false;
  }
  for (let at = page; at < page + PAGE_GRANULES; at += GROUP_GRANULES) {
    words[groupWord(table, at)] = startsOf(n, at);
  }
  words[kindWord(table, page)] = n;
  words[s + PAGES] += 1;
  listPage(words, s, table, page);
  return true;
}

function takeTable(words: Int32Array, s: number, large: Blocks, chunk: number): number {
  const granule = large.alloc(TABLE_BYTES);
  if (granule === 0) return 0;
  const table = granule << 2;
  words.fill(0, table, table + TABLE_WORDS);
  words[table + CHUNK] = chunk;
  words[s + DIRECTORY + chunk] = words[s + SEALED] === 0 ? table : -table;
  return table;
}

/** Pages and tables, and by the size of blocks in granules how many places there are, and free. */
export interface PageCount {
  readonly pages: number;
  readonly tables: number;
  readonly slots: Float64Array;
  readonly free: Float64Array;
}

/** Table after table, so that memory is read in order: 50 ns a page. Hidden blocks do not count. */
export function countPages(words: Int32Array, s: number): PageCount {
  const slots = new Float64Array(CLASS_MASK + 1);
  const free = new Float64Array(CLASS_MASK + 1);
  let [pages, tables] = [0, 0];
  for (let chunk = chunksOf(words) - 1; chunk >= 0; chunk -= 1) {
    const table = tableOf(words, s, chunk);
    if (table === 0) continue;
    tables += 1;
    for (let i = 0; i < CHUNK_PAGES; i += 1) {
      const kind = words[table + KINDS + i];
      if (kind === 0) continue;
      const n = classIn(kind);
      const first = table + GROUPS + i * GROUP_COUNT * GROUP_WORDS;
      let idle = 0;
      // Bits are set where free blocks start, and nowhere else.
      for (let word = first; word < first + GROUP_COUNT * GROUP_WORDS; word += GROUP_WORDS) {
        if (words[word] !== 0) idle += bitsIn(words[word]);
      }
      pages += 1;
      free[n] += idle;
      slots[n] += Math.floor(PAGE_GRANULES / n);
      if (!isGuarded(kind)) continue;
      slots[n] -= hiddenIn(words, s, kind, (chunk << CHUNK_SHIFT) + (i << PAGE_SHIFT));
    }
  }
  return { pages, tables, slots, free };
}

/** How many blocks of a page are the region's own. */
function hiddenIn(words: Int32Array, s: number, kind: number, page: number): number {
  let visible = 0;
  for (let from = page; from < page + PAGE_GRANULES; from += GROUP_GRANULES) {
    visible += bitsIn(visibleStarts(words, s, kind, from));
  }
  return Math.floor(PAGE_GRANULES / classIn(kind)) - visible;
}
