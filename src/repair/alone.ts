/** Repairing a region that is a file by itself: a copy of it is put in order. */
import { closeSync, existsSync, fstatSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isCompressed } from '../disciplines/compressed-contents.ts';
import { replayJournal } from '../disciplines/journal.ts';
import { lockFile } from '../disciplines/lock.ts';
import { RegionError } from '../errors.ts';
import { openRegular, readBootId, readWhole, syncDirectory, systemError } from '../files.ts';
import { loadShim } from '../native/load.ts';
import { mendFile } from './copy.ts';
import { copyFile } from './origins.ts';
import { type Repaired, refuseTaken, type RepairOptions } from './repair.ts';

/**
 * Repairs a region file. ERR_LOCKED while it is in use, ERR_BAD_OPTION for a compressed one,
 * ERR_CORRUPT where it cannot be mended, ERR_EXISTS, ERR_NO_SPACE, ERR_IO.
 */
export function repairFile(given: string, { to, backup }: RepairOptions): Repaired {
  const path = resolve(given);
  const place = to === undefined ? path : resolve(to);
  if (backup !== undefined) refuseTaken(backup);
  if (to !== undefined) refuseTaken(place);
  const fd = openRegular(path, 0, true);
  const made = join(dirname(place), `.${basename(place)}.regionstore-part-${process.pid}`);
  let unlock = () => {};
  try {
    unlock = lockFile(fd, path, loadShim(), readBootId());
    refuseCompressed(fd, path);
    rmSync(made, { force: true });
    copyFile(path, made);
    finishJournal(`${path}.journal`, made);
    const region = mendFile(made, { name: basename(path), kind: null, known: null }, []);
    const isSound = region.state === 'sound';
    const isWanted = !isSound && (to !== undefined || backup !== undefined);
    if (isWanted) {
      if (backup !== undefined) renameSync(path, backup);
      renameSync(made, place);
      if (backup !== undefined) rmSync(`${path}.journal`, { force: true });
      syncDirectory(dirname(place));
    }
    const kept = isWanted && backup !== undefined ? resolve(backup) : null;
    return { isSound, damage: [], regions: isSound ? [] : [region], lost: [],
      to: isWanted ? place : null, backup: kept };
  } catch (error) {
    throw systemError(`repairing ${path}`, error);
  } finally {
    unlock();
    closeSync(fd);
    rmSync(made, { force: true });
  }
}

function refuseCompressed(fd: number, path: string): void {
  const refuse = () => {
    throw new RegionError('ERR_IO', `${path} is only read`);
  };
  const disk = { path, size: () => fstatSync(fd).size, write: refuse, truncate: refuse,
    sync: refuse, read: (bytes: Uint8Array, at: number) => readWhole(fd, bytes, at) };
  if (!isCompressed(disk)) return;
  throw new RegionError('ERR_BAD_OPTION',
    `${path} is compressed: what the checksums of its chunks say is lost cannot be mended; ` +
      'restore it from a backup');
}

/** What its last owner had written down and not finished. */
function finishJournal(journal: string, made: string): void {
  if (!existsSync(journal)) return;
  const fd = openRegular(made);
  try {
    replayJournal(journal, fd);
  } finally {
    closeSync(fd);
  }
}
