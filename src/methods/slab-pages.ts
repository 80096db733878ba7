/**
 * Pages of `slab` and the tables that know them: where blocks start in a page, what its bits say,
 * where pages come from and how their free blocks are listed. Pages are named by their first
 * granule, tables by their first word.
 *
 * `words` is the whole window, `s` the index of the first state word.
 */
import { GRANULE, SLAB, SLAB_CLASSES, SLAB_ENTRY, SLAB_FREE, SLAB_HIDDEN, SLAB_KIND, SLAB_PAGE,
  SLAB_TABLE } from '../layout.ts';
import type { Blocks } from '../types.ts';

const { pages: PAGES, due: DUE, sealed: SEALED, heads: HEADS, hidden: HIDDEN } = SLAB;
const { chunk: CHUNK, entries: ENTRIES, shift: CHUNK_SHIFT, words: TABLE_WORDS } = SLAB_TABLE;
const { kind: KIND, bits: BITS, words: ENTRY_WORDS } = SLAB_ENTRY;
const { class: CLASS_MASK, guarded: GUARDED } = SLAB_KIND;
const DIRECTORY = SLAB.directory;
const PAGE_SHIFT = SLAB_PAGE.shift;
export const PAGE_GRANULES = SLAB_PAGE.granules;
export const PAGE_BYTES = PAGE_GRANULES * GRANULE;
export const TABLE_BYTES = TABLE_WORDS * 4;
/** Words of the bitmap of a page. */
const BIT_WORDS = PAGE_GRANULES / 32;
/** Pages of a chunk: what one table knows. */
const CHUNK_PAGES = 2 ** (CHUNK_SHIFT - PAGE_SHIFT);
const CHUNKS = SLAB.words - DIRECTORY;
/** Empty pages are looked for when there is this part of pages more than the last time. */
const DUE_SHIFT = 5;
const DUE_LEAST = 32;

/** By class and word of the bitmap: where blocks start. */
const STARTS = new Int32Array((CLASS_MASK + 1) * BIT_WORDS);
for (let n = 1; n <= SLAB_CLASSES; n += 1) {
  for (let at = 0; at + n <= PAGE_GRANULES; at += n) {
    STARTS[n * BIT_WORDS + (at >>> 5)] |= 1 << at;
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
  const page = (granule >>> PAGE_SHIFT) & (CHUNK_PAGES - 1);
  return table + ENTRIES + KIND + page * ENTRY_WORDS;
}

/** The word with the bit of a granule that `table` knows. */
export function bitWord(table: number, granule: number): number {
  return kindWord(table, granule) + BITS + ((granule >>> 5) & (BIT_WORDS - 1));
}

/** Granules of the blocks in the page of a granule; 0 = it lies in no page. */
export function classAt(words: Int32Array, s: number, granule: number): number {
  const table = tableAt(words, s, granule);
  return table === 0 ? 0 : words[kindWord(table, granule)] & CLASS_MASK;
}

export function isSoundKind(kind: number): boolean {
  const n = kind & CLASS_MASK;
  return kind === 0 || (n >= 1 && n <= SLAB_CLASSES && (kind & ~GUARDED) === n);
}

export function isGuarded(kind: number): boolean {
  return (kind & GUARDED) !== 0;
}

/** Bits of the word of a granule that are starts of blocks of a kind, hidden ones included. */
export function startsOf(kind: number, granule: number): number {
  return STARTS[(kind & CLASS_MASK) * BIT_WORDS + ((granule >>> 5) & (BIT_WORDS - 1))];
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
  return table !== 0 && (words[bitWord(table, granule)] & (1 << granule)) !== 0;
}

/** Is the block of `best` that starts here a table? A table says whose it is. */
export function isTable(words: Int32Array, s: number, granule: number): boolean {
  const chunk = words[(granule << 2) + CHUNK];
  return chunk >>> 0 < CHUNKS && granule > 0 && tableOf(words, s, chunk) === granule << 2;
}

/** No block of the page is live, none hidden. */
function isEmptyPage(words: Int32Array, table: number, page: number): boolean {
  const from = bitWord(table, page);
  for (let w = from; w < from + BIT_WORDS; w += 1) if (words[w] !== 0) return false;
  return !isGuarded(words[kindWord(table, page)]);
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
      if (words[table + ENTRIES + i * ENTRY_WORDS + KIND] === 0) continue;
      if (visit((chunk << CHUNK_SHIFT) + (i << PAGE_SHIFT), table)) return true;
    }
  }
  return false;
}

/** A block that is not live comes first in the list of its class, at word `head`. */
function listBlock(words: Int32Array, head: number, granule: number): void {
  const next = words[head];
  words[(granule << 2) + SLAB_FREE.next] = next;
  words[(granule << 2) + SLAB_FREE.check] = ~next;
  words[head] = granule;
}

/** The blocks of a page that are not live come first in the list of its class, ascending. */
function listPage(words: Int32Array, s: number, table: number, page: number): void {
  const kind = words[kindWord(table, page)];
  const head = s + HEADS + (kind & CLASS_MASK);
  for (let from = page + PAGE_GRANULES - 32; from >= page; from -= 32) {
    let left = visibleStarts(words, s, kind, from) & ~words[bitWord(table, from)];
    while (left !== 0) {
      const bit = 31 - Math.clz32(left);
      left ^= 1 << bit;
      listBlock(words, head, from + bit);
    }
  }
}

/**
 * Lists all free blocks again, the lowest first; empty pages, and tables that know no page, go back
 * to `large`. It is not sealed then.
 */
export function relist(words: Int32Array, s: number, large: Blocks): void {
  unseal(words, s);
  words.fill(0, s + HEADS, s + HEADS + SLAB_CLASSES + 1);
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
  for (let w = table + ENTRIES; w < table + TABLE_WORDS; w += ENTRY_WORDS) {
    if (words[w + KIND] !== 0) return;
  }
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

/** Takes the first block of a list, whether it is sealed or not; 0 = there is none. */
export function takeListed(words: Int32Array, s: number, n: number): number {
  const granule = words[s + HEADS + n];
  const next = words[(granule << 2) + SLAB_FREE.next];
  const table = granule > 0 ? tableAt(words, s, granule) : 0;
  if (table === 0 || words[(granule << 2) + SLAB_FREE.check] !== ~next) {
    if (granule !== 0) words[s + HEADS + n] = 0;
    return 0;
  }
  words[bitWord(table, granule)] |= 1 << granule;
  words[s + HEADS + n] = next;
  return granule;
}

/** Frees a live block while it is sealed: the page may be empty now. false = it is not live. */
export function freeSealed(words: Int32Array, s: number, granule: number): boolean {
  const table = tableAt(words, s, granule);
  const w = bitWord(table, granule);
  if (table === 0 || (words[w] & (1 << granule)) === 0) return false;
  words[w] &= ~(1 << granule);
  listBlock(words, s + HEADS + (words[kindWord(table, granule)] & CLASS_MASK), granule);
  if (isEmptyPage(words, table, granule & ~(PAGE_GRANULES - 1))) unseal(words, s);
  return true;
}

/** Lists free blocks of a class, which has none; false = no page is to be had. */
export function refill(words: Int32Array, s: number, large: Blocks, n: number): boolean {
  if (words[s + PAGES] >= words[s + DUE]) {
    if (hasEmptyPage(words, s)) relist(words, s, large);
    else words[s + DUE] = nextDue(words[s + PAGES]);
    if (words[s + HEADS + n] !== 0) return true;
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
