/**
 * last: a stack of blocks. Only the newest can be freed or grown in place; an older one that has to
 * grow moves to the end. Allocation is a bump, a free one store; all state is in the arena.
 *
 * A block is 12 bytes of header (size in granules and a flag, the blocks below and above) and the
 * payload behind it. Memory above the newest block is free, so space that an older block left when
 * it moved, or that was skipped for alignment, comes back when all above it is gone.
 *
 * Start bits lie in the stack itself: one bitmap per slab of 1 MiB, below the first block that
 * starts in the slab, found through a directory. Only slabs up to the newest block's count; what
 * lies above is whatever was there before.
 *
 * Ground truth is `newest`, the directory, the start bits and the sizes. Order of writes, so that
 * this holds at every instant of a shared mapping: a block is complete, start bit included, before
 * the one store of `newest`, and loses its start bit after it; an older block loses its start bit
 * before its neighbours are linked. Bits above the newest are the rest of a call that was cut
 * short.
 *
 * Invariants, reported by `check`:
 *   L1  the state is sane: magic, first block ≤ newest < end = the arena's end
 *   L2  a directory entry up to the newest's slab is 0 or a bitmap between two blocks
 *   L3  a start bit is the start of a block that ends before the next one and before the end
 *   L4  blocks are linked to their neighbours in both directions
 *   L5  the newest block has a start bit, and no start bit of its slab is above it
 */
import { GRANULE, GRANULE_SHIFT, LAST, LAST_BLOCK, LAST_MAGIC, LAST_MAP_GRANULES, LAST_SLAB_SHIFT }
  from '../layout.ts';
import type { Arena, Blocks, BlockStat, Method } from '../types.ts';
import { countInto } from './count.ts';
import { checkLast } from './last-check.ts';
import { firstOf, HEADER_BYTES, isStart, startAbove, startBelow, topOf, usableBytes }
  from './last-starts.ts';
import { dropStart, setStart } from './starts.ts';

const { magic: MAGIC, newest: NEWEST, end: END, directory: DIRECTORY } = LAST;
const { size: SIZE, previous: PREVIOUS, next: NEXT, hidden: HIDDEN, sizeShift: SHIFT } = LAST_BLOCK;
// V8 folds constants of this module into the code, imported ones it loads and tests every time.
const SLAB_SHIFT = LAST_SLAB_SHIFT + 0;
const SLAB_MASK = 2 ** SLAB_SHIFT - 1;
const ROUND_SHIFT = GRANULE_SHIFT + 0;
const WORD_SHIFT = 5;
/** Bytes of header, and what rounding up to granules takes. */
const OVERHEAD = HEADER_BYTES + GRANULE - 1;
/** Sizes up to here are rounded with integer arithmetic. */
const SMALL = 2 ** 30;

export const last: Method = {
  name: 'last',
  format(arena) {
    const { words, start } = arena;
    const s = start * 4;
    const least = firstOf(s);
    if (arena.end() < least && !arena.extend(least - arena.end())) return false;
    words[s + NEWEST] = 0;
    words[s + END] = arena.end();
    words[s + MAGIC] = LAST_MAGIC;
    return true;
  },
  attach: (arena) => new Stack(arena),
};

