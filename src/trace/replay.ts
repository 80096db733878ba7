/**
 * Replays a trace through a region: the calls of a program, without the program. The first and the
 * last byte of each block are written, or all of them, or none.
 *
 * `replay` is the loop that is timed: no objects per operation, and it goes to memory through one
 * view. `verify` is the slow replay that believes nothing; what it finds:
 *
 *   V1  the contents of a block are what was written into it until it is freed, over resizes too
 *   V2  a block has the alignment that was asked for
 *   V3  at least as many bytes can be used as were asked for
 *   V4  a block that is live is known to the region
 */
import { assert, RegionError } from '../errors.ts';
import { GRANULE, SLOT_BYTES, TRACE_RECORD } from '../layout.ts';
import type { Address, Finding, Region } from '../types.ts';
import type { Trace } from './trace.ts';

const { words: RECORD, operation: OPERATION, zero: ZERO, slotShift: SLOT } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;

/** Which bytes of a block are written when it is allocated or resized. */
export const TOUCHES = ['none', 'ends', 'all'] as const;
export type Touch = (typeof TOUCHES)[number];

/**
 * What a replay needs: addresses are byte offsets into `memory`, below 4 GiB. Its functions are
 * taken out of it, so they must not need it as `this`.
 */
export interface Heap {
  readonly memory: Uint8Array;
  /** The same memory. */
  readonly doubles: Float64Array;
  alloc(size: number): number;
  align(size: number, alignment: number): number;
  free(address: number): void;
  resize(address: number, size: number): number;
}

/** Words of records that are replayed by one call. */
const RUN = 2 ** 15;

/**
 * Replays the trace once; what is left live stands in `live` by slot, which has to be empty (0)
 * before. An allocator that throws ends the replay; see `refusal`.
 */
export function replay(
  trace: Trace, heap: Heap, live: Uint32Array, touch: Touch = 'ends',
): void {
  const { records } = trace;
  let i = 0;
  while (i < records.length) {
    i = replayRun(records, i, Math.min(records.length, i + RUN), heap, live, touch);
  }
}

/**
 * The timed loop, with what V8 would do again for every record done once: a function that returns
 * is compiled as such, not by its loop alone; constants and functions are locals; numbers are cut
 * to 32 bits. That is 8 % of a replay through `best`. Where the next run begins.
 */
function replayRun(
  records: Uint32Array, from: number, to: number, heap: Heap, live: Uint32Array, touch: Touch,
): number {
  const { memory, alloc, align, free, resize } = heap;
  const step = RECORD | 0;
  const mask = OPERATION | 0;
  const shift = SLOT | 0;
  const zero = ZERO | 0;
  const allocs = ALLOC | 0;
  const frees = FREE | 0;
  const resizes = RESIZE | 0;
  const touchesEnds = touch === 'ends';
  const end = to | 0;
  let i = from | 0;
  for (; i < end; i = (i + step) | 0) {
    let word = records[i] as number;
    let size = records[i + 1] as number;
    const operation = word & mask;
    let at = 0;
    if (operation === frees) {
      free(live[word >>> shift] as number);
      live[word >>> shift] = 0;
      continue;
    }
    if (operation === allocs) at = alloc(size) >>> 0;
    else if (operation === resizes) at = resize(live[word >>> shift] as number, size) >>> 0;
    else {
      const alignment = size;
      // Its alloc follows directly (T3).
      i = (i + step) | 0;
      word = records[i] as number;
      size = records[i + 1] as number;
      at = (alignment > GRANULE ? align(size, alignment) : alloc(size)) >>> 0;
    }
    if ((word & zero) !== 0) clear(heap, at, size);
    live[word >>> shift] = at;
    if (touchesEnds) {
      if (size > 0) {
        memory[at] = 1;
        memory[at + size - 1] = 2;
      }
    } else if (touch === 'all') memory.fill(1, at, at + size);
  }
  return i;
}

