/**
 * One segment of a region that threads share: the method's blocks behind the lock of the segment.
 * Every call takes the lock and leaves it; when the last owner left things half done the method
 * derives its free structures again first, which its order of writes makes possible at every
 * instant. Where it cannot, the lock is condemned.
 *
 * What a method reports in the middle of work is told when the lock is left: the program may call
 * the region then.
 */
import { RegionError } from '../errors.ts';
import { GRANULE } from '../layout.ts';
import type { Profile } from '../profile.ts';
import type { Sharing } from '../sharing.ts';
import type { Blocks, BlockStat, Finding } from '../types.ts';
import { takeHidden } from './arguments.ts';

/** What the segments of a region have in common. */
export interface Watchers {
  /** This thread holds the locks of all segments: calls take none. */
  isWhole: boolean;
  /** Findings that were not told yet. */
  untold: number;
  tell(): void;
}

/** What `tryAlloc` and `tryAlign` return when another thread holds the lock. */
export const HELD = -1;

export class Shard implements Blocks {
  readonly lock: number;
  readonly #blocks: Blocks;
  readonly #sharing: Sharing;
  readonly #all: Watchers;
  declare readonly discard?: (granule: number) => void;
  declare readonly profile?: () => Profile;
  declare readonly accuse?: (granule: number) => Finding | null;
  declare readonly misfit?: (size: number, alignment: number) => string | null;

  constructor(blocks: Blocks, lock: number, sharing: Sharing, all: Watchers) {
    this.lock = lock;
    this.#blocks = blocks;
    this.#sharing = sharing;
    this.#all = all;
    if (blocks.discard !== undefined) {
      this.discard = (granule) => this.#guarded(() => blocks.discard?.(granule));
    }
    if (blocks.profile !== undefined) {
      this.profile = () => this.#guarded(() => blocks.profile?.() as Profile);
    }
    if (blocks.accuse !== undefined) {
      this.accuse = (granule) => this.#guarded(() => blocks.accuse?.(granule) ?? null);
    }
    if (blocks.misfit !== undefined) {
      this.misfit = (size, alignment) =>
        this.#guarded(() => blocks.misfit?.(size, alignment) ?? null);
    }
  }

  /** Like `alloc`, or HELD at once. */
  tryAlloc(size: number): number {
    return this.#sharing.tryTake(this.lock) ? this.#alloc(size) : HELD;
  }

  tryAlign(size: number, alignment: number): number {
    return this.#sharing.tryTake(this.lock) ? this.#align(size, alignment) : HELD;
  }

  alloc(size: number): number {
    this.enter();
    return this.#alloc(size);
  }

  align(size: number, alignment: number): number {
    this.enter();
    return this.#align(size, alignment);
  }

  free(granule: number): boolean {
    this.enter();
    let isFreed: boolean;
    try {
      isFreed = this.#blocks.free(granule);
    } catch (error) {
      throw this.#cutShort(error);
    }
    this.leave();
    return isFreed;
  }

  resize(granule: number, size: number): boolean {
    this.enter();
    let isResized: boolean;
    try {
      isResized = this.#blocks.resize(granule, size);
    } catch (error) {
      throw this.#cutShort(error);
    }
    this.leave();
    return isResized;
  }

  sizeOf(granule: number): number {
    if (this.#all.isWhole) return this.#blocks.sizeOf(granule);
    this.enter();
    let size: number;
    try {
      size = this.#blocks.sizeOf(granule);
    } catch (error) {
      throw this.#cutShort(error);
    }
    this.leave();
    return size;
  }

  startOf(granule: number): number {
    return this.#guarded(() => this.#blocks.startOf(granule));
  }

  allocHidden(size: number): number {
    return this.#guarded(() => takeHidden(this.#blocks, size));
  }

  /** Only methods whose blocks have one size: is it `size`, or now that there is none yet? */
  settle(size: number): boolean {
    const blocks = this.#blocks;
    return this.#guarded(() => {
      if (blocks.misfit?.(size, GRANULE) !== null) return false;
      if (blocks.misfit(size + 1, GRANULE) !== null) return true;
      const first = blocks.alloc(size);
      return first !== 0 && blocks.free(first);
    });
  }

  hide(granule: number): void {
    this.#guarded(() => this.#blocks.hide(granule));
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from?: number): void {
    this.#guarded(() => this.#blocks.walk(visit, from));
  }

  stat(into: BlockStat): void {
    this.#guarded(() => this.#blocks.stat(into));
  }

  check(report: (finding: Finding) => void): void {
    this.#guarded(() => this.#blocks.check(report));
  }

  trim(): void {
    this.#guarded(() => this.#blocks.trim());
  }

  clear(): void {
    this.#guarded(() => this.#blocks.clear());
  }

  rebuild(): boolean {
    return this.#guarded(() => this.#blocks.rebuild());
  }

  /** Waits for the lock and mends what its last owner left half done. */
  enter(): void {
    if (!this.#sharing.take(this.lock)) this.#mend();
  }

  leave(): void {
    this.#sharing.leave(this.lock);
    if (this.#all.untold !== 0) this.#all.tell();
  }

  #alloc(size: number): number {
    let granule: number;
    try {
      granule = this.#blocks.alloc(size);
    } catch (error) {
      throw this.#cutShort(error);
    }
    this.leave();
    return granule;
  }

  #align(size: number, alignment: number): number {
    let granule: number;
    try {
      granule = this.#blocks.align(size, alignment);
    } catch (error) {
      throw this.#cutShort(error);
    }
    this.leave();
    return granule;
  }

  #guarded<T>(work: () => T): T {
    if (this.#all.isWhole) return work();
    this.enter();
    let result: T;
    try {
      result = work();
    } catch (error) {
      throw this.#cutShort(error);
    }
    this.leave();
    return result;
  }

  /** A call that threw, by a stack that overflowed say, may have left anything half done. */
  #cutShort(error: unknown): unknown {
    this.#sharing.abandon(this.lock);
    return error;
  }

  #mend(): void {
    let isSound: boolean;
    try {
      isSound = this.#blocks.rebuild();
    } catch (error) {
      throw this.#cutShort(error);
    }
    if (isSound) return;
    this.#sharing.condemn(this.lock);
    throw new RegionError('ERR_CORRUPT',
      'a thread died in a shard of this region and its blocks do not hold together; read what ' +
        'you can, and make another region');
  }
}
