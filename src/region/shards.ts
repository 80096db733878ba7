/**
 * The segments of a region that threads share, as one: a block is named by the granule of its
 * address. Each thread allocates from a segment of its own while that is free and has room; else
 * from the next that is free at once, and waits only when none is. A segment that is passed over
 * again and again is waited for, so that the lock of a thread that died there is found.
 */
import { GRANULE, GRANULE_SHIFT, METHOD_START } from '../layout.ts';
import type { Sharing } from '../sharing.ts';
import type { Blocks, Finding } from '../types.ts';
import { take } from './arguments.ts';
import { HELD, Shard, type Watchers } from './shard.ts';

/** What the short ways of a region need of its blocks. */
export type QuickBlocks =
  Pick<Blocks, 'alloc' | 'align' | 'free' | 'resize' | 'sizeOf' | 'discard' | 'hide'>;

/** So often in a row the own segment is passed over. */
const PATIENCE = 64;
const ANY_SIZE = -1;
const NOT_KNOWN = -2;

export class Shards implements QuickBlocks, Watchers {
  /** Of all segments: an address divided by 4 is an index. */
  readonly words: Int32Array;
  isWhole = false;
  untold = 0;
  declare discard?: (granule: number) => void;
  readonly #sharing: Sharing;
  readonly #all: Shard[] = [];
  readonly #shift: number;
  readonly #mask: number;
  readonly #pending: Finding[] = [];
  #warn: (finding: Finding) => void = () => {};
  #home: number;
  #passed = 0;
  /** The one size that blocks of all segments have, as far as this thread knows. */
  #agreed = ANY_SIZE;
  /** This thread holds the lock of the roots. */
  #isInside = false;

  /** `window` is that of the first segment; the others follow in its buffer. */
  constructor(sharing: Sharing, window: Uint8Array, slotBytes: number, capacity: number) {
    this.words = new Int32Array(window.buffer, window.byteOffset, capacity >>> 2);
    this.#sharing = sharing;
    this.#shift = Math.log2(slotBytes) - GRANULE_SHIFT;
    this.#mask = slotBytes / GRANULE - 1;
    this.#home = sharing.home;
  }

