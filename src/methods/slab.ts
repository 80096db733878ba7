/**
 * slab: size classes without block headers (after Bonwick, The Slab Allocator, USENIX 1994). Blocks
 * of up to 512 bytes lie in pages of 4 KiB that hold blocks of one size, in steps of 16 bytes; a
 * bit per granule says whether a live block starts there. Sixteen pages make a span of 64 KiB,
 * whose tables are its end. Larger blocks, and the spans, are blocks of `best`, which manages what
 * follows the state of slab.
 *
 * Free blocks of a class are linked, the last freed one is the next one given. Pages that became
 * empty are looked for before a new span is taken, when there is a sixteenth of spans more than the
 * last time; all lists are then made again from the bits, the lowest block first.
 *
 * Ground truth is `best`'s, which 64 KiB are spans, the kinds of their pages, the bits and which
 * blocks are hidden; the lists can be derived (`rebuild`). Order of writes, so that this holds at
 * every instant of a shared mapping:
 *   alloc, free   one bit, in one store;
 *   page          its kind; the bits of free pages are 0;
 *   span          a live block of `best` of a size that no other block has, its tables, then its
 *                 bit; the bit goes first;
 *   hide          the entry among the hidden, then the bit.
 *
 * Invariants, reported by `check` (slab-check.ts) beside those of `best`:
 *   S1 the state is sane: its magic is there
 *   S2 each span bit is a live block of `best` of exactly a span, and each such block has its bit
 *   S3 the kind of a page is 0 or one of a class; guarded where a hidden block is in it
 *   S4 no bit is set where no block can start, none in a free page
 *   S5 the list of a class holds free blocks of that class, each once, each saying twice what is
 *      next
 *   S6 every free block is listed
 *   S7 the list of spans with free pages holds each of them once, and they know which; their number
 *   S8 hidden blocks are listed without gaps, each once, where blocks can start, not live
 */
import { assert } from '../errors.ts';
import {
  GRANULE,
  SLAB,
  SLAB_CLASSES,
  SLAB_FREE,
  SLAB_HIDDEN,
  SLAB_KIND,
  SLAB_MAGIC,
  SLAB_PAGE,
  SLAB_SPAN,
} from '../layout.ts';
import type { Arena, Blocks, BlockStat, Method } from '../types.ts';
import { best } from './best.ts';
import { countInto } from './best-walk.ts';
import { checkSlab } from './slab-check.ts';
import { hasEmpty, refill, relist, SPAN_BYTES } from './slab-pages.ts';
import { clearSlab, guard, rebuildSlab } from './slab-rebuild.ts';
import { startOfSlab, walkSlab } from './slab-walk.ts';

const MOST = SLAB_CLASSES;

// Written as numbers below: as names they made free too long to be inlined.
assert(MOST * GRANULE === 512 && SLAB_SPAN.shift === 12 && SLAB_SPAN.words === 1 << 14
  && SLAB_SPAN.pages === 16_192 && SLAB_SPAN.pageShift === 8 && SLAB_PAGE.words === 12
  && SLAB_PAGE.bits === 0 && SLAB_PAGE.kind === 8
  && SLAB_KIND.class === 63 && SLAB.words - SLAB.spanBits === 2048
  && SLAB_FREE.next === 0 && SLAB_FREE.check === 1, 'the hot paths of slab know its layout');

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

/** No block of `best` but a span has exactly the size of one. */
function largeSize(size: number): number {
  return size > SPAN_BYTES - GRANULE && size <= SPAN_BYTES ? SPAN_BYTES + 1 : size;
}

