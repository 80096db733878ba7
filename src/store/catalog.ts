/**
 * The catalog: the one file that speaks SQL. It knows the regions of a store, its checkpoints and
 * where their images are. A checkpoint exists exactly when its transaction is committed.
 *
 * WAL, synchronous as the store's `sync` says, read back; no paths are stored; the schema must be
 * ours to the letter, so that a prepared file cannot run triggers or views here.
 */
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { RegionError } from '../errors.ts';
import { CATALOG_APPLICATION, CATALOG_VERSION } from '../layout.ts';
import type { Crc } from './record.ts';
import { refuseBadSqlite } from './sqlite.ts';

export type Sync = 'full' | 'normal' | 'off';

export interface RegionRow {
  /** 32 hexadecimal digits; the file is called after it. */
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly method: string;
  readonly capacity: number;
  /** Newest checkpoint that is applied durably to this region's file. */
  readonly sequence: number;
  /** Checkpoint that dropped it, or null. */
  readonly dropped: number | null;
}

export interface CheckpointRow {
  readonly sequence: number;
  readonly at: number;
  readonly label: string | null;
  readonly pages: number;
  readonly bytes: number;
  readonly regions: number;
}

/** A record inside an image file: file number, byte range. */
export interface PartRow {
  readonly sequence: number;
  readonly part: number;
  readonly file: number;
  readonly at: number;
  readonly bytes: number;
}

/** Everything one checkpoint commits. */
export interface CheckpointCommit {
  readonly row: CheckpointRow;
  readonly image: Uint8Array | null;
  readonly parts: readonly PartRow[];
  /** Regions created, renamed or dropped since the last checkpoint. */
  readonly regions: readonly RegionRow[];
}

/** What becomes durable knowledge once region files were synced. */
export interface Settlement {
  /** Everything up to this checkpoint is applied durably. */
  readonly applied: number;
  /** Records up to this one may go: applied durably and below the low-water sequence. */
  readonly lowWater: number;
  /** Regions whose files were synced, with the checkpoint they now hold. */
  readonly regions: readonly { id: string; sequence: number }[];
  /** Unlabelled checkpoints to keep in the list. */
  readonly keep: number;
}

