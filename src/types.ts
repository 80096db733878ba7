/**
 * The public types of regions: addresses, the two interfaces that meet in a region (where memory
 * comes from, how blocks are managed) and what a region reports.
 */

import type { Purged, PurgeOptions, ResizeHow } from './call-options.ts';
import type { RegionFlags, TraceSink } from './events.ts';
import type { Profile } from './profile.ts';
import type { Sharing } from './sharing.ts';

declare const brand: unique symbol;

/** Bytes from the region's start; 0 = none. */
export type Address = number & { readonly [brand]: 'Address' };

/** One broken invariant: its name, where, and what was found. */
export interface Finding {
  readonly id: string;
  /** Byte address in the region, 0 when it has no place. */
  readonly address: number;
  readonly detail: string;
  /** Call sites, `file:line:function`, where a debugging method knows them. */
  readonly allocatedAt?: string;
  readonly freedAt?: string;
  readonly detectedAt?: string;
  /** What the program did to its blocks, as a debugging method saw it: the region is sound. */
  readonly byProgram?: boolean;
}

/**
 * Where raw memory comes from. A discipline serves up to 64 segments, each a window of fixed size:
 * the buffer of a segment never moves and never changes length while the region is open.
 */
export interface Discipline {
  /** 'heap', 'mmap', 'file' or a user's own name. */
  readonly name: string;
  /** Every segment length that is asked for is a multiple of this, bytes; a multiple of 4096. */
  readonly round: number;
  /** Bytes the region may grow to, over all segments. */
  readonly capacity: number;
  /** Does memory outlive the process? */
  readonly durable: boolean;
  /**
   * A durable discipline under a region without a store: identity of this boot of the machine, 32
   * hexadecimal digits, or '' where it is not known. It tells a process crash from a machine crash.
   */
  readonly bootId?: string;
  /**
   * Attach. Returns the bytes that are already there per segment; [] = nothing, a new region. Where
   * it throws it stays closed; ERR_BUSY = it serves an open region already, which goes on.
   */
  open(): readonly number[];
  /**
   * The window of a segment, whole: all memory the segment may ever have, at a multiple of 16 bytes
   * of its buffer; min(4 GiB, capacity - 4 GiB × index) bytes.
   */
  window(segment: number): Uint8Array;
  /**
   * Make exactly `bytes` of a segment usable, more or fewer than now. Returns false when refused;
   * throws ERR_NO_SPACE on a full disk, ERR_IO on a failing one; then nothing has changed.
   * Contents of new memory are unspecified. Memory past the new end stays safe to touch.
   */
  resize(segment: number, bytes: number): boolean;
  /** Durable on return, as far as this discipline can. */
  sync(): void;
  /** Gives up the windows: views of them become empty, or zero where they cannot be detached. */
  close(): void;
  /** Address space of one segment, bytes, a power of two; default 4 GiB. */
  readonly slotBytes?: number;
  /**
   * Only where several threads use the memory at once, from `open` or the first `resize` on. The
   * windows lie one behind the other in one buffer then, which is blank when a region is made.
   */
  readonly sharing?: Sharing | null;
  /**
   * Only where the memory lies inside another region: tells who has to know when that region's
   * memory is reverted, or goes.
   */
  lend?(tenant: Tenant): void;
  /**
   * A block could not be had because memory did not grow, and nothing is half done: true = room was
   * made, it is tried again.
   */
  relieve?(): boolean;
  /**
   * Advice: of this segment little but some runs of pages (first page, page count, …) is read from
   * now on; none = anything may be.
   */
  expect?(segment: number, runs: Int32Array): void;
  /**
   * Only where the disk under zeros can be given back: these runs of pages of the segment (first
   * page, page count, …) lie in free blocks and hold zeros now. They take the place of those told
   * before.
   */
  hollow?(segment: number, runs: Int32Array): void;
}

/** Who lives in memory that may change or go under it. */
export interface Tenant {
  /** The memory was reverted to an earlier state: everything derived from it is dropped. */
  reverted(): void;
  /** The memory is gone: from now on every call throws `error`. */
  evicted(error: Error): void;
}

