/**
 * A recoverable buffer: plain bytes in a region of their own, written at memory speed, committed or
 * rolled back alone.
 *
 * The region holds one block, on a page boundary, so that a commit is the pages that were written
 * and no other. Two roots say where it is and how many of its bytes count.
 *
 * Invariants, reported by `checkBufferIn`:
 *   B1  the root `buffer` names the one block that is in use, and it begins a page
 *   B2  the root `bytes` is a whole number, at most what the block has
 */
import { RegionError } from '../errors.ts';
import { PAGE, SLOT_BYTES } from '../layout.ts';
import { size as sizeOption } from '../options.ts';
import { lodge } from '../tenants.ts';
import type { Address, Checkpoint, Finding, Region, TypedArrayConstructor } from '../types.ts';

const PLACE_ROOT = 'buffer';
const BYTES_ROOT = 'bytes';
/** What a region needs beside the payload: its header pages and the method's. */
const AROUND = 64 * 1024;
const LEAST_CAPACITY = 16 * 1024 * 1024;
/** A buffer may grow to so many times its first size, unless `capacity` says otherwise. */
const GROWTH = 4;

/**
 * Plain bytes that survive: what was committed is there again after a crash at any moment.
 *
 * @example
 * const frame = store.buffer('frame', { size: '1MiB' });
 * frame.bytes.set(pixels);
 * frame.commit();
 */
export interface RecoverableBuffer extends Disposable {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The store is closed, or the buffer is gone: every call throws. */
  readonly closed: boolean;
  /**
   * Its memory: a plain Uint8Array, the same one until the buffer is resized, rolled back or
   * closed. Takes the place of a Buffer in streams, fs, zlib and crypto. Never transfer it or post
   * it to a worker: that copies or takes all memory around it. ERR_STALE, ERR_CLOSED.
   */
  readonly bytes: Uint8Array;
  /**
   * The same memory as numbers; bytes at the end that make no whole element are left out.
   *
   * @example const samples = store.buffer('samples').as(Float64Array);
   */
  as<T>(type: TypedArrayConstructor<T>): T;
  /**
   * Makes this buffer as it is now durable, and nothing else: a checkpoint whose scope is this
   * buffer. Without change it returns the last checkpoint. Errors as of `Store.checkpoint`;
   * ERR_BUSY inside a transaction, and where it was given a name that the last checkpoint still
   * knows as another's.
   */
  commit(label?: string): Checkpoint;
  /**
   * Back to what was last committed, contents and size; to zeros where nothing ever was. Other
   * regions keep their changes. Read `bytes` again afterwards. ERR_BUSY inside a transaction.
   */
  rollback(): void;
  /**
   * Gives it another size, in bytes or '64KiB', '1GiB'; contents stay, new bytes are zero. Durable
   * with the next commit. Read `bytes` again afterwards. ERR_BAD_OPTION, ERR_NO_SPACE.
   */
  resize(size: number | string): void;
  /** Lets go of it: nothing is committed, what was written stays until the store's next step. */
  close(): void;
}

/** What a buffer needs of its store. */
export interface BufferTies {
  readonly commit: (label: string | undefined) => Checkpoint;
  /** False where it was never committed: nothing was changed. */
  readonly rollback: () => boolean;
}

const buffers = new WeakMap<Region, RecoverableBuffer>();

/** Bytes of address space for a buffer that begins with `size` bytes. */
export function bufferCapacity(size: number): number {
  const wanted = Math.max(LEAST_CAPACITY, size * GROWTH + AROUND);
  return Math.ceil(Math.max(Math.min(wanted, SLOT_BYTES), size + AROUND) / AROUND) * AROUND;
}

/** The buffer in a region, laid out there with `size` bytes where there is none yet. */
export function bufferIn(region: Region, size: number | null, ties: BufferTies): RecoverableBuffer {
  const open = buffers.get(region);
  if (open !== undefined && !open.closed) return open;
  if (size !== null) layOut(region, size);
  const buffer = new BufferInRegion(region, ties);
  buffers.set(region, buffer);
  return buffer;
}

/** Is there a buffer in the region, and nothing else? */
export function isBuffer(region: Region): boolean {
  return region.method === 'last' && region.roots.get(PLACE_ROOT) !== 0
    && checkBufferIn(region).length === 0;
}

/** Broken invariants of the buffer in a region. */
export function checkBufferIn(region: Region): Finding[] {
  const place = region.roots.get(PLACE_ROOT);
  const busy = [...region.blocks()].filter((block) => block.busy);
  const [block] = busy;
  const names = busy.map(({ address }) => address).join(', ') || 'none';
  if (block === undefined || busy.length > 1 || block.address !== place || place % PAGE !== 0) {
    return [{ id: 'B1', address: place, detail: `the buffer is at ${place}, blocks: ${names}` }];
  }
  const size = region.roots.get(BYTES_ROOT);
  if (Number.isSafeInteger(size) && size >= 0 && size <= block.size) return [];
  return [{ id: 'B2', address: place, detail: `${size} bytes in a block of ${block.size}` }];
}

