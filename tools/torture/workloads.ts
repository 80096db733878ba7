/**
 * What the crash tests do to a store: small, so that every operation can be a crash point, and each
 * with one concern. A workload opens the store itself and may end with it open.
 */
import { constants } from 'node:os';
import { last } from '../../src/methods/last.ts';
import { list, ref, str, u32 } from '../../src/objects/kinds.ts';
import { type Persistent, struct } from '../../src/objects/struct.ts';
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';
import { copies, copyStep } from './workloads-copies.ts';
import { holes } from './workloads-holes.ts';
import { rings } from './workloads-rings.ts';
import { generations, readerChanges, readerRecovery, readers, readerStep }
  from './workloads-readers.ts';
import { asyncStep, backAndForth, flights } from './workloads-async.ts';
import { history, historyPending, historyShrink, historyStep, joining }
  from './workloads-history.ts';
import { buffers, bufferStep, transactions, transactionStep } from './workloads-buffers.ts';

const pages: Workload = {
  name: 'pages',
  options: { settleBytes: 40_000 },
  run: (session) => {
    session.open();
    for (let step = 0; step < 7; step++) {
      change(session.region('a'), session.random, 6);
      session.checkpoint();
    }
  },
};

/** Records in image files, recycled again and again. */
const images: Workload = {
  name: 'images',
  options: { inlinePages: 1, settleBytes: 60_000 },
  run: (session) => {
    session.open();
    const region = session.region('a');
    for (let step = 0; step < 7; step++) {
      change(region, session.random, step % 3 === 2 ? 1 : 8, 6000);
      session.checkpoint();
    }
  },
};

/** Regions come, go and are called differently, with rollbacks in between. */
const regions: Workload = {
  name: 'regions',
  options: { settleBytes: 30_000, inlinePages: 4 },
  run: (session) => {
    session.open();
    const { random } = session;
    for (const name of ['a', 'b']) change(session.region(name), random, 3);
    // A second life finds what the first one left.
    for (const name of ['c', 'last']) if (session.store.has(name)) session.store.drop(name);
    session.checkpoint();
    session.store.rename('b', 'c');
    change(session.region('new'), random, 2);
    change(session.region('a'), random, 2);
    session.rollback();
    session.store.rename('b', 'c');
    change(session.store.region('last', { method: last, capacity: '1MiB' }), random, 0);
    session.checkpoint();
    session.store.drop('a');
    session.rollback();
    change(session.region('a'), random, 3);
    session.checkpoint();
    session.store.drop('a');
    change(session.region('c'), random, 3);
    session.checkpoint();
    change(session.region('a'), random, 2);
    session.store.drop('last');
    session.checkpoint();
    session.close();
  },
};

/** Files grow, shrink and grow again. */
const growth: Workload = {
  name: 'growth',
  options: { settleBytes: 1, inlinePages: 8 },
  run: (session) => {
    session.open();
    const { random } = session;
    const region = session.region('a');
    const keep = region.alloc(100);
    random.fill(region.bytes(keep));
    session.checkpoint();
    const large = region.alloc(500_000);
    random.fill(region.bytes(large, 9000));
    session.checkpoint();
    region.free(large);
    region.compact();
    session.checkpoint();
    region.bytes(keep)[0] = 7;
    session.checkpoint();
    random.fill(region.bytes(region.alloc(300_000), 5000));
    session.rollback();
    random.fill(region.bytes(region.alloc(250_000), 5000));
    session.checkpoint();
    region.clear();
    region.compact();
    session.close();
  },
};

/** A full disk keeps images from being applied: A, B and A again must be told apart. */
const pending: Workload = {
  name: 'pending',
  options: { settleBytes: 1, inlinePages: 2 },
  run: (session) => {
    session.open();
    const region = session.region('a');
    const block = region.alloc(20_000);
    const fill = (value: number): void => {
      region.bytes(block).fill(value);
    };
    fill(1);
    session.checkpoint();
    const refuse = (): void => session.marks.refuse(constants.errno.ENOSPC, '.region');
    refuse();
    fill(2);
    session.checkpoint();
    fill(1);
    session.checkpoint();
    fill(3);
    session.rollback();
    region.bytes(block)[5000] = 9;
    session.checkpoint();
    session.marks.clear();
    fill(4);
    session.checkpoint();
    refuse();
    fill(5);
    session.checkpoint();
    fill(4);
    session.checkpoint();
    session.abandon();
    session.marks.clear();
    session.open();
    change(session.region('a'), session.random, 2);
    session.close();
  },
};

