/**
 * The quarantine of `debug`: freed blocks that are held back, a ring of their payloads, oldest
 * first, bounded by count and by granules. A block is looked at when it leaves.
 *
 * Order of writes: a slot is written before `count` makes it part of the ring, and cleared when its
 * block is gone, before it leaves the ring. So a ring that is cut off names no block too many.
 */
import { GRANULE_SHIFT } from '../layout.ts';
import { DEBUG } from '../layout-debug.ts';
import { faultsOfFreed } from './debug-findings.ts';
import type { DebugHeap } from './debug-heap.ts';

const { ring: RING, head: HEAD_SLOT, count: COUNT, held: HELD, quarantine: LIMIT } = DEBUG;

export class Quarantine {
  readonly #heap: DebugHeap;
  readonly #state: Int32Array;
  readonly #s: number;
  /** 0 = nothing is held back. */
  readonly slots: number;

  constructor(heap: DebugHeap, slots: number) {
    this.#heap = heap;
    this.#state = heap.state;
    this.#s = heap.s;
    this.slots = slots;
  }

  /** Granules that are held back. */
  get held(): number {
    return this.#state[this.#s + HELD];
  }

  /** Blocks that are held back; of a damaged ring nothing is known. */
  get count(): number {
    const count = this.#state[this.#s + COUNT];
    if (count >= 0 && count <= this.slots) return count;
    this.clear();
    return 0;
  }

  /** May a block of so many granules be held back at all? */
  takes(granules: number): boolean {
    return this.slots > 0 && granules <= this.#state[this.#s + LIMIT];
  }

  /** Its header says that it is freed. */
  add(p: number, granules: number): void {
    const state = this.#state;
    const s = this.#s;
    if (this.count === this.slots) this.#release();
    const count = this.count;
    state[s + RING + ((state[s + HEAD_SLOT] >>> 0) + count) % this.slots] = p;
    state[s + COUNT] = count + 1;
    state[s + HELD] += granules;
  }

  /** Lets go what is too much. */
  trim(): void {
    while (this.held > this.#state[this.#s + LIMIT] && this.count > 0) this.#release();
  }

  /** Lets everything go. */
  flush(): void {
    while (this.count > 0) this.#release();
    this.#state[this.#s + HELD] = 0;
  }

  /** The inner method has freed everything. */
  clear(): void {
    this.#state.fill(0, this.#s + RING, this.#s + RING + this.slots);
    this.#state[this.#s + COUNT] = 0;
    this.#state[this.#s + HELD] = 0;
  }

  /** The block that is held back longest is looked at and really freed. */
  #release(): void {
    const heap = this.#heap;
    const state = this.#state;
    const s = this.#s;
    const p = heap.slotAt(0);
    const i = heap.innerOf(p);
    if (i !== 0) {
      const bytes = heap.inner.sizeOf(i);
      faultsOfFreed(heap, p, heap.sizeAt(p, i, bytes), (fault) => heap.seen.push(fault));
      heap.giveBack(i);
      state[s + HELD] = Math.max(0, state[s + HELD] - (bytes >>> GRANULE_SHIFT));
    }
    const head = (state[s + HEAD_SLOT] >>> 0) % this.slots;
    state[s + RING + head] = 0;
    state[s + HEAD_SLOT] = (head + 1) % this.slots;
    state[s + COUNT] -= 1;
  }
}
