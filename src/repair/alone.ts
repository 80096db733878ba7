/** Repairing a region that is a file by itself: a copy of it is put in order. */
import { closeSync, existsSync, renameSync, rmSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { replayJournal } from '../disciplines/journal.ts';
import { lockFile } from '../disciplines/lock.ts';
import { openRegular, readBootId, systemError } from '../files.ts';
import { loadShim } from '../native/load.ts';
import { partOf } from '../store/place.ts';
import { mendCopy } from './copy.ts';
import { copyFile } from './origins.ts';
import { isPacked, mendPacked } from './packed.ts';
import { putInPlace, type Repaired, refuseTaken, type RepairOptions, trialPlace }
  from './repair.ts';

/**
 * Repairs a region file, compressed or not. ERR_LOCKED while it is in use, ERR_CORRUPT where it
 * cannot be mended, ERR_EXISTS, ERR_NO_SPACE, ERR_IO.
 */
export function repairFile(given: string, { to, backup }: RepairOptions): Repaired {
  const path = resolve(given);
  const isTrial = to === undefined && backup === undefined;
  const place = isTrial ? trialPlace(path) : to === undefined ? path : resolve(to);
  if (backup !== undefined) refuseTaken(backup);
  if (to !== undefined) refuseTaken(place);
  const fd = openRegular(path, 0, true);
  const made = partOf(place);
  let unlock = () => {};
  try {
    unlock = lockFile(fd, path, loadShim(), readBootId());
    rmSync(made, { force: true });
    const name = basename(path);
    const region = isPacked(fd, path) ? mendPacked(fd, path, made, name)
      : mendCopy(made, { name, kind: null, known: null, copyTo: (to) => copyFinished(path, to) });
    const isSound = region.state === 'sound';
    const isWanted = !isSound && !isTrial;
    if (isWanted) withoutJournal(path, backup, () => putInPlace(made, place, backup));
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

/**
 * What a journal holds is in the copy; it goes with the file that is kept, and goes first: whoever
 * is killed in between leaves the damaged file without it, and not the mended one with it, which
 * the next opening would write into it.
 */
function withoutJournal(path: string, backup: string | undefined, exchange: () => void): void {
  const [journal, kept] = [`${path}.journal`, `${backup}.journal`];
  if (backup === undefined || !existsSync(journal)) {
    exchange();
    return;
  }
  renameSync(journal, kept);
  try {
    exchange();
  } catch (error) {
    renameSync(kept, journal);
    throw error;
  }
}

/** With what its last owner had written down and not finished. Nothing has checksums here. */
function copyFinished(path: string, made: string): number[] {
  copyFile(path, made);
  const journal = `${path}.journal`;
  if (!existsSync(journal)) return [];
  const fd = openRegular(made);
  try {
    replayJournal(journal, fd);
    return [];
  } finally {
    closeSync(fd);
  }
}
