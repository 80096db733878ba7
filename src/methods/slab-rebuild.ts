/**
 * Derives the lists of `slab` again from the ground truth, and clears it. The ground truth is
 * judged first; nothing of slab's is written when it is damaged.
 */
import { SLAB, SLAB_HIDDEN, SLAB_KIND, SLAB_MAGIC, SLAB_TABLE } from '../layout.ts';
import type { Blocks } from '../types.ts';
import { tellWork } from '../work.ts';
import {
  chunksOf,
  classAt,
  eachPage,
  GROUP_GRANULES,
  groupWord,
  isSoundKind,
  isStart,
  isTable,
  kindWord,
  PAGE_BYTES,
  PAGE_GRANULES,
  relist,
  startsOf,
  TABLE_BYTES,
  tableAt,
  tableOf,
  unseal,
} from './slab-pages.ts';

/** The first group of a chunk in a page with a bit where no block can start; -1 = none. */
export function strayBit(words: Int32Array, table: number, chunk: number): number {
  const first = chunk << SLAB_TABLE.shift;
  for (let at = first; at < first + (1 << SLAB_TABLE.shift); at += GROUP_GRANULES) {
    const kind = words[kindWord(table, at)];
    if (kind !== 0 && (words[groupWord(table, at)] & ~startsOf(kind, at)) !== 0) return at;
  }
  return -1;
}

/** Is there a live block of `best` of the size of a table? */
export function isTableBlock(large: Blocks, table: number): boolean {
  return table % 4 === 0 && large.sizeOf(table >>> 2) === TABLE_BYTES;
}

export function rebuildSlab(words: Int32Array, s: number, large: Blocks): boolean {
  if (words[s + SLAB.magic] !== SLAB_MAGIC || !large.rebuild()) return false;
  const chunks = chunksOf(words);
  for (let chunk = chunks - 1; chunk >= 0; chunk -= 1) {
    tellWork('finding pages of blocks', chunks - chunk, chunks, 'count');
    if (!isSoundChunk(words, s, large, chunk)) return false;
  }
  const hidden = hiddenIn(words, s);
  if (hidden === null) return false;
  words.fill(0, s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN);
  words.set(hidden, s + SLAB.hidden);
  words[s + SLAB.sealed] = 1;
  unseal(words, s);
  eachPage(words, s, (page, table) => {
    words[kindWord(table, page)] &= ~SLAB_KIND.guarded;
    return false;
  });
  for (const granule of hidden) guard(words, s, granule);
  relist(words, s, large);
  freeRemains(words, s, large);
  return true;
}

/** What is listed as hidden is not free, and its page says that it holds some. */
export function guard(words: Int32Array, s: number, granule: number): void {
  const table = tableAt(words, s, granule);
  words[kindWord(table, granule)] |= SLAB_KIND.guarded;
  words[groupWord(table, granule)] &= ~(1 << granule);
}

function isSoundChunk(words: Int32Array, s: number, large: Blocks, chunk: number): boolean {
  const table = tableOf(words, s, chunk);
  if (table === 0) return true;
  if (!isTableBlock(large, table) || words[table + SLAB_TABLE.chunk] !== chunk) return false;
  const first = chunk << SLAB_TABLE.shift;
  for (let page = first; page < first + (1 << SLAB_TABLE.shift); page += PAGE_GRANULES) {
    const kind = words[kindWord(table, page)];
    if (!isSoundKind(kind) || (kind !== 0 && large.sizeOf(page) !== PAGE_BYTES)) return false;
  }
  return strayBit(words, table, chunk) < 0;
}

/** The hidden blocks; a killed `clear` may have left some that are gone. null = damaged. */
function hiddenIn(words: Int32Array, s: number): number[] | null {
  const listed = [...words.subarray(s + SLAB.hidden, s + SLAB.hidden + SLAB_HIDDEN)];
  const held = listed.filter((granule) => granule > 0 && classAt(words, s, granule) !== 0);
  return held.every((granule) => isStart(words, s, granule)) ? held : null;
}

/** A killed call may have left a block of the size of a page or a table that is none. */
function freeRemains(words: Int32Array, s: number, large: Blocks): void {
  const remains: number[] = [];
  large.walk((granule, bytes, busy) => {
    if (busy && isRemains(words, s, granule, bytes)) remains.push(granule);
    return false;
  });
  for (const granule of remains) large.free(granule);
}

/** Has a live block of `best` the size of a page or a table, but is none? */
export function isRemains(words: Int32Array, s: number, granule: number, bytes: number): boolean {
  if (bytes === PAGE_BYTES) return classAt(words, s, granule) === 0;
  return bytes === TABLE_BYTES && !isTable(words, s, granule);
}

/** The directory first: from then on all in pages is free. */
export function clearSlab(words: Int32Array, s: number, large: Blocks): void {
  words.fill(0, s + SLAB.directory, s + SLAB.words);
  words.fill(0, s + SLAB.pages, s + SLAB.directory);
  large.clear();
}
