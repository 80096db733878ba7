/**
 * slab: size classes without block headers (after Bonwick, The Slab Allocator, USENIX 1994, and
 * mimalloc's free-list sharding). Blocks of up to 512 bytes lie in pages of 4 KiB that hold blocks
 * of one size, in steps of 16 bytes; a bit per slot says whether it is free. Sixteen pages make a
 * span of 64 KiB, whose tables are its end. Larger blocks, and the spans, are blocks of `best`,
 * which manages what follows the state of slab.
 *
 * There is no list of free blocks: a class has one bitmap word in use and takes its lowest set bit.
 * When the word is used up the first page of the class with a free slot is next; a page that was
 * full and gets a free slot comes first. Both calls cost the same however many blocks there are.
 *
 * Ground truth is `best`'s, which 64 KiB are spans, the kinds of their pages, the bitmaps and which
 * blocks are hidden; the lists and the words in use can be derived (`rebuild`). Order of writes, so
 * that this holds at every instant of a shared mapping:
 *   alloc, free   one bit, in one store;
 *   page          its bitmap, then its kind; the kind goes first;
 *   span          a live block of `best` of a size that no other block has, its tables, then its
 *                 bit; the bit goes first;
 *   hide          the entry among the hidden.
 *
 * Invariants, reported by `check` (slab-check.ts) beside those of `best`:
 *   S1 the state is sane: magic, the word without free slots
 *   S2 each span bit is a live block of `best` of exactly a span, and each such block has its bit
 *   S3 the kind of a page is 0 or one of a class; without slots where a hidden block is in it
 *   S4 no bit is set that stands for no slot
 *   S5 lists hold pages of their class, each once; links agree in both directions
 *   S6 every page with a free slot is listed
 *   S7 the word a class uses is `none` or one of a page of its, with the right base
 *   S8 the list of spans names exactly those with free pages, and they know which those are
 *   S9 hidden blocks are listed without gaps, each once, and are blocks
 */
import { assert } from '../errors.ts';
import {
  GRANULE,
  SLAB,
  SLAB_CLASS,
  SLAB_CLASSES,
  SLAB_HIDDEN,
  SLAB_KIND,
  SLAB_MAGIC,
  SLAB_PAGE,
  SLAB_SPAN,
} from '../layout.ts';
import type { Arena, Blocks, BlockStat, Method } from '../types.ts';
import { best } from './best.ts';
import { checkSlab } from './slab-check.ts';
import { guard, isHidden } from './slab-hidden.ts';
import {
  classAt,
  classOf,
  firstGranule,
  givePage,
  giveSpans,
  isEmptyPage,
  listPage,
  openKind,
  openWord,
  pageOf,
  pageOfWord,
  resetClass,
  resetClasses,
  SPAN_BYTES,
  takePage,
  unlistPage,
} from './slab-pages.ts';
import { clearSlab, rebuildSlab } from './slab-rebuild.ts';
import { startOfSlab, statSlab, walkSlab } from './slab-walk.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const HIDDEN = SLAB.hidden + 0;
const { current: CURRENT, base: BASE } = SLAB_CLASS;
const { kind: KIND, next: NEXT, bits: BITS } = SLAB_PAGE;
const CLASSES = SLAB.classes + 0;
const SPAN_BITS = SLAB.spanBits + 0;
const PAGES = SLAB_SPAN.pages + 0;
const PAGE_WORDS = SLAB_PAGE.words + 0;
const SPAN_SHIFT = SLAB_SPAN.shift + 0;
const SPAN_WORDS_SHIFT = SPAN_SHIFT + 2;
const SPAN_BITS_SHIFT = SPAN_SHIFT + 5;
const SPAN_BITS_MASK = SLAB.words - SLAB.spanBits - 1;
const PAGE_SHIFT = SLAB_SPAN.pageShift + 0;
const PAGE_MASK = 2 ** PAGE_SHIFT - 1;
const PAGE_OF_SPAN = 2 ** (SPAN_SHIFT - PAGE_SHIFT) - 1;
const CLASS_MASK = 2 ** SLAB_KIND.classBits - 1;
const SLOTS_SHIFT = SLAB_KIND.slotsShift + 0;
const SLOTS_MASK = 2 ** SLAB_KIND.slotsBits - 1;
const INVERSE_SHIFT = SLAB_KIND.inverseShift + 0;
const QUOTIENT_SHIFT = 12;
const MOST = SLAB_CLASSES + 0;
const MOST_BYTES = MOST * GRANULE;

