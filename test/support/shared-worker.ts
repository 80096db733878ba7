/**
 * What a worker thread does in a shared region; compiled, it runs as a worker. It is given its job
 * as workerData and says how it went in one message.
 *
 *   hammer  random calls, every block checked; some are handed to other threads by way of a mailbox
 *   count   roots: one counter for all, names of its own
 *   park    one call that never ends: it sleeps at its n-th store, with the lock held
 *   meet    creates or opens, whichever comes first
 */
import { parentPort, workerData } from 'node:worker_threads';
import { shared } from '../../src/disciplines/shared-buffer.ts';
import { best } from '../../src/methods/best.ts';
import { methodNamed, registerMethod } from '../../src/methods/registry.ts';
import { createRegion, openRegion } from '../../src/region/region.ts';
import type { Address, Region } from '../../src/types.ts';
import { type Random, random as randomOf } from '../../tools/torture/random.ts';
import { cutting } from './cutting.ts';
import { isWhole, put, sizeIn } from './shared-blocks.ts';
import { CONTROL, type Job } from './shared-jobs.ts';

const job = workerData as Job;
const control = new Int32Array(job.control);

/** Blocks this thread holds when it ends. */
export interface Hammered {
  readonly blocks: readonly number[];
}

function hammer(region: Region): Hammered {
  const random = randomOf(job.seed);
  const held: Address[] = [];
  for (let i = 0; i < job.steps && Atomics.load(control, CONTROL.stop) === 0; i++) {
    step(region, held, random);
    Atomics.add(control, CONTROL.progress + job.index, 1);
  }
  return { blocks: held };
}

function step(region: Region, held: Address[], random: Random): void {
  const what = random.int(100);
  const at = random.int(held.length || 1);
  const some = held[at];
  if (some !== undefined && !isWhole(region, some)) throw new Error(`block ${some} was changed`);
  if (some === undefined || (what < 40 && held.length < 100)) {
    held.push(put(region, region.alloc(sizeOf(random)), random.int(2 ** 30)));
  } else if (what < 70) {
    held.splice(at, 1);
    region.free(some);
  } else if (what < 85) {
    held[at] = grow(region, some, random);
  } else {
    trade(region, held, at, random);
  }
}

function sizeOf(random: Random): number {
  return 8 + (random.int(20) === 0 ? random.int(30_000) : random.int(300));
}

function grow(region: Region, some: Address, random: Random): Address {
  const moved = region.resize(some, sizeOf(random));
  const kept = Math.min(sizeIn(region, moved), region.sizeOf(moved));
  if (!isWhole(region, moved, kept)) throw new Error(`block ${moved} lost its contents`);
  return put(region, moved, random.int(2 ** 30));
}

/** Puts a block into the mailbox and takes what was there: another thread's, as a rule. */
function trade(
  region: Region, held: Address[], at: number, random: Random,
): void {
  const box = CONTROL.mail + random.int(CONTROL.words - CONTROL.mail);
  const granule = Atomics.exchange(control, box, (held[at] as number) / 16);
  if (granule === 0) held.splice(at, 1);
  else held[at] = (granule * 16) as Address;
  if (granule === 0) return;
  if (!isWhole(region, held[at] as Address)) throw new Error('a block changed on its way');
}

/** One counter for all, and enough names that the table of the roots moves again and again. */
function count(region: Region): null {
  for (let i = 0; i < job.steps; i++) {
    region.roots.add('counter', 1);
    const name = `thread ${job.index}, root ${i % 150}`;
    region.roots.set(name, i);
    if (region.roots.get(name) !== i) throw new Error(`${name} is ${region.roots.get(name)}`);
    if (i % 3 === 0) region.roots.delete(name);
  }
  return null;
}

/** Sleeps at its n-th store of an allocation. */
function park(): null {
  let left = Number.POSITIVE_INFINITY;
  registerMethod(cutting(methodNamed(job.method), () => {
    if (left-- > 0) return;
    Atomics.store(control, CONTROL.progress + job.index, 1);
    Atomics.notify(control, CONTROL.progress + job.index);
    Atomics.wait(control, CONTROL.stop, 0);
  }));
  const region = openRegion(shared(job.buffer));
  left = job.steps;
  for (;;) region.free(region.alloc(100));
}

/** 'created' or 'opened': one thread is first. */
function meet(): string {
  Atomics.add(control, CONTROL.stop, 1);
  while (Atomics.load(control, CONTROL.stop) < job.steps);
  try {
    createRegion(shared(job.buffer), best).close();
    return 'created';
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_EXISTS') throw error;
    using region = openRegion(shared(job.buffer));
    region.free(region.alloc(100));
    return 'opened';
  }
}

function work(): unknown {
  if (job.what === 'park') return park();
  if (job.what === 'meet') return meet();
  const region = openRegion(shared(job.buffer));
  const result = job.what === 'hammer' ? hammer(region) : count(region);
  region.close();
  return result;
}

parentPort?.postMessage(work());
