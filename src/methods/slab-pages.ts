/**
 * Spans and pages of `slab`: where blocks start in a page, what its bits say, where pages come from
 * and how their free blocks are listed. Pages and spans are named by their first granule.
 *
 * `words` is the whole window, `s` the index of the first state word.
 */
import {
  GRANULE,
  GRANULES_PER_PAGE,
  SLAB,
  SLAB_CLASSES,
  SLAB_FREE,
  SLAB_HIDDEN,
  SLAB_KIND,
  SLAB_PAGE,
  SLAB_SPAN,
} from '../layout.ts';
import type { Blocks } from '../types.ts';

const { open: OPEN, spans: SPANS, due: DUE, heads: HEADS, hidden: HIDDEN } = SLAB;
const { pages: TABLES, free: FREE, next: NEXT, words: SPAN_WORDS } = SLAB_SPAN;
const { kind: KIND, words: PAGE_WORDS } = SLAB_PAGE;
const { class: CLASS_MASK, last: LAST, guarded: GUARDED } = SLAB_KIND;
/** Words of the bitmap of a page. */
export const BIT_WORDS = GRANULES_PER_PAGE / 32;
export const SPAN_BYTES = SPAN_WORDS * 4;
export const SPAN_GRANULES = SPAN_BYTES / GRANULE;
const SPAN_COUNT = (SLAB.words - SLAB.spanBits) * 32;
const PAGES = SPAN_GRANULES / GRANULES_PER_PAGE;
const ALL_PAGES = 2 ** PAGES - 1;
/** Granules the tables of a span take from its last page. */
const TABLE_GRANULES = (SPAN_WORDS - TABLES) * 4 / GRANULE;
/** Empty pages are looked for when there is this part of spans more than the last time. */
const DUE_SHIFT = 4;

/** By kind of page and word of its bitmap: where blocks start. */
const STARTS = new Int32Array(2 * LAST * BIT_WORDS);
for (let n = 1; n <= SLAB_CLASSES; n += 1) {
  for (const last of [0, LAST]) {
    const room = GRANULES_PER_PAGE - (last === 0 ? 0 : TABLE_GRANULES);
    for (let at = 0; at + n <= room; at += n) {
      STARTS[(n | last) * BIT_WORDS + (at >>> 5)] |= 1 << ~at;
    }
  }
}

/** Word index of the table of the page that a granule lies in. */
function tableOf(granule: number): number {
  const page = (granule >>> SLAB_SPAN.pageShift) & (PAGES - 1);
  return (granule >>> SLAB_SPAN.shift) * SPAN_WORDS + TABLES + page * PAGE_WORDS;
}

/** The word with the bit of a granule of a span. */
export function bitWord(granule: number): number {
  return tableOf(granule) + ((granule >>> 5) & (BIT_WORDS - 1));
}

/** The word with the kind of the page of a granule. */
export function kindWord(granule: number): number {
  return tableOf(granule) + KIND;
}

/** Granules of the blocks in the page of a granule; 0 = the page is free. */
export function classAt(words: Int32Array, granule: number): number {
  return words[kindWord(granule)] & CLASS_MASK;
}

export function isGuarded(words: Int32Array, granule: number): boolean {
  return (words[kindWord(granule)] & GUARDED) !== 0;
}

function lastBit(page: number): number {
  return (page & (SPAN_GRANULES - 1)) === SPAN_GRANULES - GRANULES_PER_PAGE ? LAST : 0;
}

/** Is the page free, or one of a class, guarded or not? */
export function isSoundKind(words: Int32Array, page: number): boolean {
  const kind = words[kindWord(page)];
  const n = kind & CLASS_MASK;
  return kind === 0
    || (n >= 1 && n <= SLAB_CLASSES && (kind & ~GUARDED) === (n | lastBit(page)));
}

/** Granules of a page that may hold blocks. */
export function roomOf(page: number): number {
  return GRANULES_PER_PAGE - (lastBit(page) === 0 ? 0 : TABLE_GRANULES);
}