const SCHEMA = [
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
  bytes INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (sequence, part)) STRICT, WITHOUT ROWID`,
] as const;

/** Steps from one schema version to the next; index = the version it starts from. */
const MIGRATIONS: readonly ((db: Database.Database) => void)[] = [
  (db) => {
    for (const sql of SCHEMA) db.exec(sql);
  },
];

const SYNCHRONOUS = { full: 2, normal: 1, off: 0 } as const;
/** Rows read at open are bounded; more than this is damage, not use. */
const MAX_ROWS = 1_000_000;
/** Somebody looking into the catalog with another tool is waited for so long. */
const BUSY_MS = 2000;
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

function corrupt(path: string, what: string, cause?: unknown): RegionError {
  return new RegionError(
    'ERR_CORRUPT',
    `the catalog ${path} is damaged (${what}); restore the store from a backup`,
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

export class Catalog {
  readonly path: string;
  readonly #db: Database.Database;
  readonly #crc: Crc;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #insertCheckpoint: Database.Statement;
  readonly #insertPart: Database.Statement;
  readonly #upsertRegion: Database.Statement;
  readonly #syncRegion: Database.Statement;

  private constructor(path: string, db: Database.Database, crc: Crc) {
    this.path = path;
    this.#db = db;
    this.#crc = crc;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#insertCheckpoint = db.prepare('INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#insertPart = db.prepare('INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)');
    this.#upsertRegion = db.prepare('INSERT OR REPLACE INTO regions VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#syncRegion = db.prepare('SELECT * FROM regions WHERE id = ?');
  }

  /**
   * Opens the catalog, brings its schema up to date and verifies every row. `fresh` says how to
   * create it where there is none, or where an earlier creation was cut off; null = refuse.
   */
  static open(
    path: string, sync: Sync, crc: Crc, fresh: { id: string; at: number } | null,
  ): Catalog {
    return guarded(path, () => {
      if (fresh !== null && !existsSync(path)) closeSync(openSync(path, 'wx', 0o600));
      const db = connect(path, sync);
      try {
        if (fresh !== null && isBlank(db)) createTables(db, fresh, crc);
        verifySchema(path, db);
        makeDurable(db);
        const catalog = new Catalog(path, db, crc);
        catalog.#verifyRows();
        return catalog;
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  get id(): string {
    return this.#store().id;
  }

  get applied(): number {
    return this.#store().applied;
  }

  /** Sequence of the newest committed checkpoint, 0 = none yet. */
  get newest(): number {
    const newest = this.#db.prepare('SELECT max(sequence) FROM checkpoints').pluck().get();
    return (newest as number | null) ?? 0;
  }

  regions(): RegionRow[] {
    const columns = 'id, name, kind, method, capacity, sequence, dropped';
    return this.#db.prepare(`SELECT ${columns} FROM regions ORDER BY name`).all() as RegionRow[];
  }

  /** Checkpoints, oldest first. */
  checkpoints(): CheckpointRow[] {
    const columns = 'sequence, at, label, pages, bytes, regions';
    const sql = `SELECT ${columns} FROM checkpoints ORDER BY sequence`;
    return this.#db.prepare(sql).all() as CheckpointRow[];
  }

  /** Checkpoints after `sequence` that still have images, oldest first. */
  pending(sequence: number): number[] {
    const sql = `SELECT sequence FROM checkpoints c WHERE sequence > ? AND (image IS NOT NULL
      OR EXISTS (SELECT 1 FROM parts p WHERE p.sequence = c.sequence)) ORDER BY sequence`;
    return this.#db.prepare(sql).pluck().all(sequence) as number[];
  }

  /** The inline record of a checkpoint, or null. */
  image(sequence: number): Uint8Array | null {
    const sql = 'SELECT length(image) FROM checkpoints WHERE sequence = ?';
    const bytes = this.#db.prepare(sql).pluck().get(sequence) as number | null;
    if (bytes === null) return null;
    if (bytes > MAX_IMAGE_BYTES) throw corrupt(this.path, `image of checkpoint ${sequence}`);
    const get = this.#db.prepare('SELECT image FROM checkpoints WHERE sequence = ?').pluck();
    return get.get(sequence) as Uint8Array;
  }

  parts(sequence?: number): PartRow[] {
    const where = sequence === undefined ? '' : 'WHERE sequence = ?';
    const sql = `SELECT sequence, part, file, at, bytes FROM parts ${where} ORDER BY sequence, part`;
    return this.#db.prepare(sql).all(...(sequence === undefined ? [] : [sequence])) as PartRow[];
  }

  /** The commit point of a checkpoint: durable on return with `sync: 'full'`. */
  commit({ row, image, parts, regions }: CheckpointCommit): void {
    this.#transact(() => {
      const { sequence, at, label, pages, bytes } = row;
      const meta = [sequence, at, label, pages, bytes, row.regions];
      this.#insertCheckpoint.run(...meta, crcOf(meta, this.#crc), image);
      for (const p of parts) {
        const values = [p.sequence, p.part, p.file, p.at, p.bytes];
        this.#insertPart.run(...values, crcOf(values, this.#crc));
      }
      for (const region of regions) this.#writeRegion(region);
    });
  }

  /** Records what is applied durably and lets go of images nobody needs any more. */
  settle({ applied, lowWater, regions, keep }: Settlement): void {
    this.#transact(() => {
      const store = this.#store();
      const row = [1, store.id, store.created, applied];
      this.#db.prepare('INSERT OR REPLACE INTO store VALUES (?, ?, ?, ?, ?)')
        .run(...row, crcOf(row, this.#crc));
      for (const { id, sequence } of regions) {
        const region = this.#syncRegion.get(id) as RegionRow | undefined;
        if (region !== undefined) this.#writeRegion({ ...region, sequence });
      }
      this.#db.prepare('UPDATE checkpoints SET image = NULL WHERE sequence <= ? AND image NOT NULL')
        .run(lowWater);
      this.#db.prepare('DELETE FROM parts WHERE sequence <= ?').run(lowWater);
      this.#prune(lowWater, keep);
    });
  }

  /** The region's file is gone: so is its row. */
  forgetRegions(ids: readonly string[]): void {
    if (ids.length === 0) return;
    const remove = this.#db.prepare('DELETE FROM regions WHERE id = ?');
    this.#transact(() => {
      for (const id of ids) remove.run(id);
    });
  }

  /** SQLite's own checkpoint: everything committed is durable on return, whatever `sync` says. */
  walCheckpoint(): void {
    guarded(this.path, () => {
      const [result] = this.#db.pragma('wal_checkpoint(FULL)') as { busy: number }[];
      if (result?.busy !== 0) throw new RegionError('ERR_BUSY', `${this.path}: walCheckpoint refused`);
    });
  }

  /** Pages SQLite finds damaged, rows with a wrong checksum: one line each. */
  check(): string[] {
    const lines = this.#db.pragma('integrity_check(100)', { simple: false }) as
      { integrity_check: string }[];
    const damage = lines.map((line) => line.integrity_check).filter((line) => line !== 'ok');
    try {
      this.#verifyRows();
    } catch (error) {
      damage.push((error as Error).message);
    }
    return damage;
  }

  close(): void {
    this.#db.close();
  }

  #store(): { id: string; created: number; applied: number; crc: number } {
    const row = this.#db.prepare('SELECT id, created, applied, crc FROM store').get();
    if (row === undefined) throw corrupt(this.path, 'no store row');
    return row as { id: string; created: number; applied: number; crc: number };
  }

  #writeRegion(r: RegionRow): void {
    const values = [r.id, r.name, r.kind, r.method, r.capacity, r.sequence, r.dropped];
    this.#upsertRegion.run(...values, crcOf(values, this.#crc));
  }

  #prune(lowWater: number, keep: number): void {
    this.#db.prepare(`DELETE FROM checkpoints WHERE label IS NULL AND sequence <= ? AND sequence <
      (SELECT min(sequence) FROM (SELECT sequence FROM checkpoints WHERE label IS NULL
       ORDER BY sequence DESC LIMIT ?))`).run(lowWater, Math.max(1, keep));
  }

  #transact(work: () => void): void {
    guarded(this.path, () => {
      this.#begin.run();
      try {
        work();
        this.#commit.run();
      } catch (error) {
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  #verifyRows(): void {
    const store = this.#store();
    const expected = crcOf([1, store.id, store.created, store.applied], this.#crc);
    if (store.crc !== expected) throw corrupt(this.path, 'checksum of the store row');
    this.#verifyTable('regions', 'id, name, kind, method, capacity, sequence, dropped');
    this.#verifyTable('checkpoints', 'sequence, at, label, pages, bytes, regions');
    this.#verifyTable('parts', 'sequence, part, file, at, bytes');
    const live = this.regions().filter((r) => r.dropped === null).map((r) => r.name);
    if (new Set(live).size !== live.length) throw corrupt(this.path, 'two regions of one name');
  }

  #verifyTable(table: string, columns: string): void {
    const count = this.#db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    if (count > MAX_ROWS) throw corrupt(this.path, `${count} rows in ${table}`);
    const rows = this.#db.prepare(`SELECT ${columns}, crc FROM ${table}`).raw().iterate();
    for (const row of rows as Iterable<unknown[]>) {
      if (row.at(-1) !== crcOf(row.slice(0, -1), this.#crc)) {
        throw corrupt(this.path, `checksum of a row of ${table}: ${row[0]}`);
      }
    }
  }
}

/**
 * What an earlier process left in the WAL may be in the page cache only, and new commits would build
 * on it: move it into the database, synced. On a full disk there are no new commits either.
 */
function makeDurable(db: Database.Database): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** A database without any table: its creation was begun and never committed. */
function isBlank(db: Database.Database): boolean {
  return db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
}

function createTables(db: Database.Database, fresh: { id: string; at: number }, crc: Crc): void {
  db.transaction(() => {
    db.pragma(`application_id = ${CATALOG_APPLICATION}`);
    migrate(db);
    const row = [1, fresh.id, fresh.at, 0];
    db.prepare('INSERT INTO store VALUES (?, ?, ?, ?, ?)').run(...row, crcOf(row, crc));
  })();
}

function crcOf(values: readonly unknown[], crc: Crc): number {
  const text = Buffer.from(JSON.stringify(values));
  return crc(text, 0, text.length, 0);
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw catalogError(path, error);
  }
}

function connect(path: string, sync: Sync): Database.Database {
  refuseBadSqlite();
  const db = new Database(path, { fileMustExist: true, timeout: BUSY_MS });
  try {
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    if (statSync(path).size === 0) db.pragma('page_size = 4096');
    const mode = db.pragma('journal_mode = WAL', { simple: true });
    if (mode !== 'wal') throw new RegionError('ERR_IO', `${path}: no WAL on this file system`);
    db.pragma(`synchronous = ${SYNCHRONOUS[sync]}`);
    if (db.pragma('synchronous', { simple: true }) !== SYNCHRONOUS[sync]) {
      throw new RegionError('ERR_IO', `${path}: SQLite did not take synchronous=${sync}`);
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: Database.Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  for (let from = version; from < CATALOG_VERSION; from++) MIGRATIONS[from]?.(db);
  db.pragma(`user_version = ${CATALOG_VERSION}`);
}

/** The schema must be exactly ours: a trigger, a view or a foreign table is refused. */
function verifySchema(path: string, db: Database.Database): void {
  if (db.pragma('application_id', { simple: true }) !== CATALOG_APPLICATION) {
    throw corrupt(path, 'not a regionstore catalog');
  }
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > CATALOG_VERSION) {
    throw new RegionError('ERR_VERSION',
      `${path} has catalog version ${version}, this regionstore reads up to ${CATALOG_VERSION}; ` +
        'open it with a newer regionstore');
  }
  if (version < CATALOG_VERSION) db.transaction(() => migrate(db))();
  const sql = "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
  const found = db.prepare(sql).pluck().all() as string[];
  const expected = [...SCHEMA].sort();
  if (JSON.stringify([...found].sort()) !== JSON.stringify(expected)) {
    throw corrupt(path, 'its tables are not those of a catalog');
  }
}
