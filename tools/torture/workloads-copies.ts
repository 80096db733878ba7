/** Crash tests of backups beside the store, and of region files that are adopted from them. */
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';

/** Copies as of some checkpoint, with images that wait for a reader, and what becomes of them. */
export function copyStep(session: Session): void {
  const { random, store } = session;
  change(session.region('plain'), random, 3);
  session.checkpoint();
  if (random.chance(0.3)) session.look();
  change(session.region(random.pick(['plain', 'other'])), random, 3);
  if (random.chance(0.5)) session.checkpoint();
  if (random.chance(0.5)) session.copy();
  if (store.has('adopted') && random.chance(0.5)) store.drop('adopted');
  if (!store.has('adopted') && session.adopt('adopted')) {
    if (random.chance(0.3)) session.rollback();
    else if (random.chance(0.5)) change(store.region('adopted'), random, 2);
  }
  if (random.chance(0.3)) session.leave();
}

/** What chance brings now and then only: a copy while images wait for a reader. */
function copyBesideReader(session: Session): void {
  session.checkpoint();
  session.look();
  change(session.region('plain'), session.random, 3);
  session.checkpoint();
  session.copy();
  session.leave();
}

export const copies: Workload = {
  name: 'copies',
  options: { settleBytes: 60_000, inlinePages: 4, history: 3 },
  run: (session) => {
    session.open();
    change(session.region('plain'), session.random, 3);
    copyBesideReader(session);
    for (let step = 0; step < 4; step++) copyStep(session);
    session.copy();
    session.adopt('last');
    session.checkpoint();
  },
};
