/**
 * What a study finds, as plain data, and the arithmetic on it: Vo's comparison of allocators on the
 * same traces, in time and in space. Nothing here measures. Invariants of a `Study`:
 *
 *   a ratio is the time of its cell divided by that of the base on the same trace;
 *   a mean is the geometric mean over the traces that its contender served;
 *   utilization is peak live payload / peak footprint, and at most 1 for a region.
 */

/** Where a contender belongs; decides its colour and its group. */
export type Family = 'region' | 'c' | 'js' | 'loop';

export interface Contender {
  readonly name: string;
  readonly family: Family;
  /** What has to be known to read its figures, or ''. */
  readonly note: string;
}

export interface TraceFacts {
  readonly name: string;
  readonly operations: number;
  /** Bytes and blocks live at the peak. */
  readonly peakBytes: number;
  readonly peakBlocks: number;
}

/**
 * measured; limit: it was stopped after the time limit; refused: it cannot serve this trace or
 * program; failed: its process ended with an error, or what it computed is wrong.
 */
export type State = 'measured' | 'limit' | 'refused' | 'failed';

/** Has it figures? */
export function isServed({ state }: { readonly state: State }): boolean {
  return state === 'measured' || state === 'limit';
}

/** One contender on one trace. null = not known. */
export interface Cell {
  readonly trace: string;
  readonly contender: string;
  readonly state: State;
  /** Nanoseconds per operation; where it was stopped, at least so many. */
  readonly ns: number | null;
  /** ns / ns of the base. */
  readonly ratio: number | null;
  /** Bytes at the peak. */
  readonly footprint: number | null;
  readonly utilization: number | null;
  /** Nanoseconds per operation of each round, of which `ns` is the median. */
  readonly rounds: readonly number[];
  /** Why it is not measured, or ''. */
  readonly why: string;
}

/** One contender over all traces. */
export interface Mean {
  readonly contender: string;
  /** null = it served no trace, or the base is missing. */
  readonly ratio: number | null;
  /** It was stopped on a trace: the ratio is a lower bound. */
  readonly isAtLeast: boolean;
  /** Over the traces of LARGE live bytes and more. */
  readonly utilization: number | null;
  /** Traces it served. */
  readonly traces: number;
}

/** A program run under one method; the figures are those of its work, not of starting Node. */
export interface DirectRow {
  readonly workload: string;
  readonly contender: string;
  readonly state: State;
  readonly ms: number | null;
  readonly minorFaults: number | null;
  readonly majorFaults: number | null;
  /** Peak resident bytes of the process. */
  readonly peakResident: number | null;
  /** Of them, those above what was resident when the work began. */
  readonly addedResident: number | null;
  /** Bytes the region occupied at its peak. */
  readonly extent: number | null;
  /** The same under every method; another one has failed. */
  readonly checksum: string | null;
  /** Hardware counters by event, where `perf stat` has them. */
  readonly counters: Readonly<Record<string, number>>;
  readonly why: string;
}

export interface Direct {
  readonly workloads: readonly { readonly name: string; readonly what: string }[];
  readonly contenders: readonly Contender[];
  readonly rows: readonly DirectRow[];
  /** Why there are no hardware counters, or ''. */
  readonly perf: string;
}

/** Where and how it was measured. */
export interface Setting {
  /** ISO 8601. */
  readonly date: string;
  readonly command: string;
  readonly node: string;
  readonly system: string;
  readonly cpu: string;
  readonly memoryBytes: number;
  /** Versions or paths of what was compared. */
  readonly peers: Readonly<Record<string, string>>;
  readonly isQuick: boolean;
  readonly touch: 'ends' | 'all';
  readonly rounds: number;
  readonly limitSeconds: number;
}

export interface Study {
  readonly setting: Setting;
  /** The contender that times are relative to; '' without traces. */
  readonly base: string;
  readonly traces: readonly TraceFacts[];
  readonly contenders: readonly Contender[];
  readonly cells: readonly Cell[];
  readonly means: readonly Mean[];
  /** What is not compared, a sentence each. */
  readonly missing: readonly string[];
  readonly direct: Direct | null;
}

/** Below this many live bytes the footprint of a process says nothing about its allocator. */
export const LARGE = 4_000_000;

/** The middle value, the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1 || sorted.length === 0) return sorted[middle] ?? Number.NaN;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** null of none. */
export function geometricMean(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** What was measured of one contender on one trace. */
export type Sample = Omit<Cell, 'ratio' | 'utilization' | 'ns'> & {
  /** Nanoseconds per operation it took at least when it was stopped. */
  readonly atLeast: number | null;
};

/** Samples with the figures that follow from them. */
export function cellsOf(
  samples: readonly Sample[], traces: readonly TraceFacts[], contenders: readonly Contender[],
  base: string,
): Cell[] {
  const times = samples.map((sample) => timeOf(sample));
  return samples.map(({ atLeast: _, ...sample }, i) => {
    const trace = traces.find(({ name }) => name === sample.trace) as TraceFacts;
    const { family } = contenders.find(({ name }) => name === sample.contender) as Contender;
    const at = samples.findIndex((s) => s.trace === sample.trace && s.contender === base);
    const ns = times[i] ?? null;
    const reference = at < 0 || samples[at]?.state !== 'measured' ? null : times[at] ?? null;
    return {
      ...sample,
      ns,
      ratio: ns === null || reference === null ? null : ns / reference,
      utilization: utilizationOf(family, trace.peakBytes, sample.footprint),
    };
  });
}

function timeOf({ state, rounds, atLeast }: Sample): number | null {
  if (state === 'limit') return atLeast;
  return state !== 'measured' || rounds.length === 0 ? null : median(rounds);
}

/** A region knows its extent to the byte; of a process only resident pages are known. */
function utilizationOf(
  family: Family, peakBytes: number, footprint: number | null,
): number | null {
  if (footprint === null || footprint <= 0 || family === 'loop') return null;
  return family === 'region' || peakBytes >= LARGE ? peakBytes / footprint : null;
}

export function meansOf(
  cells: readonly Cell[], traces: readonly TraceFacts[], contenders: readonly Contender[],
): Mean[] {
  const large = new Set(traces.filter((t) => t.peakBytes >= LARGE).map(({ name }) => name));
  return contenders.map(({ name }) => {
    const own = cells.filter((cell) => cell.contender === name && isServed(cell));
    const used = own.filter((cell) => large.has(cell.trace));
    return {
      contender: name,
      ratio: geometricMean(own.flatMap(({ ratio }) => ratio ?? [])),
      isAtLeast: own.some(({ state }) => state === 'limit'),
      utilization: geometricMean(used.flatMap(({ utilization }) => utilization ?? [])),
      traces: own.length,
    };
  });
}
