/**
 * A new store that is built beside its place and gets its name when it is whole. What a process
 * leaves that dies on the way is swept by the next one.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { RegionError } from '../errors.ts';
import { namesIn, systemError } from '../files.ts';

const PART = '.regionstore-part-';

/** The directory in which a store is built that will be at `place`. */
export function partOf(place: string): string {
  return join(dirname(place), `.${basename(place)}${PART}${process.pid}`);
}

/** Makes it, with the directories of a store. */
export function makePart(place: string): string {
  const made = partOf(place);
  sweep(dirname(place));
  mkdirSync(dirname(place), { recursive: true });
  for (const name of ['', 'regions', 'images']) mkdirSync(join(made, name), { mode: 0o700 });
  return made;
}

/** Where there is nothing, or an empty directory, outside of the store. */
export function placeFor(from: string, dir: unknown, verb: string): string {
  if (typeof dir !== 'string' || dir === '') {
    throw new RegionError('ERR_BAD_OPTION', `${verb}: give the directory that is to be made`);
  }
  const place = resolve(dir);
  const way = relative(from, place);
  if (way === '' || !way.startsWith('..')) {
    throw new RegionError('ERR_BAD_OPTION',
      `${place} is inside of the store; give a directory beside it, or on another disk`);
  }
  let names: string[] = [];
  try {
    if (existsSync(place)) names = namesIn(place);
  } catch (error) {
    throw systemError(`looking into ${place}`, error);
  }
  if (names.length === 0) return place;
  throw new RegionError('ERR_EXISTS',
    `${place} is not empty; remove it first, or give another directory`);
}

/** What others beside this one have left that died on the way. */
function sweep(parent: string): void {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const [, pid] = /^\..*\.regionstore-part-(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) remove(join(parent, name));
  }
}

/** What cannot be removed is swept by the next one. */
export function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // What failed before is what matters.
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