/**
 * How blocks are managed. A value without state; everything it knows is inside the arena.
 * Positions and sizes of an arena are granules of 16 bytes, so that they stay small integers.
 */
export interface Method {
  /** Stored in the region's header, at most 24 ASCII bytes. */
  readonly name: string;
  /** Lays out an empty heap between `arena.start` and `arena.end()`, extending it if needed. */
  format(arena: Arena): boolean;
  /** A manager over an arena that was formatted before, now or by an earlier process. */
  attach(arena: Arena): Blocks;
}

/** One segment, as its method sees it. */
export interface Arena {
  /** The whole window of the segment, bytes 0 … window length, as 32-bit words. */
  readonly words: Int32Array;
  /** First granule of the method. */
  readonly start: number;
  /** One past the last granule that may be touched now; read from the region's header. */
  end(): number;
  /** Moves the end up by at least `granules`; false = refused (capacity, disk, discipline). */
  extend(granules: number): boolean;
  /** Moves the end down, to `end` rounded up to what the discipline can give back. */
  retract(end: number): void;
  /** Where methods that watch others (debug, profile) report what they see. */
  readonly monitor?: Monitor;
}

/** The ear of a region for methods that watch. */
export interface Monitor {
  /**
   * A finding that was made in the middle of work: goes to the handler `warning`, once; with the
   * flag `abort` it is thrown as ERR_CORRUPT. Call it last, when everything is whole.
   */
  warn(finding: Finding): void;
}

/**
 * The blocks of one arena. A block is named by the granule of its payload, which is 16-byte
 * aligned.
 * 0 is no block. No call throws for what a caller may pass; the region decides what is an error.
 */
export interface Blocks {
  /** A block of at least `size` bytes, 0 ≤ size < 2^32; 0 = no space (after trying to extend). */
  alloc(size: number): number;
  /** The same with the payload at a multiple of `alignment` bytes, a power of two ≥ 32. */
  align(size: number, alignment: number): number;
  /** false = not the start of a live block; then nothing has changed. */
  free(granule: number): boolean;
  /**
   * In place, to at least `size` bytes, contents kept; false = cannot stay; nothing has changed.
   */
  resize(granule: number, size: number): boolean;
  /** Usable bytes of the live block that starts here, or -1. Hidden blocks are not live. */
  sizeOf(granule: number): number;
  /** Start of the live block that holds this granule, or 0. */
  startOf(granule: number): number;
  /** Takes a live block out of sight: free, sizeOf, startOf, walk, stat ignore it from now on. */
  hide(granule: number): void;
  /**
   * A block of any size for the region itself, hidden from the start; 0 = no space. Where it is
   * missing, `alloc` and `hide` do it: only methods that do not give blocks of every size need it.
   */
  allocHidden?(size: number): number;
  /**
   * Only methods that do not give blocks of every size: why none of this size, or alignment in
   * bytes, can be had whatever is free, or null. The region throws it as ERR_BAD_SIZE.
   */
  misfit?(size: number, alignment: number): string | null;
  /**
   * Gives up a live block whose contents were moved elsewhere. Only for methods that cannot free
   * every live block; where it is missing, `free` does it.
   */
  discard?(granule: number): void;
  /**
   * Every visible busy and free block that starts at or behind granule `from` (default: every one),
   * in address order, until the visitor returns true. Beginning late costs no walk to there.
   */
  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from?: number): void;
  /**
   * Bytes at the start of a free block that the method keeps something in; the rest of it holds
   * nothing and may be cleared at any time. Missing = free blocks stay as they are.
   */
  readonly freeHead?: number;
  /** Adds what this arena holds. Exact, without walking where the method keeps counts. */
  stat(into: BlockStat): void;
  /** Broken invariants, addresses relative to the arena, bytes. Never throws, loops or writes. */
  check(report: (finding: Finding) => void): void;
  /** Retracts the end over trailing free memory. */
  trim(): void;
  /** Every block is freed, hidden ones too; the end stays. */
  clear(): void;
  /** Derives the free structures again from the ground truth (headers, bitmap). false = damaged. */
  rebuild(): boolean;
  /**
   * Only methods that debug: why an address, bytes from the start of the arena, is refused, when
   * more is known than that it is not the start of a live block (a double free, say).
   */
  accuse?(address: number): Finding | null;
  /** Only methods that profile, or wrap one: what was allocated where. */
  profile?(): Profile;
  /** Only methods that debug: reports blocks that are live when a volatile region is closed. */
  leaks?(report: (finding: Finding) => void): void;
}

