/**
 * Derives the lists of `slab` again from the ground truth, and clears it. The ground truth is
 * judged first; nothing of slab's is written when it is damaged.
 */
import { SLAB, SLAB_HIDDEN, SLAB_KIND, SLAB_MAGIC } from '../layout.ts';
import type { Blocks } from '../types.ts';
import {
  BIT_WORDS,
  bitWord,
  isInSpan,
  isSoundKind,
  kindWord,
  pagesOf,
  relist,
  SPAN_BYTES,
  spansOf,
  startsAt,
} from './slab-pages.ts';
import { isSpanAt } from './slab-walk.ts';

/** Index of the first bitmap word of a page with bits where no block can start, or 0. */
export function strayWord(words: Int32Array, page: number): number {
  for (let i = 0; i < BIT_WORDS; i += 1) {
    const from = page + 32 * i;
    if ((words[bitWord(from)] & ~startsAt(words, from)) !== 0) return bitWord(from);
  }
  return 0;
}

/** Can a block start at this granule of a span? */
export function isStart(words: Int32Array, granule: number): boolean {
  return (startsAt(words, granule) & (1 << ~granule)) !== 0;
}

export function rebuildSlab(words: Int32Array, s: number, large: Blocks): boolean {
  if (words[s + SLAB.magic] !== SLAB_MAGIC || !large.rebuild()) return false;
  const spans = spansOf(words, s);
  if (!spans.every((span) => isSoundSpan(words, large, span))) return false;
  const hidden = hiddenIn(words, s);
  if (hidden === null) return false;
  words.fill(0, s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN);
  words.set(hidden, s + SLAB.hidden);
  for (const span of spans) {
    for (const page of pagesOf(span)) words[kindWord(page)] &= ~SLAB_KIND.guarded;
  }
  for (const granule of hidden) guard(words, granule);
  relist(words, s, large, 1);
  freeRemains(words, s, large);
  return true;
}

/** What is listed as hidden is not live, and its page says that it holds some. */
export function guard(words: Int32Array, granule: number): void {
  words[kindWord(granule)] |= SLAB_KIND.guarded;
  words[bitWord(granule)] &= ~(1 << ~granule);
}

function isSoundSpan(words: Int32Array, large: Blocks, span: number): boolean {
  return large.sizeOf(span) === SPAN_BYTES && pagesOf(span).every((page) =>
    isSoundKind(words, page) && strayWord(words, page) === 0);
}

/** The hidden blocks; a killed `clear` may have left some that are gone. null = damaged. */
function hiddenIn(words: Int32Array, s: number): number[] | null {
  const listed = [...words.subarray(s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN)];
  const held = listed.filter((granule) => granule > 0 && isInSpan(words, s, granule));
  return held.every((granule) => isStart(words, granule)) ? held : null;
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

/** Spans first: from then on all in them is free. */
export function clearSlab(words: Int32Array, s: number, large: Blocks): void {
  words.fill(0, s + SLAB.spanBits, s + SLAB.words);
  words.fill(0, s + SLAB.open, s + SLAB.spanBits);
  large.clear();
}
