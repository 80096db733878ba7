/** What a region tells its program, and what its program may ask it to watch. */
import type { Discipline, Finding, Region } from './types.ts';

/**
 * One allocation call, as Vmalloc's trace has it. Old and new address 0: every block of the region
 * is gone, since it was cleared or its memory was reverted; what is there now follows as allocated.
 */
export interface TraceEvent {
  /** Address of the block before, 0 for an allocation. */
  readonly old: number;
  /** Address of the block after, 0 for a free. */
  readonly new: number;
  /** Bytes that were asked for, 0 for a free. */
  readonly size: number;
  /** Alignment that was asked for, bytes; 0 = none. */
  readonly align: number;
  /** Was the block, or what it grew by, to read as zeros? */
  readonly zero: boolean;
  /** Name of the region, name of its method. */
  readonly region: string;
  readonly method: string;
  /** Call site `file:line:function`, '' where nobody asked for it. */
  readonly site: string;
}

/** Where a trace goes. */
export interface TraceSink {
  /** true = events need their call site, which costs microseconds each. */
  readonly sites?: boolean;
  record(event: TraceEvent): void;
}

/** What a region does besides its work; `configure` changes it and returns what it was. */
export interface RegionFlags {
  /** Every allocation call goes to this sink; true = to the handler `trace`. Default false. */
  trace: boolean | TraceSink;
  /** Check the whole region at its operations, as `period` and `start` say. Default false. */
  check: boolean;
  /** Check every n-th operation; default 1. */
  period: number;
  /** The first operations that are not checked; default 0. */
  start: number;
  /** Throw what was found as ERR_CORRUPT, after the handler `warning`. Default false. */
  abort: boolean;
  /** Several threads use the region: what its discipline says; it cannot be changed. */
  shared: boolean;
  /** Operations on a block that holds one of these addresses are reported as finding W1. */
  watch: readonly number[];
}

/**
 * What a region tells its program. A handler that throws ends the call it was made from. Where a
 * handler may veto, it does so by returning false; the call then throws ERR_BUSY.
 */
export interface RegionEvents {
  /** The region was created or opened and is ready. */
  open?(region: Region, how: 'created' | 'opened'): void;
  /** Before it is closed; false = it stays open. */
  close?(region: Region): unknown;
  /** The region got, or gave back, this many bytes. */
  grow?(bytes: number, region: Region): void;
  shrink?(bytes: number, region: Region): void;
  /**
   * There is no room for a block of so many bytes. The handler may free blocks; 'retry' = try
   * again, which is done while something was freed; else ERR_NO_SPACE.
   */
  noMemory?(bytes: number, region: Region): 'retry' | 'fail';
  /** free, resize or sizeOf of what is no live block; the call throws ERR_BAD_ADDRESS then. */
  badAddress?(address: number, region: Region): void;
  /** Before `setDiscipline`; false = it is refused. */
  discipline?(next: Discipline, region: Region): unknown;
  /** A check at an operation or a debugging method found something; each finding once. */
  warning?(finding: Finding, region: Region): void;
  /** An allocation call, while the flag `trace` is true. */
  trace?(event: TraceEvent, region: Region): void;
}