/** Counts of blocks; bytes are usable payload bytes. */
export interface BlockStat {
  /** Only methods that debug: bytes busy blocks take with their guards. */
  paddedBytes?: number;
  busyBlocks: number;
  freeBlocks: number;
  busyBytes: number;
  freeBytes: number;
  largestBusy: number;
  largestFree: number;
}

/** `region.stat()`: all sizes in bytes; bookkeeping is counted in `extent` only. */
export interface RegionStat extends BlockStat {
  readonly segments: number;
  readonly extent: number;
  readonly capacity: number;
}

/** A contiguous range of memory got from the discipline. */
export interface Segment {
  readonly address: Address;
  readonly size: number;
}

export type TypedArrayConstructor<T> = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
};

/** Named addresses, inside the region. Names: 1–255 bytes of UTF-8 without NUL. */
export interface Roots {
  /** The address, or 0 when there is no such root. */
  get(name: string): Address;
  set(name: string, address: Address | number): void;
  /** Adds n to the root's value, 0 if it is new; returns the sum. */
  add(name: string, n: number): number;
  delete(name: string): boolean;
  [Symbol.iterator](): IterableIterator<[string, Address]>;
}

/**
 * Memory of one discipline, managed by one method (Vo's Vmalloc). Addresses and sizes are bytes.
 * Every call throws ERR_CLOSED after `close`, and ERR_STALE where the store dropped or rolled the
 * region back.
 *
 * @example
 * const address = region.alloc(100);
 * region.bytes(address).fill(7);
 * region.roots.set('seven', address);
 */
/**
 * How something ended that was not closed: 'process' = only its process died, on this boot of the
 * machine, and every store to a shared mapping is there; 'machine' = the system went down since,
 * and pages may be of different times; 'unknown' = the system does not tell.
 */
export type Crash = 'process' | 'machine' | 'unknown';

/** What opening a direct region that was not closed had to do. */
export interface RegionRecovery {
  readonly crash: Crash;
  /** What was found live after the free structures were made anew and everything was checked. */
  readonly busyBlocks: number;
  readonly busyBytes: number;
}

