/** Checkpoints in flight: order, what they hold, what waits for them, what a failure does. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Store } from '../src/store/api.ts';
import type { StoreOptions } from '../src/store/open.ts';
import { openSqlite } from '../src/store/sqlite.ts';
import { type Random, split } from '../tools/torture/random.ts';
import { digestOf } from '../tools/torture/session.ts';
import { change } from '../tools/torture/workload.ts';
import { often } from './support/oracle.ts';
import { codeOf, MAPPERS, open, reopen, temporaryFolder } from './support/stores.ts';

const SMALL = { capacity: '4MiB' };
const PAGES = 50;

function opened(options: StoreOptions = {}) {
  const store = open(temporaryFolder(), options);
  const buffer = store.buffer('b', { size: PAGES * 4096 });
  return { store, bytes: buffer.bytes };
}

function content(store: Store): number {
  const values = new Set(store.buffer('b').bytes);
  expect(values.size).toBe(1);
  return [...values][0] as number;
}

async function codeOfPromise(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test.each([16, 100])('what is committed is the state of the call, %i pages inline',
    async (inlinePages) => {
      const { store, bytes } = opened({ mapper, inlinePages });
      bytes.fill(1);
      const first = store.checkpointAsync('first');
      bytes.fill(2);
      const second = store.checkpointAsync();
      bytes.fill(3);
      expect(await Promise.all([first, second])).toMatchObject(
        [{ id: 1, label: 'first', regions: 1 }, { id: 2, label: null }]);
      store.abandon();
      const again = open(store.dir, { mapper, inlinePages });
      expect(content(again)).toBe(2);
      again.restore('first');
      expect(content(again)).toBe(1);
      expect(again.check()).toEqual([]);
      again.close();
    });

  test('A→B→A while B is in flight is a change', async () => {
    const { store, bytes } = opened({ mapper });
    bytes.fill(1);
    store.checkpoint();
    bytes.fill(2);
    const flight = store.checkpointAsync();
    bytes.fill(1);
    const next = store.checkpointAsync();
    expect((await next).pages).toBe(PAGES);
    await flight;
    expect(content(store)).toBe(1);
    store.abandon();
    const again = open(store.dir, { mapper });
    expect([content(again), again.checkpoints().length]).toEqual([1, 3]);
    again.close();
  });

  test('what needs to know waits: checkpoint, rollback, transaction, restore, close', async () => {
    const { store, bytes } = opened({ mapper });
    const landed: number[] = [];
    const fly = (value: number) => {
      bytes.fill(value);
      void store.checkpointAsync().then(({ id }) => landed.push(id));
    };
    fly(1);
    bytes.fill(2);
    expect(store.checkpoint().id).toBe(2);
    fly(3);
    bytes.fill(4);
    store.rollback();
    expect(content(store)).toBe(3);
    fly(4);
    store.transaction(() => store.buffer('b').bytes.fill(5));
    fly(6);
    store.restore(2);
    expect(content(store)).toBe(2);
    store.buffer('b').bytes.fill(7);
    const last = store.checkpointAsync();
    store.close();
    await last;
    expect(landed).toEqual([1, 3, 4, 6]);
    const again = open(store.dir, { mapper });
    expect(content(again)).toBe(7);
    again.close();
  });

  test('the event loop turns while one is in flight; without change there is none', async () => {
    const { store, bytes } = opened({ mapper });
    bytes.fill(1);
    let turns = 0;
    let isDone = false;
    const flight = store.checkpointAsync().finally(() => {
      isDone = true;
    });
    while (!isDone) {
      turns += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(turns).toBeGreaterThan(1);
    const { id } = await flight;
    expect(await store.checkpointAsync()).toMatchObject({ id });
    bytes.fill(2);
    const [next, same] = [store.checkpointAsync(), store.checkpointAsync()];
    expect([(await next).id, (await same).id]).toEqual([id + 1, id + 1]);
    store.close();
  });

  test('settling, with records in many parts', async () => {
    const options = { mapper, inlinePages: 2, settleBytes: 60 * 4096 };
    const { store, bytes } = opened(options);
    for (let value = 1; value <= 6; value++) {
      bytes.fill(value);
      await store.checkpointAsync();
    }
    await store.checkpointAsync();
    expect(store.stat().applied).toBeGreaterThan(2);
    expect(store.stat().pendingBytes).toBe(0);
    const again = reopen(store, options);
    expect(content(again)).toBe(6);
    again.close();
  });

  test.each(['a reader holds the file back', 'images wait as sync is normal'])(
    'page checksums are those of the images, where %s', async (how) => {
      const isHeld = how.startsWith('a reader');
      const { store, bytes } = opened({ mapper, settleBytes: isHeld ? 1 : '64MiB',
        ...(isHeld ? {} : { sync: 'normal' as const }) });
      bytes.fill(1);
      store.checkpoint();
      const reader = open(store.dir, { mapper, readOnly: true });
      if (!isHeld) reader.close();
      bytes.fill(2);
      await store.checkpointAsync();
      bytes.fill(3);
      await store.checkpointAsync();
      expect(store.check()).toEqual([]);
      if (isHeld) expect(content(reader)).toBe(1);
      store.close();
      const again = open(store.dir, { mapper });
      expect([again.check(), content(again)]).toEqual([[], 3]);
    });

  test('anything in any order, against what was held at each call', async () => {
    for (const seed of [1, 2].slice(0, often(1, 2))) {
      await roam(split(seed, `async ${mapper}`), mapper, seed);
    }
  });
});

/** As somebody who looks into the catalog with another tool, for longer than is waited for. */
function holdCatalog(store: Store): () => void {
  const db = openSqlite(join(store.dir, 'catalog.db'), {});
  db.exec('BEGIN IMMEDIATE');
  return () => db.close();
}

