/**
 * The catalog: the regions of a store, its checkpoints and where their images are. A checkpoint
 * exists exactly when its transaction is committed. This file and catalog-schema.ts alone speak
 * SQL. No paths are stored: a region's file is called after its id.
 */
import type Database from 'better-sqlite3';
import { RegionError } from '../errors.ts';
import { HistoryTables, MOVE_COLUMNS, type Move, type Undo, UNDO_COLUMNS }
  from './catalog-history.ts';
import { corrupt, type FreshStore, guarded, openDatabase, rowCrc, type Sync }
  from './catalog-schema.ts';
import type { Crc } from './record.ts';
import { prepared, rowsOf } from './sqlite.ts';

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
  /** What leads back to the checkpoint before; null = nothing does. */
  readonly undo: Undo | null;
  readonly moves: readonly Move[];
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

/** Rows read at open are bounded; more than this is damage, not use. */
const MAX_ROWS = 1_000_000;
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

export class Catalog {
  readonly path: string;
  /** What leads back to earlier checkpoints. */
  readonly history: HistoryTables;
  readonly #db: Database.Database;
  readonly #crc: Crc;
  #applied = 0;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #insertCheckpoint: Database.Statement;
  readonly #insertPart: Database.Statement;
  readonly #upsertRegion: Database.Statement;
  readonly #syncRegion: Database.Statement;

