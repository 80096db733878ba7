/**
 * A store with everything in it, and the ways it is damaged: each changes bytes or files of a copy,
 * and says what a repair has to make of it.
 */
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync }
  from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { BEST, HEADER, METHOD_START, PAGE, STATE } from '../../src/layout.ts';
import { HASH, HEAD, HEAD_ROOT, ROLE, TREE } from '../../src/layout-objects.ts';
import { type Handle, refOf } from '../../src/objects/handles.ts';
import { any, list, map, ref, sorted, str, u32 } from '../../src/objects/kinds.ts';
import { struct } from '../../src/objects/struct.ts';
import type { Store } from '../../src/store/api.ts';
import { openSqlite, prepared } from '../../src/store/sqlite.ts';
import { openStore, regionIn } from '../../src/store/store.ts';
import type { Address, Region } from '../../src/types.ts';

const Task = struct('Task', { id: u32, title: str, next: ref(() => Task), loose: any,
  tags: list(str) });

/** Stores of tests lie in memory. */
export const UNSAFE = { unsafeFileSystem: true };
export const UNSAFE_READER = { ...UNSAFE, readOnly: true };

/** Places in the files of the store, as they were written. */
export interface Places {
  readonly ids: Readonly<Record<string, string>>;
  readonly word: number;
  readonly title: number;
  readonly byName: number;
  readonly ordered: number;
  readonly head: number;
  readonly types: number;
  readonly first: number;
  readonly buffer: number;
}

/** The two stores that are damaged, or mixed up; made once by the test file. */
export const made: { store: string; other: string; places: Places } =
  { store: '', other: '', places: {} as Places };

/** Makes them in an empty directory. */
export function makeStores(folder: string): void {
  made.store = join(folder, 'store');
  made.other = join(folder, 'other');
  const store = openStore(made.store, { history: 4 });
  fill(store);
  store.close();
  made.places = placesIn(made.store);
  using second = openStore(made.other);
  second.region('words', { capacity: '1MiB' }).roots.set('foreign', 1 as Address);
}

function fill(store: Store): void {
  const words = store.region('words', { capacity: '1MiB' });
  for (let i = 0; i < 20; i++) words.roots.set(`w${i}`, words.strdup(`word ${i} `.repeat(30)));
  const many = store.region('many', { capacity: '1MiB' });
  for (let i = 0; i < 400; i++) many.roots.set(`name ${i}`, many.strdup(`text ${i}`));
  const app = store.heap('app', { capacity: '4MiB' });
  const byName = app.create(map(str, ref(Task)));
  const ordered = app.create(sorted(str, u32));
  const tasks = app.create(list(ref(Task)));
  for (let i = 0; i < 100; i++) {
    const task = app.create(Task, { id: i, title: `task ${i}`, loose: i });
    task.tags.push('a', `b ${i}`);
    byName.set(`task ${i}`, task);
    tasks.push(task);
  }
  for (let i = 0; i < 500; i++) ordered.set(`key ${i}`, i);
  app.root.set('byName', byName);
  app.root.set('ordered', ordered);
  app.root.set('tasks', tasks);
  const buffer = store.buffer('state', { size: '64KiB', capacity: '1MiB' });
  buffer.bytes.fill(7);
  const log = store.ring('log', { size: '64KiB' });
  for (let i = 1; i <= 100; i++) log.append(`record ${i}`);
  store.checkpoint('first');
}

function placesIn(dir: string): Places {
  using store = openStore(dir, UNSAFE_READER);
  const ids = Object.fromEntries(store.regions().map(({ name, id }) => [name, id]));
  const app = store.heap('app');
  const region = regionIn(store, 'app');
  const at = (handle: unknown) => refOf(handle as Handle) * 16;
  const tasks = app.root.get('tasks') as unknown as { at(i: number): Handle };
  const task = tasks.at(5);
  const field = task.$bound.type.layout?.fields.find(({ name }) => name === 'title')?.at ?? 0;
  const head = region.roots.get(HEAD_ROOT);
  const words = region.array(Int32Array, head, HEAD.words);
  const types = words[HEAD.types] * 16;
  return { ids, head, types,
    word: regionIn(store, 'words').roots.get('w7'),
    first: region.array(Int32Array, types as Address, 2)[1] * 16,
    title: region.array(Int32Array, at(task) as Address, 8)[field / 4] * 16,
    byName: at(app.root.get('byName')), ordered: at(app.root.get('ordered')),
    buffer: regionIn(store, 'state').roots.get('buffer') };
}

/** The name of a file that is another store's. */
function strangersFile(): string {
  const names = readdirSync(join(made.other, 'regions'));
  return names.find((name) => name.endsWith('.region')) ?? '';
}

export const fileOf = (dir: string, name: string, end = 'region') =>
  join(dir, 'regions', `${made.places.ids[name]}.${end}`);