export interface Region extends Disposable {
  readonly name: string;
  /** Name of the method, as stored in the header. */
  readonly method: string;
  readonly closed: boolean;
  /** Unique id, 32 hexadecimal digits; a store names the region's file after it. */
  readonly id: string;
  readonly roots: Roots;
  /**
   * Of a region of its own that was not closed, how it ended and what was found; else null. (Of a
   * store's regions the store says it.)
   */
  readonly recovery: RegionRecovery | null;
  /**
   * A block of at least `size` bytes, contents unspecified; 0 is a size too. ERR_BAD_SIZE for what
   * no block can be (negative, fractional, 4 GiB and more), ERR_NO_SPACE when there is no room.
   */
  alloc(size: number): Address;
  /** The same at a multiple of `alignment`, any power of two ≥ 1; else ERR_BAD_OPTION. */
  align(size: number, alignment: number): Address;
  /**
   * Grows or shrinks a block, contents kept; returns where it is now, or 0 when `how.move` is false
   * and it cannot stay. A failed call leaves the block as it was. Address 0 = alloc(size).
   */
  resize(address: Address | number, size: number, how?: ResizeHow): Address;
  /** ERR_BAD_ADDRESS unless it is the start of a live block; 0 is ignored. */
  free(address: Address | number): void;
  /** Usable bytes of a live block; ERR_BAD_ADDRESS. */
  sizeOf(address: Address | number): number;
  /** Offset of a byte in the live block that holds it, or -1. */
  offsetOf(address: number): number;
  /** Address of the first byte of a view of this region; ERR_BAD_ADDRESS for other views. */
  addressOf(view: ArrayBufferView): Address;
  /**
   * The memory of a live block, not a copy; `length` bytes, by default all usable ones. Empty or
   * zero after the region is closed. ERR_BAD_ADDRESS, ERR_BAD_SIZE.
   */
  bytes(address: Address | number, length?: number): Uint8Array;
  /**
   * The same as a typed array of `length` elements.
   *
   * @example region.array(Float64Array, region.alloc(80), 10).fill(0.5)
   */
  array<T>(type: TypedArrayConstructor<T>, address: Address | number, length?: number): T;
  /** A new block with the text as UTF-8 and its length. ERR_BAD_OPTION for NUL, lone surrogates. */
  strdup(text: string): Address;
  /** The text `strdup` stored; ERR_CORRUPT where there is none. */
  string(address: Address | number): string;
  /**
   * A block for `length` elements of a type and `extra` bytes: a new one, or `address` resized;
   * what is new reads as zeros. Vmalloc's vmnewof.
   *
   * @example const counts = region.newOf(0, Uint32Array, 100);
   */
  newOf(address: Address | number, type: { readonly BYTES_PER_ELEMENT: number }, length: number,
        extra?: number): Address;
  /** The same, new contents unspecified, old ones not kept when it moves. Vmalloc's vmoldof. */
  oldOf(address: Address | number, type: { readonly BYTES_PER_ELEMENT: number }, length: number,
        extra?: number): Address;
  segments(): Iterable<Segment>;
  /** The segment in use that holds a byte, or null. */
  segmentOf(address: number): Segment | null;
  /** Visits segments in address order until the visitor returns true. Vmalloc's vmwalk. */
  walk(visit: (segment: Segment) => unknown): void;
  /** Every block, busy and free, in address order. Do not change the region meanwhile. */
  blocks(): Iterable<{ address: Address; size: number; busy: boolean }>;
  stat(): RegionStat;
  /** Broken invariants; [] = sound. Never throws for damage. */
  check(): Finding[];
  /** Changes what is given and returns all flags as they were. ERR_BAD_OPTION. */
  configure(flags: Partial<RegionFlags>): RegionFlags;
  /**
   * From now on memory comes through another discipline, which must serve the same memory, or
   * ERR_MISMATCH; the handler `discipline` may veto. Returns the one before. Vmalloc's vmdisc.
   */
  setDiscipline(next: Discipline): Discipline;
  /** Tells the sink of every live block as if it was allocated now. Vmalloc's vmtrbusy. */
  busyTrace(sink: TraceSink): void;
  /** A throwaway region of its own memory, of this one's method. Vmalloc's vmgetmem. */
  scratch(): Region;
  /** Gives free tails and empty segments back; returns the bytes. Blocks do not move. */
  compact(): number;
  /**
   * Clears whole pages of free blocks, from 64 KiB in a row on: a store gives the disk under them
   * back once a later checkpoint is applied. Blocks do not move. What is cleared is changed memory
   * until then; `clearBytes` limits how much of it. Regions of other disciplines, of methods `last`
   * and debug(), and stores without native code: nothing to purge. ERR_BAD_OPTION.
   *
   * @example region.purge(); store.checkpoint();
   * @example while (!region.purge({ clearBytes: 2 ** 28 }).done) store.checkpoint();
   */
  purge(options?: PurgeOptions): Purged;
  /** Every block is freed, roots are dropped; segments stay. */
  clear(): void;
  /**
   * Makes everything written so far durable: a direct region by its discipline, a store's region by
   * a checkpoint of the store. ERR_IO, ERR_NO_SPACE.
   */
  sync(): void;
  /** Gives the memory up. A store's region keeps its changes for the next checkpoint. */
  close(): void;
}

/** An atomic, durable state of all regions of the store. */
export interface Checkpoint {
  /** Increases by one with every checkpoint. */
  readonly id: number;
  readonly label: string | null;
  readonly at: Date;
  /** Bytes written for it: of the changed pages, and of what they held before. */
  readonly bytes: number;
  /** Changed pages, 4096 bytes each. */
  readonly pages: number;
  /** Regions that had changed pages. */
  readonly regions: number;
  /** The store can go back to it; false for those of before there was a history. */
  readonly restorable: boolean;
}