class Slabs implements Blocks {
  readonly #words: Int32Array;
  /** Index of the first word of the state, of the heads, of the span bits. */
  readonly #s: number;
  readonly #heads: number;
  readonly #spanBits: number;
  /** Blocks above the classes, and spans. */
  readonly #large: Blocks;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#s = arena.start * 4;
    this.#heads = this.#s + SLAB.heads;
    this.#spanBits = this.#s + SLAB.spanBits;
    this.#large = best.attach(largeArena(arena));
  }

  alloc(size: number): number {
    if (size > 512) return this.#allocLarge(size);
    const words = this.#words;
    const n = (size + 15) >>> 4 || 1;
    const c = this.#heads + n;
    const head = words[c];
    const next = words[head << 2];
    // What was written to a block after it was freed must not lead anywhere.
    if (head === 0 || words[(head << 2) + 1] !== ~next) return this.#refill(n);
    const page = ((head >>> 12) << 14) + 16_192 + ((head >>> 8) & 15) * 12;
    words[page + ((head >>> 5) & 7)] |= 1 << ~head;
    words[c] = next;
    return head;
  }

  align(size: number, alignment: number): number {
    const step = alignment / GRANULE;
    const n = Math.max(1, Math.ceil(size / alignment)) * step;
    // Slots of a class that is a multiple of the alignment lie at multiples of it.
    if (n <= MOST) return this.alloc(n * GRANULE);
    const granule = this.#large.align(largeSize(size), alignment);
    if (granule !== 0 || !this.#giveSpans()) return granule;
    return this.#large.align(largeSize(size), alignment);
  }

  free(granule: number): boolean {
    const words = this.#words;
    const span = words[this.#spanBits + ((granule >>> 17) & 2047)] >>> (granule >>> 12);
    if ((span & 1) === 0) return this.#large.free(granule);
    const page = ((granule >>> 12) << 14) + 16_192 + ((granule >>> 8) & 15) * 12;
    const w = page + ((granule >>> 5) & 7);
    const bits = words[w];
    const after = bits & ~(1 << ~granule);
    if (after === bits) return false;
    words[w] = after;
    const c = this.#heads + (words[page + 8] & 63);
    const next = words[c];
    words[granule << 2] = next;
    words[(granule << 2) + 1] = ~next;
    words[c] = granule;
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
    const from = this.#s + SLAB.hidden;
    while (i < SLAB_HIDDEN && words[from + i] !== 0) i += 1;
    assert(i < SLAB_HIDDEN, 'more blocks are hidden than an arena of method slab has places for');
    words[from + i] = granule;
    guard(words, granule);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean): void {
    walkSlab(this.#words, this.#s, this.#large, visit);
  }

  stat(into: BlockStat): void {
    this.walk(countInto(into));
  }

  check(report: Parameters<Blocks['check']>[0]): void {
    checkSlab(this.#words, this.#s, this.#large, report);
  }

  trim(): void {
    relist(this.#words, this.#s, this.#large, 0);
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
    if (granule !== 0 || !this.#giveSpans()) return granule;
    return this.#large.alloc(largeSize(size));
  }

  /** Spans without blocks go back to `best`. true = there were some. */
  #giveSpans(): boolean {
    if (!hasEmpty(this.#words, this.#s, true)) return false;
    relist(this.#words, this.#s, this.#large, 0);
    return true;
  }

  /** The list of the class is empty, or damaged. */
  #refill(n: number): number {
    const words = this.#words;
    const s = this.#s;
    words[s + SLAB.heads + n] = 0;
    if (refill(words, s, this.#large, n)) return this.alloc(n * GRANULE);
    const granule = this.#large.alloc(n * GRANULE);
    if (granule !== 0 || !hasEmpty(words, s, false)) return granule;
    relist(words, s, this.#large, 0);
    const isMore = words[s + SLAB.heads + n] !== 0 || refill(words, s, this.#large, n);
    return isMore ? this.alloc(n * GRANULE) : this.#large.alloc(n * GRANULE);
  }

  /** Usable bytes of the block in a slab that starts here, -1 = none does, 0 = it is no slab. */
  #slotBytes(granule: number): number {
    const words = this.#words;
    const span = words[this.#spanBits + ((granule >>> 17) & 2047)] >>> (granule >>> 12);
    if ((span & 1) === 0) return 0;
    const page = ((granule >>> 12) << 14) + 16_192 + ((granule >>> 8) & 15) * 12;
    return (words[page + ((granule >>> 5) & 7)] & (1 << ~granule)) === 0 ? -1
      : (words[page + 8] & 63) << 4;
  }
}
