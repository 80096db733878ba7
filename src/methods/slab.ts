/**
 * slab: size classes without block headers (after Bonwick, The Slab Allocator, USENIX 1994). Blocks
 * of up to 256 bytes lie in pages of 4 KiB that hold blocks of one size, in steps of 16 bytes. A
 * page is divided into groups of 32 granules, with a bit per granule that says whether a free block
 * starts there; a word per page says which size it holds; all of them lie together in the table of
 * a MiB. Larger blocks, the pages and the tables are blocks of `best`, which manages what follows
 * the state of slab.
 *
 * Groups of a class that have free blocks are linked: blocks come from the first one, the lowest
 * first; where a block is freed in a group that had none, that group comes first. So a call touches
 * two or three words, no block, and a list only where a group fills up or no longer is full. Pages
 * that became empty are looked for when there are a thirty-second part more pages than the last
 * time, and before a call fails; all lists are then made again from the bits, the lowest group
 * first. Where none was found the heap is sealed: calls that fail look no more, and `free` looks at
 * its page.
 *
 * Ground truth is `best`'s, the directory of tables, the kinds of pages, the bits and which blocks
 * are hidden; the lists can be derived (`rebuild`). Order of writes, so that this holds at every
 * instant of a shared mapping:
 *   alloc, free   one bit, in one store;
 *   page, table   a live block of `best` of a size that no other block has, its bits, then its kind
 *                 or its place in the directory, in one store; these go first;
 *   hide          the entry among the hidden, whose blocks are neither free nor live.
 *
 * Invariants, reported by `check` (slab-check.ts) beside those of `best`:
 *   S1 the state is sane: its magic is there
 *   S2 the directory names live blocks of `best` of the size of a table, which say whose they are;
 *      each block of that size, or of a page's, is one
 *   S3 a kind is 0, or that of a page; guarded where a hidden block is in it
 *   S4 in pages no bit is set where no block can start
 *   S5 the list of a class leads to groups of that class with free blocks, to each once
 *   S6 every group with free blocks is listed
 *   S7 the number of pages; all tables are sealed or none; while they are no page is empty
 *   S8 hidden blocks are listed without gaps, each once, where blocks can start, not free
 */
import { assert } from '../errors.ts';
import { GRANULE, SLAB, SLAB_CLASSES, SLAB_GROUP, SLAB_HEAD, SLAB_HIDDEN, SLAB_MAGIC, SLAB_PAGE,
  SLAB_TABLE } from '../layout.ts';
import type { Arena, Blocks, BlockStat, Method } from '../types.ts';
import { best } from './best.ts';
import { checkSlab } from './slab-check.ts';
import { classAt, freeOther, groupWord, hasEmpty, isLive, isTable, PAGE_BYTES, refill, relist,
  STARTS, TABLE_BYTES, takeListed } from './slab-pages.ts';
import { clearSlab, guard, rebuildSlab } from './slab-rebuild.ts';
import { lowerTables } from './slab-tables.ts';
import { countSlab, startOfSlab, walkSlab } from './slab-walk.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests. Few in
// the hot paths: what is inlined in one place has to have less than 920 bytes of code.
const { kinds: KINDS, groups: GROUPS, shift: CHUNK_SHIFT } = SLAB_TABLE;
const POSSIBLE = STARTS;
const MOST_BYTES = SLAB_CLASSES * GRANULE;
const CHUNK_MASK = SLAB.words - SLAB.directory - 1;
const PAGE_SHIFT = SLAB_PAGE.shift + 0;
const PAGE_MASK = 2 ** (SLAB_TABLE.shift - SLAB_PAGE.shift) - 1;
const GROUP_MASK = 2 ** SLAB_TABLE.shift / SLAB_GROUP.granules - 1;
assert(SLAB_GROUP.granules === 32 && SLAB_PAGE.granules === 256 && SLAB_GROUP.free === 0
  && SLAB_GROUP.next === 1 && SLAB_GROUP.words === 2 && SLAB_HEAD.word === 0 && SLAB_HEAD.last === 1
  && SLAB_HEAD.words === 2, 'what the hot paths of slab take for granted');