  /** The next segment's blocks, behind its lock. */
  add(blocks: Blocks): Shard {
    const shard = new Shard(blocks, this.#sharing.lockOf(this.#all.length), this.#sharing, this);
    this.#all.push(shard);
    if (blocks.misfit !== undefined) this.#agreed = NOT_KNOWN;
    if (shard.discard !== undefined) {
      this.discard = (granule) =>
        this.#all[granule >>> this.#shift].discard?.(granule & this.#mask);
    }
    return shard;
  }

  get count(): number {
    return this.#sharing.shards;
  }

  /** Bytes a block in the largest segment has room for, about. */
  get mostBytes(): number {
    return Math.min((this.#mask + 1) * GRANULE, this.words.length * 4) - METHOD_START;
  }

  alloc(size: number): number {
    if (this.#agreed !== ANY_SIZE && size !== this.#agreed && !this.#agree(size)) return 0;
    const home = this.#home;
    const granule = this.#all[home].tryAlloc(size);
    if (granule > 0) {
      this.#passed = 0;
      return (home << this.#shift) + granule;
    }
    return this.#elsewhere(size, GRANULE, granule);
  }

  align(size: number, alignment: number): number {
    const granule = this.#all[this.#home].tryAlign(size, alignment);
    if (granule > 0) return (this.#home << this.#shift) + granule;
    return this.#elsewhere(size, alignment, granule);
  }

  /** From the first segment that has room: the region needs few, and no thread waits for them. */
  allocHidden(size: number): number {
    for (const [index, shard] of this.#all.entries()) {
      if (this.#sharing.isCondemned(shard.lock)) continue;
      const granule = shard.allocHidden(size);
      if (granule > 0) return (index << this.#shift) + granule;
    }
    return 0;
  }

  hide(granule: number): void {
    this.#all[granule >>> this.#shift]?.hide(granule & this.#mask);
  }

  free(granule: number): boolean {
    const index = granule >>> this.#shift;
    return index < this.#all.length && this.#all[index].free(granule & this.#mask);
  }

  resize(granule: number, size: number): boolean {
    const index = granule >>> this.#shift;
    return index < this.#all.length && this.#all[index].resize(granule & this.#mask, size);
  }

  sizeOf(granule: number): number {
    const index = granule >>> this.#shift;
    return index < this.#all.length ? this.#all[index].sizeOf(granule & this.#mask) : -1;
  }

  /** Keeps what the ear hears in the middle of work until the lock is left. */
  hear(ear: { warn: (finding: Finding) => void }): void {
    this.#warn = ear.warn;
    ear.warn = (finding) => {
      this.#pending.push(finding);
      this.untold = this.#pending.length;
    };
  }

  /** Nothing is told while this thread holds locks of the whole region. */
  tell(): void {
    if (this.#isInside) return;
    const findings = this.#pending.splice(0);
    this.untold = 0;
    for (const finding of findings) this.#warn(finding);
  }

  /**
   * With the lock of the roots. What a thread that died in it left is whole: see roots.ts. `work`
   * may come here again, by way of a handler.
   */
  withRoots<T>(work: () => T): T {
    if (this.#isInside) return work();
    const lock = this.#sharing.lockOf(-1);
    this.#sharing.take(lock);
    this.#isInside = true;
    let result: T;
    try {
      result = work();
    } finally {
      this.#isInside = false;
      this.#sharing.leave(lock);
    }
    if (this.untold !== 0) this.tell();
    return result;
  }

  /** With every lock: nothing changes meanwhile but by `work`. */
  whole<T>(work: () => T, isCheck = false): T {
    return this.isWhole ? work() : this.withRoots(() => this.#holdingAll(work, isCheck));
  }

  #holdingAll<T>(work: () => T, isCheck: boolean): T {
    const held = this.#takeAll(isCheck);
    let isDone = false;
    this.isWhole = true;
    try {
      const result = work();
      isDone = true;
      return result;
    } finally {
      this.isWhole = false;
      for (const { lock } of held) {
        if (isDone) this.#sharing.leave(lock);
        else this.#sharing.abandon(lock);
      }
    }
  }

  check(report: (finding: Finding) => void): void {
    this.#sharing.check(report);
  }

  /** A check looks at condemned segments too, which nobody changes any more. */
  #takeAll(isCheck: boolean): Shard[] {
    const held: Shard[] = [];
    try {
      for (const shard of this.#all) {
        if (isCheck && this.#sharing.isCondemned(shard.lock)) continue;
        shard.enter();
        held.push(shard);
      }
      return held;
    } catch (error) {
      for (const { lock } of held) this.#sharing.leave(lock);
      throw error;
    }
  }

  /** Where the first block fixes the size of all, the first sound segment decides for all. */
  #agree(size: number): boolean {
    const first = this.#all.find(({ lock }) => !this.#sharing.isCondemned(lock));
    if (first === undefined || !first.settle(size)) return false;
    this.#agreed = size;
    return true;
  }

  /** `first` is what the own segment said: no room, or HELD. */
  #elsewhere(size: number, alignment: number, first: number): number {
    const home = this.#home;
    const isOverdue = first === HELD && ++this.#passed > PATIENCE;
    const granule = isOverdue ? this.#waiting(home, size, alignment) : first;
    if (granule > 0) return granule;
    return this.#next(size, alignment, granule === HELD ? 1 << home : 0, first === 0);
  }

  /** From a segment that is free at once, else from one of those that were `held`. */
  #next(size: number, alignment: number, held: number, isFull: boolean): number {
    const count = this.#all.length;
    const home = this.#home;
    let waitFor = held;
    for (let step = 1; step < count; step += 1) {
      const index = (home + step) % count;
      const granule = takeAtOnce(this.#all[index], size, alignment);
      if (granule === HELD) waitFor |= 1 << index;
      if (granule <= 0) continue;
      if (isFull) this.#home = index;
      return (index << this.#shift) + granule;
    }
    for (let step = 0; step < count; step += 1) {
      const index = (home + step) % count;
      const granule = (waitFor >>> index & 1) === 0 ? 0 : this.#waiting(index, size, alignment);
      if (granule > 0) return granule;
    }
    return 0;
  }

  /** From a segment that others hold; one that is condemned has no room. */
  #waiting(index: number, size: number, alignment: number): number {
    const shard = this.#all[index];
    if (this.#all.length > 1 && this.#sharing.isCondemned(shard.lock)) return 0;
    const granule = take(shard, size, alignment);
    this.#passed = 0;
    return granule > 0 ? (index << this.#shift) + granule : 0;
  }
}

function takeAtOnce(shard: Shard, size: number, alignment: number): number {
  return alignment > GRANULE ? shard.tryAlign(size, alignment) : shard.tryAlloc(size);
}
