/**
 * The catalog's database: its tables, versions and migrations, how it is connected to and verified.
 *
 * WAL; synchronous as the store's `sync` says, read back; the schema must be ours to the letter, so
 * that a prepared file cannot run triggers or views here.
 */
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { RegionError } from '../errors.ts';
import { CATALOG_APPLICATION, CATALOG_VERSION } from '../layout.ts';
import type { Crc } from './record.ts';
import { openSqlite, prepared } from './sqlite.ts';

export type Sync = 'full' | 'normal' | 'off';

/** How to create a catalog where there is none: the store's id, and the time. */
export interface FreshStore {
  readonly id: string;
  readonly at: number;
}

/** Tables by the version of the catalog that brought them. */
const TABLES: readonly (readonly string[])[] = [
  [
    `CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, created REAL NOT NULL,
  applied INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT`,
    `CREATE TABLE regions (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, method TEXT NOT NULL,
  capacity INTEGER NOT NULL, sequence INTEGER NOT NULL, dropped INTEGER,
  crc INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
    `CREATE TABLE checkpoints (
  sequence INTEGER PRIMARY KEY, at REAL NOT NULL, label TEXT, pages INTEGER NOT NULL,
  bytes INTEGER NOT NULL, regions INTEGER NOT NULL, crc INTEGER NOT NULL, image BLOB) STRICT`,
    `CREATE TABLE parts (
  sequence INTEGER NOT NULL, part INTEGER NOT NULL, file INTEGER NOT NULL, at INTEGER NOT NULL,
  bytes INTEGER NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY (sequence, part)) STRICT, WITHOUT ROWID`,
  ],
  [
    `CREATE TABLE undo (
  sequence INTEGER NOT NULL, part INTEGER NOT NULL, base INTEGER NOT NULL, file INTEGER,
  at INTEGER NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, image BLOB,
  PRIMARY KEY (sequence, part)) STRICT`,
    `CREATE TABLE moves (
  sequence INTEGER NOT NULL, id TEXT NOT NULL, name TEXT, crc INTEGER NOT NULL,
  PRIMARY KEY (sequence, id)) STRICT, WITHOUT ROWID`,
  ],
];

const SYNCHRONOUS = { full: 2, normal: 1, off: 0 } as const;
/** Somebody looking into the catalog with another tool is waited for so long. */
const BUSY_MS = 2000;

/** A connection to a verified catalog; created where `fresh` says how and there is none yet. */
export function openDatabase(
  path: string, sync: Sync, fresh: FreshStore | null, crc: Crc,
): Database.Database {
  if (fresh !== null && !existsSync(path)) closeSync(openSync(path, 'wx', 0o600));
  const db = connect(path, sync);
  try {
    if (fresh !== null && isBlank(db)) createTables(db, fresh, crc);
    verifySchema(path, db);
    makeDurable(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

export function corrupt(path: string, what: string, cause?: unknown): RegionError {
  return new RegionError(
    'ERR_CORRUPT',
    `the catalog ${path} is damaged (${what}); restore the store from a backup, or mend it with ` +
      '`regionstore repair`',
    cause,
  );
}

function isFull(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_FULL';
}

/** A documented error for what SQLite threw. */
function catalogError(path: string, error: unknown): RegionError {
  if (error instanceof RegionError) return error;
  const code = error instanceof Database.SqliteError ? error.code : '';
  if (isFull(error)) {
    return new RegionError('ERR_NO_SPACE',
      `the disk is full: ${path} cannot grow; free space and try again, nothing is lost`, error);
  }
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED') {
    return new RegionError('ERR_LOCKED', `${path} is in use by another process`, error);
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return corrupt(path, (error as Error).message, error);
  }
  return new RegionError('ERR_IO',
    `the catalog ${path} cannot be used: ${(error as Error).message}`, error);
}

/**
 * What an earlier process left in the WAL may be in the page cache only, and new commits would
 * build on it: move it into the database, synced. On a full disk there are no new commits either.
 */
function makeDurable(db: Database.Database): void {
  try {
    prepared(db, 'PRAGMA wal_checkpoint(TRUNCATE)').all();
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** A database without any table: its creation was begun and never committed. */
function isBlank(db: Database.Database): boolean {
  return prepared(db, 'SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
}

function createTables(db: Database.Database, fresh: FreshStore, crc: Crc): void {
  db.transaction(() => {
    db.exec(`PRAGMA application_id = ${CATALOG_APPLICATION}`);
    migrate(db);
    const row = [1, fresh.id, fresh.at, 0];
    prepared(db, 'INSERT INTO store VALUES (?, ?, ?, ?, ?)').run(...row, rowCrc(row, crc));
  })();
}

/** Checksum of a row: of its values as JSON. */
export function rowCrc(values: readonly unknown[], crc: Crc): number {
  const text = Buffer.from(JSON.stringify(values));
  return crc(text, 0, text.length, 0);
}

/** Runs `work`; what SQLite throws becomes a documented error. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw catalogError(path, error);
  }
}

function connect(path: string, sync: Sync): Database.Database {
  const db = openSqlite(path, { fileMustExist: true, timeout: BUSY_MS });
  try {
    db.exec('PRAGMA trusted_schema = OFF');
    db.exec('PRAGMA cell_size_check = ON');
    if (statSync(path).size === 0) db.exec('PRAGMA page_size = 4096');
    db.exec('PRAGMA journal_mode = WAL');
    if (setting(db, 'journal_mode') !== 'wal') {
      throw new RegionError('ERR_IO', `${path}: no WAL on this file system`);
    }
    db.exec(`PRAGMA synchronous = ${SYNCHRONOUS[sync]}`);
    if (setting(db, 'synchronous') !== SYNCHRONOUS[sync]) {
      throw new RegionError('ERR_IO', `${path}: SQLite did not take synchronous=${sync}`);
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** What a pragma says. */
function setting(db: Database.Database, name: string): unknown {
  return prepared(db, `PRAGMA ${name}`).pluck().get();
}

function migrate(db: Database.Database): void {
  const version = setting(db, 'user_version') as number;
  for (const sql of TABLES.slice(version).flat()) db.exec(sql);
  db.exec(`PRAGMA user_version = ${CATALOG_VERSION}`);
}

/** The schema must be exactly ours: a trigger, a view or a foreign table is refused. */
function verifySchema(path: string, db: Database.Database): void {
  if (setting(db, 'application_id') !== CATALOG_APPLICATION) {
    throw corrupt(path, 'not a regionstore catalog');
  }
  const version = setting(db, 'user_version') as number;
  if (version > CATALOG_VERSION) {
    throw new RegionError('ERR_VERSION',
      `${path} has catalog version ${version}, this regionstore reads up to ${CATALOG_VERSION}; ` +
        'open it with a newer regionstore');
  }
  if (version < CATALOG_VERSION) db.transaction(() => migrate(db))();
  const sql = 'SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL';
  const found = prepared(db, sql).pluck().all() as string[];
  const expected = TABLES.flat().sort();
  if (JSON.stringify([...found].sort()) !== JSON.stringify(expected)) {
    throw corrupt(path, 'its tables are not those of a catalog');
  }
}
