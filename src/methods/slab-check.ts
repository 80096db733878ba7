/**
 * Checks every invariant of `slab` (slab.ts, S1–S8) over arbitrary bytes, after those of `best`:
 * reads only, loops are bounded by the number of blocks, at most LIMIT findings.
 */
import { GRANULE, GRANULES_PER_PAGE, SLAB, SLAB_CLASSES, SLAB_FREE, SLAB_HIDDEN, SLAB_MAGIC,
  SLAB_SPAN } from '../layout.ts';
import type { Blocks, Finding } from '../types.ts';
import {
  bitWord,
  classAt,
  freePages,
  isGuarded,
  isInSpan,
  isLive,
  isSoundKind,
  kindWord,
  pagesOf,
  SPAN_BYTES,
  spansOf,
  visibleStarts,
} from './slab-pages.ts';
import { isStart, strayWord } from './slab-rebuild.ts';
import { isSpanAt } from './slab-walk.ts';

const LIMIT = 100;

interface Check {
  readonly words: Int32Array;
  readonly s: number;
  readonly large: Blocks;
  /** Spans that can be looked into, highest first. */
  readonly spans: number[];
  /** Free blocks that no list was seen to hold yet. */
  readonly free: Set<number>;
  readonly found: (id: string, granule: number, detail: string) => void;
}

export function checkSlab(
  words: Int32Array,
  s: number,
  large: Blocks,
  report: (finding: Finding) => void,
): void {
  let count = 0;
  const limited = (finding: Finding): void => {
    count += 1;
    if (count <= LIMIT) report(finding);
  };
  const found: Check['found'] = (id, granule, detail) =>
    limited({ id, address: granule * GRANULE, detail });
  if (words[s + SLAB.magic] !== SLAB_MAGIC) {
    found('S1', s >>> 2, 'this is not a heap of method slab');
    return;
  }
  large.check(limited);
  const check: Check = { words, s, large, spans: [], free: new Set(), found };
  checkSpanBits(check);
  for (const span of check.spans) for (const page of pagesOf(span)) checkPage(check, page);
  for (let n = 0; n <= SLAB_CLASSES; n += 1) checkList(check, n);
  for (const granule of check.free) found('S6', granule, 'a free block is in no list');
  checkOpenSpans(check);
  checkHidden(check);
}

function checkSpanBits({ words, s, large, spans, found }: Check): void {
  for (const span of spansOf(words, s)) {
    if (large.sizeOf(span) === SPAN_BYTES) spans.push(span);
    else found('S2', span, 'a span is no block of best, or one of another size');
  }
  large.walk((granule, bytes, busy) => {
    if (busy && bytes === SPAN_BYTES && !isSpanAt(words, s, granule)) {
      found('S2', granule, 'a block of the size of a span is none');
    }
    return false;
  });
}

function checkPage({ words, s, free, found }: Check, page: number): void {
  if (!isSoundKind(words, page)) {
    found('S3', page, `no page is of kind ${words[kindWord(page)]}`);
    return;
  }
  const isWanted = hiddenOf(words, s).some((place) => Math.floor(place / GRANULES_PER_PAGE)
    === page / GRANULES_PER_PAGE);
  if (isGuarded(words, page) !== isWanted) {
    found('S3', page, 'the page says that blocks in it are hidden, or not, and is mistaken');
  }
  const stray = strayWord(words, page);
  if (stray !== 0) found('S4', page, `bits where no block can start, in word ${stray}`);
  for (let from = page; from < page + GRANULES_PER_PAGE; from += 32) {
    let left = visibleStarts(words, s, from) & ~words[bitWord(from)];
    while (left !== 0) {
      const at = Math.clz32(left);
      left ^= 1 << ~at;
      free.add(from + at);
    }
  }
}

/** Every block is taken out of `free` when it is met, so that no list can lead in a circle. */
function checkList({ words, s, free, found }: Check, n: number): void {
  let before = s >>> 2;
  for (let at = words[s + SLAB.heads + n]; at !== 0; ) {
    if (!free.delete(at) || classAt(words, at) !== n) {
      found('S5', before, `class ${n}: its list leads to ${at}, which is no free block of it`);
      return;
    }
    const next = words[(at << 2) + SLAB_FREE.next];
    if (words[(at << 2) + SLAB_FREE.check] !== ~next) {
      found('S5', at, `class ${n}: the block says twice what is next, and not the same`);
      return;
    }
    before = at;
    at = next;
  }
}

function checkOpenSpans({ words, s, spans, found }: Check): void {
  const open = new Set(spans.filter((span) => freePages(words, span) !== 0));
  for (let w = words[s + SLAB.open]; w !== 0; w = words[w + SLAB_SPAN.next]) {
    if (w % 4 !== 0 || !open.delete(w >>> 2)) {
      found('S7', s >>> 2, `the list of spans with free pages leads to word ${w}`);
      return;
    }
    const [said, free] = [words[w + SLAB_SPAN.free], freePages(words, w >>> 2)];
    if (said !== free) found('S7', w >>> 2, `its free pages are ${free}, not ${said}`);
  }
  for (const span of open) found('S7', span, 'a span with free pages is not listed');
  if (words[s + SLAB.spans] !== spans.length) {
    found('S7', s >>> 2, `${spans.length} spans, not ${words[s + SLAB.spans]}`);
  }
}

function hiddenOf(words: Int32Array, s: number): number[] {
  return [...words.subarray(s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN)];
}

function checkHidden({ words, s, found }: Check): void {
  const places = hiddenOf(words, s);
  const count = places.indexOf(0) < 0 ? SLAB_HIDDEN : places.indexOf(0);
  if (places.slice(count).some((place) => place !== 0)) {
    found('S8', s >>> 2, `a gap behind ${count} hidden blocks`);
  }
  for (const [i, place] of places.slice(0, count).entries()) {
    const isBlock = place > 0 && isInSpan(words, s, place) && isStart(words, place)
      && !isLive(words, place);
    if (!isBlock || places.indexOf(place) !== i) {
      found('S8', place > 0 ? place : s >>> 2, `${place} is no hidden block, or listed twice`);
    }
  }
}