/** Usable sizes are whole granules, so eight bytes at a time; a call of fill costs 128 of them. */
function clear(heap: Heap, at: number, size: number): void {
  const { doubles } = heap;
  if (size > 1024) heap.memory.fill(0, at, at + size);
  else for (let i = at >>> 3, end = (at + size + 7) >>> 3; i < end; i += 1) doubles[i] = 0;
}

/**
 * A region of one segment as a replay sees it. Its memory is found by a block of `size` bytes that
 * is freed again: a pool gets its size by the first.
 */
export function heapOf(region: Region, size = GRANULE): Heap {
  assert(region.stat().capacity <= SLOT_BYTES, 'a region that is replayed to has one segment');
  const probe = region.alloc(size);
  const { buffer, byteOffset } = region.bytes(probe);
  region.free(probe);
  const start = byteOffset - probe;
  const words = Math.floor((buffer.byteLength - start) / Float64Array.BYTES_PER_ELEMENT);
  return {
    memory: new Uint8Array(buffer, start),
    doubles: new Float64Array(buffer, start, words),
    alloc: (size) => region.alloc(size),
    align: (size, alignment) => region.align(size, alignment),
    free: (address) => region.free(address),
    resize: (address, size) => region.resize(address, size),
  };
}

/** What one replay took. */
export interface Measure {
  /** Milliseconds. */
  readonly ms: number;
  /** Bytes the region occupied at the end: nothing is given back before. */
  readonly footprint: number;
}

/**
 * One timed replay through a new region; its blocks are left as they are. `clock` gives
 * milliseconds. ERR_MISMATCH where the method cannot free or resize in the order of the trace; else
 * whatever the region throws.
 */
export function measure(
  trace: Trace, region: Region, touch: Touch, clock: () => number,
): Measure {
  const heap = heapOf(region, firstSize(trace));
  const live = new Uint32Array(trace.slots);
  const started = clock();
  try {
    replay(trace, heap, live, touch);
  } catch (error) {
    throw explained(error, region, live);
  }
  const ms = clock() - started;
  return { ms, footprint: region.stat().extent };
}

/** Bytes of the first block that is asked for. */
export function firstSize({ records }: Trace): number {
  for (let i = 0; i < records.length; i += RECORD) {
    if ((records[i] & OPERATION) === ALLOC) return records[i + 1];
  }
  return GRANULE;
}

/** Peak live payload by peak footprint, 0 … 1. */
export function utilization(trace: Trace, footprint: number): number {
  return footprint === 0 ? 0 : trace.peakBytes / footprint;
}

/** Findings that are kept; one broken block tends to be followed by many. */
const MOST_FINDINGS = 100;

/**
 * Replays the trace through a new region, writing every byte of every block and reading it again
 * before it goes. Then the region's own check. [] = sound. ERR_MISMATCH where the method cannot
 * free or resize in the order of the trace; else whatever the region throws.
 */
export function verify(trace: Trace, region: Region): Finding[] {
  const checker = new Checker(region, trace.slots);
  try {
    replayChecked(trace, checker);
  } catch (error) {
    const known = explained(error, region, checker.addresses);
    if ((known as RegionError).code !== 'ERR_BAD_ADDRESS') throw known;
    checker.lost(known as RegionError);
  }
  return [...checker.findings, ...region.check()];
}

function replayChecked({ records }: Trace, checker: Checker): void {
  let alignment = 0;
  for (let i = 0; i < records.length; i += RECORD) {
    const word = records[i];
    const value = records[i + 1];
    const slot = word >>> SLOT;
    const operation = word & OPERATION;
    checker.begin(i / RECORD, slot);
    if (operation === FREE) checker.free();
    else if (operation === RESIZE) checker.resize(value);
    else if (operation === ALLOC) checker.alloc(value, alignment);
    alignment = operation === ALIGN ? value : 0;
    if (checker.findings.length >= MOST_FINDINGS) return;
  }
  checker.finish();
}

/** The blocks of a replay that is verified. */
class Checker {
  readonly findings: Finding[] = [];
  /** By slot, 0 = empty. */
  readonly addresses: Float64Array;
  readonly #sizes: Float64Array;
  readonly #region: Region;
  #record = 0;
  #slot = 0;

