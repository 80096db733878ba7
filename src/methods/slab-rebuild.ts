/**
 * Derives the lists of `slab` again from the ground truth, and clears it. The ground truth is
 * judged first; nothing of slab's is written when it is damaged.
 */
import {
  SLAB,
  SLAB_CLASSES,
  SLAB_HIDDEN,
  SLAB_MAGIC,
  SLAB_PAGE,
  SLAB_SPAN,
} from '../layout.ts';
import type { Blocks } from '../types.ts';
import { guard, guardedKind } from './slab-hidden.ts';
import {
  allFree,
  classAt,
  classOf,
  firstGranule,
  isEmptyPage,
  isFreeSlot,
  isSpan,
  listPage,
  listSpan,
  openKind,
  openWord,
  pageOf,
  resetClasses,
  SPAN_BYTES,
  slotsOf,
} from './slab-pages.ts';

const { kind: KIND, next: NEXT, bits: BITS } = SLAB_PAGE;
const SPAN_GRANULES = 2 ** SLAB_SPAN.shift;
const PAGE_GRANULES = 2 ** SLAB_SPAN.pageShift;
const PAGES = SPAN_GRANULES / PAGE_GRANULES;
const SPAN_COUNT = (SLAB.words - SLAB.spanBits) * 32;

/** First granules of the spans, highest first. */
export function spansOf(words: Int32Array, s: number): number[] {
  const found: number[] = [];
  for (let number = SPAN_COUNT - 1; number >= 0; number -= 1) {
    const granule = number * SPAN_GRANULES;
    if (isSpan(words, s, granule << 2)) found.push(granule);
    else if (words[s + SLAB.spanBits + (number >>> 5)] === 0) number &= ~31;
  }
  return found;
}

/** Is the page free, or one of a class with bits for its slots only? */
export function isSoundPage(words: Int32Array, d: number): boolean {
  const kind = words[d + KIND];
  if (kind === 0) return true;
  const n = classOf(kind);
  if (n < 1 || n > SLAB_CLASSES) return false;
  return kind === openKind(words, d) || kind === guardedKind(words, d);
}

/** Index of the first bitmap word with bits that stand for no slot, or 0. */
export function strayWord(words: Int32Array, d: number): number {
  const slots = slotsOf(words, d);
  for (let i = 0; i < SLAB_PAGE.words - BITS; i += 1) {
    if ((words[d + BITS + i] & ~allFree(slots, i)) !== 0) return d + BITS + i;
  }
  return 0;
}

/** Is this hidden place a slot that is not free? */
export function isHeld(words: Int32Array, granule: number): boolean {
  const d = pageOf(granule);
  const slot = (granule - firstGranule(d)) / classOf(words[d + KIND]);
  if (!Number.isInteger(slot) || slot >= slotsOf(words, d)) return false;
  return !isFreeSlot(words, d, slot);
}

export function rebuildSlab(words: Int32Array, s: number, large: Blocks): boolean {
  if (words[s + SLAB.magic] !== SLAB_MAGIC || !large.rebuild()) return false;
  const spans = spansOf(words, s);
  if (!spans.every((span) => isSoundSpan(words, large, span))) return false;
  const hidden = hiddenIn(words, s);
  if (hidden === null) return false;
  words[s + SLAB.none] = 0;
  words.fill(0, s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN);
  words.set(hidden, s + SLAB.hidden);
  resetClasses(words, s);
  for (const span of spans) relist(words, s, span);
  for (const granule of hidden) guard(words, pageOf(granule));
  freeRemains(words, s, large);
  return true;
}

function isSoundSpan(words: Int32Array, large: Blocks, span: number): boolean {
  if (large.sizeOf(span) !== SPAN_BYTES) return false;
  for (let page = 0; page < PAGES; page += 1) {
    const d = pageOf(span + page * PAGE_GRANULES);
    if (!isSoundPage(words, d)) return false;
    if (words[d + KIND] !== 0 && strayWord(words, d) !== 0) return false;
  }
  return true;
}

/** The hidden blocks; a killed `clear` may have left some that are gone. null = damaged. */
function hiddenIn(words: Int32Array, s: number): number[] | null {
  const listed = [...words.subarray(s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN)];
  const held = listed.filter((granule) =>
    granule > 0 && isSpan(words, s, (granule & -SPAN_GRANULES) << 2));
  return held.every((granule) => isHeld(words, granule)) ? held : null;
}

function relist(words: Int32Array, s: number, span: number): void {
  let free = 0;
  for (let page = PAGES - 1; page >= 0; page -= 1) {
    const d = pageOf(span + page * PAGE_GRANULES);
    if (words[d + KIND] !== 0 && isEmptyPage(words, d)) words[d + KIND] = 0;
    words[d + NEXT] = 0;
    if (words[d + KIND] === 0) free |= 1 << page;
    else {
      words[d + KIND] = openKind(words, d);
      if (openWord(words, d) !== 0) listPage(words, classAt(s, classOf(words[d + KIND])), d);
    }
  }
  words[(span << 2) + SLAB_SPAN.free] = free;
  if (free !== 0) listSpan(words, s, span << 2);
}

/** A killed call may have left a block of the size of a span that is none. */
function freeRemains(words: Int32Array, s: number, large: Blocks): void {
  const remains: number[] = [];
  large.walk((granule, bytes, busy) => {
    if (busy && bytes === SPAN_BYTES && !isSpanAt(words, s, granule)) remains.push(granule);
    return false;
  });
  for (const granule of remains) large.free(granule);
}

/** Is a block of `best` that starts here a span? */
export function isSpanAt(words: Int32Array, s: number, granule: number): boolean {
  return granule % SPAN_GRANULES === 0 && isSpan(words, s, granule << 2);
}

/** Spans first: from then on all in them is free. */
export function clearSlab(words: Int32Array, s: number, large: Blocks): void {
  words.fill(0, s + SLAB.spanBits, s + SLAB.words);
  words.fill(0, s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN);
  words[s + SLAB.none] = 0;
  resetClasses(words, s);
  large.clear();
}
