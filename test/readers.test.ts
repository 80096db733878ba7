/** Readers beside a writer: each sees exactly one checkpoint, for as long as it wants. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { HEADER } from '../src/layout.ts';
import { str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import type { Store } from '../src/store/api.ts';
import type { StoreOptions } from '../src/store/open.ts';
import { type Random, split } from '../tools/torture/random.ts';
import { digestOf } from '../tools/torture/session.ts';
import { change } from '../tools/torture/workload.ts';
import { codeOf, MAPPERS, open, temporaryFolder } from './support/stores.ts';

const SEED = 3;
const SMALL = { capacity: '4MiB' };
const PAIRS = MAPPERS.flatMap((writer) => MAPPERS.map((reader) => [writer, reader] as const));
const CHILD = fileURLToPath(new URL('../dist/test/support/reader-child.js', import.meta.url));

function content(store: Store): number {
  const values = new Set(store.buffer('b').bytes);
  expect(values.size).toBe(1);
  return [...values][0] as number;
}

function look(store: Store, mapper: 'shim' | 'file'): Store {
  return open(store.dir, { readOnly: true, mapper });
}

function diskOf(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((n, { parentPath, name }) => n + statSync(join(parentPath, name)).blocks * 512, 0);
}

describe.each(PAIRS)('writer %s, reader %s', (mapper, other) => {
  test('one checkpoint, until it is refreshed', () => {
    const store = open(temporaryFolder(), { mapper });
    const { bytes } = store.buffer('b', { size: 50_000 });
    bytes.fill(1);
    store.checkpoint();
    bytes.fill(2);
    const reader = look(store, other);
    expect([content(reader), reader.recovery?.crash ?? null]).toEqual([1, null]);
    store.checkpoint();
    bytes.fill(3);
    store.checkpoint('three');
    expect([content(reader), reader.checkpoints().map(({ id }) => id)]).toEqual([1, [1]]);
    expect(reader.check()).toEqual([]);
    const later = look(store, other);
    expect(content(later)).toBe(3);
    const view = reader.buffer('b');
    expect([reader.refresh(), content(reader), view.bytes[0], reader.refresh()])
      .toEqual([true, 3, 3, false]);
    expect(reader.check()).toEqual([]);
    expect(store.stat()).toMatchObject({ readers: 2, oldestPinned: 3 });
    reader.close();
    later.close();
    expect(store.stat()).toMatchObject({ readers: 0, oldestPinned: null });
    bytes.fill(4);
    store.checkpoint();
    expect(existsSync(join(store.dir, 'readers'))).toBe(false);
    expect(store.check()).toEqual([]);
    expect([store.refresh(), store.stat().pendingBytes]).toEqual([false, 0]);
    store.close();
  });

  test('a long reader: the writer goes on in a new file, and disk is bounded', () => {
    const options = { mapper, settleBytes: 300_000, history: 0 };
    const store = open(temporaryFolder(), options);
    const { bytes } = store.buffer('b', { size: 200_000 });
    bytes.fill(255);
    store.checkpoint();
    const reader = look(store, other);
    const first = diskOf(store.dir);
    for (let value = 0; value < 20; value++) {
      bytes.fill(value);
      store.checkpoint();
    }
    bytes.fill(77);
    expect(store.stat().heldBytes).toBeGreaterThan(200_000);
    expect(store.stat().heldBytes).toBeLessThan(1_000_000);
    // The readers' file has no name any more; what has one is the new file and some images.
    expect(diskOf(store.dir)).toBeLessThan(first + 1_500_000);
    expect([content(reader), content(store)]).toEqual([255, 77]);
    expect([reader.check(), store.check()]).toEqual([[], []]);
    store.rollback();
    expect(content(store)).toBe(19);
    expect([reader.refresh(), content(reader)]).toEqual([true, 19]);
    bytes.fill(78);
    store.checkpoint();
    expect(content(reader)).toBe(19);
    store.close();
    expect(content(reader)).toBe(19);
    const again = open(store.dir, options);
    expect(content(again)).toBe(78);
    again.buffer('b').bytes.fill(79);
    again.checkpoint();
    expect([content(reader), reader.refresh(), content(reader)]).toEqual([19, true, 79]);
    again.close();
    reader.close();
    const last = open(store.dir, options);
    expect([content(last), last.check()]).toEqual([79, []]);
    last.close();
    expect(readdirSync(store.dir).sort().filter((name) => !name.startsWith('catalog')))
      .toEqual(['counters', 'images', 'lock.db', 'regions', 'store.lock']);
  });

  test('regions that come, go, grow, shrink and are renamed', () => {
    const store = open(temporaryFolder(), { mapper, history: 0, settleBytes: 1 });
    const region = store.region('a', SMALL);
    store.region('gone', SMALL).alloc(100);
    region.roots.set('x', region.alloc(100_000));
    store.checkpoint();
    const reader = look(store, other);
    const digest = digestOf(reader);
    const [a, gone] = [reader.region('a'), reader.region('gone')];
    store.drop('gone');
    store.rename('a', 'b');
    region.free(region.roots.get('x'));
    region.roots.delete('x');
    region.compact();
    store.region('new', SMALL).alloc(500_000);
    store.checkpoint();
    store.checkpoint('again');
    expect(digestOf(reader)).toBe(digest);
    expect(reader.refresh()).toBe(true);
    expect([a.name, a.roots.get('x'), codeOf(() => gone.alloc(1))]).toEqual(['b', 0, 'ERR_STALE']);
    expect(digestOf(reader)).toBe(digestOf(store));
    expect(codeOf(() => reader.drop('b'))).toBe('ERR_READ_ONLY');
    reader.close();
    store.close();
  });

  test('anything in any order, with readers that stay and go', () => {
    roam(split(SEED, `readers ${mapper} ${other}`), mapper, other, SEED);
  });
});

/** Readers hold what was committed when they looked; writers close, die and come back meanwhile. */
function roam(
  random: Random, mapper: 'shim' | 'file', other: 'shim' | 'file', seed: number,
): void {
  const options: StoreOptions = { mapper, settleBytes: 100_000, inlinePages: 4, history: 2 };
  let store = open(temporaryFolder(), options);
  let committed = 'empty';
  const readers: { reader: Store; digest: string }[] = [];
  const expectHeld = (step: number) => {
    for (const { reader, digest } of readers) {
      expect([seed, step, digestOf(reader)]).toEqual([seed, step, digest]);
    }
  };
  for (let step = 0; step < 40; step++) {
    const name = random.pick(['a', 'b', 'c']);
    if (random.chance(0.08) && store.has(name)) store.drop(name);
    else change(store.region(name, store.has(name) ? {} : SMALL), random, 5, 30_000);
    if (random.chance(0.1) && store.has('a')) store.region('a').compact();
    if (random.chance(0.7)) {
      store.checkpoint();
      committed = digestOf(store);
    }
    if (random.chance(0.25) && readers.length < 4) {
      readers.push({ reader: look(store, other), digest: committed });
    }
    expectHeld(step);
    if (random.chance(0.2) && readers.length > 0) {
      const [one] = readers.splice(random.int(readers.length), 1);
      if (random.chance(0.5)) one?.reader.close();
      else if (one !== undefined) {
        one.reader.refresh();
        expect([seed, step, digestOf(one.reader)]).toEqual([seed, step, committed]);
        readers.push({ reader: one.reader, digest: committed });
      }
    }
    if (random.chance(0.1)) {
      if (random.chance(0.5)) store.abandon();
      else {
        store.close();
        committed = '';
      }
      store = open(store.dir, options);
      committed ||= digestOf(store);
      expect([seed, step, digestOf(store)]).toEqual([seed, step, committed]);
      expectHeld(step);
    }
  }
  expect(store.check()).toEqual([]);
  for (const { reader } of readers) {
    expect(reader.check()).toEqual([]);
    reader.close();
  }
  store.close();
}

