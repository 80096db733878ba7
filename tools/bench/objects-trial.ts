/**
 * A million records `{ id, name, score }` under string keys, one contender, one process:
 *
 *   node objects-trial.js DIR CONTENDER COUNT write
 *     → { write, keep, read, iterate, collect, bytes }
 *   node objects-trial.js DIR CONTENDER COUNT ready → { ready, resident }
 *   node objects-trial.js DIR field COUNT → { plain, field, create }
 *
 * write, read, iterate: nanoseconds a record; keep: milliseconds to make it durable; collect:
 * milliseconds; ready: milliseconds until one record of what is there was read; resident: bytes
 * of memory the process has grown by since it began to open. The same keys in the same order for
 * everybody; reads go in another order.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { open as openLmdb } from 'lmdb';
import { f64, map, openStore, type Persistent, type PersistentMap, ref, str, struct, u32 }
  from 'regionstore';
import { median } from './report.ts';

interface Plain {
  readonly id: number;
  readonly name: string;
  readonly score: number;
}

/** What a contender does; `read` gives one field. */
interface Contender {
  write(count: number): void;
  /** Makes what was written durable. */
  keep(): void;
  read(key: string): number;
  iterate(): number;
  /** Milliseconds, where there is a collector. */
  collect?(): number;
  close(): void;
}

const Person = struct('Person', { id: u32, name: str, score: f64 });
type Person = Persistent<typeof Person>;
const PEOPLE = map(str, ref(Person));

const keyOf = (i: number) => `user${i}`;
const nameOf = (i: number) => `name of ${i}`;
const scoreOf = (i: number) => i * 0.5;

function heapIn(dir: string): Contender {
  const store = openStore(join(dir, 'store'), { history: 0 });
  const heap = store.heap('app');
  const found = heap.root.get('people') as PersistentMap<string, Person | null> | undefined;
  const people = found ?? heap.create(PEOPLE) as unknown as PersistentMap<string, Person | null>;
  if (found === undefined) heap.root.set('people', people);
  return {
    write(count) {
      for (let i = 0; i < count; i++) {
        people.set(keyOf(i), heap.create(Person, { id: i, name: nameOf(i), score: scoreOf(i) }));
      }
    },
    keep: () => { store.checkpoint(); },
    read: (key) => people.get(key)?.score ?? Number.NaN,
    iterate() {
      let sum = 0;
      for (const person of people.values()) sum += person?.score ?? 0;
      return sum;
    },
    collect() {
      const started = performance.now();
      heap.collect({ handles: false });
      return performance.now() - started;
    },
    close: () => store.close(),
  };
}

/** Objects of JavaScript, kept as one JSON document. */
function mapIn(dir: string): Contender {
  const path = join(dir, 'people.json');
  let people = new Map<string, Plain>();
  try {
    people = new Map(Object.entries(JSON.parse(readFileSync(path, 'utf8')) as object));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return {
    write(count) {
      for (let i = 0; i < count; i++) {
        people.set(keyOf(i), { id: i, name: nameOf(i), score: scoreOf(i) });
      }
    },
    keep: () => writeFileSync(path, JSON.stringify(Object.fromEntries(people)), { flush: true }),
    read: (key) => people.get(key)?.score ?? Number.NaN,
    iterate() {
      let sum = 0;
      for (const person of people.values()) sum += person.score;
      return sum;
    },
    close: () => {},
  };
}

/** One transaction, values in its own msgpack. */
function lmdbIn(dir: string): Contender {
  const db = openLmdb<Plain, string>({ path: join(dir, 'lmdb'), mapSize: 2 ** 32 });
  return {
    write(count) {
      db.transactionSync(() => {
        for (let i = 0; i < count; i++) {
          db.putSync(keyOf(i), { id: i, name: nameOf(i), score: scoreOf(i) });
        }
      });
    },
    keep: () => {},
    read: (key) => db.get(key)?.score ?? Number.NaN,
    iterate() {
      let sum = 0;
      for (const { value } of db.getRange()) sum += value.score;
      return sum;
    },
    close: () => { void db.close(); },
  };
}

/** Rows, one transaction, statements prepared. */
function sqliteIn(dir: string): Contender {
  const db = new Database(join(dir, 'rows.db'));
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE IF NOT EXISTS people (key TEXT PRIMARY KEY, id INTEGER, name TEXT, ' +
    'score REAL) WITHOUT ROWID');
  const put = db.prepare('INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)');
  const get = db.prepare('SELECT score FROM people WHERE key = ?').pluck();
  const all = db.prepare('SELECT id, name, score FROM people');
  return {
    write(count) {
      db.transaction(() => {
        for (let i = 0; i < count; i++) put.run(keyOf(i), i, nameOf(i), scoreOf(i));
      })();
    },
    keep: () => {},
    read: (key) => get.get(key) as number,
    iterate() {
      let sum = 0;
      for (const row of all.iterate() as Iterable<Plain>) sum += row.score;
      return sum;
    },
    close: () => db.close(),
  };
}

const CONTENDERS: Readonly<Record<string, (dir: string) => Contender>> = {
  heap: heapIn, map: mapIn, lmdb: lmdbIn, sqlite: sqliteIn,
};

function bytesBelow(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).blocks * 512, 0);
}