async function roam(random: Random, mapper: 'shim' | 'file', seed: number): Promise<void> {
  const options: StoreOptions = { mapper, inlinePages: random.int(6), settleBytes: 40 * 4096 };
  let store = open(temporaryFolder(), options);
  const held = new Map<number, string>();
  let flights: Promise<unknown>[] = [];
  for (let step = 0; step < 60; step++) {
    const name = random.pick(['a', 'b']);
    if (random.chance(0.1) && store.has('b')) store.drop('b');
    else change(store.region(name, store.has(name) ? {} : SMALL), random, 4, 20_000);
    const digest = digestOf(store);
    if (random.chance(0.6)) {
      flights.push(store.checkpointAsync().then(({ id }) => held.set(id, digest)));
    } else if (random.chance(0.3)) held.set(store.checkpoint().id, digest);
    else if (random.chance(0.2)) {
      store.rollback();
      await Promise.all(flights);
      const last = store.checkpoints().at(-1)?.id ?? 0;
      expect([seed, step, digestOf(store)]).toEqual([seed, step, held.get(last) ?? 'empty']);
    }
    if (random.chance(0.2)) await Promise.all(flights.splice(0));
    if (!random.chance(0.05)) continue;
    store = reopen(store, options);
    await Promise.all(flights);
    flights = [];
    held.set(store.checkpoints().at(-1)?.id ?? 0, digestOf(store));
  }
  store.checkpoint();
  await Promise.all(flights);
  for (const { id } of store.checkpoints()) {
    if (!store.checkpoints().some((row) => row.id === id)) continue;
    store.restore(id);
    const wanted = held.get(id);
    if (wanted !== undefined) expect([seed, id, digestOf(store)]).toEqual([seed, id, wanted]);
  }
  store = reopen(store, options);
  store.close();
}

test('one that fails takes those after it along, and everything counts as changed', async () => {
  const { store, bytes } = opened({ inlinePages: 0, history: 4 });
  bytes.fill(1);
  await store.checkpointAsync();
  bytes.fill(2);
  const region = store.region('r', SMALL);
  const release = holdCatalog(store);
  const first = codeOfPromise(store.checkpointAsync());
  bytes.fill(3);
  const codes = await Promise.all([first, codeOfPromise(store.checkpointAsync())]);
  expect(codes).toEqual(['ERR_LOCKED', 'ERR_LOCKED']);
  release();
  expect([store.checkpoints().length, store.regions().map(({ born }) => born)])
    .toEqual([1, [false, true]]);
  region.alloc(100);
  expect(content(store)).toBe(3);
  expect(await store.checkpointAsync()).toMatchObject({ id: 2, regions: 2 });
  store.restore(1);
  expect([content(store), store.has('r')]).toEqual([1, false]);
  store.close();
});

