/** Crash tests of history: checkpoints that say what they hold, are gone back to and forgotten. */
import { constants } from 'node:os';
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';

/** Changes, a checkpoint, and now and then a step through history. */
export function historyStep(session: Session): void {
  const { random, store } = session;
  const name = random.pick(['a', 'b']);
  change(session.region(name), random, 3, 4000);
  if (random.chance(0.15)) session.region(name).compact();
  if (random.chance(0.1) && store.has('b')) store.drop('b');
  if (random.chance(0.1) && store.has('b') && !store.has('c')) store.rename('b', 'c');
  session.checkpoint(random.chance(0.5));
  if (random.chance(0.3)) session.restore();
  // Waiting for what is in flight may take some of them from the list.
  session.rollback();
  if (random.chance(0.15)) store.forget(random.pick(store.checkpoints()).id);
  const points = store.checkpoints();
  if (points.length > 8) store.forget((points[0] as { id: number }).id);
}

export const history: Workload = {
  name: 'history',
  options: { settleBytes: 40_000, inlinePages: 3, history: 3 },
  run: (session) => {
    session.open();
    for (let step = 0; step < 8; step++) historyStep(session);
  },
};

/** Many checkpoints between two that are kept: their records are joined. */
export const joining: Workload = {
  name: 'joining',
  options: { settleBytes: 20_000, inlinePages: 2, history: 2 },
  run: (session) => {
    session.open();
    change(session.region('a'), session.random, 4, 3000);
    session.checkpoint(true);
    const { root, blocks } = blocksOf(session);
    for (let step = 0; step < 12; step++) {
      // Each writes more than the ones before it together, which is when records are joined.
      session.region('a').bytes(blocks).fill(step + 1, 0, (step % 4) * 9000);
      session.region('a').roots.set(root, (step * 16) as never);
      session.checkpoint(step === 5);
    }
  },
};

function blocksOf(session: Session): { root: string; blocks: number } {
  const region = session.region('a');
  return { root: 'turn', blocks: region.alloc(40_000) };
}

/** The region files refuse to be written, so that what a page held is an image, not in its file. */
export const historyPending: Workload = {
  name: 'historyPending',
  options: { settleBytes: 1, inlinePages: 2 },
  run: (session) => {
    session.open();
    const region = session.region('a');
    const block = region.alloc(20_000);
    const filled = (value: number): void => {
      region.bytes(block).fill(value);
      session.checkpoint(true);
    };
    filled(1);
    session.marks.refuse(constants.errno.ENOSPC, '.region');
    filled(2);
    filled(3);
    session.restore();
    filled(4);
    session.marks.clear();
    filled(5);
    session.restore();
  },
};

/** Regions that shrink, and regions that go, settled each time; then all the way back. */
export const historyShrink: Workload = {
  name: 'historyShrink',
  options: { settleBytes: 1, inlinePages: 2 },
  run: (session) => {
    session.open();
    const [a, b] = [session.region('a'), session.region('b')];
    const block = a.alloc(200_000);
    a.bytes(block).fill(7);
    b.bytes(b.alloc(5000)).fill(8);
    session.checkpoint(true);
    a.free(block);
    a.compact();
    session.checkpoint(true);
    session.store.drop('b');
    session.checkpoint(true);
    a.bytes(a.alloc(60_000)).fill(9);
    session.checkpoint();
    session.restore();
    session.restore();
  },
};
