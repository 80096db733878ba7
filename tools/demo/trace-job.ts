/**
 * Replays a trace in a region. Everything it needs to go on after a crash is in the region, in the
 * same checkpoint as the blocks: which block is in each slot, how large it is, which call wrote it,
 * and how many records are done. Every block is verified before it is freed or resized.
 */
import type { Region } from '../../src/index.ts';
import type { Trace } from '../../src/trace/trace.ts';
import { fillPayload, findDamage, replayCalls, type TraceCalls } from './trace-model.ts';

/** Blocks of the region that are not the trace's: the three tables. */
export const TABLES = 3;

export class TraceJob implements TraceCalls {
  readonly region: Region;
  /** By slot. Address 0 = no block. */
  readonly addresses: Float64Array;
  readonly sizes: Float64Array;
  readonly stamps: Uint32Array;
  readonly #trace: Trace;

  constructor(region: Region, trace: Trace) {
    this.region = region;
    this.#trace = trace;
    const { slots } = trace;
    if (region.roots.get('slot addresses') === 0) layTables(region, slots);
    const { roots } = region;
    this.addresses = region.array(Float64Array, roots.get('slot addresses'), slots);
    this.sizes = region.array(Float64Array, roots.get('slot sizes'), slots);
    this.stamps = region.array(Uint32Array, roots.get('slot stamps'), slots);
  }

  /** Records done. */
  get record(): number {
    return this.region.roots.get('record');
  }

  advance(record: number): void {
    replayCalls(this.#trace, this.record, record, this);
    this.region.roots.set('record', record);
  }

  alloc(slot: number, size: number, alignment: number, stamp: number): void {
    const { region } = this;
    this.#write(slot, region.align(size, alignment), size, stamp);
  }

  resize(slot: number, size: number, stamp: number): void {
    const old = this.sizes[slot] as number;
    this.#verify(slot, old);
    const address = this.region.resize(this.addresses[slot] as number, size);
    this.addresses[slot] = address;
    this.#verify(slot, Math.min(old, size));
    this.#write(slot, address, size, stamp);
  }

  free(slot: number): void {
    this.#verify(slot, this.sizes[slot] as number);
    this.region.free(this.addresses[slot] as number);
    this.addresses[slot] = 0;
  }

  #write(slot: number, address: number, size: number, stamp: number): void {
    this.addresses[slot] = address;
    this.sizes[slot] = size;
    this.stamps[slot] = stamp;
    fillPayload(this.region.bytes(address, size), slot, stamp);
  }

  #verify(slot: number, length: number): void {
    const bytes = this.region.bytes(this.addresses[slot] as number, length);
    const at = findDamage(bytes, slot, this.stamps[slot] as number);
    if (at >= 0) throw new Error(`the block of slot ${slot} changed at byte ${at}`);
  }
}

function layTables(region: Region, slots: number): void {
  const widths = { 'slot addresses': 8, 'slot sizes': 8, 'slot stamps': 4 };
  for (const [name, width] of Object.entries(widths)) {
    const address = region.alloc(slots * width);
    region.bytes(address).fill(0);
    region.roots.set(name, address);
  }
}