/** Bits of the word of a granule of a span that are starts of blocks, hidden ones included. */
export function startsAt(words: Int32Array, granule: number): number {
  const kind = words[kindWord(granule)] & (CLASS_MASK | LAST);
  return STARTS[kind * BIT_WORDS + ((granule >>> 5) & (BIT_WORDS - 1))];
}

/** The same without the hidden ones. */
export function visibleStarts(words: Int32Array, s: number, granule: number): number {
  let starts = startsAt(words, granule);
  if (!isGuarded(words, granule)) return starts;
  for (let at = s + HIDDEN; at < s + HIDDEN + SLAB_HIDDEN; at += 1) {
    if (words[at] >>> 5 === granule >>> 5) starts &= ~(1 << ~words[at]);
  }
  return starts;
}

export function isLive(words: Int32Array, granule: number): boolean {
  return (words[bitWord(granule)] & (1 << ~granule)) !== 0;
}

/** Does a granule lie in a span? */
export function isInSpan(words: Int32Array, s: number, granule: number): boolean {
  const number = granule >>> SLAB_SPAN.shift;
  return number < SPAN_COUNT && ((words[s + SLAB.spanBits + (number >>> 5)] >>> number) & 1) !== 0;
}

/** The spans, highest first. */
export function spansOf(words: Int32Array, s: number): number[] {
  const found: number[] = [];
  for (let i = SLAB.words - 1; i >= SLAB.spanBits; i -= 1) {
    for (let left = words[s + i]; left !== 0; ) {
      const bit = 31 - Math.clz32(left);
      left ^= 1 << bit;
      found.push(((i - SLAB.spanBits) * 32 + bit) * SPAN_GRANULES);
    }
  }
  return found;
}

/** The pages of a span, highest first. */
export function pagesOf(span: number): number[] {
  return Array.from({ length: PAGES }, (_, i) => span + (PAGES - 1 - i) * GRANULES_PER_PAGE);
}

/** No block of the page is live, none hidden. */
function isEmptyPage(words: Int32Array, page: number): boolean {
  const from = bitWord(page);
  for (let w = from; w < from + BIT_WORDS; w += 1) if (words[w] !== 0) return false;
  return !isGuarded(words, page);
}

/** Pages of a span that are free, a bit each. */
export function freePages(words: Int32Array, span: number): number {
  let free = 0;
  for (let page = 0; page < PAGES; page += 1) {
    if (words[kindWord(span) + page * PAGE_WORDS] === 0) free |= 1 << page;
  }
  return free;
}

/** A block that is not live comes first in the list of its class, at word `head`. */
export function listBlock(words: Int32Array, head: number, granule: number): void {
  const next = words[head];
  words[(granule << 2) + SLAB_FREE.next] = next;
  words[(granule << 2) + SLAB_FREE.check] = ~next;
  words[head] = granule;
}

/** The blocks of a page that are not live come first in the list of its class, ascending. */
function listPage(words: Int32Array, s: number, page: number): void {
  const head = s + HEADS + classAt(words, page);
  for (let from = page + GRANULES_PER_PAGE - 32; from >= page; from -= 32) {
    let left = visibleStarts(words, s, from) & ~words[bitWord(from)];
    while (left !== 0) {
      const lowest = left & -left;
      left ^= lowest;
      listBlock(words, head, from + Math.clz32(lowest));
    }
  }
}

/**
 * Lists all free blocks again, the lowest first; empty pages are free from now on, and spans of
 * which all pages are free go back to `large`, but `kept` of them.
 */