export const slab: Method = {
  name: 'slab',
  format(arena) {
    const { words, start } = arena;
    const s = start * 4;
    const short = start + SLAB.words / 4 - arena.end();
    if (short > 0 && !arena.extend(short)) return false;
    words.fill(0, s, s + SLAB.words);
    if (!best.format(largeArena(arena))) return false;
    words[s + SLAB.magic] = SLAB_MAGIC;
    return true;
  },
  attach: (arena) => new Slabs(arena),
};

/** What follows the state is managed by `best`. */
function largeArena(arena: Arena): Arena {
  return {
    words: arena.words,
    start: arena.start + SLAB.words / 4,
    end: () => arena.end(),
    extend: (granules) => arena.extend(granules),
    retract: (end) => arena.retract(end),
  };
}

/** No block of `best` but a page or a table has exactly the size of one. */
function largeSize(size: number): number {
  const isTaken = (size > PAGE_BYTES - GRANULE && size <= PAGE_BYTES)
    || (size > TABLE_BYTES - GRANULE && size <= TABLE_BYTES);
  return isTaken ? ((size + GRANULE - 1) & -GRANULE) + 1 : size;
}

/**
 * Large blocks, aligned or not; small ones where no list serves. One function on purpose, with
 * `largeSize` written out, and longer than what V8 inlines, 460 bytes of code: it counts what it
 * inlines into `alloc` against inlining that.
 */
function allocSlow(
  words: Int32Array, s: number, large: Blocks, size: number, alignment: number,
): number {
  if (size > MOST_BYTES || alignment > GRANULE) {
    const isTaken = (size > PAGE_BYTES - GRANULE && size <= PAGE_BYTES)
      || (size > TABLE_BYTES - GRANULE && size <= TABLE_BYTES);
    const bytes = isTaken ? ((size + GRANULE - 1) & -GRANULE) + 1 : size;
    const granule = alignment > GRANULE ? large.align(bytes, alignment) : large.alloc(bytes);
    if (granule !== 0 || !hasEmpty(words, s)) return granule;
    relist(words, s, large);
    return alignment > GRANULE ? large.align(bytes, alignment) : large.alloc(bytes);
  }
  const n = (size + 15) >>> 4 || 1;
  let granule = takeListed(words, s, n);
  if (granule === 0 && refill(words, s, large, n)) granule = takeListed(words, s, n);
  if (granule === 0) granule = large.alloc(n * GRANULE);
  if (granule !== 0 || !hasEmpty(words, s)) return granule;
  relist(words, s, large);
  granule = takeListed(words, s, n);
  if (granule === 0 && refill(words, s, large, n)) granule = takeListed(words, s, n);
  return granule !== 0 ? granule : large.alloc(n * GRANULE);
}

class Slabs implements Blocks {
  declare readonly words: Int32Array;
  /** Index of the first word of the state, and of parts of it. */
  declare readonly s: number;
  declare readonly heads: number;
  declare readonly directory: number;
  /** Blocks above the classes, pages and tables. */
  declare readonly large: Blocks;

  /** Fields that are set once, and not declared empty before: V8 folds them. */
  constructor(arena: Arena) {
    this.words = arena.words;
    this.s = (arena.start * 4) | 0;
    this.heads = (arena.start * 4 + SLAB.heads) | 0;
    this.directory = (arena.start * 4 + SLAB.directory) | 0;
    this.large = best.attach(largeArena(arena));
  }

  alloc(size: number): number {
    if (size <= MOST_BYTES) {
      const words = this.words;
      const head = (this.heads + (((size + 15) >>> 4) << 1)) | 0;
      const word = words[head] as number;
      if (word > 0) {
        const free = words[word] as number;
        const rest = free & (free - 1);
        const at = ((words[head + 1] as number) - Math.clz32(free ^ rest)) | 0;
        words[word] = rest;
        if (rest !== 0) return at;
        if ((free | 0) !== 0) {
          this.#leave(head, words[word + 1] as number);
          return at;
        }
      }
    }
    return allocSlow(this.words, this.s, this.large, size, GRANULE) | 0;
  }

