/** Crash tests of buffers that are committed alone, and of transactions. */
import type { Session } from './session.ts';
import { change, type Workload } from './workload.ts';

const BUFFERS = ['buffer1', 'buffer2'] as const;

/** Writes somewhere into a buffer, which is made where there is none; now and then its size. */
function scribble(session: Session, name: string): void {
  const { random, store } = session;
  const buffer = store.buffer(name, store.has(name) ? {} : { size: 9000 });
  if (random.chance(0.2)) buffer.resize(4000 + random.int(20_000));
  const { bytes } = buffer;
  const at = random.int(bytes.length);
  random.fill(bytes.subarray(at, Math.min(bytes.length, at + 3000)));
}

/** Some changes of regions and buffers; most are not committed by what follows. */
export function bufferStep(session: Session): void {
  const { random } = session;
  change(session.region('plain'), random, 2);
  for (const name of BUFFERS) scribble(session, name);
  const name = random.pick(BUFFERS);
  if (random.chance(0.7)) session.commit(name);
  if (random.chance(0.2)) session.rollback();
  if (random.chance(0.3)) session.checkpoint();
}

export const buffers: Workload = {
  name: 'buffers',
  options: { settleBytes: 60_000, inlinePages: 3 },
  run: (session) => {
    session.open();
    for (let step = 0; step < 7; step++) bufferStep(session);
  },
};

/** A transaction with one inside it, over regions that come and go. */
export function transactionStep(session: Session): void {
  const { random, store } = session;
  const work = (depth: number): void => {
    change(session.region(random.pick(['a', 'b'])), random, 3);
    scribble(session, 'buffer');
    if (random.chance(0.2) && store.has('b')) store.drop('b');
    if (depth < 2 && random.chance(0.6)) {
      try {
        store.transaction(() => {
          work(depth + 1);
          if (random.chance(0.5)) throw new RangeError('inner');
        });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
  };
  if (random.chance(0.4)) change(session.region('a'), random, 2);
  session.transact(() => work(0), random.chance(0.6));
}

/** What chance alone does not always bring: changes before it, and a region that it drops. */
function unwanted(session: Session): void {
  const { random, store } = session;
  for (const name of ['a', 'b']) change(session.region(name), random, 2);
  session.checkpoint();
  change(session.region('a'), random, 2);
  session.transact(() => change(session.region('a'), random, 3), false);
  session.transact(() => store.drop('b'), false);
}

export const transactions: Workload = {
  name: 'transactions',
  options: { settleBytes: 60_000, inlinePages: 6 },
  run: (session) => {
    session.open();
    unwanted(session);
    for (let step = 0; step < 8; step++) transactionStep(session);
  },
};
