/**
 * pool: blocks of one size, set by `poolOf` or by the first block that is got. No headers: a bitmap
 * has a bit where a live block starts. Free blocks are linked, the last freed one is the next one
 * given; memory that was never used lies behind `top`.
 *
 * From the first granule up to `top` three kinds of places follow each other: blocks, bitmaps and
 * hidden places. One bitmap serves 65,536 granules; it lies in front of the first block that starts
 * there, and a directory says where. Hidden places are the region's own and may have any size.
 *
 * Ground truth is the size, `top`, the directory, the bits and the hidden places; the free list can
 * be derived (`rebuild`). Order of writes, so that this holds at every instant of a shared mapping:
 * alloc and free change one bit in one store; what lies behind `top` is complete, bit included,
 * before the one store of `top`; a hidden place is listed, length first, before its bit goes.
 *
 * Invariants, reported by `check` (pool-check.ts):
 *   P1 the state is sane: magic, the size in granules, first ≤ top ≤ the arena's end
 *   P2 places follow each other from the first exactly to `top`; the directory names the bitmaps
 *   P3 bits are set at the starts of blocks only
 *   P4 the free list holds every block that is not live, once, and nothing else
 *   P5 hidden places are listed without gaps, each once, and are places
 */
import { assert, RegionError } from '../errors.ts';
import {
  GRANULE,
  METHOD_START,
  POOL,
  POOL_CHUNK_SHIFT,
  POOL_HIDDEN,
  POOL_MAGIC,
  POOL_MAP_GRANULES,
  SLOT_BYTES,
} from '../layout.ts';
import { parseSize } from '../size.ts';
import type { Arena, Blocks, BlockStat, Method } from '../types.ts';
import { countInto } from './count.ts';
import { checkPool } from './pool-check.ts';
import { firstOf, startOfPool, walkPool } from './pool-places.ts';
import { clearPool, rebuildPool, trimPool } from './pool-rebuild.ts';
import { setStart } from './starts.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const { fixed: FIXED, granules: GRANULES, top: TOP, free: FREE, hidden: HIDDEN } = POOL;
const DIRECTORY = POOL.directory + 0;
const CHUNK_SHIFT = POOL_CHUNK_SHIFT + 0;
const CHUNK_MASK = 2 ** CHUNK_SHIFT - 1;
const CHUNKS_MASK = POOL.words - POOL.directory - 1;
const MOST_BYTES = SLOT_BYTES - METHOD_START - 1;

/**
 * The method `pool` for blocks of `size` bytes (a number, or text such as '64KiB'). ERR_BAD_OPTION
 * for what is no size.
 *
 * @example const region = createRegion(heap(), poolOf(48)); const a = region.alloc(48);
 */
export function poolOf(size: number | string): Method {
  const bytes = parseSize(size, 'the size of the blocks of a pool');
  if (bytes <= MOST_BYTES) return method(bytes + 1);
  throw new RegionError('ERR_BAD_OPTION',
    `the blocks of a pool cannot have ${bytes} bytes; give less than 4 GiB`);
}

/** The method `pool` for blocks of the size that is asked for first. */
export const pool: Method = method(0);

function method(fixed: number): Method {
  return {
    name: 'pool',
    format: (arena) => format(arena, fixed),
    attach: (arena) => new Pool(arena),
  };
}

function format(arena: Arena, fixed: number): boolean {
  const { words, start } = arena;
  const s = start * 4;
  const short = firstOf(s) - arena.end();
  if (short > 0 && !arena.extend(short)) return false;
  words.fill(0, s, s + POOL.words);
  words[s + FIXED] = fixed;
  words[s + GRANULES] = fixed === 0 ? 0 : granulesFor(fixed - 1);
  words[s + TOP] = firstOf(s);
  words[s + POOL.magic] = POOL_MAGIC;
  return true;
}

