/** The life of a store: what is checkpointed is there again, what is not is gone. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import type { Region } from '../src/types.ts';
import { codeOf, MAPPERS, open, regionFile, reopen, temporaryFolder } from './support/stores.ts';

const PAGE = 4096;

/** A block of `pages` pages, each beginning with `value`. */
function fill(region: Region, name: string, pages: number, value: number): void {
  const address = region.roots.get(name) || region.alloc(pages * PAGE);
  region.roots.set(name, address);
  const bytes = region.bytes(address);
  for (let i = 0; i < pages; i++) bytes[i * PAGE] = value;
}

function firsts(region: Region, name: string, pages: number): number[] {
  const bytes = region.bytes(region.roots.get(name));
  return Array.from({ length: pages }, (_, i) => bytes[i * PAGE] as number);
}

const full = (pages: number, value: number) => new Array<number>(pages).fill(value);

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test('a region may veto closing the store, and hears of its own events', () => {
    const store = open(temporaryFolder(), { mapper });
    const heard: string[] = [];
    let mayClose = false;
    const on = {
      open: (_region: Region, how: string) => void heard.push(how),
      grow: () => void heard.push('grow'),
      close: () => mayClose,
    };
    const region = store.region('app', { on });
    region.alloc(1_000_000);
    expect(heard).toEqual(['created', 'grow']);
    expect(codeOf(() => store.close())).toBe('ERR_BUSY');
    expect(codeOf(() => region.close())).toBe('ERR_BUSY');
    expect(store.closed || region.closed).toBe(false);
    mayClose = true;
    store.close();
    const again = open(store.dir, { mapper });
    again.region('app', { on });
    expect(heard).toEqual(['created', 'grow', 'opened']);
    again.region('app', { on: {} }).alloc(5_000_000);
    expect(heard).toHaveLength(3);
  });

  test('what is checkpointed survives abandon, what is not does not', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app');
    region.roots.set('kept', region.strdup('kept'));
    expect(store.checkpoint('first')).toMatchObject({ id: 1, label: 'first', regions: 1 });
    region.roots.set('lost', region.strdup('lost'));
    store.abandon();
    const again = open(store.dir, { mapper });
    expect(again.recovery).toBeNull();
    const found = again.region('app');
    expect([...found.roots].map(([name]) => name)).toEqual(['kept']);
    expect(found.string(found.roots.get('kept'))).toBe('kept');
    expect(again.check()).toEqual([]);
  });

  test('close checkpoints', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app', { method: last });
    region.roots.set('text', region.strdup('Grüße, 世界'));
    const again = reopen(store, { mapper });
    const found = again.region('app');
    expect(found.method).toBe('last');
    expect(found.string(found.roots.get('text'))).toBe('Grüße, 世界');
    expect(region.closed).toBe(true);
    expect(codeOf(() => region.alloc(1))).toBe('ERR_CLOSED');
    expect(codeOf(() => store.checkpoint())).toBe('ERR_CLOSED');
  });

  test('a checkpoint is atomic over all regions and numbered from 1', () => {
    const store = open(temporaryFolder(), { mapper });
    const regions = ['a', 'b', 'c'].map((name) => store.region(name));
    for (let round = 1; round <= 5; round++) {
      for (const region of regions) fill(region, 'x', 3, round);
      expect(store.checkpoint()).toMatchObject({ id: round, regions: 3 });
    }
    for (const region of regions) fill(region, 'x', 3, 99);
    store.abandon();
    const again = open(store.dir, { mapper });
    for (const name of ['a', 'b', 'c']) {
      expect(firsts(again.region(name), 'x', 3)).toEqual(full(3, 5));
    }
    expect(again.checkpoints().map(({ id }) => id)).toEqual([1, 2, 3, 4, 5]);
  });

  test('without change a checkpoint returns the last one and writes nothing', () => {
    const store = open(temporaryFolder(), { mapper });
    fill(store.region('app'), 'x', 2, 1);
    const first = store.checkpoint();
    const size = statSync(join(store.dir, 'catalog.db-wal')).size;
    expect(store.checkpoint()).toEqual(first);
    expect(statSync(join(store.dir, 'catalog.db-wal')).size).toBe(size);
    expect(store.checkpoint('named')).toMatchObject({ id: 2, label: 'named', pages: 0 });
    expect(store.checkpoint('named')).toMatchObject({ id: 2 });
  });

  test('an A→B→A change of a page is three states, whatever is applied when', () => {
    for (const sync of ['full', 'normal', 'off'] as const) {
      const store = open(temporaryFolder(), { mapper, sync });
      const region = store.region('app');
      for (const value of [1, 2, 1]) {
        fill(region, 'x', 1, value);
        store.checkpoint();
      }
      fill(region, 'x', 1, 2);
      store.rollback();
      expect(firsts(region, 'x', 1)).toEqual([1]);
      store.abandon();
      expect(firsts(open(store.dir, { mapper }).region('app'), 'x', 1)).toEqual([1]);
    }
  });

  test('large checkpoints go through image files, in parts', () => {
    const store = open(temporaryFolder(), { mapper, sync: 'off', history: 0 });
    const region = store.region('app');
    const pages = 5000;
    fill(region, 'x', pages, 7);
    expect(store.checkpoint().pages).toBeGreaterThanOrEqual(pages);
    expect(store.stat().imageBytes).toBeGreaterThan(pages * PAGE);
    fill(region, 'x', pages, 8);
    store.checkpoint();
    fill(region, 'x', pages, 9);
    store.abandon();
    const again = open(store.dir, { mapper, history: 0 });
    expect(firsts(again.region('app'), 'x', pages)).toEqual(full(pages, 8));
    expect(again.check()).toEqual([]);
    again.close();
    expect(readdirSync(join(store.dir, 'images'))).toEqual([]);
  });

  test('images are let go after settling, and settled stores do not replay', () => {
    const store = open(temporaryFolder(),
      { mapper, inlinePages: 2, settleBytes: 20 * PAGE, history: 0 });
    const region = store.region('app');
    for (let round = 1; round <= 12; round++) {
      fill(region, 'x', 4, round);
      store.checkpoint();
    }
    const { applied, sequence } = store.stat();
    expect(applied).toBeGreaterThan(6);
    expect(sequence).toBe(12);
    const again = reopen(store, { mapper, history: 0 });
    expect(again.stat()).toMatchObject(
      { applied: 12, sequence: 12, imageBytes: 0, historyBytes: 0 });
    expect(firsts(again.region('app'), 'x', 4)).toEqual(full(4, 12));
  });

  test('rollback restores contents, roots and extent, again and again', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app');
    fill(region, 'x', 8, 1);
    store.checkpoint();
    const before = region.stat();
    for (let round = 0; round < 3; round++) {
      fill(region, 'x', 8, 50 + round);
      for (let i = 0; i < 50; i++) region.roots.set(`r${i}`, region.alloc(10_000));
      region.free(region.roots.get('r7'));
      store.rollback();
      expect(region.stat()).toEqual(before);
      expect(firsts(region, 'x', 8)).toEqual(full(8, 1));
      expect([...region.roots].length).toBe(1);
      expect(region.check()).toEqual([]);
    }
    fill(region, 'x', 8, 2);
    store.checkpoint();
    expect(firsts(reopen(store, { mapper }).region('app'), 'x', 8)).toEqual(full(8, 2));
  });

  test('rollback of more pages than anybody thought of, none beside another', () => {
    const store = open(temporaryFolder(), { mapper });
    const { bytes } = store.buffer('b', { size: 2000 * 2 * 4096 });
    bytes.fill(1);
    store.checkpoint();
    for (let page = 0; page < 2000; page++) bytes[page * 2 * 4096] = 2;
    store.rollback();
    expect(bytes.every((byte) => byte === 1)).toBe(true);
    bytes[0] = 3;
    store.checkpoint();
    expect(store.check()).toEqual([]);
  });

  test('create, rename and drop are durable at the checkpoint and undone by rollback', () => {
    const store = open(temporaryFolder(), { mapper, history: 0 });
    fill(store.region('a'), 'x', 1, 1);
    fill(store.region('b'), 'x', 1, 2);
    store.checkpoint();
    const a = store.region('a');
    store.drop('a');
    const b = store.region('b');
    store.rename('b', 'c');
    expect(b.name).toBe('c');
    const born = store.region('a', { method: last });
    expect(codeOf(() => a.alloc(1))).toBe('ERR_STALE');
    expect(store.regions().map(({ name }) => name)).toEqual(['a', 'c']);
    store.rollback();
    expect(codeOf(() => born.alloc(1))).toBe('ERR_STALE');
    expect(store.regions().map(({ name, method }) => [name, method]))
      .toEqual([['a', 'best'], ['b', 'best']]);
    expect(b.name).toBe('b');
    expect(firsts(store.region('a'), 'x', 1)).toEqual([1]);
    store.drop('a');
    store.rename('b', 'a');
    store.checkpoint();
    const again = reopen(store, { mapper });
    expect(again.regions().map(({ name }) => name)).toEqual(['a']);
    expect(firsts(again.region('a'), 'x', 1)).toEqual([2]);
    const files = readdirSync(join(store.dir, 'regions'));
    expect(files.filter((name) => name.endsWith('.region'))).toHaveLength(1);
  });

  test('a region created and dropped between checkpoints leaves nothing', () => {
    const store = open(temporaryFolder(), { mapper });
    store.region('kept');
    store.checkpoint();
    store.region('gone');
    store.drop('gone');
    store.checkpoint();
    expect(readdirSync(join(store.dir, 'regions')).filter((f) => f.endsWith('.region')))
      .toHaveLength(1);
    expect(reopen(store, { mapper }).regions().map(({ name }) => name)).toEqual(['kept']);
  });

  test('compaction shrinks the file once it is applied', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app');
    fill(region, 'keep', 4, 1);
    fill(region, 'big', 2000, 1);
    store.checkpoint();
    expect(statSync(regionFile(store.dir)).size).toBeGreaterThan(2000 * PAGE);
    region.free(region.roots.get('big'));
    region.roots.delete('big');
    expect(region.compact()).toBeGreaterThan(1900 * PAGE);
    store.checkpoint();
    const again = reopen(store, { mapper });
    expect(statSync(regionFile(store.dir)).size).toBeLessThan(100 * PAGE);
    const found = again.region('app');
    expect(firsts(found, 'keep', 4)).toEqual(full(4, 1));
    fill(found, 'big', 2000, 3);
    const third = reopen(again, { mapper });
    expect(firsts(third.region('app'), 'big', 2000)).toEqual(full(2000, 3));
  });

  test('a region that was only counted, not opened, is not taken for changed', () => {
    const store = open(temporaryFolder(), { mapper });
    fill(store.region('app', { capacity: '4MiB' }), 'a', 3, 7);
    const again = reopen(store, { mapper });
    expect(again.regions()[0]?.extent).toBeGreaterThan(0);
    expect(again.stat().regions).toBe(1);
    expect(again.checkpoint().id).toBe(1);
    expect(firsts(again.region('app'), 'a', 3)).toEqual(full(3, 7));
    again.close();
  });

  test('growth beyond the dirty limit is refused until a checkpoint', () => {
    if (mapper === 'file') return;
    const store = open(temporaryFolder(), { mapper, dirtyLimit: '8MiB' });
    const region = store.region('app');
    const grow = () => {
      for (let i = 0; i < 400; i++) region.bytes(region.alloc(16 * PAGE)).fill(1);
    };
    expect(codeOf(grow)).toBe('ERR_NO_SPACE');
    expect(region.check()).toEqual([]);
    store.checkpoint();
    region.bytes(region.alloc(64 * PAGE)).fill(2);
    store.checkpoint();
  });

  test('a second writer is refused and told who holds the store', () => {
    const store = open(temporaryFolder(), { mapper });
    for (const other of MAPPERS) {
      expect(codeOf(() => open(store.dir, { mapper: other }))).toBe('ERR_LOCKED');
    }
    expect(() => open(store.dir)).toThrow(`process ${process.pid}`);
    store.close();
    open(store.dir, { mapper });
  });

  test('closing a region keeps its changes for the checkpoint', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app');
    fill(region, 'x', 3, 1);
    region.close();
    expect(codeOf(() => region.alloc(1))).toBe('ERR_CLOSED');
    expect(firsts(store.region('app'), 'x', 3)).toEqual(full(3, 1));
    store.region('app').close();
    expect(firsts(reopen(store, { mapper }).region('app'), 'x', 3)).toEqual(full(3, 1));
  });

  test('reading only: nothing is written, nothing can be', () => {
    const store = open(temporaryFolder(), { mapper });
    fill(store.region('app'), 'x', 3, 4);
    store.close();
    const reader = open(store.dir, { mapper, readOnly: true });
    expect(firsts(reader.region('app'), 'x', 3)).toEqual(full(3, 4));
    expect(codeOf(() => reader.checkpoint())).toBe('ERR_READ_ONLY');
    expect(codeOf(() => reader.region('new'))).toBe('ERR_READ_ONLY');
    expect(codeOf(() => reader.drop('app'))).toBe('ERR_READ_ONLY');
    reader.close();
  });

  test('sync of a region is a checkpoint of the store', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app');
    fill(region, 'x', 1, 6);
    region.sync();
    expect(store.checkpoints().map(({ id }) => id)).toEqual([1]);
    store.abandon();
    expect(firsts(open(store.dir, { mapper }).region('app'), 'x', 1)).toEqual([6]);
  });

  test('history says how many unlabelled checkpoints the list keeps; labelled ones stay', () => {
    for (const [history, kept] of [[0, 1], [3, 3], [50, 9]] as const) {
      const store = open(temporaryFolder(), { mapper, history });
      const region = store.region('app');
      for (let round = 1; round <= 10; round++) {
        fill(region, 'x', 1, round);
        store.checkpoint(round === 1 ? 'kept' : undefined);
      }
      const ids = reopen(store, { mapper, history }).checkpoints().map(({ id }) => id);
      const newest = Array.from({ length: kept }, (_, i) => 10 - kept + 1 + i);
      expect(ids).toEqual([1, ...newest]);
    }
  });

  test('stat adds up', () => {
    const store = open(temporaryFolder(), { mapper });
    fill(store.region('a', { capacity: '1GiB' }), 'x', 3, 4);
    store.checkpoint();
    const stat = store.stat();
    expect(stat).toMatchObject({ mapper, sync: 'full', regions: 1, capacity: 2 ** 30,
      sequence: 1, pendingBytes: 0, poisoned: null });
    expect(stat.extent).toBe(store.region('a').stat().extent);
  });
});