test('handles of objects are stale after a refresh, the heap goes on', () => {
  const Task = struct('Task', { id: u32, title: str });
  const store = open(temporaryFolder());
  const heap = store.heap('h', SMALL);
  const task = heap.create(Task, { id: 1, title: 'one' });
  heap.root.set('task', task);
  store.checkpoint();
  const reader = look(store, 'shim');
  const seen = reader.heap('h');
  const old = seen.root.get('task') as { title: string };
  task.title = 'two';
  store.checkpoint();
  expect(old.title).toBe('one');
  reader.refresh();
  expect(codeOf(() => old.title)).toBe('ERR_STALE');
  expect((seen.root.get('task') as { title: string }).title).toBe('two');
  reader.close();
  expect([codeOf(() => reader.refresh()), store.refresh()]).toEqual(['ERR_CLOSED', false]);
  store.close();
});

test('a ring is read beside its writer', () => {
  const store = open(temporaryFolder());
  const ring = store.ring('r', { size: 4096 });
  ring.append('a');
  const reader = look(store, 'shim');
  ring.append('b');
  const seen = reader.ring('r');
  expect([...seen].map(({ bytes }) => String.fromCharCode(...bytes))).toEqual(['a', 'b']);
  expect(codeOf(() => seen.append('c'))).toBe('ERR_READ_ONLY');
  reader.close();
  store.close();
});

