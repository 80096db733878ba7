/**
 * One trial of a study, a process of its own: replays a trace several times through one contender
 * of JavaScript and prints a TrialResult as JSON.
 *
 *   node study-trial.js '{"trace": "FILE", "kind": "region", "method": "best", …}'
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { RegionError } from '../errors.ts';
import { readTrace, type Trace } from '../trace/trace-file.ts';
import type { Region } from '../types.ts';
import {
  emptyHeap, type Heap, replayBuffers, replayHeap, type Touch,
} from './study-loops.ts';
import { keepsContents, loadPool, poolHeap } from './study-pool.ts';
import { studyRegion } from './study-region.ts';

export interface TrialRequest {
  /** A .vmt file, not compressed. */
  readonly trace: string;
  readonly kind: 'region' | 'pool' | 'buffer' | 'loop';
  readonly method: string;
  readonly discipline: string;
  readonly repetitions: number;
  /** No repetition is begun after this. */
  readonly budgetMs: number;
  readonly touch: Touch;
  /** For the files of a region. */
  readonly dir: string;
}

export interface TrialResult {
  /** Nanoseconds per operation of each repetition. */
  readonly ns: readonly number[];
  /** Bytes at the peak; 0 = not known. */
  readonly footprint: number;
  /** Why the contender cannot serve this trace, or ''. */
  readonly refused: string;
}

function timed(
  { repetitions, budgetMs }: TrialRequest, { operations }: Trace, once: () => void,
  after: () => void,
): number[] {
  const ns: number[] = [];
  const end = performance.now() + budgetMs;
  while (ns.length < repetitions && (ns.length === 0 || performance.now() < end)) {
    const started = process.hrtime.bigint();
    once();
    ns.push(Number(process.hrtime.bigint() - started) / Math.max(1, operations));
    after();
  }
  return ns;
}

function timeHeap(request: TrialRequest, trace: Trace, heap: Heap): number[] {
  const live = new Float64Array(trace.slots);
  const once = () => replayHeap(trace, heap, live, request.touch);
  return timed(request, trace, once, () => {
    for (const address of live) if (address !== 0) heap.free(address);
    live.fill(0);
  });
}

function heapOf(region: Region): Heap {
  const probe = region.alloc(1);
  const memory = new Uint8Array(region.bytes(probe).buffer as ArrayBuffer);
  region.free(probe);
  return {
    memory,
    doubles: new Float64Array(memory.buffer),
    alloc: (size) => region.alloc(size),
    align: (size, alignment) => region.align(size, alignment),
    free: (address) => region.free(address),
    resize: (address, size) => region.resize(address, size),
  };
}

function timeRegion(request: TrialRequest, trace: Trace): TrialResult {
  const { region, peakExtent, end } = studyRegion(request.method, request.discipline, request.dir);
  const ns = timeHeap(request, trace, heapOf(region));
  const footprint = peakExtent();
  end();
  return { ns, footprint, refused: '' };
}

async function timePool(request: TrialRequest, trace: Trace): Promise<TrialResult> {
  const make = await loadPool();
  if (make === null) throw new Error('the package is not installed');
  const room = Math.min(2 ** 31, Math.max(2 ** 26, 4 * trace.peakBytes));
  const heap = poolHeap(make(room), keepsContents(make));
  const ns = timeHeap(request, trace, heap);
  return { ns, footprint: heap.peak(), refused: '' };
}

/** Peak resident bytes above those at the start. */
function timeBuffers(request: TrialRequest, trace: Trace): TrialResult {
  const live = new Array<Buffer | null>(trace.slots).fill(null);
  const before = startPeak();
  const once = () => replayBuffers(trace, live, request.touch);
  const ns = timed(request, trace, once, () => live.fill(null));
  return { ns, footprint: peakResident() - before, refused: '' };
}

/** Linux forgets the peak when asked to; elsewhere it is the peak since the process began. */
function startPeak(): number {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    return process.memoryUsage.rss();
  }
  return peakResident();
}

function peakResident(): number {
  try {
    const [, kib] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}

async function run(request: TrialRequest): Promise<TrialResult> {
  const trace = readTrace(request.trace);
  if (request.kind === 'pool') return timePool(request, trace);
  if (request.kind === 'buffer') return timeBuffers(request, trace);
  if (request.kind === 'region') return timeRegion(request, trace);
  return { ns: timeHeap(request, trace, emptyHeap(trace)), footprint: 0, refused: '' };
}

/** That a method or a pool is no match for a trace is a result. */
async function attempt(request: TrialRequest): Promise<TrialResult> {
  try {
    return await run(request);
  } catch (error) {
    const isResult = error instanceof RangeError || (error instanceof RegionError
      && ['ERR_BAD_SIZE', 'ERR_BAD_ADDRESS', 'ERR_NO_SPACE'].includes(error.code));
    if (!isResult) throw error;
    return { ns: [], footprint: 0, refused: error.message };
  }
}

process.stdout.write(JSON.stringify(await attempt(JSON.parse(process.argv[2] ?? '{}'))));
