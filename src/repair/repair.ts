/**
 * Repairing a store. It is never changed itself: every region is copied, put in order in the copy
 * and taken into a new store, which is verified. It takes the place of the old one at once, where
 * the system can, and the old one stays, under another name: a repair can lose nothing that was
 * still there.
 *
 * Earlier checkpoints are not taken along: the old store has them.
 */
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { RegionError } from '../errors.ts';
import { readBootId, syncDirectory, systemError } from '../files.ts';
import { loadShim } from '../native/load.ts';
import type { Store } from '../store/api.ts';
import { lockStore, type StoreLock } from '../store/lock.ts';
import { makePart, placeFor, remove } from '../store/place.ts';
import { openStore } from '../store/store.ts';
import type { Finding } from '../types.ts';
import { mendCopy, mendRing, type RepairedRegion } from './copy.ts';
import { type Lost, type Origin, originOf, quarantine, type Source } from './origins.ts';

export interface RepairOptions {
  /** Directory of the repaired store; absent = only look. */
  readonly to?: string;
  /** The repaired store takes the place of the damaged one, which is kept under this name. */
  readonly backup?: string;
  readonly unsafeFileSystem?: boolean;
  /** Told of each region before it is looked at. */
  readonly onStep?: (done: number, total: number) => void;
}

export interface Repaired {
  /** Nothing is damaged: nothing was made. */
  readonly isSound: boolean;
  /** Of the store itself: its catalog, its images, files that are not its own. */
  readonly damage: readonly string[];
  readonly regions: readonly RepairedRegion[];
  readonly lost: readonly Lost[];
  /** Absolute path of the repaired store, null = none was made. */
  readonly to: string | null;
  /** Where the damaged store is now, null = where it was. */
  readonly backup: string | null;
}

/**
 * Repairs the store in `dir`. ERR_LOCKED while it is written; ERR_NOT_FOUND, ERR_VERSION,
 * ERR_EXISTS, ERR_NO_SPACE, ERR_IO.
 */
export function repairStore(dir: string, options: RepairOptions): Repaired {
  const path = resolve(dir);
  const isInPlace = options.backup !== undefined;
  const place = isInPlace ? path : options.to === undefined ? trialPlace(path)
    : placeFor(path, options.to, 'repair');
  if (isInPlace) refuseTaken(options.backup as string);
  const damage: string[] = [];
  const lock = lockOf(path, damage);
  try {
    return repairInto(path, place, options, damage);
  } finally {
    lock?.release();
  }
}

/** Where is built what nobody wants to have: beside, or where somebody may write. */
export function trialPlace(path: string): string {
  try {
    accessSync(dirname(path), constants.W_OK);
    return `${path}.repaired`;
  } catch {
    return join(tmpdir(), `${basename(path)}.repaired`);
  }
}

/** Nobody writes meanwhile. null = the files of the lock are damaged themselves. */
function lockOf(path: string, damage: string[]): StoreLock | null {
  try {
    return lockStore(path, { boot: readBootId(), readOnly: true, shim: loadShim() });
  } catch (error) {
    const isFile = error instanceof RegionError && error.code === 'ERR_IO';
    if (!isFile) throw systemError(`locking the store ${path}`, error);
    damage.push(`its lock is damaged: ${error.message}`);
    return null;
  }
}

export function refuseTaken(place: string): void {
  if (!existsSync(place)) return;
  throw new RegionError('ERR_EXISTS',
    `${place} is there already; remove it, or give another name`);
}

function repairInto(
  path: string, place: string, options: RepairOptions, damage: readonly string[],
): Repaired {
  const made = makePart(place);
  const work = join(made, 'work');
  try {
    mkdirSync(work);
    const found = originOf(path, work);
    const origin = { ...found, damage: [...damage, ...found.damage] };
    try {
      if (isSound(origin)) return { isSound: true, ...NOTHING };
      const done = new Repair(origin, made, options).run();
      rmSync(work, { recursive: true, force: true });
      return { isSound: false, ...done, ...finish(made, place, options) };
    } finally {
      origin.close();
    }
  } catch (error) {
    throw systemError(`repairing ${path}`, error);
  } finally {
    remove(made);
  }
}

const NOTHING = { damage: [], regions: [], lost: [], to: null, backup: null };

function isSound({ store, damage, lost }: Origin): boolean {
  return store !== null && damage.length === 0 && lost.length === 0
    && damageIn(store).length === 0;
}

/** Marks of those who debug are no damage of the store. */
function damageIn(store: Store): Finding[] {
  return store.check().filter(({ byProgram, id }) => byProgram !== true && id !== 'S4');
}