  constructor(region: Region, slots: number) {
    this.#region = region;
    this.addresses = new Float64Array(slots);
    this.#sizes = new Float64Array(slots);
  }

  /** The next calls are those of this record. */
  begin(record: number, slot: number): void {
    this.#record = record;
    this.#slot = slot;
  }

  alloc(size: number, alignment: number): void {
    const at = alignment > GRANULE ? this.#region.align(size, alignment) : this.#region.alloc(size);
    if (alignment > 0 && at % alignment !== 0) {
      this.#found('V2', at, `record ${this.#record} asked for alignment ${alignment}`);
    }
    this.#hold(at, size);
  }

  resize(size: number): void {
    const at = this.#region.resize(this.addresses[this.#slot], size);
    this.addresses[this.#slot] = at;
    this.#expect(Math.min(size, this.#sizes[this.#slot]), 'after the resize of');
    this.#hold(at, size);
  }

  free(): void {
    this.#expect(this.#sizes[this.#slot], 'before the free of');
    this.#region.free(this.addresses[this.#slot]);
    this.addresses[this.#slot] = 0;
  }

  finish(): void {
    for (let slot = 0; slot < this.addresses.length; slot += 1) {
      this.#slot = slot;
      if (this.addresses[slot] !== 0) this.#expect(this.#sizes[slot], 'at the end, after');
    }
  }

  lost(error: RegionError): void {
    this.#found('V4', this.addresses[this.#slot], `record ${this.#record}: ${error.message}`);
  }

  #hold(at: Address, size: number): void {
    this.addresses[this.#slot] = at;
    const usable = this.#region.sizeOf(at);
    if (usable < size) this.#found('V3', at, `record ${this.#record}: ${usable} bytes of ${size}`);
    this.#sizes[this.#slot] = Math.min(size, usable);
    this.#region.bytes(at, this.#sizes[this.#slot]).fill(markOf(this.#slot));
  }

  /** The first `size` bytes of the slot's block are as they were filled. */
  #expect(size: number, when: string): void {
    const at = this.addresses[this.#slot];
    const bytes = this.#region.bytes(at, Math.min(size, this.#region.sizeOf(at)));
    const mark = markOf(this.#slot);
    for (let i = 0; i < bytes.length; i += 1) {
      if (bytes[i] === mark) continue;
      this.#found('V1', at,
        `byte ${i} of ${size} is ${bytes[i]}, not ${mark}, ${when} record ${this.#record}`);
      return;
    }
  }

  #found(id: string, address: number, detail: string): void {
    this.findings.push({ id, address, detail });
  }
}

/** What the block of a slot is filled with: never 0, another one for each neighbour. */
function markOf(slot: number): number {
  return 1 + (slot * 37) % 255;
}

/**
 * A method that refuses an address is either one that does not serve this order (`last`), or it has
 * lost a block: then not all that are live are known to it.
 */
export function explained(error: unknown, region: Region, live: Iterable<number>): unknown {
  if (!(error instanceof RegionError) || error.code !== 'ERR_BAD_ADDRESS') return error;
  for (const address of live) if (address !== 0 && !isLive(region, address)) return error;
  return new RegionError('ERR_MISMATCH',
    `${region.method} cannot free or resize blocks in the order of this trace`, error);
}

function isLive(region: Region, address: number): boolean {
  try {
    return region.sizeOf(address) >= 0;
  } catch {
    return false;
  }
}

/** Codes of a region that cannot serve a trace, which is a fault of neither. */
const REFUSALS = new Set(['ERR_BAD_SIZE', 'ERR_MISMATCH', 'ERR_NO_SPACE']);

/** Why a method cannot serve a trace, for what a replay threw; null = something else is wrong. */
export function refusal(error: unknown): string | null {
  if (!(error instanceof RegionError) || !REFUSALS.has(error.code)) return null;
  return error.message;
}
