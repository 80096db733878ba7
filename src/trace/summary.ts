/** What a trace is like: counts, sizes, lifetimes, resizing, alignment, call sites. */
import { TRACE_RECORD } from '../layout.ts';
import type { Watcher } from './source.ts';
import type { Trace } from './trace.ts';

const { words: RECORD, operation: OPERATION, slotShift: SLOT, zero: ZERO } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, align: ALIGN } = TRACE_RECORD;

/** Records between two reports of how far it is. */
const STRIDE = 2 ** 18;
/** Sizes and sites that are named. */
const MOST_SIZES = 10;
const MOST_SITES = 20;

/** Values above half of `to`, up to it. */
export interface Bucket {
  readonly to: number;
  readonly count: number;
  /** Their sum. */
  readonly sum: number;
}

/** A set of whole numbers; the numbers are 0 where it is empty. */
export interface Spread {
  readonly count: number;
  readonly sum: number;
  readonly least: number;
  readonly median: number;
  readonly p90: number;
  readonly most: number;
  /** By powers of two; buckets between the first and the last may be empty. */
  readonly histogram: readonly Bucket[];
}

export interface SiteCount {
  readonly region: string;
  readonly method: string;
  readonly site: string;
  /** Blocks allocated there, and their bytes as they were asked for. */
  readonly allocs: number;
  readonly bytes: number;
  /** Blocks among them that were never freed, and their bytes at the end. */
  readonly leftBlocks: number;
  readonly leftBytes: number;
}

export interface Summary {
  readonly operations: number;
  readonly allocs: number;
  readonly frees: number;
  readonly resizes: number;
  readonly peakBytes: number;
  readonly peakBlocks: number;
  /** The operation, from 1, behind which the live bytes were at their peak; 0 = never any. */
  readonly peakAt: number;
  readonly leftBlocks: number;
  readonly leftBytes: number;
  readonly cutOff: boolean;
  readonly strangers: number;
  /** Sizes of allocs, bytes. */
  readonly sizes: Spread;
  readonly distinctSizes: number;
  /** The most frequent first. */
  readonly frequentSizes: readonly { readonly size: number; readonly count: number }[];
  /** From alloc to free, in operations; 1 = freed by the next. */
  readonly lifetimes: Spread;
  readonly freedAtOnce: number;
  readonly zeroed: { readonly count: number; readonly bytes: number };
  readonly alignments: readonly { readonly alignment: number; readonly count: number }[];
  readonly resizing: {
    readonly grown: number;
    readonly shrunk: number;
    readonly same: number;
    /** Bytes by which blocks were grown. */
    readonly grownBytes: number;
    /** Blocks that were resized, and the most times one of them was. */
    readonly blocks: number;
    readonly longest: number;
  };
  /** By bytes, at most 20; [] where the trace has no origins. */
  readonly sites: readonly SiteCount[];
  readonly distinctSites: number;
}

/** `watch` hears of records seen. */
export function summarize(trace: Trace, watch: Watcher = () => {}): Summary {
  const tally = new Tally(trace);
  const { records } = trace;
  const total = records.length / RECORD;
  for (let i = 0; i < total; i += 1) {
    if (i % STRIDE === 0) watch(i, total);
    tally.take(i, records[i * RECORD], records[i * RECORD + 1]);
  }
  return tally.summary();
}

class Tally {
  readonly #trace: Trace;
  readonly #sizes: Uint32Array;
  readonly #lifetimes: Uint32Array;
  /** By slot. */
  readonly #held: Uint32Array;
  readonly #born: Uint32Array;
  readonly #resized: Uint32Array;
  readonly #origin: Uint32Array;
  /** By origin: allocs, bytes, blocks left, bytes left. */
  readonly #sites: Float64Array;
  readonly #alignments = new Map<number, number>();
  #operations = 0;
  #allocs = 0;
  #frees = 0;
  #bytes = 0;
  #peakBytes = 0;
  #peakAt = 0;
  #atOnce = 0;
  #zeroed = 0;
  #zeroedBytes = 0;
  #grown = 0;
  #shrunk = 0;
  #same = 0;
  #grownBytes = 0;
  #resizedBlocks = 0;
  #longest = 0;

  constructor(trace: Trace) {
    this.#trace = trace;
    const { operations, leftBlocks, slots, origins } = trace;
    this.#sizes = new Uint32Array(operations);
    this.#lifetimes = new Uint32Array(Math.max(0, operations - leftBlocks));
    this.#held = new Uint32Array(slots);
    this.#born = new Uint32Array(slots);
    this.#resized = new Uint32Array(slots);
    this.#origin = new Uint32Array(slots);
    this.#sites = new Float64Array(origins.length * SITE_FIELDS);
  }

  take(record: number, word: number, value: number): void {
    const operation = word & OPERATION;
    const slot = word >>> SLOT;
    if (operation === ALIGN) {
      this.#alignments.set(value, (this.#alignments.get(value) ?? 0) + 1);
      return;
    }
    this.#operations += 1;
    if (operation === ALLOC) this.#alloc(record, slot, value, (word & ZERO) !== 0);
    else if (operation === FREE) this.#free(slot);
    else this.#resize(slot, value);
    if (this.#bytes <= this.#peakBytes) return;
    this.#peakBytes = this.#bytes;
    this.#peakAt = this.#operations;
  }

  #alloc(record: number, slot: number, size: number, zero: boolean): void {
    this.#sizes[this.#allocs] = size;
    this.#allocs += 1;
    this.#bytes += size;
    this.#held[slot] = size;
    this.#born[slot] = this.#operations;
    this.#resized[slot] = 0;
    if (zero) {
      this.#zeroed += 1;
      this.#zeroedBytes += size;
    }
    const { originOf } = this.#trace;
    const origin = originOf === null ? 0 : originOf[record];
    this.#origin[slot] = origin;
    this.#site(origin, SITE_ALLOCS, size, 1);
  }