  private constructor(path: string, db: Database.Database, crc: Crc) {
    this.path = path;
    this.history = new HistoryTables(path, db, crc);
    this.#db = db;
    this.#crc = crc;
    this.#begin = prepared(db, 'BEGIN IMMEDIATE');
    this.#commit = prepared(db, 'COMMIT');
    this.#insertCheckpoint = prepared(db,
      'INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#insertPart = prepared(db, 'INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)');
    const region = 'INSERT OR REPLACE INTO regions VALUES (?, ?, ?, ?, ?, ?, ?, ?)';
    this.#upsertRegion = prepared(db, region);
    this.#syncRegion = prepared(db, 'SELECT * FROM regions WHERE id = ?');
  }

  /**
   * Opens the catalog, brings its schema up to date and verifies every row. `fresh` says how to
   * create it where there is none, or where an earlier creation was cut off; null = refuse.
   */
  static open(
    path: string, sync: Sync, crc: Crc, fresh: FreshStore | null,
  ): Catalog {
    return guarded(path, () => {
      const db = openDatabase(path, sync, fresh, crc);
      try {
        const catalog = new Catalog(path, db, crc);
        catalog.#verifyRows();
        catalog.#applied = catalog.#store().applied;
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

  /** Newest checkpoint applied durably. Kept in memory: a store that stopped can still say it. */
  get applied(): number {
    return this.#applied;
  }

  /** Sequence of the newest committed checkpoint, 0 = none yet. */
  get newest(): number {
    const newest = prepared(this.#db, 'SELECT max(sequence) FROM checkpoints').pluck().get();
    return (newest as number | null) ?? 0;
  }

  regions(): RegionRow[] {
    const columns = 'id, name, kind, method, capacity, sequence, dropped';
    return prepared(this.#db, `SELECT ${columns} FROM regions ORDER BY name`).all() as RegionRow[];
  }

  /** Checkpoints, oldest first. */
  checkpoints(): CheckpointRow[] {
    const columns = 'sequence, at, label, pages, bytes, regions';
    const sql = `SELECT ${columns} FROM checkpoints ORDER BY sequence`;
    return prepared(this.#db, sql).all() as CheckpointRow[];
  }

  /** Checkpoints after `sequence` that still have images, oldest first. */
  pending(sequence: number): number[] {
    const sql = `SELECT sequence FROM checkpoints c WHERE sequence > ? AND (image IS NOT NULL
      OR EXISTS (SELECT 1 FROM parts p WHERE p.sequence = c.sequence)) ORDER BY sequence`;
    return prepared(this.#db, sql).pluck().all(sequence) as number[];
  }

  /** The inline record of a checkpoint, or null. */
  image(sequence: number): Uint8Array | null {
    const sql = 'SELECT length(image) FROM checkpoints WHERE sequence = ?';
    const bytes = prepared(this.#db, sql).pluck().get(sequence) as number | null;
    if (bytes === null) return null;
    if (bytes > MAX_IMAGE_BYTES) throw corrupt(this.path, `image of checkpoint ${sequence}`);
    const get = prepared(this.#db, 'SELECT image FROM checkpoints WHERE sequence = ?').pluck();
    return get.get(sequence) as Uint8Array;
  }

  parts(sequence?: number): PartRow[] {
    const where = sequence === undefined ? '' : 'WHERE sequence = ?';
    const sql = `SELECT sequence, part, file, at, bytes FROM parts ${where}`;
    const rows = prepared(this.#db, `${sql} ORDER BY sequence, part`);
    return (sequence === undefined ? rows.all() : rows.all(sequence)) as PartRow[];
  }

  /** The commit point of a checkpoint: durable on return with `sync: 'full'`. */
  commit({ row, image, parts, regions, undo, moves }: CheckpointCommit): void {
    this.#transact(() => {
      const { sequence, at, label, pages, bytes } = row;
      const meta = [sequence, at, label, pages, bytes, row.regions];
      this.#insertCheckpoint.run(...meta, rowCrc(meta, this.#crc), image);
      for (const p of parts) {
        const values = [p.sequence, p.part, p.file, p.at, p.bytes];
        this.#insertPart.run(...values, rowCrc(values, this.#crc));
      }
      for (const region of regions) this.#writeRegion(region);
      if (undo !== null) this.history.write(undo);
      for (const move of moves) this.history.writeMove(move);
    });
  }

  /** A row that belongs to no checkpoint: of a ring, which is there from now on. */
  addRegion(row: RegionRow): void {
    this.#transact(() => this.#writeRegion(row));
  }

  /** Changes what leads back, in one transaction. */
  changeHistory(work: (tables: HistoryTables) => void): void {
    this.#transact(() => work(this.history));
  }

  /** The checkpoint loses its label, and its place in the list unless it is the newest. */
  forget(sequence: number): void {
    this.#transact(() => {
      if (sequence !== this.newest) {
        prepared(this.#db, 'DELETE FROM checkpoints WHERE sequence = ?').run(sequence);
        return;
      }
      const row = this.checkpoints().at(-1) as CheckpointRow;
      const meta = [sequence, row.at, null, row.pages, row.bytes, row.regions];
      prepared(this.#db, 'UPDATE checkpoints SET label = NULL, crc = ? WHERE sequence = ?')
        .run(rowCrc(meta, this.#crc), sequence);
    });
  }

  /** Records what is applied durably and lets go of images nobody needs any more. */
  settle({ applied, lowWater, regions, keep }: Settlement): void {
    this.#transact(() => {
      const store = this.#store();
      const row = [1, store.id, store.created, applied];
      prepared(this.#db, 'INSERT OR REPLACE INTO store VALUES (?, ?, ?, ?, ?)')
        .run(...row, rowCrc(row, this.#crc));
      for (const { id, sequence } of regions) {
        const region = this.#syncRegion.get(id) as RegionRow | undefined;
        if (region !== undefined) this.#writeRegion({ ...region, sequence });
      }
      const release = 'UPDATE checkpoints SET image = NULL WHERE sequence <= ? AND image NOT NULL';
      prepared(this.#db, release).run(lowWater);
      prepared(this.#db, 'DELETE FROM parts WHERE sequence <= ?').run(lowWater);
      this.#prune(lowWater, keep);
    });
    this.#applied = applied;
  }

  /** The region's file is gone: so is its row. */
  forgetRegions(ids: readonly string[]): void {
    if (ids.length === 0) return;
    const remove = prepared(this.#db, 'DELETE FROM regions WHERE id = ?');
    this.#transact(() => {
      for (const id of ids) remove.run(id);
    });
  }

  /** SQLite's own checkpoint: everything committed is durable on return, whatever `sync` says. */
  walCheckpoint(): void {
    guarded(this.path, () => {
      const [result] = prepared(this.#db, 'PRAGMA wal_checkpoint(FULL)').all() as
        { busy: number }[];
      if (result?.busy === 0) return;
      throw new RegionError('ERR_BUSY', `${this.path} is being read by another process`);
    });
  }

  /** Pages SQLite finds damaged, rows with a wrong checksum: one line each. */
  check(): string[] {
    const lines = prepared(this.#db, 'PRAGMA integrity_check(100)').all() as
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
    const row = prepared(this.#db, 'SELECT id, created, applied, crc FROM store').get();
    if (row === undefined) throw corrupt(this.path, 'no store row');
    return row as { id: string; created: number; applied: number; crc: number };
  }

  #writeRegion(r: RegionRow): void {
    const values = [r.id, r.name, r.kind, r.method, r.capacity, r.sequence, r.dropped];
    this.#upsertRegion.run(...values, rowCrc(values, this.#crc));
  }

  #prune(lowWater: number, keep: number): void {
    prepared(this.#db, `DELETE FROM checkpoints WHERE label IS NULL AND sequence <= ? AND sequence <
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
    const expected = rowCrc([1, store.id, store.created, store.applied], this.#crc);
    if (store.crc !== expected) throw corrupt(this.path, 'checksum of the store row');
    this.#verifyTable('regions', 'id, name, kind, method, capacity, sequence, dropped');
    this.#verifyTable('checkpoints', 'sequence, at, label, pages, bytes, regions');
    this.#verifyTable('parts', 'sequence, part, file, at, bytes');
    this.#verifyTable('undo', UNDO_COLUMNS);
    this.#verifyTable('moves', MOVE_COLUMNS);
    const live = this.regions().filter((r) => r.dropped === null).map((r) => r.name);
    if (new Set(live).size !== live.length) throw corrupt(this.path, 'two regions of one name');
  }

  #verifyTable(table: string, columns: string): void {
    const count = prepared(this.#db, `SELECT count(*) FROM ${table}`).pluck().get() as number;
    if (count > MAX_ROWS) throw corrupt(this.path, `${count} rows in ${table}`);
    for (const row of rowsOf(this.#db, `SELECT ${columns}, crc FROM ${table}`)) {
      if (row.at(-1) !== rowCrc(row.slice(0, -1), this.#crc)) {
        throw corrupt(this.path, `checksum of a row of ${table}: ${row[0]}`);
      }
    }
  }
}
