/** What can still be read of a catalog that is damaged: nothing of it is sure. */
import { isRegionName } from './recover.ts';
import { openSqlite, rowsOf } from './sqlite.ts';

/** A row whose checksum nobody asked for. */
export interface RowLeft {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly method: string;
  /** Bytes. */
  readonly capacity: number;
  readonly isDropped: boolean;
}

/** Rows of regions by id, up to where they cannot be read. Changes the files: give it a copy. */
export function rowsLeft(path: string): Map<string, RowLeft> {
  const rows = new Map<string, RowLeft>();
  try {
    const db = openSqlite(path, { fileMustExist: true });
    try {
      const sql = 'SELECT id, name, kind, method, capacity, dropped FROM regions';
      for (const row of rowsOf(db, sql)) take(rows, row);
    } finally {
      db.close();
    }
  } catch {
    // What was read until here is what is left.
  }
  return rows;
}

function take(rows: Map<string, RowLeft>, row: readonly unknown[]): void {
  const [id, name, kind, method, capacity, dropped] = row;
  const isRow = typeof id === 'string' && /^[0-9a-f]{32}$/.test(id) && isRegionName(name)
    && typeof kind === 'string' && typeof method === 'string' && typeof capacity === 'number';
  if (!isRow) return;
  rows.set(id, { id, name: name as string, kind, method, capacity, isDropped: dropped !== null });
}
