/**
 * slab: size classes without block headers (after Bonwick, The Slab Allocator, USENIX 1994, and
 * mimalloc's free-list sharding). Blocks of up to 512 bytes lie in pages of 4 KiB that hold blocks
 * of one size, in steps of 16 bytes; a bit per slot says whether it is free. Sixteen pages make a
 * span of 64 KiB, whose tables are its end. Larger blocks, and the spans, are blocks of `best`,
 * which manages what follows the state of slab.
 *
 * There is no list of free blocks: a class has one bitmap word in use and takes its first free
 * slot. When that is used up the first page of the class with a free slot is next, or the word that
 * gets one first. Both calls cost the same however many blocks there are.
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
 *   S6 every page with a free slot outside of the word its class uses is listed
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
import { guard, isGuarded, isHidden } from './slab-hidden.ts';
import {
  classOf,
  firstGranule,
  givePage,
  giveSpans,
  isEmptyPage,
  listPage,
  openWord,
  pageOf,
  resetClass,
  resetClasses,
  SPAN_BYTES,
  takePage,
  unlistPage,
} from './slab-pages.ts';
import { clearSlab, isHeld, rebuildSlab } from './slab-rebuild.ts';
import { startOfSlab, statSlab, walkSlab } from './slab-walk.ts';

const { none: NONE, hidden: HIDDEN } = SLAB;
const { current: CURRENT, base: BASE } = SLAB_CLASS;
const { kind: KIND, next: NEXT, previous: PREVIOUS, bits: BITS } = SLAB_PAGE;
const PAGE_WORDS = SLAB_PAGE.words;
const MOST = SLAB_CLASSES;
const MOST_BYTES = MOST * GRANULE;

// Written as numbers below: as names they made free too long to be inlined, 3 ns of 11 a call.
assert(MOST_BYTES === 512 && CURRENT === 0 && BASE === 3 && SLAB_CLASS.words === 4
  && SLAB_SPAN.shift === 12 && SLAB_SPAN.words === 1 << 14 && SLAB_SPAN.pages === 16_192
  && SLAB_SPAN.pageShift === 8 && SLAB_PAGE.words === 11 && KIND === 0 && BITS === 3
  && SLAB_KIND.classBits === 6 && SLAB_KIND.slotsShift === 6 && SLAB_KIND.slotsBits === 9
  && SLAB_KIND.inverseShift === 15 && SLAB.words - SLAB.spanBits === 2048,
  'the hot paths of slab know its layout');

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
  /** Index of the first word of the state, of the classes, of the span bits. */
  readonly #s: number;
  readonly #classes: number;
  readonly #spanBits: number;
  /** Blocks above the classes, and spans. */
  readonly #large: Blocks;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#s = arena.start * 4;
    this.#classes = this.#s + SLAB.classes;
    this.#spanBits = this.#s + SLAB.spanBits;
    this.#large = best.attach(largeArena(arena));
  }

  alloc(size: number): number {
    if (size > 512) return this.#allocLarge(size);
    const words = this.#words;
    const n = (size + 15) >>> 4 || 1;
    const c = this.#classes + (n << 2);
    const w = words[c];
    const bits = words[w];
    if (bits === 0) return this.#refill(n, c);
    const i = Math.clz32(bits);
    words[w] = bits ^ (1 << ~i);
    return words[c + 3] + Math.imul(i, n);
  }

  align(size: number, alignment: number): number {
    const step = alignment / GRANULE;
    const n = Math.max(1, Math.ceil(size / alignment)) * step;
    // Slots of a class that is a multiple of the alignment lie at multiples of it.
    if (n <= MOST) return this.alloc(n * GRANULE);
    const granule = this.#large.align(largeSize(size), alignment);
    if (granule !== 0 || !giveSpans(this.#words, this.#s, this.#large)) return granule;
    return this.#large.align(largeSize(size), alignment);
  }

  free(granule: number): boolean {
    const words = this.#words;
    const span = words[this.#spanBits + ((granule >>> 17) & 2047)] >>> (granule >>> 12);
    if ((span & 1) === 0) return this.#large.free(granule);
    const d = ((granule >>> 12) << 14) + 16_192 + ((granule >>> 8) & 15) * 11;
    const kind = words[d];
    const offset = granule & 255;
    const slot = Math.imul(offset, kind >>> 15) >>> 12;
    if (Math.imul(slot, kind & 63) !== offset || slot >= ((kind >>> 6) & 511)) {
      return this.#freeGuarded(granule, d);
    }
    const w = d + 3 + (slot >>> 5);
    const bits = words[w];
    const after = bits | (1 << ~slot);
    if (after === bits) return false;
    words[w] = after;
    if (bits === 0) this.#reopened(granule, slot, w);
    else if ((~after & -after) === 0) this.#emptied(granule);
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
    let i = 0;
    while (i < SLAB_HIDDEN && words[this.#s + HIDDEN + i] !== 0) i += 1;
    assert(i < SLAB_HIDDEN, 'more blocks are hidden than an arena of method slab has places for');
    words[this.#s + HIDDEN + i] = granule;
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

  #allocLarge(size: number): number {
    const granule = this.#large.alloc(largeSize(size));
    if (granule !== 0 || !giveSpans(this.#words, this.#s, this.#large)) return granule;
    return this.#large.alloc(largeSize(size));
  }

  /** Usable bytes of the block in a slab that starts here, -1 = none does, 0 = it is no slab. */
  #slotBytes(granule: number): number {
    const words = this.#words;
    const span = words[this.#spanBits + ((granule >>> 17) & 2047)] >>> (granule >>> 12);
    if ((span & 1) === 0) return 0;
    const d = ((granule >>> 12) << 14) + 16_192 + ((granule >>> 8) & 15) * 11;
    const kind = words[d];
    const n = kind & 63;
    const offset = granule & 255;
    const slot = Math.imul(offset, kind >>> 15) >>> 12;
    if (Math.imul(slot, n) !== offset || slot >= ((kind >>> 6) & 511)) {
      return this.#guardedBytes(granule, d);
    }
    return (words[d + 3 + (slot >>> 5)] & (1 << ~slot)) === 0 ? n << 4 : -1;
  }

  /** The word in use is used up: the next one of the class, or of a new page. */
  #refill(n: number, c: number): number {
    const words = this.#words;
    for (;;) {
      let d = words[c + NEXT];
      if (d === c) d = takePage(words, this.#s, this.#large, n);
      if (d === 0) {
        words[c + CURRENT] = this.#s + NONE;
        return this.#large.alloc(n * GRANULE);
      }
      if (words[d + PREVIOUS] !== c || classOf(words[d + KIND]) !== n) {
        resetClass(words, this.#s, c);
        continue;
      }
      const w = openWord(words, d);
      if (w === 0) {
        unlistPage(words, d);
        continue;
      }
      const i = Math.clz32(words[w]);
      const base = firstGranule(d) + (w - d - BITS) * 32 * n;
      words[c + CURRENT] = w;
      words[c + BASE] = base;
      words[w] ^= 1 << ~i;
      return base + i * n;
    }
  }

  /** Word `w` was used up and got a free slot: its class goes on there, or has to find it. */
  #reopened(granule: number, slot: number, w: number): void {
    const words = this.#words;
    const d = ((granule >>> 12) << 14) + 16_192 + ((granule >>> 8) & 15) * 11;
    const n = words[d] & 63;
    const c = this.#classes + (n << 2);
    const current = words[c];
    if (words[current] !== 0) {
      if (words[d + NEXT] === 0 && n <= MOST) listPage(words, c, d);
    } else if (n <= MOST) {
      words[c] = w;
      words[c + BASE] = granule - Math.imul(slot & 31, n);
    }
  }

  /** The first slots of a word are free and no others: all of it may be, and all of its page. */
  #emptied(granule: number): void {
    const words = this.#words;
    const d = ((granule >>> 12) << 14) + 16_192 + ((granule >>> 8) & 15) * 11;
    const n = words[d] & 63;
    const c = this.#classes + (n << 2);
    const current = words[c];
    // Most often nothing is to be done, because the class goes on in this very page.
    if (current - d < PAGE_WORDS && current > d) return;
    if (n > MOST || !isEmptyPage(words, d)) return;
    givePage(words, this.#s, this.#large, d);
  }

  /** What looks like no block may be one in a page with hidden blocks. */
  #freeGuarded(granule: number, d: number): boolean {
    const words = this.#words;
    if (this.#guardedBytes(granule, d) < 0) return false;
    const slot = (granule & 255) / classOf(words[d + KIND]);
    const w = d + BITS + (slot >>> 5);
    const isReopened = words[w] === 0;
    words[w] |= 1 << ~slot;
    if (isReopened) this.#reopened(granule, slot, w);
    return true;
  }

  #guardedBytes(granule: number, d: number): number {
    const words = this.#words;
    const kind = words[d + KIND];
    if (!isGuarded(kind) || !isHeld(words, granule)) return -1;
    return isHidden(words, this.#s, granule) ? -1 : classOf(kind) * GRANULE;
  }
}
