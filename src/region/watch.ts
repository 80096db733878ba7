/**
 * What a region does besides its work: traces, checks at operations, a watch list, events of
 * growth, warnings. While any of it is wanted the region takes its slow paths, so that nothing of
 * this costs anything otherwise.
 *
 * Findings of operations have an id of their own where no method made them:
 *   W1  an operation touched a block that holds a watched address
 */
import { RegionError } from '../errors.ts';
import { count, flag, listOf, type Reader, type Readers, readOptions } from '../options.ts';
import { callSite } from '../sites.ts';
import type { RegionEvents, RegionFlags, TraceEvent, TraceSink } from '../events.ts';
import type { Finding, Region } from '../types.ts';

/** One call that allocated, resized or freed; addresses and bytes, 0 = none. */
export interface Operation {
  readonly old: number;
  readonly new: number;
  readonly size: number;
  readonly align: number;
  readonly zero: boolean;
}

const OFF: RegionFlags = {
  trace: false, check: false, period: 1, start: 0, abort: false, shared: false, watch: [],
};

const sink: Reader<boolean | TraceSink> = (value, name) => {
  if (typeof value === 'boolean') return value;
  if (typeof (value as TraceSink | null)?.record === 'function') return value as TraceSink;
  throw new RegionError('ERR_BAD_OPTION',
    `${name} is ${String(value)}; give true, false or a sink`);
};

/** The flags that can be given when a region is made or opened. */
export const FLAGS: Readers<RegionFlags> = {
  trace: sink,
  check: flag,
  period: count(1),
  start: count(0),
  abort: flag,
  shared: flag,
  watch: listOf(count(0)),
};

type Handler = (...given: never[]) => unknown;
const handler: Reader<Handler> = (value, name) => {
  if (typeof value === 'function') return value as Handler;
  throw new RegionError('ERR_BAD_OPTION', `${name} is ${String(value)}; give a function`);
};

const EVENTS: Readers<RegionEvents> = {
  open: handler as Reader<NonNullable<RegionEvents['open']>>,
  close: handler as Reader<NonNullable<RegionEvents['close']>>,
  grow: handler as Reader<NonNullable<RegionEvents['grow']>>,
  shrink: handler as Reader<NonNullable<RegionEvents['shrink']>>,
  noMemory: handler as Reader<NonNullable<RegionEvents['noMemory']>>,
  badAddress: handler as Reader<NonNullable<RegionEvents['badAddress']>>,
  discipline: handler as Reader<NonNullable<RegionEvents['discipline']>>,
  warning: handler as Reader<NonNullable<RegionEvents['warning']>>,
  trace: handler as Reader<NonNullable<RegionEvents['trace']>>,
};

/** The option `on`. */
export const events: Reader<RegionEvents> = (value, name) =>
  readOptions<RegionEvents>(value, EVENTS, name) as RegionEvents;

export class Watch {
  on: RegionEvents;
  readonly #region: Region;
  readonly #extent: () => number;
  #flags: RegionFlags;
  #held = 0;
  /** Operations that counted for checks; operations the watch list saw. */
  #operations = 0;
  #seen = 0;
  readonly #told = new Set<string>();

  constructor(region: Region, on: RegionEvents, extent: () => number, isShared: boolean) {
    this.#region = region;
    this.#flags = { ...OFF, shared: isShared };
    this.on = on;
    this.#extent = extent;
    this.settle();
  }

  /** Has every operation to be reported here? */
  get isOn(): boolean {
    const { trace, check, watch } = this.#flags;
    return trace !== false || check || watch.length > 0
      || this.on.grow !== undefined || this.on.shrink !== undefined;
  }

  /** Does anyone want to know what was in a block before a call? */
  get isWatching(): boolean {
    return this.#flags.watch.length > 0;
  }