  #free(slot: number): void {
    const age = this.#operations - this.#born[slot];
    this.#lifetimes[this.#frees] = age;
    this.#frees += 1;
    if (age === 1) this.#atOnce += 1;
    this.#bytes -= this.#held[slot];
    this.#site(this.#origin[slot], SITE_FREES, this.#held[slot], 1);
  }

  #resize(slot: number, size: number): void {
    const more = size - this.#held[slot];
    if (more > 0) this.#grown += 1;
    else if (more < 0) this.#shrunk += 1;
    else this.#same += 1;
    this.#grownBytes += Math.max(0, more);
    this.#bytes += more;
    this.#held[slot] = size;
    if (this.#resized[slot] === 0) this.#resizedBlocks += 1;
    this.#resized[slot] += 1;
    this.#longest = Math.max(this.#longest, this.#resized[slot]);
    this.#site(this.#origin[slot], SITE_RESIZES, more, 0);
  }

  /** Adds to the counts of a call site. */
  #site(origin: number, what: number, bytes: number, blocks: number): void {
    const at = origin * SITE_FIELDS;
    if (at >= this.#sites.length) return;
    const sign = what === SITE_FREES ? -1 : 1;
    if (what === SITE_ALLOCS) {
      this.#sites[at] += blocks;
      this.#sites[at + 1] += bytes;
    }
    this.#sites[at + 2] += sign * blocks;
    this.#sites[at + 3] += sign * bytes;
  }

  summary(): Summary {
    const { operations, peakBytes, peakBlocks, leftBlocks, leftBytes, cutOff, strangers } =
      this.#trace;
    const sizes = this.#sizes.subarray(0, this.#allocs).sort();
    const lifetimes = this.#lifetimes.subarray(0, this.#frees).sort();
    const runs = runsOf(sizes);
    const sites = this.#siteCounts();
    return {
      operations,
      allocs: this.#allocs,
      frees: this.#frees,
      resizes: operations - this.#allocs - this.#frees,
      peakBytes,
      peakBlocks,
      peakAt: this.#peakAt,
      leftBlocks,
      leftBytes,
      cutOff,
      strangers,
      sizes: spreadOf(sizes),
      distinctSizes: runs.distinct,
      frequentSizes: runs.frequent,
      lifetimes: spreadOf(lifetimes),
      freedAtOnce: this.#atOnce,
      zeroed: { count: this.#zeroed, bytes: this.#zeroedBytes },
      alignments: [...this.#alignments].sort(([a], [b]) => a - b)
        .map(([alignment, count]) => ({ alignment, count })),
      resizing: { grown: this.#grown, shrunk: this.#shrunk, same: this.#same,
        grownBytes: this.#grownBytes, blocks: this.#resizedBlocks, longest: this.#longest },
      sites: sites.slice(0, MOST_SITES),
      distinctSites: sites.length,
    };
  }

  #siteCounts(): SiteCount[] {
    const counts = this.#trace.origins.map((origin, i) => {
      const [allocs, bytes, leftBlocks, leftBytes] =
        this.#sites.subarray(i * SITE_FIELDS, (i + 1) * SITE_FIELDS);
      return { ...origin, allocs, bytes, leftBlocks, leftBytes };
    });
    return counts.filter(({ allocs }) => allocs > 0).sort((a, b) => b.bytes - a.bytes);
  }
}

const SITE_FIELDS = 4;
const [SITE_ALLOCS, SITE_FREES, SITE_RESIZES] = [0, 1, 2];

/** Of numbers in ascending order. */
function spreadOf(sorted: Uint32Array): Spread {
  const count = sorted.length;
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * count) - 1)] ?? 0;
  let sum = 0;
  for (const value of sorted) sum += value;
  return { count, sum, least: at(0), median: at(0.5), p90: at(0.9), most: at(1),
    histogram: histogramOf(sorted) };
}

function histogramOf(sorted: Uint32Array): Bucket[] {
  const buckets: Bucket[] = [];
  let i = 0;
  for (let to = bucketOf(sorted[0] ?? 0); i < sorted.length; to = to === 0 ? 1 : to * 2) {
    let [count, sum] = [0, 0];
    for (; i < sorted.length && sorted[i] <= to; i += 1) {
      count += 1;
      sum += sorted[i];
    }
    buckets.push({ to, count, sum });
  }
  return buckets;
}

/** The least power of two that is not smaller; 0 for 0. */
function bucketOf(value: number): number {
  return value <= 1 ? value : 2 ** (32 - Math.clz32(value - 1));
}

interface Runs {
  readonly distinct: number;
  readonly frequent: readonly { readonly size: number; readonly count: number }[];
}

/** How often each value stands in numbers in ascending order. */
function runsOf(sorted: Uint32Array): Runs {
  const frequent: { size: number; count: number }[] = [];
  let distinct = 0;
  for (let i = 0, end = 0; i < sorted.length; i = end) {
    for (end = i + 1; end < sorted.length && sorted[end] === sorted[i];) end += 1;
    distinct += 1;
    const last = frequent[MOST_SIZES - 1];
    if (last !== undefined && last.count >= end - i) continue;
    frequent.push({ size: sorted[i], count: end - i });
    frequent.sort((a, b) => b.count - a.count);
    frequent.length = Math.min(frequent.length, MOST_SIZES);
  }
  return { distinct, frequent };
}
