/**
 * Pages of `slab`: which slots they have, where they come from and where they go.
 *
 * A page is named by the word index of its table, a span by that of its first word, a class by that
 * of its state, which is the sentinel of its list of pages too. A page is listed when `next` is not
 * 0; every page with a free slot is, but one whose class uses its only word with any. Full pages
 * stay in the list until they come first.
 *
 * `words` is the whole window, `s` the index of the first state word.
 */
import {
  GRANULE,
  GRANULES_PER_PAGE,
  SLAB,
  SLAB_CLASS,
  SLAB_CLASSES,
  SLAB_KIND,
  SLAB_PAGE,
  SLAB_SPAN,
} from '../layout.ts';
import type { Blocks } from '../types.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const { current: CURRENT, base: BASE } = SLAB_CLASS;
const { kind: KIND, next: NEXT, previous: PREVIOUS, bits: BITS } = SLAB_PAGE;
const { free: FREE, next: SPAN_NEXT, previous: SPAN_PREVIOUS, pages: PAGES } = SLAB_SPAN;
const PAGE_WORDS = SLAB_PAGE.words + 0;
const SPAN_WORDS = SLAB_SPAN.words + 0;
const CLASS_MASK = 2 ** SLAB_KIND.classBits - 1;
const SLOTS_SHIFT = SLAB_KIND.slotsShift + 0;
const SLOTS_MASK = 2 ** SLAB_KIND.slotsBits - 1;
const INVERSE_SHIFT = SLAB_KIND.inverseShift + 0;
const INVERSE_ONE = 4096;
const BIT_WORDS = PAGE_WORDS - BITS;
/** Bytes, and pages, of a span. */
export const SPAN_BYTES = SPAN_WORDS * 4;
const SPAN_PAGES = SPAN_WORDS * 4 / GRANULE / GRANULES_PER_PAGE;
const ALL_PAGES = 2 ** SPAN_PAGES - 1;
/** Granules the tables of a span take from its last page. */
const TABLE_GRANULES = (SPAN_WORDS - PAGES) * 4 / GRANULE;
const SENTINEL = SLAB.spans - FREE;

/** Kind of a page of blocks of `n` granules. */
export function kindOf(n: number, isLast: boolean): number {
  const slots = Math.floor((GRANULES_PER_PAGE - (isLast ? TABLE_GRANULES : 0)) / n);
  return n | (slots << SLOTS_SHIFT) | (Math.ceil(INVERSE_ONE / n) << INVERSE_SHIFT);
}

const KINDS = Int32Array.from({ length: 2 * (CLASS_MASK + 1) }, (_, i) =>
  (i < 2 ? 0 : kindOf(i >>> 1, (i & 1) !== 0)));

export function classOf(kind: number): number {
  return kind & CLASS_MASK;
}

/** Kind of a page of this class when no block of it is hidden: those say they have no slots. */
export function openKind(words: Int32Array, d: number): number {
  return KINDS[2 * (words[d + KIND] & CLASS_MASK) + Number(isLastPage(d))];
}

/** Slots of a page, whether hidden blocks are among them or not. */
export function slotsOf(words: Int32Array, d: number): number {
  return (openKind(words, d) >>> SLOTS_SHIFT) & SLOTS_MASK;
}

function isLastPage(d: number): boolean {
  return (d & (SPAN_WORDS - 1)) === PAGES + (SPAN_PAGES - 1) * PAGE_WORDS;
}

export function spanOf(d: number): number {
  return d & -SPAN_WORDS;
}

function pageIn(d: number): number {
  return ((d & (SPAN_WORDS - 1)) - PAGES) / PAGE_WORDS;
}

/** First granule of a page. */
export function firstGranule(d: number): number {
  return (spanOf(d) >>> 2) + pageIn(d) * GRANULES_PER_PAGE;
}

/** Granules of a page that may hold blocks. */
export function roomOf(d: number): number {
  return GRANULES_PER_PAGE - (isLastPage(d) ? TABLE_GRANULES : 0);
}

/** The page of a granule that lies in a span. */
export function pageOf(granule: number): number {
  const span = (granule >>> SLAB_SPAN.shift) * SPAN_WORDS;
  const page = (granule >>> SLAB_SPAN.pageShift) & (SPAN_PAGES - 1);
  return span + PAGES + page * PAGE_WORDS;
}