class Pool implements Blocks {
  readonly #words: Int32Array;
  readonly #arena: Arena;
  /** Index of the first word of the state. */
  readonly #s: number;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#arena = arena;
    this.#s = arena.start * 4;
  }

  get freeHead(): number {
    return GRANULE;
  }

  alloc(size: number): number {
    const words = this.#words;
    const s = this.#s;
    if (words[s + FIXED] !== ((size + 1) | 0)) return this.#allocFirst(size);
    const head = words[s + FREE];
    if (head === 0) return this.#carve();
    const at = (words[s + DIRECTORY + ((head >>> CHUNK_SHIFT) & CHUNKS_MASK)] << 2)
      + ((head & CHUNK_MASK) >>> 5);
    const bits = words[at];
    if (((bits >>> head) & 1) !== 0) return this.#dropList();
    words[at] = bits | (1 << head);
    words[s + FREE] = words[head << 2];
    return head;
  }

  /** Blocks lie at multiples of 16 bytes, and nothing more is promised. */
  align(): number {
    return 0;
  }

  free(granule: number): boolean {
    const words = this.#words;
    const s = this.#s;
    const map = words[s + DIRECTORY + ((granule >>> CHUNK_SHIFT) & CHUNKS_MASK)];
    const at = (map << 2) + ((granule & CHUNK_MASK) >>> 5);
    const bits = words[at];
    if (map === 0 || ((bits >>> granule) & 1) === 0) return false;
    words[at] = bits & ~(1 << granule);
    words[granule << 2] = words[s + FREE];
    words[s + FREE] = granule;
    return true;
  }

  resize(granule: number, size: number): boolean {
    return this.#words[this.#s + FIXED] === ((size + 1) | 0) && this.sizeOf(granule) >= 0;
  }

  sizeOf(granule: number): number {
    const words = this.#words;
    const s = this.#s;
    const map = words[s + DIRECTORY + ((granule >>> CHUNK_SHIFT) & CHUNKS_MASK)];
    if (map === 0) return -1;
    const bits = words[(map << 2) + ((granule & CHUNK_MASK) >>> 5)];
    return ((bits >>> granule) & 1) === 0 ? -1 : words[s + GRANULES] * GRANULE;
  }

  startOf(granule: number): number {
    return startOfPool(this.#words, this.#s, granule);
  }

  hide(granule: number): void {
    if (this.sizeOf(granule) < 0) return;
    const words = this.#words;
    this.#list(granule, words[this.#s + GRANULES]);
    const map = words[this.#s + DIRECTORY + (granule >>> CHUNK_SHIFT)];
    words[(map << 2) + ((granule & CHUNK_MASK) >>> 5)] &= ~(1 << granule);
  }

  /** A hidden place of any size, behind everything else. */
  allocHidden(size: number): number {
    const words = this.#words;
    const place = words[this.#s + TOP];
    const n = granulesFor(size);
    if (!this.#reach(place + n)) return 0;
    this.#list(place, n);
    words[this.#s + TOP] = place + n;
    return place;
  }

  misfit(size: number, alignment: number): string | null {
    const fixed = this.#words[this.#s + FIXED] >>> 0;
    if (fixed !== 0 && size !== fixed - 1) {
      return `all blocks of this pool have ${fixed - 1} bytes; ask for that, or use another method`;
    }
    return alignment <= GRANULE ? null
      : `blocks of a pool lie at multiples of ${GRANULE} bytes only; use another method`;
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from?: number): void {
    walkPool(this.#words, this.#s, this.#arena.end(), visit, from);
  }

  stat(into: BlockStat): void {
    this.walk(countInto(into));
  }

  check(report: Parameters<Blocks['check']>[0]): void {
    checkPool(this.#words, this.#s, this.#arena.end(), report);
  }

  trim(): void {
    trimPool(this.#words, this.#s);
    this.#arena.retract(this.#words[this.#s + TOP]);
  }

  clear(): void {
    clearPool(this.#words, this.#s);
  }

  rebuild(): boolean {
    return rebuildPool(this.#words, this.#s, this.#arena.end());
  }

  /** The first block that is got fixes the size; other sizes are refused. */
  #allocFirst(size: number): number {
    const words = this.#words;
    const s = this.#s;
    if (words[s + FIXED] !== 0) return 0;
    words[s + GRANULES] = granulesFor(size);
    words[s + FIXED] = size + 1;
    const granule = this.#carve();
    if (granule === 0) words[s + FIXED] = 0;
    return granule;
  }

  /** A block that was never used, and a bitmap in front of it where there is none for it. */
  #carve(): number {
    const words = this.#words;
    const s = this.#s;
    const top = words[s + TOP];
    const isMapped = words[s + DIRECTORY + (top >>> CHUNK_SHIFT)] !== 0;
    const p = isMapped ? top : top + POOL_MAP_GRANULES;
    const end = p + words[s + GRANULES];
    if (end === p || !this.#reach(end)) return 0;
    const entry = s + DIRECTORY + (p >>> CHUNK_SHIFT);
    if (!isMapped) {
      words.fill(0, top << 2, p << 2);
      words[entry] = top;
    }
    setStart(words, words[entry] << 2, p & CHUNK_MASK);
    words[s + TOP] = end;
    return p;
  }

  /** Damaged: what the list leads to is not free. */
  #dropList(): number {
    this.#words[this.#s + FREE] = 0;
    return this.#carve();
  }

  #reach(end: number): boolean {
    const short = end - this.#arena.end();
    return short <= 0 || (this.#arena.extend(short) && end <= this.#arena.end());
  }

  /** Length first: a place is listed when it says where it is. */
  #list(place: number, n: number): void {
    const words = this.#words;
    const from = this.#s + HIDDEN;
    let i = 0;
    while (i < POOL_HIDDEN && words[from + 2 * i] !== 0) i += 1;
    assert(i < POOL_HIDDEN, 'more blocks are hidden than an arena of method pool has places for');
    words[from + 2 * i + 1] = n;
    words[from + 2 * i] = place;
  }
}

function granulesFor(size: number): number {
  return Math.max(1, Math.ceil(size / GRANULE));
}
