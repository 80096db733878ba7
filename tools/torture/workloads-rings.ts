/** Crash tests of a ring beside regions. What is mapped shared no recorder sees: so `file`. */
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';

export function ringStep(session: Session): void {
  const { random } = session;
  session.record(1 + random.int(12));
  if (random.chance(0.4)) session.syncRing();
  change(session.region('plain'), random, 2);
  session.checkpoint();
  session.record(random.int(4));
}

export const rings: Workload = {
  name: 'rings',
  mapper: 'file',
  options: { settleBytes: 60_000, inlinePages: 8, history: 0 },
  run: (session) => {
    session.open();
    for (let step = 0; step < 5; step++) ringStep(session);
    session.close();
    session.open();
    for (let step = 0; step < 2; step++) ringStep(session);
  },
};
