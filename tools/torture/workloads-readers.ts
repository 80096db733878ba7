/** Crash tests of a writer with readers beside it, in one process, so that everything is seen. */
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';

/** Readers come, stay, move on and go, while checkpoints are taken. */
export function readerStep(session: Session): void {
  const { random, store } = session;
  change(session.region(random.pick(['a', 'b'])), random, 3, 5000);
  if (random.chance(0.1) && store.has('b')) store.drop('b');
  if (random.chance(0.15)) session.region('a').compact();
  session.checkpoint();
  if (random.chance(0.4)) session.look();
  if (random.chance(0.3)) session.moveOn();
  if (random.chance(0.3)) session.leave();
  if (random.chance(0.2)) session.rollback();
}

export const readers: Workload = {
  name: 'readers',
  options: { settleBytes: 40_000, inlinePages: 3, history: 2 },
  run: (session) => {
    session.open();
    for (let step = 0; step < 6; step++) readerStep(session);
  },
};

/** A reader that stays: the writer goes on in a new file, is closed and comes back. */
export const generations: Workload = {
  name: 'generations',
  options: { settleBytes: 1, inlinePages: 2, history: 0 },
  run: (session) => {
    session.open();
    const fill = (value: number): void => {
      const region = session.region('a');
      const block = region.roots.get('block') || region.alloc(30_000);
      region.roots.set('block', block);
      region.bytes(block).fill(value);
    };
    fill(1);
    session.checkpoint();
    session.look();
    for (const value of [2, 3]) {
      fill(value);
      session.checkpoint();
    }
    session.look();
    fill(9);
    session.rollback();
    fill(4);
    session.close();
    session.open();
    fill(5);
    session.checkpoint();
    session.moveOn();
    session.leave();
    fill(6);
    session.checkpoint();
  },
};

/** A writer dies with images that a reader holds back; the next one recovers beside that reader. */
export const readerRecovery: Workload = {
  name: 'readerRecovery',
  options: { inlinePages: 2, history: 0 },
  run: (session) => {
    session.open();
    const region = session.region('a');
    const block = region.alloc(30_000);
    region.roots.set('block', block);
    session.checkpoint();
    session.look();
    for (const value of [1, 2]) {
      session.region('a').bytes(block).fill(value);
      session.checkpoint();
    }
    session.abandon();
    session.open();
    session.region('a').bytes(block).fill(3);
    session.checkpoint();
    session.moveOn();
    session.leave();
  },
};

/** What is changed and not committed stays when the writer goes on in a new file. */
export const readerChanges: Workload = {
  name: 'readerChanges',
  options: { settleBytes: 90_000, inlinePages: 2, history: 0 },
  run: (session) => {
    session.open();
    const [a, buffer] = [session.region('a'), session.store.buffer('buffer', { size: 80_000 })];
    const block = a.alloc(30_000);
    session.checkpoint();
    session.look();
    for (const value of [1, 3]) {
      a.bytes(block).fill(value);
      session.checkpoint();
      // What waits becomes so much with the commit of the buffer that the writer goes on elsewhere.
      a.bytes(block).fill(value + 1);
      buffer.bytes.fill(value);
      session.commit('buffer');
      if (a.bytes(block)[0] !== value + 1) throw new Error('torture: a change was lost');
      session.look();
    }
    session.checkpoint();
  },
};