test('a damaged region keeps a reader from that region only, also when it moves on', () => {
  const store = open(temporaryFolder());
  const file = join(store.dir, 'regions', `${store.region('app').id}.region`);
  const other = store.region('other', { capacity: '1MiB' });
  store.checkpoint();
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0xee, HEADER.regionId, HEADER.regionId + 4));
  const reader = look(store, 'shim');
  expect(codeOf(() => reader.region('app'))).toBe('ERR_CORRUPT');
  expect(reader.stat()).toMatchObject({ regions: 2 });
  other.roots.set('later', other.alloc(10));
  store.checkpoint();
  expect(reader.refresh()).toBe(true);
  expect(reader.region('other').roots.get('later')).toBeGreaterThan(0);
  expect(reader.regions().map(({ name, extent }) => [name, extent > 0]))
    .toEqual([['app', false], ['other', true]]);
  reader.close();
  store.abandon();
});

test.each(MAPPERS)('processes: killed at any time, they leave nothing that holds, %s',
  { timeout: 30_000 }, async (mapper) => {
    expect(existsSync(CHILD), 'run npm run build').toBe(true);
    const dir = temporaryFolder();
    const start = (what: string) => {
      const child = spawn(process.execPath, [CHILD, what, dir, mapper]);
      child.stderr.pipe(process.stderr);
      return child;
    };
    const writer = start('write');
    await once(writer.stdout, 'data');
    const [killed, kept] = [start('read'), start('read')];
    for (const reader of [killed, kept]) {
      for (let i = 0; i < 3; i++) await once(reader.stdout, 'data');
    }
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    for (let i = 0; i < 3; i++) await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    // The other one still looks; a new writer opens beside it, and does not wait for the dead one.
    const store = open(dir, { mapper });
    expect(store.recovery).toMatchObject({ discarded: true, crash: 'process' });
    // One, or two pins of it while it moves on.
    expect([1, 2]).toContain(store.stat().readers);
    const value = content(store);
    store.buffer('b').bytes.fill((value + 1) & 0xff);
    store.checkpoint();
    for (let i = 0; i < 2; i++) await once(kept.stdout, 'data');
    kept.kill('SIGKILL');
    await once(kept, 'exit');
    expect(kept.signalCode).toBe('SIGKILL');
    expect([store.stat().readers, store.check()]).toEqual([0, []]);
    store.close();
    expect(existsSync(join(dir, 'readers'))).toBe(false);
  });
