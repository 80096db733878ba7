/**
 * Tables of `slab` on the move. They are blocks of `best` like others, and would keep the end of an
 * arena in use for ever: so each goes where there is room before it when the arena is trimmed.
 */
import { SLAB, SLAB_CLASSES, SLAB_HEAD, SLAB_TABLE } from '../layout.ts';
import type { Blocks } from '../types.ts';
import { chunksOf, groupWord, headOf, TABLE_BYTES, tableAt, tableOf } from './slab-pages.ts';

/** Places behind a table that are offered for it before it stays where it is. */
const MOST_REFUSED = 256;

interface Table {
  readonly chunk: number;
  /** Its first granule. */
  readonly at: number;
}

/**
 * The highest first. No table may be sealed. Order of writes: the copy is complete before the one
 * store that names it in the directory; where that is the last one, the other is the rest of a call
 * that was cut short.
 */
export function lowerTables(words: Int32Array, s: number, large: Blocks): void {
  // Holes that are no use, and those of tables that moved: they would be offered again.
  const kept: number[] = [];
  let refused = 0;
  let room = 0;
  for (const { chunk, at } of tablesIn(words, s)) {
    let to = 0;
    while (to === 0 && refused < MOST_REFUSED) {
      room = roomFrom(large, room, at);
      const found = room === 0 ? 0 : large.alloc(TABLE_BYTES);
      if (found === 0) break;
      if (found < at) to = found;
      else {
        kept.push(found);
        refused += 1;
      }
    }
    if (to === 0) break;
    move(words, s, chunk, to);
    kept.push(at);
  }
  for (const granule of kept) large.free(granule);
}

function tablesIn(words: Int32Array, s: number): Table[] {
  const tables: Table[] = [];
  for (let chunk = chunksOf(words) - 1; chunk >= 0; chunk -= 1) {
    const table = tableOf(words, s, chunk);
    if (table !== 0) tables.push({ chunk, at: table >>> 2 });
  }
  return tables.sort((a, b) => b.at - a.at);
}

/** The first free block at or behind `from` that a table fits in and that lies before `end`; 0. */
function roomFrom(large: Blocks, from: number, end: number): number {
  let room = 0;
  large.walk((granule, bytes, busy) => {
    if (granule >= end) return true;
    if (!busy && bytes >= TABLE_BYTES) room = granule;
    return room !== 0;
  }, from);
  return room;
}

/** Lists lead to words of tables, and go on at granules. */
function move(words: Int32Array, s: number, chunk: number, to: number): void {
  const from = tableOf(words, s, chunk);
  words.copyWithin(to << 2, from, from + SLAB_TABLE.words);
  words[s + SLAB.directory + chunk] = to << 2;
  for (let n = 1; n <= SLAB_CLASSES; n += 1) {
    const head = headOf(s, n);
    const last = words[head + SLAB_HEAD.last];
    if (last === 0 || last >>> SLAB_TABLE.shift !== chunk) continue;
    words[head + SLAB_HEAD.word] = groupWord(tableAt(words, s, last), last);
  }
}