/** Changes bytes of a file. */
export function change(file: string, at: number, work: (bytes: Buffer) => void, length = 16): void {
  const bytes = readFileSync(file);
  work(bytes.subarray(at, at + length));
  writeFileSync(file, bytes);
}

export const flip = (bytes: Buffer) => {
  bytes[0] ^= 0xff;
};
export const zero = (bytes: Buffer) => {
  bytes.fill(0);
};
export const word = (value: number) => (bytes: Buffer) => {
  bytes.writeInt32LE(value);
};

/** Everything of a store that was not to be damaged, as text. */
export function contentsOf(dir: string): Record<string, unknown> {
  using store = openStore(dir, UNSAFE_READER);
  expect(store.check().filter(({ id }) => id !== 'G2' && id !== 'S4')).toEqual([]);
  const all: Record<string, unknown> = {};
  for (const { name, kind } of store.regions()) {
    if (kind === 'heap') all[name] = toJS(store, name);
    else if (kind === 'ring') all[name] = [...store.ring(name)].map(({ seq, bytes }) =>
      `${seq} ${Buffer.from(bytes)}`);
    else if (kind === 'buffer') all[name] = hashOf(store.buffer(name).bytes);
    else {
      const region = store.region(name);
      all[name] = Object.fromEntries([...region.roots].map(([root, address]) =>
        [root, textOf(region, address)]));
    }
  }
  return all;
}

function textOf(region: Region, address: Address): string {
  try {
    return region.string(address);
  } catch {
    return 'no text';
  }
}

function toJS(store: Store, name: string): Record<string, unknown> {
  const root = store.heap(name).root as unknown as { toJS(): Map<string, unknown> };
  const found = root.toJS();
  return Object.fromEntries(found);
}

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** One hash over every file of a directory, counters aside. */
export function printOf(dir: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(dir, { recursive: true }).map(String).sort()) {
    const path = join(dir, name);
    if (/store\.lock|lock\.db|^readers|counters/.test(name) || !statSync(path).isFile()) continue;
    hash.update(name).update(readFileSync(path));
  }
  return hash.digest('hex');
}

export interface Case {
  readonly damage: (dir: string) => void;
  /** State of the regions that are not sound. */
  readonly states?: Readonly<Record<string, string>>;
  /** Names that are lost. */
  readonly lost?: readonly string[];
  /** Names whose contents differ afterwards. */
  readonly differ?: readonly string[];
  /** What of the whole thing is seen afterwards. */
  readonly seen?: (after: Record<string, unknown>, before: Record<string, unknown>) => void;
  /** Exit code of the repair. */
  readonly exit?: number;
}

