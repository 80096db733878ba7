/**
 * The memory of a heap: blocks of a region by reference, and typed views of each segment. The
 * window of a segment never moves, so views are made once; indices stay below 2^30, which V8 reads
 * fast.
 */
import { RegionError } from '../errors.ts';
import { GRANULE } from '../layout.ts';
import { GRANULE_MASK, HEAP_SEGMENTS, SEGMENT_SHIFT, WORD_SHIFT } from '../layout-objects.ts';
import { spaceOf } from '../region/calls.ts';
import type { Address, Region } from '../types.ts';

/** One segment, seen as numbers of every width. */
export interface Views {
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  /** Slow from 2 GiB on by single bytes: take words, or copy. */
  readonly u8: Uint8Array;
  /** The same, for texts. */
  readonly bytes: TextBytes;
}

/** What Node's buffers have for texts, with places in bytes; not in its types. */
export interface TextBytes {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
  ucs2Slice(start: number, end: number): string;
  latin1Write(text: string, at: number, bytes: number): number;
  utf8Write(text: string, at: number, bytes: number): number;
  ucs2Write(text: string, at: number, bytes: number): number;
}

const IN_PLACE = { move: false } as const;

/** Told while a collection is under way. */
export interface Watcher {
  /** A block was allocated. */
  born(ref: number): void;
  /** A slot that held this reference is overwritten, or goes; 0 is possible. */
  dropped(ref: number): void;
  /** A program puts what it holds into a slot. */
  kept(ref: number): void;
  /** What is about to be freed is freed now: someone looks at all blocks. */
  settle(): void;
}

export class Memory {
  readonly region: Region;
  readonly #views: Views[] = [];
  /** The collector, while it works. */
  watcher: Watcher | null = null;

  constructor(region: Region) {
    this.region = region;
  }

  /** The segment a reference is in. ERR_CORRUPT where there is none. */
  views(ref: number): Views {
    return this.#views[ref >>> SEGMENT_SHIFT] ?? this.#take(ref >>> SEGMENT_SHIFT);
  }

  /** First word of a block, counted in its segment. */
  word(ref: number): number {
    return (ref & GRANULE_MASK) << WORD_SHIFT;
  }

  /** First word of the block. */
  tag(ref: number): number {
    return this.views(ref).i32[(ref & GRANULE_MASK) << WORD_SHIFT];
  }

  /** A new block; contents unspecified. ERR_NO_SPACE. */
  alloc(bytes: number): number {
    const address = this.region.alloc(bytes);
    const ref = refAt(address);
    if (this.watcher !== null) this.watcher.born(ref);
    return ref;
  }

  /**
   * Gives up a block that nothing refers to any more. While a collection is under way it is left to
   * that, which may be about to look at it.
   */
  free(ref: number): void {
    if (ref !== 0 && this.watcher === null) this.region.free(addressAt(ref));
  }

  /** Tells a collection under way that a slot no longer holds this reference. */
  dropped(ref: number): void {
    if (this.watcher !== null) this.watcher.dropped(ref);
  }

  /**
   * Lengthens or shortens a block where it is. False where that cannot be, and while a collection
   * is under way, which goes from block to block.
   */
  stretch(ref: number, bytes: number): boolean {
    return this.watcher === null && this.region.resize(addressAt(ref), bytes, IN_PLACE) !== 0;
  }

  /** Tells a collection under way that a program put what it holds into a slot. */
  kept(ref: number): void {
    if (this.watcher !== null) this.watcher.kept(ref);
  }

  /** To be called before looking at all blocks: none of them is about to be freed then. */
  settle(): void {
    if (this.watcher !== null) this.watcher.settle();
  }

  /** Usable bytes of the block that starts here, or -1 where none does. */
  held(ref: number): number {
    const part = spaceOf(this.region)?.parts[ref >>> SEGMENT_SHIFT];
    return part === undefined ? -1 : part.blocks.sizeOf(ref & GRANULE_MASK);
  }

  /** Usable bytes of a block. */
  room(ref: number): number {
    return this.region.sizeOf(addressAt(ref));
  }

  /** Bytes of a block from word `from` on, not a copy. */
  bytes(ref: number, from: number, length: number): Uint8Array {
    const { u8 } = this.views(ref);
    const at = ((ref & GRANULE_MASK) << WORD_SHIFT) + from;
    return new Uint8Array(u8.buffer, u8.byteOffset + at * 4, length);
  }

  /** Segments at the end may be gone; returns how many there are. */
  trim(): number {
    const count = spaceOf(this.region)?.parts.length ?? 0;
    if (count < this.#views.length) this.#views.length = count;
    return count;
  }

  #take(segment: number): Views {
    const part = spaceOf(this.region)?.parts[segment];
    if (part === undefined) {
      throw new RegionError('ERR_CORRUPT',
        `a reference in heap '${this.region.name}' leads out of it; run check`);
    }
    if (segment >= HEAP_SEGMENTS) {
      throw new RegionError('ERR_NO_SPACE',
        `heap '${this.region.name}' is full: a heap has at most ${HEAP_SEGMENTS * 4} GiB`);
    }
    const views = viewsOf(part.window);
    this.#views[segment] = views;
    return views;
  }
}

/** Bytes from a multiple of 8 on, seen as numbers of every width. */
export function viewsOf({ buffer, byteOffset, byteLength }: Uint8Array): Views {
  return {
    i32: new Int32Array(buffer, byteOffset, Math.floor(byteLength / 4)),
    u32: new Uint32Array(buffer, byteOffset, Math.floor(byteLength / 4)),
    f32: new Float32Array(buffer, byteOffset, Math.floor(byteLength / 4)),
    f64: new Float64Array(buffer, byteOffset, Math.floor(byteLength / 8)),
    u8: new Uint8Array(buffer, byteOffset, byteLength),
    bytes: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength) as unknown as TextBytes,
  };
}

/** The reference of a block: its granule over all segments, as a 32-bit integer. */
export function refAt(address: number): number {
  return (address / GRANULE) | 0;
}

export function addressAt(ref: number): Address {
  return ((ref >>> 0) * GRANULE) as Address;
}