export const slab: Method = {
  name: 'slab',
  format(arena) {
    const { words, start } = arena;
    const s = start * 4;
    const short = start + SLAB.words / 4 - arena.end();
    if (short > 0 && !arena.extend(short)) return false;
    words.fill(0, s, s + SLAB.words);
    if (!best.format(largeArena(arena))) return false;
    resetClasses(words, s);
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

/** No block of `best` but a span has exactly the size of one. */
function largeSize(size: number): number {
  return size > SPAN_BYTES - GRANULE && size <= SPAN_BYTES ? SPAN_BYTES + 1 : size;
}

class Slabs implements Blocks {
  readonly #words: Int32Array;
  /** Index of the first word of the state. */
  readonly #s: number;
  /** Blocks above the classes, and spans. */
  readonly #large: Blocks;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#s = arena.start * 4;
    this.#large = best.attach(largeArena(arena));
  }

  alloc(size: number): number {
    if (size > MOST_BYTES) return this.#large.alloc(largeSize(size));
    const words = this.#words;
    const n = (size + 15) >>> 4 || 1;
    const c = this.#s + CLASSES + (n << 2);
    const w = words[c + CURRENT];
    const bits = words[w];
    if (bits === 0) return this.#refill(n, c);
    words[w] = bits & (bits - 1);
    return words[c + BASE] + Math.imul(31 - Math.clz32(bits & -bits), n);
  }

  align(size: number, alignment: number): number {
    const step = alignment / GRANULE;
    const n = Math.max(1, Math.ceil(size / alignment)) * step;
    // Slots of a class that is a multiple of the alignment lie at multiples of it.
    return n <= MOST ? this.alloc(n * GRANULE) : this.#large.align(largeSize(size), alignment);
  }

  free(granule: number): boolean {
    const words = this.#words;
    const spans = words[this.#s + SPAN_BITS + ((granule >>> SPAN_BITS_SHIFT) & SPAN_BITS_MASK)];
    if (((spans >>> (granule >>> SPAN_SHIFT)) & 1) === 0) return this.#large.free(granule);
    const d = ((granule >>> SPAN_SHIFT) << SPAN_WORDS_SHIFT) + PAGES
      + Math.imul((granule >>> PAGE_SHIFT) & PAGE_OF_SPAN, PAGE_WORDS);
    const kind = words[d + KIND];
    const offset = granule & PAGE_MASK;
    const slot = Math.imul(offset, kind >>> INVERSE_SHIFT) >>> QUOTIENT_SHIFT;
    if (Math.imul(slot, kind & CLASS_MASK) !== offset
      || slot >= ((kind >>> SLOTS_SHIFT) & SLOTS_MASK)) return this.#freeGuarded(granule, d);
    const w = d + BITS + (slot >>> 5);
    const bits = words[w];
    const after = bits | (1 << slot);
    if (after === bits) return false;
    words[w] = after;
    // Only a word that was used up, or whose free slots are the lowest ones, may need more.
    if (bits === 0 || (after & (after + 1)) === 0) this.#freed(d, kind & CLASS_MASK);
    return true;
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
    const at = words.subarray(this.#s + HIDDEN, this.#s + HIDDEN + SLAB_HIDDEN).indexOf(0);
    assert(at >= 0, 'more blocks are hidden than an arena of method slab has places for');
    words[this.#s + HIDDEN + at] = granule;
    guard(words, pageOf(granule));
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean): void {
    walkSlab(this.#words, this.#s, this.#large, visit);
  }

  stat(into: BlockStat): void {
    statSlab(this.#words, this.#s, this.#large, into);
  }

  check(report: Parameters<Blocks['check']>[0]): void {
    checkSlab(this.#words, this.#s, this.#large, report);
  }

  trim(): void {
    giveSpans(this.#words, this.#s, this.#large);
    this.#large.trim();
  }

  clear(): void {
    clearSlab(this.#words, this.#s, this.#large);
  }

  rebuild(): boolean {
    return rebuildSlab(this.#words, this.#s, this.#large);
  }

  /** Usable bytes of the block in a slab that starts here, -1 = none does, 0 = it is no slab. */
  #slotBytes(granule: number): number {
    const words = this.#words;
    const spans = words[this.#s + SPAN_BITS + ((granule >>> SPAN_BITS_SHIFT) & SPAN_BITS_MASK)];
    if (((spans >>> (granule >>> SPAN_SHIFT)) & 1) === 0) return 0;
    const d = ((granule >>> SPAN_SHIFT) << SPAN_WORDS_SHIFT) + PAGES
      + Math.imul((granule >>> PAGE_SHIFT) & PAGE_OF_SPAN, PAGE_WORDS);
    const kind = words[d + KIND];
    const n = kind & CLASS_MASK;
    const offset = granule & PAGE_MASK;
    const slot = Math.imul(offset, kind >>> INVERSE_SHIFT) >>> QUOTIENT_SHIFT;
    if (Math.imul(slot, n) !== offset || slot >= ((kind >>> SLOTS_SHIFT) & SLOTS_MASK)) {
      return this.#guardedBytes(granule, d);
    }
    return ((words[d + BITS + (slot >>> 5)] >>> slot) & 1) === 0 ? n * GRANULE : -1;
  }

  /** The word in use has no free slot: the next one of the class, or of a new page. */
  #refill(n: number, c: number): number {
    const words = this.#words;
    for (;;) {
      let d = words[c + NEXT];
      if (d === c) d = takePage(words, this.#s, this.#large, n);
      if (d === 0) return this.#large.alloc(n * GRANULE);
      if (words[d + SLAB_PAGE.previous] !== c || classOf(words[d + KIND]) !== n) {
        resetClass(words, this.#s, c);
        continue;
      }
      const w = openWord(words, d);
      if (w === 0) {
        unlistPage(words, d);
        continue;
      }
      const bits = words[w];
      const base = firstGranule(d) + (w - d - BITS) * 32 * n;
      words[c + CURRENT] = w;
      words[c + BASE] = base;
      words[w] = bits & (bits - 1);
      return base + Math.imul(31 - Math.clz32(bits & -bits), n);
    }
  }

  /** A page got a free slot: it may have to be listed, or be empty. */
  #freed(d: number, n: number): void {
    const words = this.#words;
    if (n > MOST) return;
    const c = classAt(this.#s, n);
    if (words[d + NEXT] === 0) listPage(words, c, d);
    if (isEmptyPage(words, d) && pageOfWord(words, this.#s, words[c + CURRENT]) !== d) {
      givePage(words, this.#s, this.#large, d);
    }
  }

  /** What looks like no block may be one in a page with hidden blocks. */
  #freeGuarded(granule: number, d: number): boolean {
    const words = this.#words;
    if (this.#guardedBytes(granule, d) < 0) return false;
    const n = classOf(words[d + KIND]);
    const slot = (granule & PAGE_MASK) / n;
    words[d + BITS + (slot >>> 5)] |= 1 << slot;
    this.#freed(d, n);
    return true;
  }

  #guardedBytes(granule: number, d: number): number {
    const words = this.#words;
    const kind = words[d + KIND];
    const n = classOf(kind);
    if (n === 0 || ((kind >>> SLOTS_SHIFT) & SLOTS_MASK) !== 0) return -1;
    const slot = (granule & PAGE_MASK) / n;
    const slots = (openKind(words, d) >>> SLOTS_SHIFT) & SLOTS_MASK;
    if (!Number.isInteger(slot) || slot >= slots) return -1;
    if (((words[d + BITS + (slot >>> 5)] >>> slot) & 1) !== 0) return -1;
    return isHidden(words, this.#s, granule) ? -1 : n * GRANULE;
  }
}