/** Is this slot of a page free? The first slot of a word is its highest bit. */
export function isFreeSlot(words: Int32Array, d: number, slot: number): boolean {
  return (words[d + BITS + (slot >>> 5)] & (1 << ~slot)) !== 0;
}

/** Bits of word `i` of the bitmap of a page of `slots` slots that are all free. */
export function allFree(slots: number, i: number): number {
  const left = slots - 32 * i;
  return left >= 32 ? -1 : left <= 0 ? 0 : -1 << (32 - left);
}

export function isEmptyPage(words: Int32Array, d: number): boolean {
  const slots = slotsOf(words, d);
  for (let i = 0; i < BIT_WORDS; i += 1) {
    if ((words[d + BITS + i] ^ allFree(slots, i)) !== 0) return false;
  }
  return true;
}

/** Index of the first bitmap word with a free slot, or 0. */
export function openWord(words: Int32Array, d: number): number {
  for (let w = d + BITS; w < d + PAGE_WORDS; w += 1) if (words[w] !== 0) return w;
  return 0;
}

export function classAt(s: number, n: number): number {
  return s + SLAB.classes + n * SLAB_CLASS.words;
}

/** Puts a page first in the list of its class. */
export function listPage(words: Int32Array, c: number, d: number): void {
  let first = words[c + NEXT];
  if (words[first + PREVIOUS] !== c) first = words[c + PREVIOUS] = c;
  words[d + NEXT] = first;
  words[d + PREVIOUS] = c;
  words[first + PREVIOUS] = d;
  words[c + NEXT] = d;
}

/** Takes a page out of its list; where its links lie it only says that it is in none. */
export function unlistPage(words: Int32Array, d: number): void {
  const next = words[d + NEXT];
  const previous = words[d + PREVIOUS];
  words[d + NEXT] = 0;
  if (next === 0 || words[next + PREVIOUS] !== d || words[previous + NEXT] !== d) return;
  words[previous + NEXT] = next;
  words[next + PREVIOUS] = previous;
}

export function isSpan(words: Int32Array, s: number, span: number): boolean {
  const number = span / SPAN_WORDS;
  return ((words[s + SLAB.spanBits + (number >>> 5)] >>> number) & 1) !== 0;
}

/** No page of the class is in use any more, as far as it knows. */
export function resetClass(words: Int32Array, s: number, c: number): void {
  words[c + CURRENT] = s + SLAB.none;
  words[c + BASE] = 0;
  words[c + NEXT] = c;
  words[c + PREVIOUS] = c;
}

export function resetClasses(words: Int32Array, s: number): void {
  for (let n = 0; n <= SLAB_CLASSES; n += 1) resetClass(words, s, classAt(s, n));
  resetSpans(words, s);
}

/** A span that has free pages again comes first. */
export function listSpan(words: Int32Array, s: number, span: number): void {
  if (words[words[s + SENTINEL + SPAN_NEXT] + SPAN_PREVIOUS] !== s + SENTINEL) resetSpans(words, s);
  const first = words[s + SENTINEL + SPAN_NEXT];
  words[span + SPAN_NEXT] = first;
  words[span + SPAN_PREVIOUS] = s + SENTINEL;
  words[first + SPAN_PREVIOUS] = span;
  words[s + SENTINEL + SPAN_NEXT] = span;
}

function unlistSpan(words: Int32Array, span: number): void {
  const next = words[span + SPAN_NEXT];
  const previous = words[span + SPAN_PREVIOUS];
  if (words[next + SPAN_PREVIOUS] !== span || words[previous + SPAN_NEXT] !== span) return;
  words[previous + SPAN_NEXT] = next;
  words[next + SPAN_PREVIOUS] = previous;
}

/** The span after this one in the list of those with free pages, 0 = none; of 0: the first. */
export function nextSpan(words: Int32Array, s: number, span: number): number {
  const next = words[(span === 0 ? s + SENTINEL : span) + SPAN_NEXT];
  return next === s + SENTINEL ? 0 : next;
}

/** A page for class `n`, all free and listed; 0 = no space. */
export function takePage(words: Int32Array, s: number, large: Blocks, n: number): number {
  let span = nextSpan(words, s, 0);
  if (span !== 0 && !isFree(words, s, span)) {
    resetSpans(words, s);
    span = 0;
  }
  if (span === 0) {
    sweepClasses(words, s, large);
    span = nextSpan(words, s, 0) || takeSpan(words, s, large);
    if (span === 0) return 0;
  }
  const free = words[span + FREE];
  const page = 31 - Math.clz32(free & -free);
  words[span + FREE] = free & (free - 1);
  if ((free & (free - 1)) === 0) unlistSpan(words, span);
  const d = span + PAGES + page * PAGE_WORDS;
  layPage(words, d, KINDS[2 * n + Number(page === SPAN_PAGES - 1)]);
  listPage(words, classAt(s, n), d);
  return d;
}

