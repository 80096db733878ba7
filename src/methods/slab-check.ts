/**
 * Checks every invariant of `slab` (slab.ts, S1–S8) over arbitrary bytes, after those of `best`:
 * reads only, loops are bounded by the number of blocks, at most LIMIT findings.
 */
import { GRANULE, SLAB, SLAB_CLASSES, SLAB_GROUP, SLAB_HEAD, SLAB_HIDDEN, SLAB_MAGIC, SLAB_TABLE }
  from '../layout.ts';
import type { Blocks, Finding } from '../types.ts';
import { tellWork, TOLD_GRANULES } from '../work.ts';
import { GranuleSet } from './granule-set.ts';
import {
  chunksOf,
  classAt,
  eachPage,
  GROUP_GRANULES,
  groupWord,
  hasEmptyPage,
  headOf,
  isGuarded,
  isSoundKind,
  isStart,
  kindWord,
  PAGE_BYTES,
  PAGE_GRANULES,
  tableAt,
  tableOf,
} from './slab-pages.ts';
import { isRemains, isTableBlock, strayBit } from './slab-rebuild.ts';

const LIMIT = 100;

interface Check {
  readonly words: Int32Array;
  readonly s: number;
  readonly large: Blocks;
  /** Groups with free blocks that no list was seen to lead to yet, by their last granule. */
  readonly free: GranuleSet;
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
  const free = new GranuleSet(chunksOf(words) << SLAB_TABLE.shift);
  const check: Check = { words, s, large, free, found };
  for (let chunk = chunksOf(words) - 1; chunk >= 0; chunk -= 1) {
    if (!checkTable(check, chunk)) return;
  }
  checkRemains(check);
  const pages = checkPages(check);
  for (let n = 0; n <= SLAB_CLASSES; n += 1) checkList(check, n);
  for (const last of check.free) {
    found('S6', last - GROUP_GRANULES + 1, 'a group with free blocks is in no list');
  }
  checkCounts(check, pages);
  checkHidden(check);
}

/** false = nothing more can be said. */
function checkTable({ words, s, large, found }: Check, chunk: number): boolean {
  const table = tableOf(words, s, chunk);
  if (table === 0) return true;
  const first = chunk << SLAB_TABLE.shift;
  if (!isTableBlock(large, table) || words[table + SLAB_TABLE.chunk] !== chunk) {
    found('S2', first, `its table is said to be at word ${table}, where it is not`);
    return false;
  }
  const isSealed = words[s + SLAB.directory + chunk] < 0;
  if (isSealed !== (words[s + SLAB.sealed] !== 0)) {
    found('S7', first, 'its table is sealed, or not, and the others are not so');
  }
  const stray = strayBit(words, table, chunk);
  if (stray >= 0) found('S4', stray, 'a bit is set where no block can start');
  return true;
}

function checkRemains({ words, s, large, found }: Check): void {
  large.walk((granule, bytes, busy) => {
    if (busy && isRemains(words, s, granule, bytes)) {
      found('S2', granule, 'a block of the size of a page or a table is none');
    }
    return false;
  });
}

function checkPages(check: Check): number {
  const { words, s, large, found } = check;
  let pages = 0;
  // From the highest page down.
  let all = 0;
  let due = Infinity;
  eachPage(words, s, (page, table) => {
    const kind = words[kindWord(table, page)];
    pages += 1;
    all ||= page + PAGE_GRANULES;
    if (page < due) {
      tellWork('checking pages of blocks', (all - page) * GRANULE, all * GRANULE);
      due = page - TOLD_GRANULES;
    }
    if (!isSoundKind(kind)) found('S3', page, `no page is of kind ${kind}`);
    else if (large.sizeOf(page) !== PAGE_BYTES) found('S3', page, 'no block of best is this page');
    else checkPage(check, page, table);
    return false;
  });
  return pages;
}

function checkPage({ words, s, free, found }: Check, page: number, table: number): void {
  const kind = words[kindWord(table, page)];
  const isWanted = hiddenOf(words, s).some((place) => place - (place & (PAGE_GRANULES - 1))
    === page);
  if (isGuarded(kind) !== isWanted) {
    found('S3', page, 'the page says that blocks in it are hidden, or not, and is mistaken');
  }
  for (let at = page; at < page + PAGE_GRANULES; at += GROUP_GRANULES) {
    if (words[groupWord(table, at)] !== 0) free.add(at + GROUP_GRANULES - 1);
  }
}

/** Every group is taken out of `free` when it is met, so that no list can lead in a circle. */
function checkList({ words, s, free, found }: Check, n: number): void {
  const head = headOf(s, n);
  const first = words[head + SLAB_HEAD.last];
  const word = first === 0 ? 0 : groupWord(tableAt(words, s, first), first);
  if (words[head + SLAB_HEAD.word] !== word) {
    found('S5', s >>> 2, `class ${n}: its first group is at word ${word}, which is not said`);
  }
  let before = s >>> 2;
  for (let last = first; last !== 0; ) {
    if (!free.delete(last) || classAt(words, s, last) !== n) {
      found('S5', before, `class ${n}: its list leads to ${last}, no group with free blocks of it`);
      return;
    }
    before = last - GROUP_GRANULES + 1;
    last = words[groupWord(tableAt(words, s, last), last) + SLAB_GROUP.next];
  }
}

function checkCounts({ words, s, found }: Check, pages: number): void {
  const said = words[s + SLAB.pages];
  if (said !== pages) found('S7', s >>> 2, `${pages} pages, not ${said}`);
  if (words[s + SLAB.sealed] !== 0 && hasEmptyPage(words, s)) {
    found('S7', s >>> 2, 'it is sealed, but a page is empty');
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
    const isBlock = place > 0 && isStart(words, s, place) && !isFree(words, s, place);
    if (!isBlock || places.indexOf(place) !== i) {
      found('S8', place > 0 ? place : s >>> 2, `${place} is no hidden block, or listed twice`);
    }
  }
}

function isFree(words: Int32Array, s: number, granule: number): boolean {
  return (words[groupWord(tableAt(words, s, granule), granule)] & (1 << granule)) !== 0;
}
