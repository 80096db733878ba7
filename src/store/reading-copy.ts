/**
 * A copy of the catalog for a store that is opened for reading only. SQLite writes beside a
 * database even to read it when there is a log; on a copy it may, and the store itself stays
 * untouched, which also serves read-only file systems. The store's lock is held, so nobody writes
 * meanwhile.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ReadingCopy {
  readonly path: string;
  remove(): void;
}

export function copyCatalog(original: string): ReadingCopy {
  const folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  const path = join(folder, 'catalog.db');
  copyFileSync(original, path);
  if (existsSync(`${original}-wal`)) copyFileSync(`${original}-wal`, `${path}-wal`);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