class Stack implements Blocks {
  readonly #words: Int32Array;
  /** Index of the first word of the state. */
  readonly #s: number;
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#s = (arena.start * 4) | 0;
    this.#words = arena.words;
    this.#arena = arena;
  }

  alloc(size: number): number {
    const words = this.#words;
    const s = this.#s;
    const n = granulesFor(size) | 0;
    const newest = words[s + NEWEST];
    const w = newest << 2;
    const p = (newest + (words[(w + SIZE) | 0] >>> SHIFT)) | 0;
    const isSameSlab = newest !== 0 && (p ^ newest) >>> SLAB_SHIFT === 0;
    if (!isSameSlab || ((p + n) | 0) > words[s + END]) return this.#open(n, 1) | 0;
    const map = words[(s + DIRECTORY + (p >>> SLAB_SHIFT)) | 0] << 2;
    words[(map + ((p & SLAB_MASK) >>> WORD_SHIFT)) | 0] |= 1 << p;
    const at = p << 2;
    words[(at + SIZE) | 0] = n << SHIFT;
    words[(at + PREVIOUS) | 0] = newest;
    words[(w + NEXT) | 0] = p;
    words[s + NEWEST] = p;
    return p;
  }

  align(size: number, alignment: number): number {
    return this.#open(granulesFor(size), alignment / GRANULE);
  }

  free(granule: number): boolean {
    const words = this.#words;
    const s = this.#s;
    if (granule === 0) return false;
    if (words[s + NEWEST] !== granule) return this.#freeUnderHidden(granule) === true;
    const w = granule << 2;
    if ((words[(w + SIZE) | 0] & HIDDEN) !== 0) return false;
    words[s + NEWEST] = words[(w + PREVIOUS) | 0];
    const map = words[(s + DIRECTORY + (granule >>> SLAB_SHIFT)) | 0] << 2;
    words[(map + ((granule & SLAB_MASK) >>> WORD_SHIFT)) | 0] &= ~(1 << granule);
    return true;
  }

  resize(granule: number, size: number): boolean {
    const words = this.#words;
    const s = this.#s;
    const usable = this.sizeOf(granule);
    if (usable < 0) return false;
    if (words[s + NEWEST] !== granule) return size <= usable;
    const n = granulesFor(size);
    if (granule + n > words[s + END] && !this.#extend(granule + n)) return false;
    words[granule * 4 + SIZE] = n << SHIFT;
    return true;
  }

  sizeOf(granule: number): number {
    if (!isStart(this.#words, this.#s, granule)) return -1;
    const header = this.#words[granule * 4 + SIZE];
    return (header & HIDDEN) === 0 ? usableBytes(header >>> SHIFT) : -1;
  }

  startOf(granule: number): number {
    const words = this.#words;
    const p = startBelow(words, this.#s, granule);
    const header = p === 0 ? HIDDEN : words[p * 4 + SIZE];
    return (header & HIDDEN) === 0 && granule < p + (header >>> SHIFT) ? p : 0;
  }

  hide(granule: number): void {
    if (this.sizeOf(granule) >= 0) this.#words[granule * 4 + SIZE] |= HIDDEN;
  }

  discard(granule: number): void {
    if (this.sizeOf(granule) < 0) return;
    if (this.#words[this.#s + NEWEST] === granule) this.free(granule);
    else this.#unlink(granule);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from = 0): void {
    const words = this.#words;
    const s = this.#s;
    for (let p = startAbove(words, s, from); p !== 0; p = startAbove(words, s, p + 1)) {
      const header = words[p * 4 + SIZE];
      if ((header & HIDDEN) !== 0) continue;
      if (visit(p, usableBytes(header >>> SHIFT), true)) return;
    }
    const { p } = this.#place(1);
    const end = words[s + END];
    if (p < end && p >= from) visit(p, usableBytes(end - p), false);
  }

  stat(into: BlockStat): void {
    this.walk(countInto(into));
  }

  check(report: Parameters<Blocks['check']>[0]): void {
    checkLast(this.#arena, report);
  }

  trim(): void {
    const words = this.#words;
    const s = this.#s;
    const kept = topOf(words, s);
    words[s + END] = kept;
    this.#arena.retract(kept);
    words[s + END] = this.#arena.end();
  }

  clear(): void {
    this.#words[this.#s + NEWEST] = 0;
  }

  rebuild(): boolean {
    const words = this.#words;
    const s = this.#s;
    const end = this.#arena.end();
    const newest = words[s + NEWEST];
    if (words[s + MAGIC] !== LAST_MAGIC || newest < 0 || newest >= end) return false;
    words[s + END] = end;
    let below = 0;
    let top = firstOf(s);
    for (let p = startAbove(words, s, 0); p !== 0; p = startAbove(words, s, p + 1)) {
      const n = words[p * 4 + SIZE] >>> SHIFT;
      if (p < top || n < 1 || p + n > end) return false;
      words[p * 4 + PREVIOUS] = below;
      if (below !== 0) words[below * 4 + NEXT] = p;
      below = p;
      top = p + n;
    }
    if (below !== newest) return false;
    dropAbove(words, s);
    let isSound = true;
    checkLast(this.#arena, () => {
      isSound = false;
    });
    return isSound;
  }

  /** A block in a slab that has no bitmap yet, or at a multiple of `step` granules. */
  #open(n: number, step: number): number {
    const words = this.#words;
    const s = this.#s;
    const newest = words[s + NEWEST];
    const { p, map } = this.#place(step);
    if (p + n > words[s + END] && !this.#extend(p + n)) return 0;
    const slab = p >>> SLAB_SHIFT;
    if (map !== 0) openSlab(words, s, newest, slab, map);
    setStart(words, words[s + DIRECTORY + slab] << 2, p & SLAB_MASK);
    const w = p << 2;
    words[w + SIZE] = n << SHIFT;
    words[w + PREVIOUS] = newest;
    if (newest !== 0) words[(newest << 2) + NEXT] = p;
    words[s + NEWEST] = p;
    return p;
  }

  /** Where the next block goes, and the bitmap in front of it; map 0 = its slab has one. */
  #place(step: number): { p: number; map: number } {
    const newest = this.#words[this.#s + NEWEST];
    const top = topOf(this.#words, this.#s);
    const p = roundUp(top, step);
    if (newest !== 0 && p >>> SLAB_SHIFT === newest >>> SLAB_SHIFT) return { p, map: 0 };
    return { p: roundUp(top + LAST_MAP_GRANULES + 1, step), map: top };
  }

  #extend(end: number): boolean {
    const words = this.#words;
    const place = this.#s + END;
    const isMore = this.#arena.extend(end - words[place]);
    words[place] = this.#arena.end();
    return isMore && end <= words[place];
  }

  /** The newest visible block may have hidden ones above it; its memory waits for them. */
  #freeUnderHidden(granule: number): boolean {
    const words = this.#words;
    let p = words[this.#s + NEWEST];
    while (p > granule && (words[p * 4 + SIZE] & HIDDEN) !== 0) {
      const below = words[p * 4 + PREVIOUS];
      if (below >= p) return false;
      p = below;
    }
    if (p !== granule || this.sizeOf(granule) < 0) return false;
    this.#unlink(granule);
    return true;
  }

  /** Takes a block out that is not the newest: its start bit first. */
  #unlink(granule: number): void {
    const words = this.#words;
    const map = words[this.#s + DIRECTORY + (granule >>> SLAB_SHIFT)] * 4;
    dropStart(words, map, granule & SLAB_MASK);
    const below = words[granule * 4 + PREVIOUS];
    const above = words[granule * 4 + NEXT];
    words[above * 4 + PREVIOUS] = below;
    if (below !== 0) words[below * 4 + NEXT] = above;
  }
}

function granulesFor(size: number): number {
  if (size < SMALL) return (size + OVERHEAD) >>> ROUND_SHIFT;
  return Math.ceil((size + HEADER_BYTES) / GRANULE);
}

/** A bitmap for a slab; slabs that are skipped since the newest block's have none. */
function openSlab(words: Int32Array, s: number, newest: number, slab: number, map: number): void {
  const skipped = newest === 0 ? 0 : (newest >>> SLAB_SHIFT) + 1;
  words.fill(0, map << 2, (map + LAST_MAP_GRANULES) << 2);
  words.fill(0, s + DIRECTORY + skipped, s + DIRECTORY + slab);
  words[s + DIRECTORY + slab] = map;
}

/** A killed process may have left bits above the newest block in its slab. */
function dropAbove(words: Int32Array, s: number): void {
  const newest = words[s + NEWEST];
  if (newest === 0) return;
  const map = words[s + DIRECTORY + (newest >>> SLAB_SHIFT)] << 2;
  const at = map + ((newest & SLAB_MASK) >>> WORD_SHIFT);
  words[at] &= (2 << newest) - 1;
  words.fill(0, at + 1, map + (LAST_MAP_GRANULES << 2));
}

function roundUp(granule: number, step: number): number {
  return Math.ceil(granule / step) * step;
}
