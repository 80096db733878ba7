/** Copies of stores: backups, clones, stores that were moved by hand. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync }
  from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { map, str, u32 } from '../src/objects/kinds.ts';
import type { Store } from '../src/store/api.ts';
import type { StoreOptions } from '../src/store/open.ts';
import { regionIn } from '../src/store/store.ts';
import { split } from '../tools/torture/random.ts';
import { change } from '../tools/torture/workload.ts';
import { codeOf, MAPPERS, open, temporaryFolder } from './support/stores.ts';

const SEED = 11;
const CHILD = fileURLToPath(new URL('../dist/test/support/backup-child.js', import.meta.url));
const SMALL = { capacity: '4MiB' };

/** Everything in it but for rings, block by block, and the objects of heaps. */
function digestOf(store: Store): string {
  const hash = createHash('md5');
  for (const { name, kind } of store.regions()) {
    if (kind === 'ring') continue;
    const region = regionIn(store, name);
    hash.update(`${name} ${kind} ${region.method} ${JSON.stringify([...region.roots])}`);
    for (const { address, busy } of region.blocks()) {
      if (busy) hash.update(`${address}`).update(region.bytes(address));
    }
    if (kind === 'heap') for (const line of store.heap(name).exportLines()) hash.update(line);
  }
  return hash.digest('hex');
}

/** A store with one of everything, and a place beside it. */
function begun(options: StoreOptions = {}): { store: Store; place: string } {
  const folder = temporaryFolder();
  const store = open(join(folder, 'store'), options);
  const region = store.region('app', SMALL);
  change(region, split(SEED, '0'), 300);
  store.buffer('frame', { size: 50_000 }).bytes.fill(7);
  const scores = store.heap('heap').create(map(str, u32));
  store.heap('heap').root.set('scores', scores);
  for (let i = 0; i < 500; i++) scores.set(`name ${i}`, i);
  const ring = store.ring('events', { size: 8192 });
  for (let i = 1; i <= 1000; i++) ring.append(`event ${i}`);
  store.checkpoint('kept');
  return { store, place: join(folder, 'copy') };
}

function texts(store: Store): string[] {
  return [...store.ring('events')].map(({ seq, at, bytes }) =>
    `${seq} ${at.getTime()} ${Buffer.from(bytes)}`);
}

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test.each(['backup', 'clone'])('a %s is what was committed, whole, and a store', (how) => {
    const { store, place } = begun({ mapper });
    const digest = digestOf(store);
    change(store.region('app'), split(SEED, '1'), 100);
    store.rename('frame', 'renamed');
    store.drop('heap');
    store.region('born', SMALL);
    const steps: number[] = [];
    const made = store.backup(place, { clone: how === 'clone',
      onProgress: (done, total) => steps.push(done / total) });
    expect(made).toMatchObject({ dir: place, checkpoint: 1, regions: 4 });
    expect([steps.at(-1), steps.length > 3, made.bytes > 8192 + 50_000]).toEqual([1, true, true]);
    const copy = open(place, { mapper });
    expect([copy.recovery, copy.check()]).toEqual([null, []]);
    expect(digestOf(copy)).toBe(digest);
    const scores = copy.heap('heap').root.get('scores') as Map<string, number>;
    expect(scores.get('name 77')).toBe(77);
    expect(texts(copy)).toEqual(texts(store));
    expect(copy.ring('events').recovery).toBeNull();
    expect(copy.stat().id === store.stat().id).toBe(how === 'backup');
    expect(copy.checkpoints()).toMatchObject([{ id: 1, label: 'kept' }]);
    // It has a life of its own.
    change(copy.region('app'), split(SEED, '2'), 100);
    expect(copy.ring('events').append('more')).toBe(1001);
    copy.checkpoint();
    copy.restore('kept');
    expect(digestOf(copy)).toBe(digest);
    expect(copy.check()).toEqual([]);
    store.rollback();
    expect(digestOf(store)).toBe(digest);
  });

  test('a store that was never checkpointed, and one with nothing in it', () => {
    const folder = temporaryFolder();
    const store = open(join(folder, 'store'), { mapper });
    expect(store.backup(join(folder, 'a'))).toMatchObject({ checkpoint: 0, regions: 0, bytes: 0 });
    store.ring('events', { size: 4096 }).append('one');
    store.region('born', SMALL);
    expect(store.backup(join(folder, 'b'))).toMatchObject({ checkpoint: 0, regions: 1 });
    expect(open(join(folder, 'a')).regions()).toEqual([]);
    expect(texts(open(join(folder, 'b')))).toEqual(texts(store));
  });

  test('from a reader: what it looks at, while the writer goes on', () => {
    const { store, place } = begun({ mapper, settleBytes: 4096 });
    const digest = digestOf(store);
    const reader = open(store.dir, { readOnly: true, mapper });
    for (let round = 0; round < 5; round++) {
      change(store.region('app'), split(SEED, `${round}`), 200);
      store.buffer('frame').bytes.fill(round);
      store.checkpoint();
    }
    store.drop('frame');
    store.checkpoint();
    reader.backup(place);
    expect(digestOf(open(place, { mapper }))).toBe(digest);
    reader.refresh();
    reader.backup(`${place}-2`);
    // What waits for the reader is in none of the files yet.
    expect(store.stat().readers).toBe(1);
    store.backup(`${place}-3`);
    const newest = digestOf(store);
    expect(digestOf(open(`${place}-2`))).toBe(newest);
    const last = open(`${place}-3`);
    expect([digestOf(last), last.check()]).toEqual([newest, []]);
  });

  test('after a checkpoint that is still under way', async () => {
    const { store, place } = begun({ mapper });
    store.buffer('frame').bytes.fill(9);
    const flight = store.checkpointAsync();
    store.buffer('frame').bytes.fill(10);
    expect(store.backup(place).checkpoint).toBe(2);
    expect((await flight).id).toBe(2);
    expect(open(place).buffer('frame').bytes[0]).toBe(9);
  });

  test('what is damaged is not copied', () => {
    const { store, place } = begun({ mapper });
    const { id } = store.regions().find(({ name }) => name === 'frame') as { id: string };
    store.close();
    const file = join(store.dir, 'regions', `${id}.region`);
    const bytes = readFileSync(file);
    bytes[40_000] ^= 1;
    writeFileSync(file, bytes);
    const again = open(store.dir, { mapper });
    expect(codeOf(() => again.backup(place))).toBe('ERR_CORRUPT');
    expect(readdirSync(join(store.dir, '..'))).toEqual(['store']);
  });
});

