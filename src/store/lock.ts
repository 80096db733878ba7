/**
 * One writer per store. Two locks, so that processes with and without the shim exclude each other:
 * flock on `store.lock` (a file nothing else opens), then an exclusive SQLite transaction on
 * `lock.db`. Both are released by the kernel when the owner dies. `store.lock` names the holder;
 * what a dead owner left there tells the next one that it did not close.
 */
import { closeSync, constants, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import type { Shim } from '../native/shim.ts';
import { openSqlite } from './sqlite.ts';

export interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly boot: string;
  readonly since: string;
}

export interface StoreLock {
  /** Descriptor of `store.lock`, one page long; the self-test maps it. */
  readonly fd: number;
  /** The owner before us if it died without closing. */
  readonly left: Holder | null;
  /** Closed in order: no trace of us stays. */
  release(): void;
  /** Lets go but leaves our name, as if we had died: the next owner recovers. */
  abandon(): void;
}

export interface LockOptions {
  /** Identity of this boot of the machine, '' = unknown. */
  readonly boot: string;
  /** Shared locks, nothing written: beside other readers, never beside a writer. */
  readonly readOnly: boolean;
  readonly shim: Shim | null;
}

/** Who only looks at a lock is waited for so long. */
const LOOK_MS = 100;

/** Takes both locks or throws ERR_LOCKED naming the holder. */
export function lockStore(dir: string, { boot, readOnly, shim }: LockOptions): StoreLock {
  const fd = openLock(join(dir, 'store.lock'), readOnly);
  let db: Database.Database | null = null;
  try {
    if (shim !== null && !shim.lock(fd, !readOnly)) throw locked(dir, readHolder(fd));
    db = lockDatabase(dir, fd, readOnly);
    const left = readHolder(fd);
    const since = new Date().toISOString();
    if (!readOnly) writeHolder(fd, { pid: process.pid, host: hostname(), boot, since });
    const held = db;
    return {
      fd,
      left,
      release: () => {
        try {
          if (!readOnly) writeHolder(fd, null);
        } finally {
          letGo(fd, held);
        }
      },
      abandon: () => letGo(fd, held),
    };
  } catch (error) {
    db?.close();
    closeSync(fd);
    throw error;
  }
}

/**
 * Beside a writer: no lock, only a look at who was there last. `left` is null while a writer works.
 */
export function lookAtStore(dir: string): StoreLock {
  const fd = openLock(join(dir, 'store.lock'), true);
  const db = join(dir, 'lock.db');
  const left = existsSync(db) && isHeld(db) ? null : readHolder(fd);
  const letGoOfIt = (): void => closeSync(fd);
  return { fd, left, release: letGoOfIt, abandon: letGoOfIt };
}

/** A database that nobody else can hold as long as it is open; it is made where there is none. */
export function holdDatabase(path: string): Database.Database {
  if (!existsSync(path)) closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  const db = openSqlite(path, { fileMustExist: true, timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Does a living process hold it? A file that is not there is held by nobody. */
export function isHeld(path: string): boolean {
  let db: Database.Database | null = null;
  try {
    if (!existsSync(path)) return false;
    db = openSqlite(path, { fileMustExist: true, timeout: 0, readonly: true });
    db.exec('BEGIN; SELECT * FROM sqlite_schema');
    return false;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code?.startsWith('SQLITE_BUSY')) return true;
    // Its holder removed it just now.
    if (code === 'SQLITE_CANTOPEN' && !existsSync(path)) return false;
    throw damagedLock(path, error);
  } finally {
    db?.close();
  }
}

function openLock(path: string, readOnly: boolean): number {
  const noFollow = constants.O_NOFOLLOW ?? 0;
  if (readOnly && existsSync(path)) return openSync(path, constants.O_RDONLY | noFollow);
  return openSync(path, constants.O_RDWR | constants.O_CREAT | noFollow, 0o600);
}

function lockDatabase(dir: string, fd: number, readOnly: boolean): Database.Database {
  const path = join(dir, 'lock.db');
  if (!existsSync(path)) closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  // A reader that looks whether somebody writes holds it for a moment.
  const timeout = readOnly ? 0 : LOOK_MS;
  const db = openSqlite(path, { fileMustExist: true, timeout, readonly: readOnly });
  try {
    db.exec(readOnly ? 'BEGIN; SELECT * FROM sqlite_schema' : 'BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db.close();
    const { code } = error as { code?: string };
    if (code?.startsWith('SQLITE_BUSY')) throw locked(dir, readHolder(fd));
    throw damagedLock(path, error);
  }
}

/** It holds nothing but the lock. */
function damagedLock(path: string, error: unknown): RegionError {
  return new RegionError('ERR_IO', `cannot use the lock ${path}: ${(error as Error).message}; ` +
    'where no process has the store open, remove it: it is made again', error);
}

function locked(dir: string, holder: Holder | null): RegionError {
  const who = holder === null
    ? 'another process'
    : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new RegionError('ERR_LOCKED', `the store ${dir} is open in ${who}; close it there first`);
}

function readHolder(fd: number): Holder | null {
  const page = Buffer.alloc(PAGE);
  const bytes = readSync(fd, page, 0, PAGE, 0);
  const text = page.subarray(0, bytes).toString('utf8').replaceAll('\0', '');
  if (text === '') return null;
  try {
    const { pid, host, boot, since } = JSON.parse(text) as Holder;
    return { pid: Number(pid), host: String(host), boot: String(boot), since: String(since) };
  } catch {
    // Half a line: the owner died while writing it.
    return { pid: 0, host: 'unknown', boot: '', since: 'an unknown time' };
  }
}

/** Always the whole page, so that on a full disk there is nothing to allocate. */
function writeHolder(fd: number, holder: Holder | null): void {
  const page = Buffer.alloc(PAGE);
  if (holder !== null) page.write(JSON.stringify(holder));
  writeSync(fd, page, 0, PAGE, 0);
}

function letGo(fd: number, db: Database.Database): void {
  if (db.inTransaction) db.exec('ROLLBACK');
  db.close();
  closeSync(fd);
}
