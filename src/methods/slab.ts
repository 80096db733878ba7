/**
 * slab: size classes without block headers (after Bonwick, The Slab Allocator, USENIX 1994). Blocks
 * of up to 256 bytes lie in pages of 4 KiB that hold blocks of one size, in steps of 16 bytes; a
 * bit per granule says whether a live block starts there, a word per page which size it holds; both
 * lie together in the table of a MiB. Larger blocks, the pages and the tables are blocks of `best`,
 * which manages what follows the state of slab.
 *
 * Free blocks of a class are linked, the last freed one is the next one given. Pages that became
 * empty are looked for when there are a thirty-second part more pages than the last time, and
 * before a call fails; all lists are then made again from the bits, the lowest block first. Where
 * none was found the heap is sealed: calls that fail look no more, and `free` looks at its page.
 *
 * Ground truth is `best`'s, the directory of tables, the kinds of pages, the bits and which blocks
 * are hidden; the lists can be derived (`rebuild`). Order of writes, so that this holds at every
 * instant of a shared mapping:
 *   alloc, free   one bit, in one store;
 *   page, table   a live block of `best` of a size that no other block has, then its kind or its
 *                 place in the directory, in one store; these go first;
 *   hide          the entry among the hidden, then the bit.
 *
 * Invariants, reported by `check` (slab-check.ts) beside those of `best`:
 *   S1 the state is sane: its magic is there
 *   S2 the directory names live blocks of `best` of the size of a table, which say whose they are;
 *      each block of that size, or of a page's, is one
 *   S3 a kind is 0, or that of a page; guarded where a hidden block is in it
 *   S4 no bit is set where no block can start
 *   S5 the list of a class holds free blocks of that class, each once, each saying twice what is
 *      next
 *   S6 every free block is listed
 *   S7 the number of pages; all tables are sealed or none; while they are no page is empty
 *   S8 hidden blocks are listed without gaps, each once, where blocks can start, not live
 */
import { assert } from '../errors.ts';
import { GRANULE, SLAB, SLAB_CLASSES, SLAB_ENTRY, SLAB_FREE, SLAB_HIDDEN, SLAB_KIND, SLAB_MAGIC,
  SLAB_PAGE, SLAB_TABLE } from '../layout.ts';
import type { Arena, Blocks, BlockStat, Method } from '../types.ts';
import { best } from './best.ts';
import { countInto } from './count.ts';
import { checkSlab } from './slab-check.ts';
import { classAt, freeSealed, hasEmpty, isLive, isTable, PAGE_BYTES, refill, relist, TABLE_BYTES,
  takeListed } from './slab-pages.ts';
import { clearSlab, guard, rebuildSlab } from './slab-rebuild.ts';
import { startOfSlab, walkSlab } from './slab-walk.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const { heads: HEADS, directory: DIRECTORY } = SLAB;
const { entries: ENTRIES, shift: CHUNK_SHIFT } = SLAB_TABLE;
const { bits: BITS, words: ENTRY_WORDS } = SLAB_ENTRY;
const { check: CHECK } = SLAB_FREE;
const MOST = SLAB_CLASSES;
const MOST_BYTES = SLAB_CLASSES * GRANULE;
const CLASS_MASK = SLAB_KIND.class + 0;
assert(SLAB_ENTRY.kind === 0, 'the hot paths of slab know where the kind is');
const CHUNK_MASK = SLAB.words - SLAB.directory - 1;
const BIT_MASK = SLAB_PAGE.granules / 32 - 1;
const PAGE_SHIFT = SLAB_PAGE.shift + 0;
const PAGE_MASK = 2 ** (SLAB_TABLE.shift - SLAB_PAGE.shift) - 1;

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

