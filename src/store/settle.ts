/**
 * Settling: region files are synced, and only then the images that are now in them durably are let
 * go, files are shortened and dropped regions removed. May be left undone at any time: a store that
 * was never settled is recovered from its images.
 */
import { existsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { RegionError } from '../errors.ts';
import type { StoreCore } from './core.ts';
import { syncDirectory } from '../files.ts';
import { beginGeneration } from './generations.ts';
import { horizonOf, livePlaces } from './history.ts';
import { closeGaps, tidyHistory } from './prune.ts';
import { lowWater } from './retention.ts';

/** Gaps in image files that are left to be written again. */
const SPARE_BYTES = 64 * 1024 * 1024;
/** Refusals that leave everything as it was: the images stay, settling is tried again later. */
const LATER = new Set(['ERR_NO_SPACE', 'ERR_BUSY', 'ERR_LOCKED']);

/**
 * Returns false where images must stay for now (disk full while applying, sync failed). A failed
 * sync poisons the store: the images are the only copy that can be trusted then. `mayMove` = where
 * readers hold files back, go on in new ones.
 */
export function settle(core: StoreCore, mayMove = false): boolean {
  if (core.poison !== null || core.options.readOnly) return false;
  try {
    if (core.options.sync === 'normal') core.catalog.walCheckpoint();
    if (!applyPending(core, mayMove)) return false;
    for (const file of core.files()) file.syncApplied();
    if (!letGo(core)) return false;
    tidyHistory(core);
    giveBack(core);
    return true;
  } catch (error) {
    if (!LATER.has((error as RegionError).code)) core.poisonBy(error);
    return false;
  }
}

/**
 * Writes images that are still in memory only; false when the disk refuses, or readers hold a file
 * back that is not to be left to them (`mayMove`).
 */
function applyPending(core: StoreCore, mayMove: boolean): boolean {
  core.applyFailure = null;
  core.pins.look();
  for (const file of core.files()) {
    if (file.overlay.size === 0) continue;
    if (core.mayWrite(file, file.sequence)) core.applyFailure ??= file.flush();
    else if (mayMove) beginGeneration(core, file);
    else return false;
  }
  return core.applyFailure === null;
}

/** False when the catalog's disk is full: the images stay, which is safe. */
function letGo(core: StoreCore): boolean {
  const regions = [...core.files()]
    .filter((file) => file.sequence > 0)
    .map(({ id, sequence }) => ({ id, sequence }));
  const applied = core.sequence;
  const water = lowWater({ applied, pinned: core.pins.opening });
  try {
    core.catalog.settle({ applied, lowWater: water, regions, keep: core.options.history });
    if (core.options.sync === 'normal') core.catalog.walCheckpoint();
  } catch (error) {
    if (LATER.has((error as RegionError).code)) return false;
    // Settled or not is the same to us, but the catalog's log must be sound again before more.
    core.reopenCatalog();
    return false;
  }
  for (const { id, sequence } of regions) {
    const row = core.committed.get(id);
    if (row !== undefined) core.committed.set(id, { ...row, sequence });
  }
  core.unsettledBytes = 0;
  core.points = core.catalog.checkpoints();
  return true;
}

function giveBack(core: StoreCore): void {
  core.images.recycle(livePlaces(core));
  closeGaps(core, SPARE_BYTES);
  for (const { file } of core.current.values()) {
    if (file?.shrunk) file.trim();
    file?.punch();
  }
  removeDropped(core);
}

/** The file of a region and its sidecar. */
export function removeRegionFiles(path: string): void {
  for (const name of [path, path.replace(/\.region$/, '.sums')]) {
    if (existsSync(name)) unlinkSync(name);
  }
}

/** Files of regions whose drop is applied and that nobody can bring back; then their rows. */
function removeDropped(core: StoreCore): void {
  const horizon = Math.min(horizonOf(core), core.pins.opening);
  const gone = [...core.committed.values()].filter(({ dropped, kind }) =>
    dropped !== null && (dropped <= horizon || kind === 'ring'));
  if (gone.length === 0) return;
  for (const { id } of gone) {
    core.dropped.get(id)?.file?.release();
    core.dropped.delete(id);
    removeRegionFiles(core.regionPath(id));
    if (existsSync(core.ringPath(id))) unlinkSync(core.ringPath(id));
  }
  syncDirectory(join(core.dir, 'regions'));
  core.catalog.forgetRegions(gone.map((row) => row.id));
  for (const { id } of gone) core.committed.delete(id);
}