describe('misuse', () => {
  test('names', () => {
    const store = open(temporaryFolder());
    for (const name of ['', 'a/b', 'a\0b', 'x'.repeat(256), '\ud800', 7, null]) {
      expect(codeOf(() => store.region(name as string)), String(name)).toBe('ERR_BAD_OPTION');
    }
    const wide = 'ä'.repeat(127);
    store.region(wide);
    expect(store.has(wide)).toBe(true);
    expect(codeOf(() => store.rename(wide, 'a/b'))).toBe('ERR_BAD_OPTION');
    store.region('b');
    expect(codeOf(() => store.rename(wide, 'b'))).toBe('ERR_EXISTS');
    expect(codeOf(() => store.rename('nobody', 'c'))).toBe('ERR_NOT_FOUND');
    expect(codeOf(() => store.drop('nobody'))).toBe('ERR_NOT_FOUND');
  });

  test('options', () => {
    const dir = temporaryFolder();
    for (const options of [{ snyc: 'full' }, { sync: 'sometimes' }, { history: -1 }, { create: 1 },
      { mapper: 'disk' }, { inlinePages: 1.5 }, { dirtyLimit: 'much' }]) {
      expect(codeOf(() => open(dir, options as never)), JSON.stringify(options))
        .toBe('ERR_BAD_OPTION');
    }
    expect(() => open(dir, { snyc: 'full' } as never)).toThrow("did you mean 'sync'");
    const store = open(dir);
    expect(codeOf(() => store.region('x', { method: {} as never }))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.region('x', { capacity: 'huge' }))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.checkpoint(''))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.check({ page: true } as never))).toBe('ERR_BAD_OPTION');
  });

  test('another method or capacity than stored', () => {
    const store = open(temporaryFolder());
    store.region('x', { method: last, capacity: '1MiB' });
    expect(codeOf(() => store.region('x', { method: best }))).toBe('ERR_MISMATCH');
    expect(codeOf(() => store.region('x', { capacity: '2MiB' }))).toBe('ERR_MISMATCH');
    store.region('x', { method: last, capacity: 2 ** 20 });
  });

  test('a directory without a store', () => {
    const dir = temporaryFolder();
    expect(codeOf(() => open(dir, { create: false }))).toBe('ERR_NOT_FOUND');
    expect(codeOf(() => open(dir, { readOnly: true }))).toBe('ERR_NOT_FOUND');
    expect(existsSync(join(dir, 'catalog.db'))).toBe(false);
  });
});
