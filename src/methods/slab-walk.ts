/**
 * What is in a heap of `slab`: the blocks of `best` in address order, and instead of each span what
 * is in its pages. A free slot and a row of free pages show as free blocks; hidden blocks do not
 * show.
 */
import { GRANULE, GRANULES_PER_PAGE } from '../layout.ts';
import type { Blocks } from '../types.ts';
import {
  bitWord,
  classAt,
  isInSpan,
  isLive,
  pagesOf,
  roomOf,
  SPAN_GRANULES,
  visibleStarts,
} from './slab-pages.ts';

export type Visit = (granule: number, bytes: number, busy: boolean) => boolean;

/** Is a block of `best` that starts here a span? */
export function isSpanAt(words: Int32Array, s: number, granule: number): boolean {
  return granule % SPAN_GRANULES === 0 && isInSpan(words, s, granule);
}

export function walkSlab(words: Int32Array, s: number, large: Blocks, visit: Visit): void {
  large.walk((granule, bytes, busy) => (busy && isSpanAt(words, s, granule)
    ? walkSpan(words, s, granule, visit)
    : visit(granule, bytes, busy)));
}

/** true = the visitor wants no more. */
function walkSpan(words: Int32Array, s: number, span: number, visit: Visit): boolean {
  let free = 0;
  let from = span;
  for (const page of pagesOf(span).reverse()) {
    if (classAt(words, page) === 0) {
      if (free === 0) from = page;
      free += roomOf(page);
      continue;
    }
    if (free > 0 && visit(from, free * GRANULE, false)) return true;
    free = 0;
    if (walkPage(words, s, page, visit)) return true;
  }
  return free > 0 && visit(from, free * GRANULE, false);
}

function walkPage(words: Int32Array, s: number, page: number, visit: Visit): boolean {
  const bytes = classAt(words, page) * GRANULE;
  for (let from = page; from < page + GRANULES_PER_PAGE; from += 32) {
    const live = words[bitWord(from)];
    let left = visibleStarts(words, s, from);
    while (left !== 0) {
      const at = Math.clz32(left);
      left ^= 1 << ~at;
      if (visit(from + at, bytes, (live & (1 << ~at)) !== 0)) return true;
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
  if (!isInSpan(words, s, granule)) return large.startOf(granule);
  const n = classAt(words, granule);
  const start = n === 0 ? 0 : granule - ((granule & (GRANULES_PER_PAGE - 1)) % n);
  return n > 0 && isLive(words, start) ? start : 0;
}