function timed(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

/** A step that has no factor in common with the count goes through all keys, out of order. */
const STEP = 611_953;

function readAll(contender: Contender, count: number): number {
  let sum = 0;
  for (let n = 0, i = 0; n < count; n++, i = (i + STEP) % count) sum += contender.read(keyOf(i));
  return sum;
}

async function write(dir: string, name: string, count: number): Promise<object> {
  const contender = (CONTENDERS[name] as (dir: string) => Contender)(dir);
  const perRecord = 1e6 / count;
  const writing = timed(() => contender.write(count)) * perRecord;
  const keep = timed(() => contender.keep());
  let sum = 0;
  // Once to be compiled; then whatever the loops left is collected, as in a program that lives.
  readAll(contender, Math.ceil(count / 10));
  await new Promise((resolve) => setTimeout(resolve, 10));
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const reading = timed(() => { sum = readAll(contender, count); }) * perRecord;
  const iterating = timed(() => { sum -= contender.iterate(); }) * perRecord;
  if (Math.abs(sum) > 1) throw new Error(`bench: ${name} lost something: ${sum}`);
  const collect = contender.collect?.() ?? null;
  contender.close();
  return { write: writing, keep, read: reading, iterate: iterating, collect,
    bytes: bytesBelow(dir) };
}

function ready(dir: string, name: string, count: number): object {
  const before = process.memoryUsage.rss();
  const started = performance.now();
  const contender = (CONTENDERS[name] as (dir: string) => Contender)(dir);
  const score = contender.read(keyOf(count - 1));
  const took = performance.now() - started;
  if (score !== scoreOf(count - 1)) throw new Error(`bench: ${name} lost something`);
  const resident = process.memoryUsage.rss() - before;
  contender.close();
  return { ready: took, resident };
}

interface Counter { id: number; score: number }

function spin(objects: readonly Counter[], rounds: number): number {
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    for (const object of objects) {
      object.score = object.score + 1;
      sum += object.id;
    }
  }
  return sum;
}

/** Nanoseconds to read and write a number of an object, in turns with plain ones. */
function field(dir: string, count: number): object {
  const store = openStore(join(dir, 'store'));
  const heap = store.heap('app');
  const objects = 1000;
  const own = Array.from({ length: objects }, (_, id) => heap.create(Person, { id }));
  const plain = Array.from({ length: objects }, (_, id) => ({ id, name: '', score: 0 }));
  const rounds = Math.ceil(count / objects);
  const times = { plain: [] as number[], field: [] as number[] };
  for (let pass = 0; pass < 9; pass++) {
    // Two functions of their own, so that each sees one kind of objects, as in most programs.
    times.plain.push(timed(() => spinPlain(plain, rounds)) * 1e6 / (rounds * objects));
    times.field.push(timed(() => spin(own, rounds)) * 1e6 / (rounds * objects));
  }
  store.abandon();
  return { plain: median(times.plain), field: median(times.field) };
}

function spinPlain(objects: readonly Counter[], rounds: number): number {
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    for (const object of objects) {
      object.score = object.score + 1;
      sum += object.id;
    }
  }
  return sum;
}

async function main(): Promise<void> {
  const [dir = '', name = '', count = '', phase = ''] = process.argv.slice(2);
  const result = name === 'field' ? field(dir, Number(count))
    : phase === 'ready' ? ready(dir, name, Number(count)) : await write(dir, name, Number(count));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main();
