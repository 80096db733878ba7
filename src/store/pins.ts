/**
 * Readers beside a writer. A reader pins the checkpoint it looks at: a folder in `readers` with
 * what it pins, and a lock that dies with its process. While it is there, the files it has open
 * stay as they were at that checkpoint: the writer keeps later images elsewhere, or goes on in a
 * new file (generations.ts), which the reader does not have open.
 *
 * The order is the guarantee. A reader reads the newest checkpoint again after its pin is there;
 * the writer looks for pins after its commit and before it writes to a region file. So a pin of a
 * checkpoint that is no longer the newest is seen by one of the two.
 *
 * The folder `readers` exists only while there are readers: without any, a writer asks once.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync,
  writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { RegionError } from '../errors.ts';
import { namesIn, systemError } from '../files.ts';
import { holdDatabase, isHeld } from './lock.ts';

/** What a pin says. */
export interface PinInfo {
  readonly pid: number;
  /** The checkpoint that is looked at. */
  readonly sequence: number;
  /** Region id → the file that is open (device and inode); null = not known yet: all of them. */
  readonly files: Readonly<Record<string, string>> | null;
}

const FOLDER = 'readers';
const TEMPORARY = '.new-';
/** A pin that is not complete after so long is left over, ms. */
const STALE_MS = 60_000;
/** What cannot be read holds everything. */
const UNKNOWN: PinInfo = { pid: 0, sequence: 0, files: null };

/** A reader's own pin. */
export class Pin {
  readonly folder: string;
  readonly #root: string;
  readonly #lock: Database.Database;

  private constructor(root: string, folder: string, lock: Database.Database) {
    this.#root = root;
    this.folder = folder;
    this.#lock = lock;
  }

  /** ERR_NO_SPACE, ERR_IO where there cannot be one. */
  static make(dir: string, sequence: number): Pin {
    const root = join(dir, FOLDER);
    const id = randomBytes(8).toString('hex');
    const [made, folder] = [join(root, `${TEMPORARY}${process.pid}-${id}`), join(root, id)];
    let lock: Database.Database | null = null;
    try {
      mkdirSync(made, { recursive: true, mode: 0o700 });
      lock = holdDatabase(join(made, 'lock.db'));
      writeInfo(made, { pid: process.pid, sequence, files: null });
      renameSync(made, folder);
      return new Pin(root, folder, lock);
    } catch (error) {
      lock?.close();
      sweep(made);
      removeIfEmpty(root);
      throw refused(dir, error);
    }
  }

  set(sequence: number, files: PinInfo['files']): void {
    writeInfo(this.folder, { pid: process.pid, sequence, files });
  }

  release(): void {
    sweep(this.folder);
    this.#lock.close();
    removeIfEmpty(this.#root);
  }
}

function refused(dir: string, error: unknown): RegionError {
  const what = `looking at the store ${dir}`;
  if ((error as { code?: string }).code !== 'SQLITE_FULL') return systemError(what, error);
  return new RegionError('ERR_NO_SPACE', `${what}: the disk is full; free space and try again`,
    error);
}

function writeInfo(folder: string, info: PinInfo): void {
  writeFileSync(join(folder, 'next.json'), JSON.stringify(info), { mode: 0o600 });
  renameSync(join(folder, 'next.json'), join(folder, 'pin.json'));
}

function removeIfEmpty(root: string): void {
  try {
    rmdirSync(root);
  } catch {
    // Others look on, or it is gone already.
  }
}

/** The pins of all readers of a store, as its writer sees them. */
export class Pins {
  readonly #root: string;
  #live: readonly PinInfo[] = [];

  constructor(dir: string) {
    this.#root = join(dir, FOLDER);
  }

  /** As of the last look. */
  get live(): readonly PinInfo[] {
    return this.#live;
  }

  /** The oldest checkpoint that is pinned; Infinity = none. */
  get oldest(): number {
    return this.#live.reduce((n, pin) => Math.min(n, pin.sequence), Number.POSITIVE_INFINITY);
  }

  /**
   * The oldest one of those who have not opened all files yet: until then they need what is on
   * disk under its name, images too. Infinity = none.
   */
  get opening(): number {
    return this.#live.reduce((n, { sequence, files }) =>
      files === null ? Math.min(n, sequence) : n, Number.POSITIVE_INFINITY);
  }

  /** The newest checkpoint that may be written to a region's file, as of the last look. */
  limitOf(id: string, inode: string): number {
    return this.#live.reduce((n, { sequence, files }) =>
      files === null || files[id] === inode ? Math.min(n, sequence) : n, Number.POSITIVE_INFINITY);
  }

  /**
   * Looks for pins; those of readers that died are removed. Never throws: where it cannot be told
   * who looks, everything is held back.
   */
  look(): void {
    if (this.#live.length === 0 && !existsSync(this.#root)) return;
    try {
      this.#live = existsSync(this.#root)
        ? namesIn(this.#root).flatMap((name) => this.#infoOf(name)) : [];
    } catch {
      this.#live = [UNKNOWN];
    }
    if (this.#live.length === 0) removeIfEmpty(this.#root);
  }

  #infoOf(name: string): PinInfo[] {
    const folder = join(this.#root, name);
    if (name.startsWith(TEMPORARY)) {
      if (!isBeingMade(name, folder)) sweep(folder);
      return [];
    }
    if (!isHeld(join(folder, 'lock.db'))) {
      sweep(folder);
      return [];
    }
    return [readInfo(folder)];
  }
}

/** Reader and writer may do so at once: what is left is swept the next time. */
function sweep(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The other one was faster.
  }
}

/** By a process that lives, or, where that cannot be told, not long ago. */
function isBeingMade(name: string, folder: string): boolean {
  const pid = Number(name.slice(TEMPORARY.length).split('-')[0]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const made = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
  return Date.now() - made < STALE_MS;
}

function readInfo(folder: string): PinInfo {
  try {
    const { pid, sequence, files } = JSON.parse(
      readFileSync(join(folder, 'pin.json'), 'utf8')) as PinInfo;
    if (!Number.isSafeInteger(sequence) || typeof files !== 'object') return UNKNOWN;
    return { pid: Number(pid), sequence, files };
  } catch {
    return UNKNOWN;
  }
}