  /** All flags as they were. */
  configure(given: unknown): RegionFlags {
    const before = this.#flags;
    const read = readOptions<RegionFlags>(given, FLAGS, 'configure');
    if (read.shared !== undefined && read.shared !== before.shared) {
      throw new RegionError('ERR_BAD_OPTION',
        `region '${this.#region.name}' is ${before.shared ? '' : 'not '}shared, which its ` +
          'discipline decides; make it over shared()');
    }
    if (read.trace === true && this.on.trace === undefined) {
      throw new RegionError('ERR_BAD_OPTION',
        "trace: true needs a handler 'trace'; give one with `on`, or a sink as the flag");
    }
    if (read.period !== undefined || read.start !== undefined) this.#operations = 0;
    this.#flags = { ...before, ...read };
    return { ...before, watch: [...before.watch] };
  }

  /** After a call did its work; `held` = bytes of the block it was given, while that is watched. */
  after(operation: Operation, held = 0): void {
    const { trace, check, watch } = this.#flags;
    this.tellSize();
    if (trace !== false) this.#trace(operation, trace);
    if (watch.length > 0) this.#lookFor(operation, held);
    if (check) this.#checkNow();
  }

  /** Every block is gone. */
  cleared(): void {
    const { trace } = this.#flags;
    if (trace !== false) this.#trace({ old: 0, new: 0, size: 0, align: 0, zero: false }, trace);
  }

  /** Other blocks are there than before, and growing counts from here on. */
  reverted(): void {
    this.settle();
    const { trace } = this.#flags;
    if (trace === false) return;
    this.cleared();
    const record = (event: TraceEvent): void => this.on.trace?.(event, this.#region);
    this.#region.busyTrace(trace === true ? { record } : trace);
  }

  /** Growth and shrinking since the last call. */
  tellSize(): void {
    const more = this.#extent() - this.#held;
    this.#held += more;
    if (more > 0) this.on.grow?.(more, this.#region);
    if (more < 0) this.on.shrink?.(-more, this.#region);
  }

  /** From here on growing and shrinking counts. */
  settle(): void {
    this.#held = this.#extent();
  }

  /** Each finding goes to the program once. */
  warn(finding: Finding): void {
    const key = `${finding.id} ${finding.address} ${finding.detail}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const whole = finding.detectedAt === undefined
      ? { ...finding, detectedAt: callSite() } : finding;
    this.on.warning?.(whole, this.#region);
    if (!this.#flags.abort) return;
    throw new RegionError('ERR_CORRUPT',
      `region '${this.#region.name}': ${whole.id} at ${whole.address}: ${whole.detail}`);
  }

  #trace(operation: Operation, trace: true | TraceSink): void {
    const { name, method } = this.#region;
    const wantsSite = trace === true || trace.sites === true;
    const { old, new: now, size, align, zero } = operation;
    // Not by spreading the operation, which takes two microseconds.
    const event: TraceEvent = { old, new: now, size, align, zero, region: name, method,
      site: wantsSite ? callSite() : '' };
    if (trace === true) this.on.trace?.(event, this.#region);
    else trace.record(event);
  }

  #lookFor({ old, new: now, size }: Operation, held: number): void {
    this.#seen += 1;
    const isIn = (address: number, start: number, bytes: number) =>
      start !== 0 && address >= start && address < start + Math.max(1, bytes);
    for (const address of this.#flags.watch) {
      if (!isIn(address, now, size) && !isIn(address, old, held)) continue;
      const what = old === 0 ? 'allocated' : now === 0 ? 'freed' : 'resized';
      const detail = `the block that holds ${address} was ${what} by operation ${this.#seen}`;
      this.warn({ id: 'W1', address, detail, detectedAt: callSite() });
    }
  }

  #checkNow(): void {
    const { period, start } = this.#flags;
    this.#operations += 1;
    const since = this.#operations - start;
    if (since <= 0 || since % period !== 0) return;
    for (const finding of this.#region.check()) this.warn(finding);
  }
}
