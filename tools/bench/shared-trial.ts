/**
 * The processes of the benchmark of shared regions.
 *
 *   node shared-trial.js KIND THREADS SHARDS ROUNDS MS
 *                        → { rounds: [{ operations, rate, cpuNs, cores }] }
 *
 * Operations per second, processor time of each, processors the process got. The last two are for
 * machines that have other things to do.
 *
 * Each thread replaces blocks of 16 to 271 bytes at random among a thousand that it holds. KIND:
 * `heap` = one thread, its own region; `own` = threads over a shared region, each frees what it
 * allocated; `swap` = each block goes to a mailbox, and what was there, as a rule another thread's,
 * is freed.
 */
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { type Address, best, createRegion, heap, openRegion, type Region, shared }
  from 'regionstore';

const HELD = 1000;
const BATCH = 2000;
/** Words of the control buffer: threads that are ready, operations of each, the mailbox. */
const CONTROL = { ready: 0, operations: 16, stride: 16, mail: 1024, boxes: 1024 } as const;
const WARM_MS = 400;

export interface Round {
  readonly operations: number;
  readonly rate: number;
  readonly cpuNs: number;
  readonly cores: number;
}

interface Task {
  readonly kind: string;
  readonly buffer: SharedArrayBuffer | null;
  readonly control: SharedArrayBuffer;
  readonly index: number;
}

/** A linear congruential generator in one word. */
function next(state: number): number {
  return (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
}

function replaceOwn(region: Region, held: Float64Array, start: number): number {
  let state = start;
  for (let i = 0; i < BATCH; i += 1) {
    state = next(state);
    const at = (state >>> 8) % HELD;
    region.free(held[at] as Address);
    held[at] = region.alloc(16 + (state >>> 24));
  }
  return state;
}

function swap(region: Region, control: Int32Array, start: number): number {
  let state = start;
  for (let i = 0; i < BATCH; i += 1) {
    state = next(state);
    const box = CONTROL.mail + (state >>> 8) % CONTROL.boxes;
    const granule = region.alloc(16 + (state >>> 24)) / 16;
    region.free((Atomics.exchange(control, box, granule) >>> 0) * 16);
  }
  return state;
}

/** Never ends; the process does. */
function work({ kind, buffer, control, index }: Task): never {
  const region = buffer === null ? createRegion(heap({ capacity: '256MiB' }), best)
    : openRegion(shared(buffer));
  const words = new Int32Array(control);
  const held = new Float64Array(HELD);
  const mine = CONTROL.operations + index * CONTROL.stride;
  Atomics.add(words, CONTROL.ready, 1);
  for (let state = index + 1; ;) {
    state = kind === 'swap' ? swap(region, words, state) : replaceOwn(region, held, state);
    Atomics.add(words, mine, BATCH);
  }
}

function sumOf(words: Int32Array, threads: number): number {
  let sum = 0;
  for (let i = 0; i < threads; i += 1) {
    sum += Atomics.load(words, CONTROL.operations + i * CONTROL.stride) >>> 0;
  }
  return sum;
}

async function main(): Promise<void> {
  const [kind = '', ...numbers] = process.argv.slice(2);
  const [threads = 1, shards = 1, rounds = 1, ms = 100] = numbers.map(Number);
  const control = new SharedArrayBuffer((CONTROL.mail + CONTROL.boxes) * 4);
  const words = new Int32Array(control);
  const memory = kind === 'heap' ? null : shared({ capacity: '256MiB', shards });
  if (memory !== null) createRegion(memory, best);
  const script = fileURLToPath(import.meta.url);
  const buffer = memory?.buffer ?? null;
  for (let index = 0; index < threads; index += 1) {
    new Worker(script, { workerData: { kind, buffer, control, index } satisfies Task });
  }
  const sleep = (time: number) => new Promise((resolve) => setTimeout(resolve, time));
  while (Atomics.load(words, CONTROL.ready) < threads) await sleep(5);
  await sleep(WARM_MS);
  const found: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [started, used, from] = [performance.now(), process.cpuUsage(), sumOf(words, threads)];
    await sleep(ms);
    // One operation is an alloc or a free. The clock is outermost: nothing can look too fast.
    const operations = 2 * (sumOf(words, threads) - from);
    const { user, system } = process.cpuUsage(used);
    const elapsedMs = performance.now() - started;
    found.push({ operations, rate: 1000 * operations / elapsedMs,
      cpuNs: 1000 * (user + system) / operations, cores: (user + system) / 1000 / elapsedMs });
  }
  process.stdout.write(`${JSON.stringify({ rounds: found })}\n`, () => process.exit(0));
}

if (isMainThread) await main();
else work(workerData as Task);
