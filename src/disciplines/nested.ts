/**
 * nested: a region in a block of another region. A root of the outer region names the block; that
 * is all there is outside the block, and nothing but the block is ever written.
 *
 * The window begins where the block does and reaches to the end of the outer region's, so that the
 * block can grow in place; it never moves, so growth that needs more is refused. The outer region
 * tells this one when its memory goes back in time or away: it lives on where the block still holds
 * it, and is stale where it does not.
 *
 * Creation: the root is set last, so that a region that was never finished has no name. What
 * becomes of the memory is the outer region's: it is as durable as that.
 */
import { RegionError } from '../errors.ts';
import { HEADER, METHOD_START, PAGE, SLOT_BYTES } from '../layout.ts';
import { readOptions, size, text } from '../options.ts';
import { lodge } from '../tenants.ts';
import type { Address, Discipline, Region, Tenant } from '../types.ts';
import { capacityFrom, windowBytes } from './capacity.ts';
import { capacityIn } from './stored-capacity.ts';

const ROUND = PAGE;

export interface NestedOptions {
  /** Root of the outer region that names the block; default 'nested'. */
  readonly root?: string;
  /** Bytes, or a string like '1GiB'; default: what the region says, for a new one what there is. */
  readonly capacity?: number | string;
  /**
   * Bytes the block has at least, whether they are used or not; default: what it has when the
   * region is opened, 0 for a new one. 0 lets `compact` give back all that is not used.
   */
  readonly size?: number | string;
}

interface Settings {
  root?: string;
  capacity?: number;
  size?: number;
}

/** Blocks that serve an open region, per outer region. */
const inUse = new WeakMap<Region, Set<number>>();

/**
 * A block of another region. ERR_NO_SPACE when the block cannot grow in place; ERR_NOT_FOUND when
 * the root names no live block.
 *
 * @example const inner = createRegion(nested(outer, { root: 'session', size: '1MiB' }), best);
 */
export function nested(region: Region, options?: NestedOptions): Discipline {
  if (typeof region?.segmentOf !== 'function') {
    throw new RegionError('ERR_BAD_OPTION', `nested: ${String(region)} is no region; give an ` +
      'open region and, as an object, the options');
  }
  const given = readOptions<Settings>(options, { root: text, capacity: size, size }, 'nested');
  return new NestedMemory(region, given);
}

class NestedMemory implements Discipline {
  readonly name = 'nested';
  readonly round = ROUND;
  readonly durable = true;
  readonly #outer: Region;
  readonly #root: string;
  readonly #given: number | undefined;
  readonly #size: number | undefined;
  /** Bytes the block keeps. */
  #least = 0;
  #capacity: number;
  #isOpen = false;
  #address = 0 as Address;
  #window: Uint8Array = new Uint8Array(0);
  #isPublished = false;
  #identity = Buffer.alloc(0);
  #leave: () => void = () => {};

