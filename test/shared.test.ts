/** A region that worker threads use at once: side by side, one after the other's death, misused. */
import { describe, expect, test } from 'vitest';
import { shared } from '../src/disciplines/shared-buffer.ts';
import { SHARED } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { methodNamed } from '../src/methods/registry.ts';
import { slab } from '../src/methods/slab.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Address } from '../src/types.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { isWhole } from './support/shared-blocks.ts';
import { CONTROL, type Job, newControl, type Running, startJob } from './support/shared-jobs.ts';
import type { Hammered } from './support/shared-worker.ts';

const MIB = 2 ** 20;

function jobOf(buffer: SharedArrayBuffer, given: Partial<Job>): Job {
  return { what: 'hammer', buffer, control: newControl(), index: 0, seed: newSeed(), steps: 1,
    method: 'best', ...given };
}

function mailIn(control: SharedArrayBuffer): Address[] {
  return [...new Int32Array(control).subarray(CONTROL.mail)].filter((granule) => granule !== 0)
    .map((granule) => (granule * 16) as Address);
}

function takeovers(buffer: SharedArrayBuffer): number {
  return new Int32Array(buffer)[SHARED.takeovers / 4] as number;
}

/** Waits, at most half a minute: on a busy machine a thread needs seconds to start. */
async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 15_000; i++) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect.fail(`never: ${what}`);
}

/** The ticket of a thread that died with the first shard's lock, which is mended already. */
async function deadTicket(buffer: SharedArrayBuffer): Promise<number> {
  const control = newControl();
  const { worker } = startJob<null>(jobOf(buffer, { what: 'park', control, steps: 0 }));
  await until(() => new Int32Array(control)[CONTROL.progress] === 1, 'it sleeps in its lock');
  const ticket = new Int32Array(buffer)[SHARED.lock / 4] as number;
  await worker.terminate();
  using region = openRegion(shared(buffer));
  region.stat();
  return ticket;
}

describe('side by side', () => {
  test.each([
    [1, 'best'], [2, 'best'], [8, 'best'], [2, 'slab'], [2, 'debug(best)'],
  ] as const)('threads hammer one region of %i shards: %s', async (shards, method) => {
    const seed = newSeed();
    const memory = shared({ capacity: 64 * MIB, shards });
    using region = createRegion(memory, methodNamed(method));
    const control = newControl();
    const steps = method === 'best' ? 5000 : 2000;
    const running = Array.from({ length: 4 }, (_, index) => startJob<Hammered>(
      jobOf(memory.buffer, { control, index, seed: seed + index, steps })));
    const answers = await Promise.all(running.map(({ done }) => done));
    const blocks = answers.flatMap((answer) => (answer?.blocks ?? []) as Address[]);
    blocks.push(...mailIn(control));
    expect(region.check(), `seed ${seed}`).toEqual([]);
    expect(blocks.length).toBeGreaterThan(60);
    expect(blocks.filter((address) => !isWhole(region, address))).toEqual([]);
    const stat = region.stat();
    expect(stat.busyBlocks).toBe(blocks.length);
    expect(stat.busyBytes).toBe(blocks.reduce((sum, at) => sum + region.sizeOf(at), 0));
    const busy = [...region.blocks()].filter((block) => block.busy);
    expect(busy.map(({ address }) => address)).toEqual(blocks.sort((a, b) => a - b));
    for (const address of blocks) region.free(address);
    expect(region.stat().busyBlocks).toBe(0);
    expect(region.check()).toEqual([]);
    expect(takeovers(memory.buffer)).toBe(0);
  });

  test('roots.add counts exactly, and names of all threads are there', async () => {
    const memory = shared({ capacity: 16 * MIB });
    using region = createRegion(memory, best);
    const steps = 900;
    const running = [0, 1, 2].map((index) =>
      startJob<null>(jobOf(memory.buffer, { what: 'count', index, steps })));
    await Promise.all(running.map(({ done }) => done));
    expect(region.roots.get('counter')).toBe(3 * steps);
    const names = new Map(region.roots);
    for (const index of [0, 1, 2]) {
      for (let i = steps - 150; i < steps; i++) {
        expect(names.get(`thread ${index}, root ${i % 150}`)).toBe(i % 3 === 0 ? undefined : i);
      }
    }
    expect(region.check()).toEqual([]);
  });

  test('of threads that meet at a blank buffer one creates, the others open', async () => {
    for (let round = 0; round < 3; round++) {
      const buffer = new SharedArrayBuffer(MIB);
      const control = newControl();
      const running = [0, 1, 2].map((index) =>
        startJob<string>(jobOf(buffer, { what: 'meet', control, index, steps: 3 })));
      const answers = await Promise.all(running.map(({ done }) => done));
      expect(answers.sort()).toEqual(['created', 'opened', 'opened']);
      using region = openRegion(shared(buffer));
      expect(region.check()).toEqual([]);
      expect(region.stat().busyBlocks).toBe(0);
    }
  });
});

