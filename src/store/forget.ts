/** Forgetting a checkpoint: nobody can go back to it, and what was kept for that alone goes. */
import { RegionError } from '../errors.ts';
import type { StoreCore } from './core.ts';
import { retained } from './history.ts';
import { settle } from './settle.ts';

export function forget(core: StoreCore, which: unknown): void {
  core.assertWritable();
  core.assertNoTransaction('forget');
  core.awaitFlights();
  const row = retained(core).findLast(({ sequence, label }) =>
    sequence === which || label === which);
  if (row === undefined) {
    const isName = typeof which === 'string' || Number.isSafeInteger(which);
    throw new RegionError(isName ? 'ERR_NOT_FOUND' : 'ERR_BAD_OPTION',
      `there is no checkpoint ${String(which)}; give the number or the label of one`);
  }
  // Its images may be needed to recover: only what is applied durably can go.
  if (core.catalog.applied < core.sequence && !settle(core, true)) {
    throw core.poison ?? new RegionError('ERR_NO_SPACE',
      'the last checkpoint is not in the region files yet, the disk is full; free space first');
  }
  core.catalog.forget(row.sequence);
  core.points = core.catalog.checkpoints();
  if (core.last?.sequence === row.sequence) core.last = core.points.at(-1) ?? null;
  settle(core);
}