/** A sync of a region's file fails once: the store must stop, and start again from its images. */
const unsynced: Workload = {
  name: 'unsynced',
  options: { settleBytes: 1, inlinePages: 2 },
  run: (session) => {
    session.open();
    const region = session.region('a');
    const block = region.alloc(20_000);
    region.bytes(block).fill(1);
    session.checkpoint();
    session.marks.unsync('.region');
    region.bytes(block).fill(2);
    session.checkpoint();
    // What the next one changes are other pages: nothing writes the lost ones again by chance.
    try {
      session.checkpoint();
      // Without a recorder, or with nothing to sync, all is well and there is nothing to try.
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_IO') throw error;
    }
    session.abandon();
    session.marks.clear();
    session.open();
    change(session.region('a'), session.random, 3);
    session.checkpoint();
    session.close();
  },
};

/** Closed, abandoned and opened again in the middle. */
const reopen: Workload = {
  name: 'reopen',
  options: { inlinePages: 3, settleBytes: '1MiB' },
  run: (session) => {
    const { random } = session;
    for (let life = 0; life < 3; life++) {
      session.open();
      change(session.region('a'), random, 4);
      session.checkpoint();
      change(session.region('b'), random, 3);
      session.checkpoint();
      change(session.region('a'), random, 2);
      if (life === 1) session.abandon();
      else session.close();
    }
    session.open();
    change(session.region('b'), random, 3);
    session.checkpoint();
  },
};

const Item = struct('Item', { id: u32, text: str, tags: list(str), next: ref(() => Item) });

/** Objects come, go and change; garbage is collected, and what lives moves together. */
const objects: Workload = {
  name: 'objects',
  options: { settleBytes: 60_000, inlinePages: 6 },
  run: (session) => {
    session.open();
    const { random } = session;
    const heap = session.store.heap('objects', { capacity: '4MiB' });
    for (let step = 0; step < 7; step++) {
      for (let i = 0; i < 12; i++) {
        const text = 'x'.repeat(random.int(600));
        const name = `item ${random.int(8)}`;
        if (random.chance(0.3)) heap.root.delete(name);
        else {
          const next = heap.root.get(name) as Persistent<typeof Item> | undefined;
          heap.root.set(name, heap.create(Item, { id: i, text, tags: [name], next: next ?? null }));
        }
      }
      if (step % 3 === 1) heap.collect({ handles: false });
      if (step % 3 === 2) heap.compact();
      session.checkpoint();
    }
  },
};

/** COMMIT does not sync: the last checkpoints may be lost, never torn. */
const normal: Workload = {
  name: 'normal',
  options: { sync: 'normal', settleBytes: 50_000, inlinePages: 4 },
  mayLoseLast: true,
  run: (session) => {
    session.open();
    for (let step = 0; step < 5; step++) {
      change(session.region('a'), session.random, 5);
      if (step % 2 === 1) change(session.region('b'), session.random, 8);
      session.checkpoint();
    }
    session.close();
    session.open();
    change(session.region('a'), session.random, 4);
    session.checkpoint();
  },
};

/** One random step of a long life: the whole range of what a program does between checkpoints. */
function roamStep(session: Session): void {
  const { random } = session;
  if (random.chance(0.15)) bufferStep(session);
  if (random.chance(0.15)) transactionStep(session);
  if (random.chance(0.1)) historyStep(session);
  if (random.chance(0.15)) asyncStep(session);
  if (random.chance(0.15)) readerStep(session);
  if (random.chance(0.03)) copyStep(session);
  const region = session.region(random.pick(['a', 'b', 'c']));
  change(region, random, 1 + random.int(8), random.chance(0.1) ? 60_000 : 3000);
  const { busyBytes } = region.stat();
  if (busyBytes > 700_000) region.clear();
  if (random.chance(0.1)) region.compact();
  if (random.chance(0.1)) region.purge();
  if (random.chance(0.1)) session.rollback();
  if (random.chance(0.05) && session.store.has('c')) session.store.drop('c');
  if (random.chance(0.05) && session.store.has('b') && !session.store.has('c')) {
    session.store.rename('b', 'c');
  }
  session.checkpoint();
}

/** Goes on for so many steps, with a close in between now and then. */
export function roam(session: Session, steps: number): void {
  session.open();
  for (let step = 0; step < steps; step++) {
    roamStep(session);
    if (!session.random.chance(0.04)) continue;
    session.close();
    session.open();
  }
}

const roaming: Workload = {
  name: 'roam',
  options: { settleBytes: 100_000, inlinePages: 4 },
  run: (session) => roam(session, 12),
};

export const WORKLOADS: readonly Workload[] = [pages, images, regions, growth, pending, unsynced,
  reopen, objects, normal, roaming, buffers, transactions,
  history, historyPending, historyShrink, joining, flights, backAndForth,
  readers, generations, readerRecovery, readerChanges, copies, holes, rings];

export function workloadNamed(name: string): Workload {
  const found = WORKLOADS.find((workload) => workload.name === name);
  if (found === undefined) throw new Error(`torture: no workload '${name}'`);
  return found;
}
