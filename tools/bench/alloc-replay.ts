/**
 * One trial of the allocation benchmark, a process of its own: replays a trace several times
 * through one allocator and prints JSON: nanoseconds per operation of each repetition, the peak
 * footprint.
 *
 *   node alloc-replay.js TRACE REPETITIONS heap|store|loop|buffer DIRECTORY [METHOD]
 *   node alloc-replay.js - BLOCKS crowd - [METHOD]
 *   node alloc-replay.js - REPETITIONS stack - [METHOD|loop]
 */
import { fileURLToPath } from 'node:url';
import { best, createRegion, heap, last, type Method, openStore, pool, type Region, slab }
  from '../../src/index.ts';
import { emptyHeap, largestSize, replayBuffers } from '../../src/study/loops.ts';
import { type Heap, heapOf, replay } from '../../src/trace/replay.ts';
import { readTrace } from '../../src/trace/trace-file.ts';
import type { Trace } from '../../src/trace/trace.ts';


interface Timing {
  /** Nanoseconds per operation of each repetition. */
  readonly ns: number[];
  /** Bytes the region grew to; 0 where there is no region. */
  readonly extent: number;
}

function timed(repetitions: number, operations: number, once: () => void, after: () => void) {
  const ns: number[] = [];
  for (let i = 0; i < repetitions; i += 1) {
    const started = process.hrtime.bigint();
    once();
    ns.push(Number(process.hrtime.bigint() - started) / operations);
    after();
  }
  return ns;
}

function timeRegion(trace: Trace, repetitions: number, region: Region): Timing {
  const heap = heapOf(region);
  const live = new Uint32Array(trace.slots);
  const once = () => replay(trace, heap, live);
  const ns = timed(repetitions, trace.operations, once, () => {
    for (const address of live) region.free(address);
    live.fill(0);
  });
  return { ns, extent: region.stat().extent };
}

/** Nanoseconds of a free and an alloc with `blocks` live blocks of 16 to 256 bytes. */
function timeCrowd(blocks: number, method: Method): Timing {
  const region = createRegion(heap({ capacity: '4GiB' }), method);
  const live = new Float64Array(blocks);
  let state = 1;
  const next = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let i = 0; i < blocks; i += 1) live[i] = region.alloc(16 + next(240));
  const pairs = 200_000;
  const once = () => {
    for (let i = 0; i < pairs; i += 1) {
      const slot = next(blocks);
      region.free(live[slot] as number);
      live[slot] = region.alloc(16 + next(240));
    }
  };
  return { ns: timed(7, 2 * pairs, once, () => {}), extent: region.stat().extent };
}

/** Blocks of one size, freed in reverse order: what every method can serve. */
function timeStack(repetitions: number, { alloc, free, memory }: Heap): Timing {
  const bursts = 100_000;
  const most = 16;
  const live = new Float64Array(most);
  alloc(64);
  const once = () => {
    for (let burst = 0; burst < bursts; burst += 1) {
      const count = (Math.imul(burst, 7) & (most - 1)) + 1;
      for (let i = 0; i < count; i += 1) {
        const at = alloc(64);
        live[i] = at;
        memory[at] = 1;
        memory[at + 63] = 2;
      }
      for (let i = count - 1; i >= 0; i -= 1) free(live[i] as number);
    }
  };
  return { ns: timed(repetitions, bursts * (most + 1), once, () => {}), extent: 0 };
}

const METHODS = { best, last, pool, slab };

/** A region in place of the loop; the probe that finds its memory fixes the size of a pool. */
function stackHeap(method: Method | undefined): Heap {
  return method === undefined ? emptyHeap(2 ** 16) : heapOf(createRegion(heap(), method), 64);
}

function main(path: string, repetitions: number, kind: string, dir: string, method: Method) {
  if (kind === 'crowd') return timeCrowd(repetitions, method);
  if (kind === 'stack') return timeStack(repetitions, stackHeap(method));
  const trace = readTrace(path);
  if (kind === 'heap') return timeRegion(trace, repetitions, createRegion(heap(), method));
  if (kind === 'store') {
    const store = openStore(dir);
    const timing = timeRegion(trace, repetitions, store.region('trace', { method }));
    store.abandon();
    return timing;
  }
  const { operations, slots } = trace;
  if (kind === 'buffer') {
    const live = new Array<Buffer | null>(slots).fill(null);
    const once = () => replayBuffers(trace, live, 'ends');
    return { ns: timed(repetitions, operations, once, () => live.fill(null)), extent: 0 };
  }
  const loop = emptyHeap(largestSize(trace));
  const live = new Uint32Array(slots);
  const ns = timed(repetitions, operations, () => replay(trace, loop, live), () => live.fill(0));
  return { ns, extent: 0 };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path, repetitions, kind, dir, name = 'best'] = process.argv.slice(2) as
    [string, string, string, string, keyof typeof METHODS | undefined];
  process.stdout.write(JSON.stringify(main(path, Number(repetitions), kind, dir, METHODS[name])));
}
