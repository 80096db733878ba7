/**
 * Checks every invariant of `slab` (slab.ts, S1–S9) over arbitrary bytes, after those of `best`:
 * reads only, loops are bounded by the number of pages, at most LIMIT findings.
 */
import {
  GRANULE,
  SLAB,
  SLAB_CLASS,
  SLAB_CLASSES,
  SLAB_HIDDEN,
  SLAB_MAGIC,
  SLAB_PAGE,
  SLAB_SPAN,
} from '../layout.ts';
import type { Blocks, Finding } from '../types.ts';
import { isGuarded } from './slab-hidden.ts';
import {
  classAt,
  classOf,
  firstGranule,
  isSpan,
  nextSpan,
  pageOf,
  pageOfWord,
  SPAN_BYTES,
  spanOf,
} from './slab-pages.ts';
import { isHeld, isSoundPage, isSpanAt, spansOf, strayWord } from './slab-rebuild.ts';

const { kind: KIND, next: NEXT, previous: PREVIOUS, bits: BITS } = SLAB_PAGE;
const { free: FREE, previous: SPAN_PREVIOUS } = SLAB_SPAN;
const SPAN_GRANULES = 2 ** SLAB_SPAN.shift;
const PAGE_GRANULES = 2 ** SLAB_SPAN.pageShift;
const PAGES = SPAN_GRANULES / PAGE_GRANULES;
const LIMIT = 100;

interface Check {
  readonly words: Int32Array;
  readonly s: number;
  readonly large: Blocks;
  /** Pages and spans that are in a list. */
  readonly listed: Set<number>;
  /** Spans that can be looked into. */
  readonly spans: Set<number>;
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
  if (words[s + SLAB.none] !== 0) found('S1', s >>> 2, 'the word without free slots has some');
  const check: Check = { words, s, large, listed: new Set(), spans: new Set(), found };
  checkSpanBits(check);
  for (let n = 0; n <= SLAB_CLASSES; n += 1) checkClass(check, n);
  checkSpanList(check);
  for (const span of check.spans) checkSpan(check, span);
  checkHidden(check);
}

function checkSpanBits({ words, s, large, spans, found }: Check): void {
  for (const span of spansOf(words, s)) {
    if (large.sizeOf(span) === SPAN_BYTES) spans.add(span);
    else found('S2', span, 'a span is no block of best, or one of another size');
  }
  large.walk((granule, bytes, busy) => {
    if (busy && bytes === SPAN_BYTES && !isSpanAt(words, s, granule)) {
      found('S2', granule, 'a block of the size of a span is none');
    }
    return false;
  });
}

/** A page's back link names the one before it, so that no list can lead in a circle. */
function checkClass(check: Check, n: number): void {
  const { words, s, listed, found } = check;
  const c = classAt(s, n);
  let before = c;
  for (let d = words[c + NEXT]; d !== c; d = words[d + NEXT]) {
    if (!isPage(check, d) || words[d + PREVIOUS] !== before) {
      found('S5', before >>> 2, `class ${n}: a link leads to word ${d}`);
      return;
    }
    if (classOf(words[d + KIND]) !== n) {
      found('S5', firstGranule(d), `class ${n} lists a page of class ${classOf(words[d + KIND])}`);
      return;
    }
    listed.add(d);
    before = d;
  }
  if (words[c + PREVIOUS] !== before) found('S5', c >>> 2, `class ${n}: the last is another page`);
  checkCurrent(check, n, c);
}

function checkCurrent({ words, s, found }: Check, n: number, c: number): void {
  const w = words[c + SLAB_CLASS.current];
  if (w === s + SLAB.none) return;
  const d = pageOfWord(words, s, w);
  if (d === 0 || classOf(words[d + KIND]) !== n) {
    found('S7', c >>> 2, `class ${n} uses word ${w}, which is not of a page of it`);
  } else if (words[c + SLAB_CLASS.base] !== firstGranule(d) + (w - d - BITS) * 32 * n) {
    found('S7', c >>> 2, `class ${n}: the base is ${words[c + SLAB_CLASS.base]}`);
  }
}

/** May the table of a page be at this word? */
function isPage({ words, s }: Check, d: number): boolean {
  return d > 0 && pageOfWord(words, s, d + BITS) === d;
}

function checkSpanList(check: Check): void {
  const { words, s, spans, listed, found } = check;
  let before = s + SLAB.spans - FREE;
  for (let span = nextSpan(words, s, 0); span !== 0; span = nextSpan(words, s, span)) {
    if (span < 0 || spanOf(span) !== span || !spans.has(span >>> 2)
      || words[span + SPAN_PREVIOUS] !== before) {
      found('S8', before >>> 2, `the list of spans leads to word ${span}`);
      return;
    }
    listed.add(span);
    before = span;
  }
}

function checkSpan(check: Check, span: number): void {
  const { words, listed, found } = check;
  let free = 0;
  for (let page = 0; page < PAGES; page += 1) {
    const d = pageOf(span + page * PAGE_GRANULES);
    if (words[d + KIND] === 0) free |= 1 << page;
    else checkPage(check, d);
  }
  const said = words[(span << 2) + FREE];
  if (said !== free) found('S8', span, `the span says its free pages are ${said}, not ${free}`);
  if (listed.has(span << 2) !== (free !== 0)) {
    found('S8', span, free === 0 ? 'listed without free pages' : 'not listed, with free pages');
  }
}

function checkPage(check: Check, d: number): void {
  const { words, s, listed, found } = check;
  const granule = firstGranule(d);
  if (!isSoundPage(words, d)) {
    found('S3', granule, `no page is of kind ${words[d + KIND]}`);
    return;
  }
  const stray = strayWord(words, d);
  if (stray !== 0) found('S4', granule, `bits for no slot in word ${stray}`);
  if (listed.has(d) !== (words[d + NEXT] !== 0)) {
    found('S5', granule, 'the page says it is listed, or not, and is mistaken');
  }
  if (!listed.has(d) && hasOther(check, d)) {
    found('S6', granule, 'a page with free slots is not listed');
  }
  const isWanted = hidden(words, s).some((place) => place > 0 && pageOf(place) === d);
  if (isGuarded(words[d + KIND]) !== isWanted) {
    found('S3', granule, 'the page says that blocks in it are hidden, or not, and is mistaken');
  }
}

/** Has the page a free slot outside of the word that its class uses? */
function hasOther({ words, s }: Check, d: number): boolean {
  const current = words[classAt(s, classOf(words[d + KIND])) + SLAB_CLASS.current];
  for (let w = d + BITS; w < d + SLAB_PAGE.words; w += 1) {
    if (w !== current && words[w] !== 0) return true;
  }
  return false;
}

function hidden(words: Int32Array, s: number): number[] {
  return [...words.subarray(s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN)];
}

function checkHidden({ words, s, found }: Check): void {
  const places = hidden(words, s);
  const listed = places.indexOf(0) < 0 ? SLAB_HIDDEN : places.indexOf(0);
  if (places.slice(listed).some((place) => place !== 0)) {
    found('S9', s >>> 2, `a gap behind ${listed} hidden blocks`);
  }
  for (const [i, place] of places.slice(0, listed).entries()) {
    const isBlock = place > 0 && isSpan(words, s, (place & -SPAN_GRANULES) << 2)
      && isHeld(words, place);
    if (!isBlock || places.indexOf(place) !== i) {
      found('S9', place > 0 ? place : s >>> 2, `${place} is no hidden block, or listed twice`);
    }
  }
}