export function relist(words: Int32Array, s: number, large: Blocks, kept: number): void {
  words.fill(0, s + HEADS, s + HEADS + SLAB_CLASSES + 1);
  words[s + OPEN] = 0;
  let count = 0;
  let spare = kept;
  for (const span of spansOf(words, s)) {
    for (const page of pagesOf(span)) {
      if (isEmptyPage(words, page)) words[kindWord(page)] = 0;
      else listPage(words, s, page);
    }
    const free = freePages(words, span);
    const isSpare = free === ALL_PAGES && spare > 0;
    if (isSpare) spare -= 1;
    if (free === ALL_PAGES && !isSpare) giveSpan(words, s, large, span);
    else {
      count += 1;
      if (free !== 0) openSpan(words, s, span, free);
    }
  }
  words[s + SPANS] = count;
  words[s + DUE] = count + Math.max(1, count >>> DUE_SHIFT);
}

function openSpan(words: Int32Array, s: number, span: number, free: number): void {
  words[(span << 2) + FREE] = free;
  words[(span << 2) + NEXT] = words[s + OPEN];
  words[s + OPEN] = span << 2;
}

/** The bit goes first: from then on it is nobody's. */
function giveSpan(words: Int32Array, s: number, large: Blocks, span: number): void {
  const number = span / SPAN_GRANULES;
  words[s + SLAB.spanBits + (number >>> 5)] &= ~(1 << number);
  large.free(span);
}

/** Is there a page, or a whole span of pages, without blocks that its class still has? */
export function hasEmpty(words: Int32Array, s: number, whole: boolean): boolean {
  return spansOf(words, s).some((span) => (whole
    ? pagesOf(span).every((page) => isEmptyPage(words, page))
    : hasEmptyPage(words, span)));
}

function hasEmptyPage(words: Int32Array, span: number): boolean {
  return pagesOf(span).some((page) => words[kindWord(page)] !== 0 && isEmptyPage(words, page));
}

/** Makes a free block of a class, which has none listed; false = no page is to be had. */
export function refill(words: Int32Array, s: number, large: Blocks, n: number): boolean {
  let span = openSpanOf(words, s);
  if (span === 0) {
    if (words[s + SPANS] >= words[s + DUE]) {
      if (hasEmpty(words, s, false)) relist(words, s, large, 1);
      else words[s + DUE] = words[s + SPANS] + Math.max(1, words[s + SPANS] >>> DUE_SHIFT);
      if (words[s + HEADS + n] !== 0) return true;
    }
    span = openSpanOf(words, s) || takeSpan(words, s, large);
    if (span === 0) return false;
  }
  const free = words[span + FREE];
  const left = free & (free - 1);
  words[span + FREE] = left;
  if (left === 0) words[s + OPEN] = words[span + NEXT];
  const page = (span >>> 2) + (31 - Math.clz32(free & -free)) * GRANULES_PER_PAGE;
  words[kindWord(page)] = n | lastBit(page);
  listPage(words, s, page);
  return true;
}

/** Word index of the first span with free pages; 0 = none, or the list is damaged. */
function openSpanOf(words: Int32Array, s: number): number {
  const span = words[s + OPEN];
  const isSound = span > 0 && span % SPAN_WORDS === 0 && isInSpan(words, s, span >>> 2)
    && (words[span + FREE] & ~freePages(words, span >>> 2)) === 0 && words[span + FREE] !== 0;
  if (!isSound) words[s + OPEN] = 0;
  return isSound ? span : 0;
}

/**
 * A block of `large` becomes a span: its tables, then its bit. A live block of exactly this size
 * without the bit is the rest of a call that was cut short: no other block has it.
 */
function takeSpan(words: Int32Array, s: number, large: Blocks): number {
  const granule = large.align(SPAN_BYTES, SPAN_BYTES);
  if (granule === 0) return 0;
  const span = granule << 2;
  words.fill(0, span + TABLES, span + SPAN_WORDS);
  const number = granule / SPAN_GRANULES;
  words[s + SLAB.spanBits + (number >>> 5)] |= 1 << number;
  words[s + SPANS] += 1;
  openSpan(words, s, granule, ALL_PAGES);
  return span;
}