class Slabs implements Blocks {
  readonly #words: Int32Array;
  /** Index of the first word of the state. */
  readonly #s: number;
  /** Blocks above the classes, pages and tables. */
  readonly #large: Blocks;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#s = (arena.start * 4) | 0;
    this.#large = best.attach(largeArena(arena));
  }

  alloc(size: number): number {
    if (size <= MOST_BYTES) {
      const words = this.#words;
      const s = this.#s;
      const list = (s + HEADS + ((size + 15) >>> 4)) | 0;
      const head = words[list] as number;
      if (head > 0) {
        const next = words[head << 2] as number;
        const table = words[s + DIRECTORY + ((head >>> CHUNK_SHIFT) & CHUNK_MASK)] as number;
        // What was written to a block after it was freed must not lead anywhere.
        if (table > 0 && (words[(head << 2) | CHECK] as number) === ~next) {
          const entry = table + ENTRIES + ((head >>> PAGE_SHIFT) & PAGE_MASK) * ENTRY_WORDS;
          const w = (entry + BITS + ((head >>> 5) & BIT_MASK)) | 0;
          words[w] = (words[w] as number) | (1 << head);
          words[list] = next;
          return head;
        }
      }
    }
    return this.#allocSlow(size);
  }

  free(at: number): boolean {
    const words = this.#words;
    const s = this.#s;
    const table = words[s + DIRECTORY + ((at >>> CHUNK_SHIFT) & CHUNK_MASK)] as number;
    if (table <= 0) return this.#freeLater(at);
    const entry = (table + ENTRIES + ((at >>> PAGE_SHIFT) & PAGE_MASK) * ENTRY_WORDS) | 0;
    const kind = words[entry] as number;
    if (kind === 0) return this.#freeLarge(at);
    const w = (entry + BITS + ((at >>> 5) & BIT_MASK)) | 0;
    const bits = words[w] as number;
    const bit = 1 << at;
    if ((bits & bit) === 0) return false;
    const list = (s + HEADS + (kind & CLASS_MASK)) | 0;
    const next = words[list] as number;
    words[w] = bits ^ bit;
    words[at << 2] = next;
    words[(at << 2) | CHECK] = ~next;
    words[list] = at;
    return true;
  }

  align(size: number, alignment: number): number {
    const step = alignment / GRANULE;
    const n = Math.max(1, Math.ceil(size / alignment)) * step;
    if (n <= MOST) {
      // Slots of a class that is a multiple of the alignment lie at multiples of it.
      const granule = this.alloc(n * GRANULE);
      if (granule === 0 || (granule & (step - 1)) === 0) return granule;
      this.free(granule);
    }
    const granule = this.#large.align(largeSize(size), alignment);
    if (granule !== 0 || !this.#givePages()) return granule;
    return this.#large.align(largeSize(size), alignment);
  }

  resize(granule: number, size: number): boolean {
    const usable = this.#slotBytes(granule);
    if (usable === 0) return this.#large.resize(granule, largeSize(size));
    return size <= usable;
  }

  sizeOf(granule: number): number {
    return this.#slotBytes(granule) || this.#large.sizeOf(granule);
  }

  startOf(granule: number): number {
    return startOfSlab(this.#words, this.#s, this.#large, granule);
  }

  hide(granule: number): void {
    const words = this.#words;
    const usable = this.#slotBytes(granule);
    if (usable === 0) this.#large.hide(granule);
    if (usable <= 0) return;
    let i = 0;
    const from = this.#s + SLAB.hidden;
    while (i < SLAB_HIDDEN && words[from + i] !== 0) i += 1;
    assert(i < SLAB_HIDDEN, 'more blocks are hidden than an arena of method slab has places for');
    words[from + i] = granule;
    guard(words, this.#s, granule);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from?: number): void {
    walkSlab(this.#words, this.#s, this.#large, visit, from);
  }

  stat(into: BlockStat): void {
    this.walk(countInto(into));
  }

  check(report: Parameters<Blocks['check']>[0]): void {
    checkSlab(this.#words, this.#s, this.#large, report);
  }

  trim(): void {
    relist(this.#words, this.#s, this.#large);
    this.#large.trim();
  }

  clear(): void {
    clearSlab(this.#words, this.#s, this.#large);
  }

  rebuild(): boolean {
    return rebuildSlab(this.#words, this.#s, this.#large);
  }

  /** Large blocks; small ones where no list serves. */
  #allocSlow(size: number): number {
    if (size > MOST_BYTES) {
      const granule = this.#large.alloc(largeSize(size));
      if (granule !== 0 || !this.#givePages()) return granule;
      return this.#large.alloc(largeSize(size));
    }
    const n = (size + 15) >>> 4 || 1;
    const granule = this.#allocSmall(n);
    return granule !== 0 || !this.#givePages() ? granule : this.#allocSmall(n);
  }

  #allocSmall(n: number): number {
    const words = this.#words;
    const s = this.#s;
    const listed = takeListed(words, s, n);
    if (listed !== 0) return listed;
    if (refill(words, s, this.#large, n)) return takeListed(words, s, n);
    return this.#large.alloc(n * GRANULE);
  }

  /** What no table knows, or none that is open. */
  #freeLater(at: number): boolean {
    if (classAt(this.#words, this.#s, at) === 0) return this.#freeLarge(at);
    return freeSealed(this.#words, this.#s, at);
  }

  #freeLarge(at: number): boolean {
    return !isTable(this.#words, this.#s, at) && this.#large.free(at);
  }

  /** Pages without blocks go back to `best`. true = there were some. */
  #givePages(): boolean {
    if (!hasEmpty(this.#words, this.#s)) return false;
    relist(this.#words, this.#s, this.#large);
    return true;
  }

  /** Usable bytes of the block in a page that starts here, -1 = none does, 0 = it is no page. */
  #slotBytes(granule: number): number {
    const words = this.#words;
    const s = this.#s;
    const n = classAt(words, s, granule);
    if (n === 0) return isTable(words, s, granule) ? -1 : 0;
    return isLive(words, s, granule) ? n * GRANULE : -1;
  }
}
