/** Crash tests of checkpoints in flight. */
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';

/** Several in flight, changes between them, then something that has to wait for them. */
export function asyncStep(session: Session): void {
  const { random, store } = session;
  for (let i = 1 + random.int(3); i > 0; i--) {
    const region = session.region(random.pick(['a', 'b']));
    change(region, random, 2, 3000);
    if (random.chance(0.1) && store.has('b')) store.drop('b');
    session.launch();
  }
  change(session.region('a'), random, 1);
  if (random.chance(0.7)) session.rollback();
  else session.checkpoint();
}

export const flights: Workload = {
  name: 'flights',
  options: { settleBytes: 60_000, inlinePages: 3 },
  run: (session) => {
    session.open();
    for (let step = 0; step < 5; step++) asyncStep(session);
  },
};

/** A page goes to and fro while what it was is in flight. */
export const backAndForth: Workload = {
  name: 'backAndForth',
  options: { settleBytes: 1, inlinePages: 2 },
  run: (session) => {
    session.open();
    const region = session.region('a');
    const block = region.alloc(20_000);
    const fill = (value: number) => region.bytes(block).fill(value);
    fill(1);
    session.checkpoint();
    for (const value of [2, 1, 2, 3]) {
      fill(value);
      session.launch();
    }
    fill(9);
    session.rollback();
    for (const value of [4, 3]) {
      fill(value);
      session.launch();
    }
    session.checkpoint();
  },
};