  constructor(outer: Region, { root = 'nested', capacity, size }: Settings) {
    this.#outer = outer;
    this.#root = root;
    this.#given = capacity;
    this.#capacity = capacityFrom(capacity, ROUND, SLOT_BYTES);
    this.#size = size === undefined ? undefined : Math.ceil(size / ROUND) * ROUND;
    if (this.#size === undefined || this.#size <= this.#capacity) return;
    throw new RegionError('ERR_BAD_OPTION',
      `nested: a size of ${size} bytes is more than the capacity of ${this.#capacity}`);
  }

  get capacity(): number {
    return this.#capacity;
  }

  open(): readonly number[] {
    if (this.#isOpen) {
      throw new RegionError('ERR_BUSY', `${this.#what()} serves an open region; close that first`);
    }
    const address = this.#find();
    this.#isOpen = true;
    this.#least = this.#size ?? 0;
    if (address === 0) return [];
    try {
      this.#isPublished = true;
      this.#take(address);
      if (this.#least > this.#held()) this.#grow(this.#least);
    } catch (error) {
      this.close();
      throw error;
    }
    // What the block has beyond the region is room to grow, not the rest of a crash.
    const held = Math.floor(this.#held() / PAGE) * PAGE;
    this.#least = this.#size ?? held;
    const used = this.#pages() * PAGE;
    return [used >= METHOD_START && used < held ? used : held];
  }

  window(segment: number): Uint8Array {
    if (segment !== 0) throw new RegionError('ERR_BAD_OPTION', `${this.#what()} is one segment`);
    if (this.#identity.length > 0 && !this.#isThere()) throw this.#stale();
    return this.#window;
  }

  resize(segment: number, bytes: number): boolean {
    if (segment !== 0) return false;
    const wanted = Math.max(bytes, this.#least);
    if (this.#address === 0) this.#take(this.#outer.alloc(wanted));
    else if (!this.#isLive()) throw this.#stale();
    else if (wanted > this.#held()) this.#grow(wanted);
    else this.#outer.resize(this.#address, wanted, { move: false });
    return true;
  }

  sync(): void {
    this.#outer.sync();
  }

  close(): void {
    const isUnfinished = this.#address !== 0 && !this.#isPublished;
    if (isUnfinished && !this.#outer.closed) this.#outer.free(this.#address);
    inUse.get(this.#outer)?.delete(this.#address);
    this.#leave();
    this.#leave = () => {};
    this.#isOpen = false;
    this.#address = 0 as Address;
    this.#window = new Uint8Array(0);
    this.#isPublished = false;
    this.#identity = Buffer.alloc(0);
  }

  /** The region is ready: now it gets its name. */
  lend(tenant: Tenant): void {
    if (!this.#isPublished) this.#outer.roots.set(this.#root, this.#address);
    this.#isPublished = true;
    this.#identity = Buffer.from(this.#identityNow());
    this.#leave = lodge(this.#outer, {
      reverted: () => {
        const isSame = this.#outer.roots.get(this.#root) === this.#address && this.#isThere();
        if (isSame) tenant.reverted();
        else tenant.evicted(this.#stale());
      },
      evicted: (error) => tenant.evicted(this.#isThere() ? error : this.#stale()),
    });
  }

  /** Address of the block the root names, 0 = there is no such root. */
  #find(): Address {
    const address = this.#outer.roots.get(this.#root);
    if (address === 0) return address;
    if (this.#outer.offsetOf(address) !== 0) {
      throw new RegionError('ERR_NOT_FOUND',
        `${this.#what()} is gone: the root names no live block (${address}); delete the root, or ` +
          'choose another one');
    }
    if (inUse.get(this.#outer)?.has(address)) {
      throw new RegionError('ERR_LOCKED', `${this.#what()} is open already; close it there first`);
    }
    return address;
  }

  #take(address: Address): void {
    this.#address = address;
    const { buffer, byteOffset } = this.#outer.bytes(address, 0);
    const segment = Math.floor(address / SLOT_BYTES);
    const end = windowBytes(this.#outer.stat().capacity, segment);
    const room = Math.min(end - (address % SLOT_BYTES), buffer.byteLength - byteOffset);
    const stored = this.#isPublished && this.#held() >= PAGE
      ? capacityIn(Buffer.from(buffer, byteOffset, PAGE)) : 0;
    const wanted = this.#given ?? (stored > 0 ? stored : SLOT_BYTES);
    this.#capacity = Math.floor(Math.min(Math.ceil(wanted / ROUND) * ROUND, room) / ROUND) * ROUND;
    this.#window = new Uint8Array(buffer, byteOffset, this.#capacity);
    inUse.set(this.#outer, (inUse.get(this.#outer) ?? new Set()).add(address));
  }

  #grow(bytes: number): void {
    const held = this.#held();
    if (bytes <= this.#capacity) {
      if (this.#outer.resize(this.#address, bytes, { move: false }) !== 0) return;
    }
    throw new RegionError('ERR_NO_SPACE',
      `${this.#what()} cannot grow in place from ${held} to ${bytes} bytes: what follows its ` +
        'block is in use; free that, or give a new one a larger `size` to begin with');
  }

  #held(): number {
    return this.#outer.sizeOf(this.#address);
  }

  /** Pages the header says are in use. */
  #pages(): number {
    if (this.#held() < METHOD_START) return 0;
    const { buffer, byteOffset } = this.#window;
    return new Uint32Array(buffer, byteOffset + HEADER.segmentPages, 1)[0];
  }

  #identityNow(): Uint8Array {
    return this.#window.subarray(0, HEADER.capacity);
  }

  #isLive(): boolean {
    return !this.#outer.closed && this.#outer.offsetOf(this.#address) === 0;
  }

  /** Does the block hold the region that was opened? */
  #isThere(): boolean {
    if (!this.#isLive()) return false;
    const pages = this.#pages();
    return pages * PAGE >= METHOD_START && pages * PAGE <= this.#held()
      && this.#identity.equals(this.#identityNow());
  }

  #stale(): RegionError {
    return new RegionError('ERR_STALE', `${this.#what()} is gone: its block (${this.#address}) ` +
      'was freed, or the outer region went back to where it holds something else');
  }

  #what(): string {
    return `the region nested at root '${this.#root}' of region '${this.#outer.name}'`;
  }
}