test('records a ring has lost are no reason to refuse', () => {
  const { store, place } = begun();
  const { id } = store.regions().find(({ name }) => name === 'events') as { id: string };
  store.close();
  const file = join(store.dir, 'regions', `${id}.ring`);
  const bytes = readFileSync(file);
  bytes[4096 + 3000] ^= 1;
  writeFileSync(file, bytes);
  const again = open(store.dir);
  const left = texts(again);
  again.backup(place);
  const copy = open(place);
  expect(texts(copy)).toEqual(left);
  expect(copy.check()).toMatchObject([{ id: 'G2', region: 'events' }]);
});

describe('refused', () => {
  test('places that are inside of the store, not empty, no directory or no path', () => {
    const { store, place } = begun();
    mkdirSync(place);
    expect(store.backup(place).dir).toBe(place);
    expect(codeOf(() => store.backup(place))).toBe('ERR_EXISTS');
    expect(codeOf(() => store.backup(store.dir))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.backup(join(store.dir, 'backup')))).toBe('ERR_BAD_OPTION');
    writeFileSync(`${place}-file`, '');
    expect(codeOf(() => store.backup(`${place}-file`))).toBe('ERR_IO');
    expect(codeOf(() => store.backup(join(`${place}-file`, 'copy')))).toBe('ERR_IO');
    for (const wrong of ['', 3, undefined, null]) {
      expect(codeOf(() => store.backup(wrong as string))).toBe('ERR_BAD_OPTION');
    }
    expect(codeOf(() => store.backup(`${place}-2`, { clone: 1 } as never))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.backup(`${place}-2`, { cloned: true } as never)))
      .toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.backup(`${place}-2`, { onProgress: 1 } as never)))
      .toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.transaction(() => store.backup(`${place}-2`)))).toBe('ERR_BUSY');
    store.close();
    expect(codeOf(() => store.backup(`${place}-2`))).toBe('ERR_CLOSED');
    expect(readdirSync(join(store.dir, '..')).sort()).toEqual(['copy', 'copy-file', 'store']);
  });

  test('what onProgress throws ends it, and nothing is left', () => {
    const { store, place } = begun();
    expect(() => store.backup(place, { onProgress: () => { throw new RangeError('stop'); } }))
      .toThrow('stop');
    expect(readdirSync(join(store.dir, '..'))).toEqual(['store']);
    expect(store.check()).toEqual([]);
  });
});

test('killed at any time: there is a whole copy or none, and what is left over goes', async () => {
  const { store, place } = begun();
  const digest = digestOf(store);
  const random = split(SEED, '0');
  let found = 0;
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, [CHILD, store.dir, place],
      { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, random.int(400)));
    child.kill('SIGKILL');
    await ended;
    if (!existsSync(place)) continue;
    found += 1;
    const copy = open(place);
    expect([digestOf(copy), copy.check()]).toEqual([digest, []]);
    copy.close();
    renameSync(place, `${place}-${round}`);
  }
  process.stderr.write(`backups that were there after a kill: ${found} of 6\n`);
  store.backup(`${place}-last`);
  expect(readdirSync(join(store.dir, '..')).filter((name) => name.startsWith('.'))).toEqual([]);
  expect(store.stat().readers).toBe(0);
});

test('a store that was moved, or copied while it was closed, just opens', () => {
  const { store, place } = begun();
  const digest = digestOf(store);
  store.close();
  cpSync(store.dir, place, { recursive: true });
  renameSync(store.dir, `${place}-moved`);
  for (const dir of [place, `${place}-moved`]) {
    const copy = open(dir);
    expect([digestOf(copy), copy.recovery, copy.check()]).toEqual([digest, null, []]);
  }
});

test('files of a clone are not taken for those of the original', () => {
  const { store, place } = begun();
  store.backup(place, { clone: true });
  const { id } = store.regions().find(({ name }) => name === 'app') as { id: string };
  store.close();
  const name = join('regions', `${id}.region`);
  writeFileSync(join(store.dir, name), readFileSync(join(place, name)));
  expect(codeOf(() => open(store.dir).region('app'))).toBe('ERR_MISMATCH');
});