describe('threads that die', () => {
  test('at any time: the others go on, and everything holds together', async () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const memory = shared({ capacity: 64 * MIB, shards: 2 });
    using region = createRegion(memory, best);
    const control = newControl();
    const progress = new Int32Array(control, CONTROL.progress * 4, 3);
    const start = (index: number): Running<Hammered> => startJob(jobOf(memory.buffer,
      { control, index, seed: random(2 ** 30), steps: Number.POSITIVE_INFINITY }));
    const running = [0, 1, 2].map(start);
    for (let round = 0; round < often(5, 20); round++) {
      const victim = random(3);
      await until(() => (progress[victim] as number) > 50, 'a new thread works');
      for (let spin = random(200_000); spin > 0; spin--) Atomics.load(progress, 0);
      await running[victim]?.worker.terminate();
      expect(region.check(), `seed ${seed}, round ${round}`).toEqual([]);
      const before = [...progress];
      await until(() => [0, 1, 2].every((i) => i === victim || progress[i] !== before[i]),
        'the others go on');
      progress[victim] = 0;
      running[victim] = start(victim);
    }
    Atomics.store(new Int32Array(control), CONTROL.stop, 1);
    const answers = await Promise.all(running.map(({ done }) => done));
    expect(region.check()).toEqual([]);
    const held = answers.flatMap((answer) => answer?.blocks ?? []) as Address[];
    expect(held.filter((address) => !isWhole(region, address))).toEqual([]);
  });

  const methods = [best, last, pool, slab, debug(best)];
  test.each(methods)('in its lock, at any store: $name', async (method) => {
    const memory = shared({ capacity: 16 * MIB, shards: 1 });
    using region = createRegion(memory, method);
    region.alloc(100);
    const stores = [0, 1, 2, 4, 8].filter((_, i) => i % often(2, 1) === 0);
    for (const store of stores) {
      const control = newControl();
      const words = new Int32Array(control);
      const { worker } = startJob<null>(jobOf(memory.buffer,
        { what: 'park', control, steps: store, method: method.name }));
      await until(() => words[CONTROL.progress] === 1, 'it sleeps in its lock');
      // Others wait for the lock, and get it when the thread is gone.
      const waiting = [1, 2].map((index) => startJob<null>(jobOf(memory.buffer,
        { what: 'count', index, steps: 20 })));
      const before = takeovers(memory.buffer);
      const ended = worker.terminate();
      region.alloc(100);
      expect(takeovers(memory.buffer)).toBe(before + 1);
      await ended;
      await Promise.all(waiting.map(({ done }) => done));
      expect(region.check()).toEqual([]);
    }
    expect(region.stat().busyBlocks).toBeGreaterThanOrEqual(stores.length + 1);
  });

  test('with the lock of the roots', async () => {
    const memory = shared({ capacity: 16 * MIB, shards: 1 });
    using region = createRegion(memory, best);
    const ticket = await deadTicket(memory.buffer);
    new Int32Array(memory.buffer)[SHARED.rootsLock / 4] = ticket;
    expect(region.roots.add('n', 1)).toBe(1);
    new Int32Array(memory.buffer)[SHARED.rootsLock / 4] = ticket;
    expect(region.check()).toEqual([]);
  });
});