/** The renames. */
function finish(
  made: string, place: string, { to, backup }: RepairOptions,
): Pick<Repaired, 'to' | 'backup'> {
  if (to === undefined && backup === undefined) return { to: null, backup: null };
  putInPlace(made, place, backup);
  return { to: place, backup: backup === undefined ? null : resolve(backup) };
}

/**
 * `backup` = what is at the place now gets that name. The two change places at once, where the
 * system can: whoever is killed or looks there meanwhile finds one of them.
 */
export function putInPlace(made: string, place: string, backup?: string): void {
  if (backup === undefined) renameSync(made, place);
  else if (!exchange(made, place, backup)) renameTwice(made, place, backup);
  syncDirectory(dirname(place));
  if (backup !== undefined) syncDirectory(dirname(backup));
}

/** false = it cannot be done, and nothing was. */
function exchange(made: string, place: string, backup: string): boolean {
  const shim = loadShim();
  if (shim === null) return false;
  // Its name first: what is called a part may be removed by the next repair.
  renameSync(made, backup);
  try {
    if (shim.exchange(backup, place)) return true;
  } catch (error) {
    renameSync(backup, made);
    throw error;
  }
  renameSync(backup, made);
  return false;
}

/** Killed in between, it leaves both beside an empty place. */
export function renameTwice(made: string, place: string, backup: string): void {
  renameSync(place, backup);
  try {
    renameSync(made, place);
  } catch (error) {
    renameSync(backup, place);
    throw error;
  }
}

class Repair {
  readonly #origin: Origin;
  readonly #made: string;
  readonly #options: RepairOptions;
  readonly #lost: Lost[];

  constructor(origin: Origin, made: string, options: RepairOptions) {
    this.#origin = origin;
    this.#made = made;
    this.#options = options;
    this.#lost = [...origin.lost];
  }

  run(): Pick<Repaired, 'damage' | 'regions' | 'lost'> {
    const { sources, damage } = this.#origin;
    const regions: RepairedRegion[] = [];
    const { to, backup, unsafeFileSystem = false } = this.#options;
    const isTrial = to === undefined && backup === undefined;
    const store = openStore(this.#made, { unsafeFileSystem: isTrial || unsafeFileSystem,
      history: 1 });
    try {
      sources.forEach((source, i) => {
        this.#options.onStep?.(i, sources.length);
        const done = this.#take(store, source, join(this.#made, 'work', `${i}`));
        if (done !== null) regions.push(done);
      });
      store.checkpoint('repaired');
    } finally {
      store.close();
    }
    this.#verify();
    return { damage, regions, lost: this.#lost.map((one) => this.#kept(one)) };
  }

  /** null = nothing of it can be had. */
  #take(store: Store, source: Source, path: string): RepairedRegion | null {
    const { name, kind } = source;
    const copy = `${path}.${kind === 'ring' ? 'ring' : 'region'}`;
    try {
      const done = kind === 'ring' ? mendRing(copy, source) : mendCopy(copy, source);
      store.adopt(copy, name);
      rmSync(copy);
      return done;
    } catch (error) {
      const isOurs = error instanceof RegionError && error.code !== 'ERR_NO_SPACE';
      if (!isOurs) throw error;
      this.#lost.push({ name, why: error.message, file: asItIs(source, copy) });
      return null;
    }
  }

  /** What there is of it goes along, as it is. */
  #kept(lost: Lost): Lost {
    if (lost.file === null) return lost;
    const folder = join(this.#made, 'quarantine');
    const wanted = lost.name.replace(/\.(region|ring)$/, '').replace(/[^\w.-]/g, '_');
    return { ...lost, file: join('quarantine', quarantine(lost.file, folder, wanted)) };
  }

  #verify(): void {
    const store = openStore(this.#made, { readOnly: true, unsafeFileSystem: true });
    try {
      const [found] = damageIn(store).filter(({ id }) => id !== 'G2');
      if (found === undefined) return;
      throw new RegionError('ERR_CORRUPT',
        `the repaired store is not sound: ${found.id} ${found.detail}; the damaged one is as it ` +
          'was');
    } finally {
      store.close();
    }
  }
}

/** Another copy of what could not be mended, untouched; null = not even that can be had. */
function asItIs(source: Source, copy: string): string | null {
  try {
    rmSync(copy, { force: true });
    source.copyTo(copy);
    return copy;
  } catch (error) {
    if (error instanceof RegionError && error.code !== 'ERR_NO_SPACE') return null;
    throw error;
  }
}
