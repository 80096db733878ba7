/** Workloads of holes: disk under free blocks that is given back, and needed again. */
import { change, type Workload } from './workload.ts';

/** Cleared, committed, punched; used again; cleared and taken back; all the way back. */
export const holes: Workload = {
  name: 'holes',
  options: { settleBytes: 1, inlinePages: 2 },
  run: (session) => {
    session.open();
    const { random } = session;
    const region = session.region('a');
    const made = (size: number): number => {
      const address = region.alloc(size);
      random.fill(region.bytes(address));
      return address;
    };
    const blocks = [90_000, 5000, 150_000, 3000].map(made);
    session.checkpoint(true);
    for (const i of [0, 2]) region.free(blocks[i] as number);
    region.purge();
    session.checkpoint(true);
    const again = made(120_000);
    session.checkpoint();
    region.free(again);
    region.purge();
    session.rollback();
    region.roots.set('kept', again);
    session.checkpoint();
    region.free(again);
    region.purge({ clearBytes: 40_000 });
    session.checkpoint();
    session.close();
    session.open();
    change(session.region('a'), random, 3, 80_000);
    session.checkpoint();
    session.restore();
    session.restore();
  },
};