test('in a program that Node was given as text, with options that are not for a thread', () => {
  const dir = temporaryFolder();
  const script = `import { openStore } from 'regionstore';
    const store = openStore(${JSON.stringify(dir)}, { unsafeFileSystem: true });
    store.region('r').roots.set('n', 7);
    console.log((await store.checkpointAsync()).id);
    store.close();`;
  const { stdout, stderr } = spawnSync(process.execPath,
    ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  expect([stdout, stderr]).toEqual(['1\n', '']);
});

test('misuse: everything is a rejection', async () => {
  const { store } = opened();
  for (const label of ['', 5, null, {}]) {
    expect(await codeOfPromise(store.checkpointAsync(label as never))).toBe('ERR_BAD_OPTION');
  }
  let inside: Promise<unknown> = Promise.resolve();
  store.transaction(() => {
    inside = codeOfPromise(store.checkpointAsync());
  });
  expect(await inside).toBe('ERR_BUSY');
  store.close();
  expect(await codeOfPromise(store.checkpointAsync())).toBe('ERR_CLOSED');
  using reader = open(store.dir, { readOnly: true });
  expect(await codeOfPromise(reader.checkpointAsync())).toBe('ERR_READ_ONLY');
  expect(codeOf(() => reader.checkpoints())).toBe('none');
});

describe('by themselves', () => {
  const heard = (wishes: object, options: StoreOptions = {}) => {
    const told: (string | number)[] = [];
    let wake = () => {};
    const store = open(temporaryFolder(), { ...options, autoCheckpoint: { ...wishes,
      onCheckpoint: (error, checkpoint) => {
        told.push(error?.code ?? checkpoint?.id ?? 0);
        wake();
      } } });
    const next = () => new Promise<void>((resolve) => {
      wake = resolve;
    });
    return { store, told, next };
  };

  test('after some time, if something changed', async () => {
    const { store, told, next } = heard({ everyMs: 5 });
    const { bytes } = store.buffer('b', { size: 100 });
    bytes[0] = 1;
    await next();
    bytes[0] = 2;
    while (told.at(-1) !== 2) await next();
    await next();
    expect(told.slice(-2)).toEqual([2, 2]);
    store.close();
    const { length } = told;
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(told.length).toBe(length);
  });

  test.each(MAPPERS)('after so many bytes, %s', async (mapper) => {
    const { store, told, next } = heard({ everyBytes: '64KiB' }, { mapper });
    const { bytes } = store.buffer('b', { size: '1MiB' });
    bytes[0] = 1;
    store.checkpoint();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(told).toEqual([]);
    bytes.fill(1);
    await next();
    expect(told).toEqual([2]);
    store.close();
  });

  test('at the limit a growing region takes one first, but not inside a transaction', () => {
    const limit = 64 * 4096;
    const { store } = heard({ everyMs: 1e6 }, { dirtyLimit: limit, mapper: 'shim' });
    const region = store.region('r', SMALL);
    const grow = () => {
      for (let i = 0; i < 100; i++) region.bytes(region.alloc(4096)).fill(i);
    };
    grow();
    const { length } = store.checkpoints();
    expect(length).toBeGreaterThan(0);
    expect(codeOf(() => store.transaction(grow))).toBe('ERR_NO_SPACE');
    expect(store.check()).toEqual([]);
    store.close();
  });

  test('what fails is told, or a warning', async () => {
    const { store, told, next } = heard({ everyMs: 5 }, { inlinePages: 0 });
    const obstacle = join(store.dir, 'images/1.img');
    mkdirSync(obstacle);
    store.buffer('b', { size: 100 });
    await next();
    expect(told).toEqual(['ERR_CORRUPT']);
    rmdirSync(obstacle);
    while (told.at(-1) !== 1) await next();
    store.close();
    const silent = open(temporaryFolder(), { inlinePages: 0, autoCheckpoint: { everyMs: 2 } });
    mkdirSync(join(silent.dir, 'images/1.img'));
    const warned = new Promise<Error & { code?: string }>((resolve) => {
      process.once('warning', resolve);
    });
    silent.buffer('b', { size: 100 });
    expect(await warned).toMatchObject({ name: 'RegionstoreWarning', code: 'ERR_CORRUPT' });
    rmdirSync(join(silent.dir, 'images/1.img'));
    silent.abandon();
  });

  test('misuse', () => {
    for (const wishes of [5, { everyMs: 0 }, { everyMs: 'x' }, { everyBytes: -1 }, { every: 1 },
      { onCheckpoint: 5 }]) {
      expect(codeOf(() => open(temporaryFolder(), { autoCheckpoint: wishes as never })))
        .toBe('ERR_BAD_OPTION');
    }
  });
});