  free(at: number): boolean {
    const words = this.words;
    const table = words[this.directory + ((at >>> CHUNK_SHIFT) & CHUNK_MASK)] as number;
    if (table <= 0) return freeOther(this.words, this.s, this.large, at);
    const kind = words[table + KINDS + ((at >>> PAGE_SHIFT) & PAGE_MASK)] as number;
    const group = at >>> 5;
    const word = (table + GROUPS + ((group & GROUP_MASK) << 1)) | 0;
    const free = words[word] as number;
    const bit = 1 << at;
    if (((POSSIBLE[(kind << 3) | (group & 7)] as number) & ~free & bit) === 0) {
      return freeOther(this.words, this.s, this.large, at);
    }
    words[word] = free | bit;
    if (free === 0) {
      const head = (this.heads + (kind << 1)) | 0;
      words[word + 1] = words[head + 1] as number;
      words[head] = word;
      words[head + 1] = at | 31;
    }
    return true;
  }

  get freeHead(): number {
    return GRANULE;
  }

  align(size: number, alignment: number): number {
    const step = alignment / GRANULE;
    const n = Math.max(1, Math.ceil(size / alignment)) * step;
    if (n <= SLAB_CLASSES) {
      // Slots of a class that is a multiple of the alignment lie at multiples of it.
      const granule = this.alloc(n * GRANULE);
      if (granule === 0 || (granule & (step - 1)) === 0) return granule;
      this.free(granule);
    }
    return allocSlow(this.words, this.s, this.large, size, alignment);
  }

  resize(granule: number, size: number): boolean {
    const usable = this.#slotBytes(granule);
    if (usable === 0) return this.large.resize(granule, largeSize(size));
    return size <= usable;
  }

  sizeOf(granule: number): number {
    return this.#slotBytes(granule) || this.large.sizeOf(granule);
  }

  startOf(granule: number): number {
    return startOfSlab(this.words, this.s, this.large, granule);
  }

  hide(granule: number): void {
    const words = this.words;
    const usable = this.#slotBytes(granule);
    if (usable === 0) this.large.hide(granule);
    if (usable <= 0) return;
    let i = 0;
    const from = this.s + SLAB.hidden;
    while (i < SLAB_HIDDEN && words[from + i] !== 0) i += 1;
    assert(i < SLAB_HIDDEN, 'more blocks are hidden than an arena of method slab has places for');
    words[from + i] = granule;
    guard(words, this.s, granule);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from?: number): void {
    walkSlab(this.words, this.s, this.large, visit, from);
  }

  stat(into: BlockStat): void {
    countSlab(this.words, this.s, this.large, into);
  }

  check(report: Parameters<Blocks['check']>[0]): void {
    checkSlab(this.words, this.s, this.large, report);
  }

  trim(): void {
    relist(this.words, this.s, this.large);
    lowerTables(this.words, this.s, this.large);
    this.large.trim();
  }

  clear(): void {
    clearSlab(this.words, this.s, this.large);
  }

  rebuild(): boolean {
    return rebuildSlab(this.words, this.s, this.large);
  }

  /** The first group of a list is full: the next one comes first. */
  #leave(head: number, next: number): void {
    const words = this.words;
    const table = next === 0 ? 0 : words[this.directory + (next >>> CHUNK_SHIFT)] as number;
    words[head + 1] = next;
    if (table < 0) words[head] = groupWord(-table, next);
    else words[head] = table === 0 ? 0 : table + GROUPS + (((next >>> 5) & GROUP_MASK) << 1);
  }

  /** Usable bytes of the block in a page that starts here, -1 = none does, 0 = it is no page. */
  #slotBytes(at: number): number {
    const words = this.words;
    const table = words[this.directory + ((at >>> CHUNK_SHIFT) & CHUNK_MASK)] as number;
    if (table > 0) {
      const kind = words[table + KINDS + ((at >>> PAGE_SHIFT) & PAGE_MASK)] as number;
      const group = at >>> 5;
      const starts = POSSIBLE[(kind << 3) | (group & 7)] as number;
      const free = words[table + GROUPS + ((group & GROUP_MASK) << 1)] as number;
      if ((starts & ~free & (1 << at)) !== 0) return kind * GRANULE;
    }
    const n = classAt(words, this.s, at);
    if (n === 0) return isTable(words, this.s, at) ? -1 : 0;
    return isLive(words, this.s, at) ? n * GRANULE : -1;
  }
}
