/**
 * SQLite by better-sqlite3: databases and statements that nothing collects while they could end the
 * process.
 *
 * From Node 24.19 on, an object of better-sqlite3 that V8 collects outside of a context (in a task
 * of its own) ends the process: its destructor asks for an environment that is not there. So what
 * is opened is kept for ever there, closed or not: a few KiB a store. Statements are made once for
 * each text, and nothing here uses `pragma()`, which makes one that nobody could keep.
 */
import { createRequire } from 'node:module';
import Database from 'better-sqlite3';
import { RegionError } from '../errors.ts';

const require = createRequire(import.meta.url);

const [NODE = 0] = process.versions.node.split('.').map(Number);
/** Whoever holds a database shut for a moment is waited for so long. */
const SNAPSHOT_MS = 2000;
const kept = new Set<object>();
const statements = new WeakMap<Database.Database, Map<string, Database.Statement>>();

/** better-sqlite3 13 needs Node 22 and crashes the process on 20; says so instead. */
function refuseBadSqlite(): void {
  const { version } = require('better-sqlite3/package.json') as { version: string };
  if (Number(version.split('.')[0]) >= 13 && NODE < 22) {
    throw new RegionError('ERR_VERSION',
      `better-sqlite3 ${version} crashes Node ${process.versions.node}; ` +
        'install better-sqlite3@^12.11.1, or run Node 22 or newer');
  }
}

export function openSqlite(path: string, options: Database.Options): Database.Database {
  refuseBadSqlite();
  const db = new Database(path, options);
  statements.set(db, new Map());
  keep(db);
  return db;
}

/** The whole database as of now, what is in its log included, as the bytes of a file. */
export function snapshotOf(path: string): Buffer {
  const db = openSqlite(path, { fileMustExist: true, readonly: true, timeout: SNAPSHOT_MS });
  try {
    return db.serialize();
  } finally {
    db.close();
  }
}

/** The statement of a database with this text, the same one every time. */
export function prepared(db: Database.Database, sql: string): Database.Statement {
  const all = statements.get(db) as Map<string, Database.Statement>;
  const known = all.get(sql);
  if (known !== undefined) return known;
  const made = db.prepare(sql);
  all.set(sql, made);
  return made;
}

/** Rows one by one, as arrays. */
export function* rowsOf(db: Database.Database, sql: string): Generator<unknown[]> {
  const rows = prepared(db, sql).raw().iterate();
  keep(rows);
  yield* rows as Iterable<unknown[]>;
}

function keep(object: object): void {
  if (NODE >= 24) kept.add(object);
}