/** Was a buffer laid out in the region, whatever became of it? */
export function hadBuffer(region: Region): boolean {
  return region.method === 'last' && region.roots.get(PLACE_ROOT) !== 0;
}

/** Names the buffer of a region again: its largest block. What was done; null = there is none. */
export function mendBufferIn(region: Region): string[] | null {
  const busy = [...region.blocks()].filter((block) => block.busy && block.address % PAGE === 0);
  const [largest] = busy.sort((a, b) => b.size - a.size);
  if (largest === undefined) return null;
  const { address, size } = largest;
  const named = region.roots.get(BYTES_ROOT);
  const isNamed = region.roots.get(PLACE_ROOT) === address;
  const bytes = isNamed && named > 0 && named <= size ? named : size;
  region.roots.set(PLACE_ROOT, address);
  region.roots.set(BYTES_ROOT, bytes as Address);
  return [`the buffer was found at ${address}, with ${bytes} bytes`];
}

function layOut(region: Region, size: number): void {
  const address = region.align(size, PAGE);
  region.roots.set(BYTES_ROOT, size as Address);
  region.roots.set(PLACE_ROOT, address);
}

class BufferInRegion implements RecoverableBuffer {
  readonly #region: Region;
  readonly #ties: BufferTies;
  readonly #firstSize: number;
  #address: Address = 0 as Address;
  #size = 0;
  #bytes: Uint8Array | null = null;
  #gone: Error | null = null;

  constructor(region: Region, ties: BufferTies) {
    this.#region = region;
    this.#ties = ties;
    this.#load();
    this.#firstSize = this.#size;
    lodge(region, {
      reverted: () => this.#load(),
      evicted: (error) => {
        this.#gone = error;
        this.#bytes = null;
      },
    });
  }

  get name(): string {
    return this.#region.name;
  }

  get size(): number {
    this.#assertUsable();
    return this.#size;
  }

  get closed(): boolean {
    return this.#gone !== null || this.#region.closed;
  }

  get bytes(): Uint8Array {
    this.#assertUsable();
    this.#bytes ??= this.#region.bytes(this.#address, this.#size);
    return this.#bytes;
  }

  as<T>(type: TypedArrayConstructor<T>): T {
    this.#assertUsable();
    const length = Math.floor(this.#size / type.BYTES_PER_ELEMENT);
    return this.#region.array(type, this.#address, length);
  }

  commit(label?: string): Checkpoint {
    this.#assertUsable();
    return this.#ties.commit(label);
  }

  rollback(): void {
    this.#assertUsable();
    if (this.#ties.rollback()) return;
    if (this.#size !== this.#firstSize) this.resize(this.#firstSize);
    this.bytes.fill(0);
  }

  resize(wanted: number | string): void {
    this.#assertUsable();
    const size = sizeOption(wanted, 'resize: size');
    const before = this.#size;
    const block = this.#region.sizeOf(this.#address);
    if (size > block) this.#grow(size);
    // What the block has beyond its bytes may be left from when it was longer.
    const slack = Math.min(size, block);
    if (slack > before) this.#region.bytes(this.#address, slack).fill(0, before);
    this.#region.roots.set(BYTES_ROOT, size as Address);
    if (size < before) {
      this.#region.resize(this.#address, size, { move: false });
      this.#region.compact();
    }
    this.#size = size;
    this.#bytes = null;
  }

  close(): void {
    if (!this.closed) this.#region.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #grow(size: number): void {
    try {
      const address = this.#region.resize(this.#address, size, { move: false, zero: true });
      if (address === this.#address) return;
    } catch (error) {
      const isCapacity = error instanceof RegionError && error.code === 'ERR_NO_SPACE'
        && error.cause === undefined;
      if (!isCapacity) throw error;
    }
    throw new RegionError('ERR_NO_SPACE',
      `buffer '${this.name}' cannot grow from ${this.#size} to ${size} bytes: it was made with ` +
        'less capacity; make a new one with the option capacity, and copy');
  }

  /** Where it is and how long, as the region says now. */
  #load(): void {
    const region = this.#region;
    const address = region.roots.get(PLACE_ROOT);
    const size = region.roots.get(BYTES_ROOT);
    if (address === 0 || size > region.sizeOf(address)) {
      throw new RegionError('ERR_CORRUPT',
        `region '${region.name}' holds no buffer, or a damaged one; run check`);
    }
    this.#address = address;
    this.#size = size;
    this.#bytes = null;
  }

  #assertUsable(): void {
    if (this.#gone !== null) throw this.#gone;
    if (this.#region.closed) this.#region.roots.get(PLACE_ROOT);
  }
}
