/**
 * What a heap must hold after some records of a trace, known from the trace alone: which slots are
 * taken, how large each block is and which bytes are in it. Nothing here has seen a region.
 */
import { TRACE_RECORD } from '../../src/layout.ts';
import type { Trace } from '../../src/trace/trace.ts';

const { words: RECORD, operation: OPERATION, slotShift: SLOT } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE } = TRACE_RECORD;

/** The calls of a trace. `stamp` names the call: its record's number plus one. */
export interface TraceCalls {
  alloc(slot: number, size: number, alignment: number, stamp: number): void;
  resize(slot: number, size: number, stamp: number): void;
  free(slot: number): void;
}

/** Makes the calls of records `from` … `to` - 1. */
export function replayCalls(trace: Trace, from: number, to: number, calls: TraceCalls): void {
  const { records } = trace;
  let alignment = 1;
  for (let record = from; record < to; record += 1) {
    const word = records[record * RECORD] as number;
    const value = records[record * RECORD + 1] as number;
    const slot = word >>> SLOT;
    const operation = word & OPERATION;
    if (operation === FREE) calls.free(slot);
    else if (operation === RESIZE) calls.resize(slot, value, record + 1);
    else if (operation === ALLOC) {
      calls.alloc(slot, value, alignment, record + 1);
      alignment = 1;
    } else alignment = value;
  }
}

export class TraceModel implements TraceCalls {
  /** Bytes of the block in each slot; -1 = none. */
  readonly sizes: Float64Array;
  /** The call that wrote the block in each slot. */
  readonly stamps: Uint32Array;
  blocks = 0;
  bytes = 0;
  record = 0;
  /** Depends on every live block: slot, size, stamp. */
  digest = 0;
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
    this.sizes = new Float64Array(trace.slots).fill(-1);
    this.stamps = new Uint32Array(trace.slots);
  }

  advance(record: number): void {
    replayCalls(this.#trace, this.record, record, this);
    this.record = record;
  }

  alloc(slot: number, size: number, _alignment: number, stamp: number): void {
    this.#put(slot, size, stamp);
  }

  resize(slot: number, size: number, stamp: number): void {
    this.free(slot);
    this.#put(slot, size, stamp);
  }

  free(slot: number): void {
    this.digest = (this.digest - this.#hash(slot)) | 0;
    this.blocks -= 1;
    this.bytes -= this.sizes[slot] as number;
    this.sizes[slot] = -1;
  }

  #put(slot: number, size: number, stamp: number): void {
    this.sizes[slot] = size;
    this.stamps[slot] = stamp;
    this.blocks += 1;
    this.bytes += size;
    this.digest = (this.digest + this.#hash(slot)) | 0;
  }

  #hash(slot: number): number {
    return mix(mix(slot, this.sizes[slot] as number), this.stamps[slot] as number);
  }
}

/** A word that depends on every bit of both. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ b;
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae35);
  return h ^ (h >>> 13);
}

/** The bytes a call puts into its block. */
export function fillPayload(bytes: Uint8Array, slot: number, stamp: number): void {
  let x = mix(slot, stamp);
  for (let i = 0; i < bytes.length; i += 1) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    bytes[i] = x >>> 24;
  }
}

/** The first byte that is not the one the call wrote, or -1. */
export function findDamage(bytes: Uint8Array, slot: number, stamp: number): number {
  let x = mix(slot, stamp);
  for (let i = 0; i < bytes.length; i += 1) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    if (bytes[i] !== x >>> 24) return i;
  }
  return -1;
}
