/**
 * A method of one's own: first fit over blocks that lie behind each other, as Knuth describes it
 * (The Art of Computer Programming, volume 1, 2.5). Short rather than fast: every call walks the
 * blocks from the start, which is also how an address that starts no block is recognised.
 *
 *   granule  start            the state: where the blocks end
 *            start + 1 …      blocks: a granule of header (size in granules, kind), the rest
 *
 * Everything it knows is in the arena, so it works over every discipline and is there again when a
 * file is opened: `registerMethod(firstFit)` first, as the file only holds the name.
 */
import { type Arena, type Blocks, type BlockStat, type Method, registerMethod }
  from '../../src/index.ts';

const WORDS = 4;
const BYTES = 16;
const FREE = 0;
const BUSY = 1;
const HIDDEN = 2;

/** Granules of a block with `size` usable bytes, its header included. */
function granulesFor(size: number): number {
  return 1 + Math.max(1, Math.ceil(size / BYTES));
}

class FirstFit implements Blocks {
  readonly #arena: Arena;
  readonly #words: Int32Array;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#words = arena.words;
  }

  alloc(size: number): number {
    return this.align(size, BYTES);
  }

  align(size: number, alignment: number): number {
    const n = granulesFor(size);
    const step = alignment / BYTES;
    for (let at = this.#first; at < this.#end; at += this.#size(at)) {
      if (this.#kind(at) !== FREE) continue;
      this.#join(at);
      const from = Math.ceil((at + 1) / step) * step - 1;
      if (from + n <= at + this.#size(at)) return this.#place(at, from, n);
    }
    const from = Math.ceil((this.#end + 1) / step) * step - 1;
    if (!this.#reach(from + n)) return 0;
    const at = this.#end;
    this.#set(at, from + n - at, FREE);
    this.#words[this.#arena.start * WORDS] = from + n;
    return this.#place(at, from, n);
  }

  free(granule: number): boolean {
    if (!this.#isLive(granule)) return false;
    this.#set(granule - 1, this.#size(granule - 1), FREE);
    return true;
  }

  resize(granule: number, size: number): boolean {
    if (!this.#isLive(granule)) return false;
    const at = granule - 1;
    const n = granulesFor(size);
    const after = at + this.#size(at);
    const isFree = after < this.#end && this.#kind(after) === FREE;
    if (isFree) this.#join(after);
    const room = this.#size(at) + (isFree ? this.#size(after) : 0);
    if (room < n) return false;
    if (room > n) this.#set(at + n, room - n, FREE);
    this.#set(at, n, BUSY);
    return true;
  }

  sizeOf(granule: number): number {
    return this.#isLive(granule) ? (this.#size(granule - 1) - 1) * BYTES : -1;
  }

  startOf(granule: number): number {
    const at = this.#blockAt(granule);
    return at !== 0 && at < granule && this.#kind(at) === BUSY ? at + 1 : 0;
  }

  hide(granule: number): void {
    if (this.#isLive(granule)) this.#set(granule - 1, this.#size(granule - 1), HIDDEN);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from = 0): void {
    for (let at = this.#first; at < this.#end; at += this.#size(at)) {
      if (this.#kind(at) === HIDDEN || at + 1 < from) continue;
      if (visit(at + 1, (this.#size(at) - 1) * BYTES, this.#kind(at) === BUSY)) return;
    }
    const rest = this.#arena.end() - this.#end - 1;
    if (rest > 0 && this.#end + 1 >= from) visit(this.#end + 1, rest * BYTES, false);
  }

  stat(into: BlockStat): void {
    this.walk((_granule, bytes, busy) => {
      into[busy ? 'busyBlocks' : 'freeBlocks'] += 1;
      into[busy ? 'busyBytes' : 'freeBytes'] += bytes;
      const largest = busy ? 'largestBusy' : 'largestFree';
      into[largest] = Math.max(into[largest], bytes);
      return false;
    });
  }

  /** FF1: blocks follow each other exactly to the end, each of a known kind. */
  check(report: Parameters<Blocks['check']>[0]): void {
    let at = this.#first;
    while (at < this.#end && this.#isSound(at)) at += this.#size(at);
    if (at === this.#end && at <= this.#arena.end()) return;
    report({ id: 'FF1', address: at * BYTES, detail: 'there is no block where one must start' });
  }

  trim(): void {
    let last = this.#first;
    for (let at = last; at < this.#end; at += this.#size(at)) {
      if (this.#kind(at) !== FREE) last = at + this.#size(at);
    }
    this.#words[this.#arena.start * WORDS] = last;
    this.#arena.retract(last);
  }

  clear(): void {
    this.#words[this.#arena.start * WORDS] = this.#first;
  }

  /** There is nothing to derive: headers are all there is. */
  rebuild(): boolean {
    let isSound = true;
    this.check(() => {
      isSound = false;
    });
    return isSound;
  }

  get #first(): number {
    return this.#arena.start + 1;
  }

  get #end(): number {
    return this.#words[this.#arena.start * WORDS] as number;
  }

  #size(at: number): number {
    return this.#words[at * WORDS] as number;
  }

  #kind(at: number): number {
    return this.#words[at * WORDS + 1] as number;
  }

  #set(at: number, size: number, kind: number): void {
    this.#words[at * WORDS] = size;
    this.#words[at * WORDS + 1] = kind;
  }

  #isSound(at: number): boolean {
    const size = this.#size(at);
    return size > 0 && at + size <= this.#end && [FREE, BUSY, HIDDEN].includes(this.#kind(at));
  }

  /** Header of the block that holds a granule, or 0. */
  #blockAt(granule: number): number {
    let at = this.#first;
    while (at < this.#end && this.#isSound(at) && at + this.#size(at) <= granule) {
      at += this.#size(at);
    }
    return at < this.#end && at <= granule && this.#isSound(at) ? at : 0;
  }

  #isLive(granule: number): boolean {
    const at = granule - 1;
    return granule > 0 && this.#blockAt(granule) === at && this.#kind(at) === BUSY;
  }

  /** A free block takes in the free ones behind it. */
  #join(at: number): void {
    let size = this.#size(at);
    while (at + size < this.#end && this.#kind(at + size) === FREE) size += this.#size(at + size);
    this.#set(at, size, FREE);
  }

  /** Cuts n granules at `from` out of a free block. */
  #place(at: number, from: number, n: number): number {
    const end = at + this.#size(at);
    if (from + n < end) this.#set(from + n, end - from - n, FREE);
    this.#set(from, n, BUSY);
    if (from > at) this.#set(at, from - at, FREE);
    return from + 1;
  }

  #reach(end: number): boolean {
    return end <= this.#arena.end() || this.#arena.extend(end - this.#arena.end());
  }
}

export const firstFit: Method = {
  name: 'first-fit',
  format(arena) {
    if (arena.end() <= arena.start && !arena.extend(1)) return false;
    arena.words[arena.start * WORDS] = arena.start + 1;
    return true;
  },
  attach: (arena) => new FirstFit(arena),
};

registerMethod(firstFit);