/** Bitmap before kind: a page that has one is whole. */
function layPage(words: Int32Array, d: number, kind: number): void {
  const slots = (kind >>> SLOTS_SHIFT) & SLOTS_MASK;
  for (let i = 0; i < BIT_WORDS; i += 1) words[d + BITS + i] = allFree(slots, i);
  words[d + KIND] = kind;
}

/** Is this the first span of a list that can be believed? */
function isFree(words: Int32Array, s: number, span: number): boolean {
  return span > 0 && span % SPAN_WORDS === 0 && isSpan(words, s, span)
    && words[span + SPAN_PREVIOUS] === s + SENTINEL && (words[span + FREE] & ALL_PAGES) !== 0;
}

function resetSpans(words: Int32Array, s: number): void {
  words[s + SENTINEL + SPAN_NEXT] = s + SENTINEL;
  words[s + SENTINEL + SPAN_PREVIOUS] = s + SENTINEL;
}

/**
 * A block of `large` becomes a span: its tables, then its bit. A live block of exactly this size
 * without the bit is the rest of a call that was cut short: no other block has it.
 */
function takeSpan(words: Int32Array, s: number, large: Blocks): number {
  const granule = large.align(SPAN_BYTES, SPAN_BYTES);
  if (granule === 0) return 0;
  const span = granule << 2;
  for (let page = 0; page < SPAN_PAGES; page += 1) words[span + PAGES + page * PAGE_WORDS] = 0;
  words[span + FREE] = ALL_PAGES;
  const number = span / SPAN_WORDS;
  words[s + SLAB.spanBits + (number >>> 5)] |= 1 << number;
  listSpan(words, s, span);
  return span;
}

/** An empty page goes back to its span, and an empty span to `large` if there is another. */
export function givePage(words: Int32Array, s: number, large: Blocks, d: number): void {
  unlistPage(words, d);
  words[d + KIND] = 0;
  const span = spanOf(d);
  const free = words[span + FREE];
  words[span + FREE] = free | (1 << pageIn(d));
  if (free === 0) listSpan(words, s, span);
  const isOther = nextSpan(words, s, 0) !== span || nextSpan(words, s, span) !== 0;
  if (words[span + FREE] === ALL_PAGES && isOther) giveSpan(words, s, large, span);
}

/** The bit goes first: from then on it is nobody's. */
function giveSpan(words: Int32Array, s: number, large: Blocks, span: number): void {
  unlistSpan(words, span);
  const number = span / SPAN_WORDS;
  words[s + SLAB.spanBits + (number >>> 5)] &= ~(1 << number);
  large.free(span >>> 2);
}

/** Empty pages that are kept because their class uses them go back. */
export function sweepClasses(words: Int32Array, s: number, large: Blocks): void {
  for (let n = 1; n <= SLAB_CLASSES; n += 1) {
    const c = classAt(s, n);
    const d = pageOfWord(words, s, words[c + CURRENT]);
    if (d === 0 || (words[d + KIND] & CLASS_MASK) !== n || !isEmptyPage(words, d)) continue;
    words[c + CURRENT] = s + SLAB.none;
    givePage(words, s, large, d);
  }
}

/** Every span without blocks goes back. true = there was one. */
export function giveSpans(words: Int32Array, s: number, large: Blocks): boolean {
  let isAny = false;
  sweepClasses(words, s, large);
  for (let span = nextSpan(words, s, 0); span > 0; ) {
    const next = nextSpan(words, s, span);
    if (words[span + FREE] === ALL_PAGES) {
      giveSpan(words, s, large, span);
      isAny = true;
    }
    span = next;
  }
  return isAny;
}

/** The page that a bitmap word belongs to, or 0. */
export function pageOfWord(words: Int32Array, s: number, w: number): number {
  if (w === s + SLAB.none || w <= 0 || !isSpan(words, s, spanOf(w))) return 0;
  const at = (w & (SPAN_WORDS - 1)) - PAGES;
  if (at < 0 || at >= SPAN_PAGES * PAGE_WORDS || at % PAGE_WORDS < BITS) return 0;
  return w - (at % PAGE_WORDS);
}
