/**
 * One trial of a study, a process of its own: replays a trace several times through one contender
 * of JavaScript. It writes the lines that the C replayer writes (see study-process.ts):
 *
 *   node trial.js '{"trace": "FILE", "kind": "region", "method": "best", …}'
 */
import { last } from '../methods/last.ts';
import { methodNamed } from '../methods/registry.ts';
import {
  explained, firstSize, type Heap, heapOf, refusal, replay, type Touch,
} from '../trace/replay.ts';
import type { Trace } from '../trace/trace.ts';
import { readTrace } from '../trace/trace-file.ts';
import type { Region } from '../types.ts';
import { standFor } from './places.ts';
import { emptyHeap, largestSize, replayBuffers } from './loops.ts';
import { peakResident, startPeak } from './memory.ts';
import { loadPool, PoolRefused, poolHeap, reallocFault } from './pool.ts';

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

/** One line for whoever waits; a pipe takes it at once, even when this process is killed next. */
function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Says nanoseconds per operation of each repetition. */
function timed(
  { repetitions, budgetMs }: TrialRequest, { operations }: Trace, once: () => void,
  after: () => void,
): void {
  say('ready');
  const end = performance.now() + budgetMs;
  for (let i = 0; i < repetitions && (i === 0 || performance.now() < end); i += 1) {
    const started = process.hrtime.bigint();
    once();
    const ns = Number(process.hrtime.bigint() - started);
    say((ns / Math.max(1, operations)).toFixed(3));
    after();
  }
}

function timeHeap(request: TrialRequest, trace: Trace, heap: Heap): void {
  const live = new Uint32Array(trace.slots);
  const once = () => replay(trace, heap, live, request.touch);
  timed(request, trace, once, () => {
    for (const address of live) if (address !== 0) heap.free(address);
    live.fill(0);
  });
}

function timeRegion(request: TrialRequest, trace: Trace): number {
  const { method, discipline, dir, touch } = request;
  const { region, close } = standFor(discipline, dir, methodNamed(method));
  const heap = heapOf(region, firstSize(trace));
  const live = new Uint32Array(trace.slots);
  const once = () => {
    try {
      replay(trace, heap, live, touch);
    } catch (error) {
      throw explained(error, region, live);
    }
  };
  timed(request, trace, once, () => freeAll(region, live));
  // Nothing is given back before: the extent is that of the peak.
  const { extent } = region.stat();
  close();
  return extent;
}

/** What the program left over, one by one as in C; `last` can only drop all of it. */
function freeAll(region: Region, live: Uint32Array): void {
  if (region.method === last.name) region.clear();
  else for (const address of live) region.free(address);
  live.fill(0);
}

async function timePool(request: TrialRequest, trace: Trace): Promise<number> {
  const make = await loadPool();
  if (make === null) throw new Error('the package is not installed');
  const room = Math.min(2 ** 30, Math.max(2 ** 26, 4 * trace.peakBytes)) & ~15;
  const heap = poolHeap(make(room, 16), reallocFault(make) === '');
  timeHeap(request, trace, heap);
  return heap.peak();
}

/** Peak resident bytes above those at the start. */
function timeBuffers(request: TrialRequest, trace: Trace): number {
  const live = new Array<Buffer | null>(trace.slots).fill(null);
  const before = startPeak();
  const once = () => replayBuffers(trace, live, request.touch);
  timed(request, trace, once, () => live.fill(null));
  return peakResident() - before;
}

/** Bytes at the peak; 0 = not known. */
async function run(request: TrialRequest): Promise<number> {
  const trace = readTrace(request.trace);
  if (request.kind === 'pool') return timePool(request, trace);
  if (request.kind === 'buffer') return timeBuffers(request, trace);
  if (request.kind === 'region') return timeRegion(request, trace);
  timeHeap(request, trace, emptyHeap(largestSize(trace)));
  return 0;
}

/** That a method or a pool is no match for a trace is a result. */
async function attempt(request: TrialRequest): Promise<string> {
  try {
    return `footprint ${await run(request)}`;
  } catch (error) {
    const why = error instanceof PoolRefused ? error.message : refusal(error);
    if (why === null) throw error;
    return `refused ${why}`;
  }
}

say(await attempt(JSON.parse(process.argv[2] ?? '{}')));