export const CASES: Readonly<Record<string, Case>> = {
  'the magic number of a region': {
    damage: (dir) => change(fileOf(dir, 'words'), HEADER.magic, flip),
  },
  'the checksum of a header': {
    damage: (dir) => change(fileOf(dir, 'app'), HEADER.identityCrc, flip),
  },
  'the version of a region': {
    damage: (dir) => change(fileOf(dir, 'words'), HEADER.version, flip),
  },
  'the capacity of a region': {
    damage: (dir) => change(fileOf(dir, 'words'), HEADER.capacity, zero, 8),
    states: { words: 'partly' },
  },
  'the whole header page of a region': {
    damage: (dir) => change(fileOf(dir, 'words'), 0, zero, PAGE),
    states: { words: 'partly' }, differ: ['words'],
  },
  'the whole header page of a heap': {
    damage: (dir) => change(fileOf(dir, 'app'), 0, zero, PAGE),
    states: { app: 'partly' },
  },
  'the durable state': {
    damage: (dir) => change(fileOf(dir, 'words'), STATE.at, flip),
  },
  'the extent in the header': {
    damage: (dir) => change(fileOf(dir, 'words'), HEADER.segmentPages, word(7)),
    states: { words: 'partly' },
  },
  'the hash of a root': {
    damage: (dir) => change(fileOf(dir, 'words'), HEADER.roots + 8, flip),
    states: { words: 'partly' }, differ: ['words'],
    seen: ({ words }) => expect(Object.keys(words as object)).toHaveLength(19),
  },
  'where the roots are': {
    damage: (dir) => change(fileOf(dir, 'many'), HEADER.rootsBlock, flip, 8),
    states: { many: 'partly' }, differ: ['many'],
  },
  'the free structures of a method': {
    damage: (dir) => change(fileOf(dir, 'many'), METHOD_START + 4 * BEST.caches,
      (bytes) => bytes.fill(0xee), 4096),
    states: { many: 'mended' },
  },
  'the map of blocks of a method': {
    damage: (dir) => {
      const file = fileOf(dir, 'many');
      const bytes = readFileSync(file);
      let pair = bytes.readInt32LE(METHOD_START + 4 * BEST.map) * 4 + 8 * 66;
      while (bytes.readInt32LE(pair) === 0) pair += 8;
      change(file, pair, zero, 4);
    },
    states: { many: 'partly' }, differ: ['many'],
  },
  'where the map of blocks is': {
    damage: (dir) => change(fileOf(dir, 'many'), METHOD_START + 4 * BEST.map, word(0), 4),
    lost: ['many'],
  },
  'the table of pages of a method': {
    damage: (dir) => change(fileOf(dir, 'app'), METHOD_START, zero, 64),
    lost: ['app'],
  },
  'the tag of a text': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.title, word(-1)),
    states: { app: 'partly' }, differ: ['app'],
    seen: ({ app }) => {
      const { tasks } = app as { tasks: { title: string }[] };
      expect(tasks.map(({ title }) => title).filter((title) => title === '')).toEqual(['']);
      expect(tasks[5]).toMatchObject({ id: 5, tags: ['a', 'b 5'] });
    },
  },
  'the chains of a map': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.byName + 4 * HASH.heads, word(0)),
    states: { app: 'partly' },
  },
  'the counts of a map': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.byName + 4 * HASH.size, word(7)),
    states: { app: 'partly' },
  },
  'the root of a sorted map': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.ordered + 4 * TREE.root, word(9)),
    states: { app: 'partly' }, differ: ['app'],
    seen: ({ app }, { app: before }) =>
      expect(app).toMatchObject({ tasks: (before as { tasks: unknown }).tasks }),
  },
  'the head of a heap': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.head, zero, 32),
    lost: ['app'],
  },
  'the root of a heap': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.head + 4 * HEAD.root, word(3)),
    states: { app: 'partly' }, differ: ['app'],
    seen: ({ app }) => expect(Object.keys(app as object)).toEqual(['lost+found']),
  },
  'the number of types': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.head + 4 * HEAD.typeCount, word(1)),
    states: { app: 'partly' },
  },
  'where the types are': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.head + 4 * HEAD.types, word(0)),
    states: { app: 'partly' },
  },
  'the description of a type': {
    damage: (dir) => change(fileOf(dir, 'app'), made.places.first, word(ROLE.bytes)),
    states: { app: 'partly' }, differ: ['app'],
  },
  'a page of a buffer': {
    damage: (dir) => change(fileOf(dir, 'state'), made.places.buffer + 100, flip),
    states: { state: 'partly' }, differ: ['state'],
  },
  'the bytes of a text, which only the checksum tells': {
    damage: (dir) => change(fileOf(dir, 'words'), made.places.word + 20, flip),
    states: { words: 'partly' }, differ: ['words'],
  },
  'a file cut short': {
    damage: (dir) => truncateSync(fileOf(dir, 'many'), 20_000),
    states: { many: 'partly' }, differ: ['many'],
  },
  'a file that is missing': {
    damage: (dir) => rmSync(fileOf(dir, 'many')),
    lost: ['many'],
  },
  'the file of another store in its place': {
    damage: (dir) => {
      const name = strangersFile();
      cpSync(join(made.other, 'regions', name), fileOf(dir, 'words'));
    },
    lost: ['words'],
  },
  'a file of a store that is not this one': {
    damage: (dir) => {
      const name = strangersFile();
      cpSync(join(made.other, 'regions', name), join(dir, 'regions', name));
    },
    lost: ['*'],
  },
  'a file from an older backup': {
    damage: (dir) => {
      const older = readFileSync(fileOf(dir, 'words'));
      const store = openStore(dir, UNSAFE);
      store.region('words').roots.set('later', store.region('words').strdup('later'));
      store.close();
      writeFileSync(fileOf(dir, 'words'), older);
    },
    states: { words: 'partly' }, exit: 1,
  },
  'the header of a ring': {
    damage: (dir) => change(fileOf(dir, 'log', 'ring'), 0, zero, 72),
    states: { log: 'mended' },
  },
  'the positions of a ring': {
    damage: (dir) => change(fileOf(dir, 'log', 'ring'), 128, word(-5), 8),
    states: { log: 'mended' },
  },
  'a ring cut short': {
    damage: (dir) => truncateSync(fileOf(dir, 'log', 'ring'), 3 * PAGE),
    states: { log: 'mended' },
  },
  'a record of a ring': {
    damage: (dir) => change(fileOf(dir, 'log', 'ring'), PAGE + 48 * 50 + 34, flip),
    states: { log: 'partly' }, differ: ['log'],
    seen: ({ log }) => expect(log).toHaveLength(99),
  },
  'the lock': {
    damage: (dir) => writeFileSync(join(dir, 'lock.db'), 'no database at all'.repeat(100)),
  },
  'a row of the catalog': {
    damage: (dir) => {
      const db = openSqlite(join(dir, 'catalog.db'), {});
      prepared(db, "UPDATE regions SET crc = crc + 1 WHERE name = 'words'").run();
      db.close();
    },
  },
  'the first page of the catalog': {
    damage: (dir) => change(join(dir, 'catalog.db'), 0, zero, 100),
    lost: [], differ: ['*'],
  },
  'the catalog as a whole': {
    damage: (dir) => rmSync(join(dir, 'catalog.db')),
    lost: [], differ: ['*'],
  },
};
