/**
 * The tables of the catalog that lead back: undo records, one link of a chain each (`sequence` is
 * the state they are applied to, `base` the one they make of it), and what regions were called.
 * Every method that writes runs inside a transaction of the catalog.
 */
import type Database from 'better-sqlite3';
import { corrupt, rowCrc } from './catalog-schema.ts';
import type { Crc } from './record.ts';
import { prepared } from './sqlite.ts';

/** An undo record, or a part of one; inside the catalog where `file` is null. */
export interface UndoRow {
  readonly sequence: number;
  readonly part: number;
  readonly base: number;
  readonly file: number | null;
  readonly at: number;
  readonly bytes: number;
}

/** An undo record as it is written: rows, and the bytes of those that go into the catalog. */
export interface Undo {
  readonly rows: readonly UndoRow[];
  /** Of the one row that is inside the catalog. */
  readonly image: Uint8Array | null;
}

/** What a region was called before checkpoint `sequence`; null = it was not there. */
export interface Move {
  readonly sequence: number;
  readonly id: string;
  readonly name: string | null;
}

export const UNDO_COLUMNS = 'sequence, part, base, file, at, bytes';
export const MOVE_COLUMNS = 'sequence, id, name';

const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

export class HistoryTables {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #crc: Crc;

  constructor(path: string, db: Database.Database, crc: Crc) {
    this.#path = path;
    this.#db = db;
    this.#crc = crc;
  }

  /** Newest first, parts in order. */
  undo(): UndoRow[] {
    const sql = `SELECT ${UNDO_COLUMNS} FROM undo ORDER BY sequence DESC, part`;
    return prepared(this.#db, sql).all() as UndoRow[];
  }

  /** The bytes of a record that is inside the catalog. */
  image({ sequence, part, bytes }: UndoRow): Uint8Array {
    const sql = 'SELECT image FROM undo WHERE sequence = ? AND part = ? AND length(image) = ?';
    const image = bytes > MAX_IMAGE_BYTES ? undefined
      : prepared(this.#db, sql).pluck().get(sequence, part, bytes);
    if (image instanceof Uint8Array) return image;
    throw corrupt(this.#path, `undo record of checkpoint ${sequence}`);
  }

  /** Oldest first. */
  moves(): Move[] {
    const sql = `SELECT ${MOVE_COLUMNS} FROM moves ORDER BY sequence, id`;
    return prepared(this.#db, sql).all() as Move[];
  }

  write({ rows, image }: Undo): void {
    const insert = prepared(this.#db, 'INSERT INTO undo VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    for (const { sequence, part, base, file, at, bytes } of rows) {
      const values = [sequence, part, base, file, at, bytes];
      insert.run(...values, rowCrc(values, this.#crc), file === null ? image : null);
    }
  }

  writeMove({ sequence, id, name }: Move): void {
    const values = [sequence, id, name];
    prepared(this.#db, 'INSERT OR REPLACE INTO moves VALUES (?, ?, ?, ?)')
      .run(...values, rowCrc(values, this.#crc));
  }

  /** Nobody goes back beyond `oldest` any more. */
  cut(oldest: number): void {
    prepared(this.#db, 'DELETE FROM undo WHERE sequence <= ?').run(oldest);
    prepared(this.#db, 'DELETE FROM moves WHERE sequence <= ?').run(oldest);
  }

  /** Forgets the records after `base` up to `sequence`: one takes their place. */
  drop(base: number, sequence: number): void {
    prepared(this.#db, 'DELETE FROM undo WHERE sequence > ? AND sequence <= ?')
      .run(base, sequence);
    prepared(this.#db, `DELETE FROM moves AS m WHERE sequence > ? AND sequence <= ? AND EXISTS
      (SELECT 1 FROM moves o WHERE o.id = m.id AND o.sequence > ? AND o.sequence < m.sequence)`)
      .run(base, sequence, base);
  }
}
