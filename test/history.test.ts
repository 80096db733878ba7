/** History: restoring, forgetting, what is kept for it and for how long. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Store } from '../src/store/api.ts';
import type { StoreOptions } from '../src/store/open.ts';
import type { Address, Region } from '../src/types.ts';
import { type Random, split } from '../tools/torture/random.ts';
import { digestOf } from '../tools/torture/session.ts';
import { change } from '../tools/torture/workload.ts';
import { often } from './support/oracle.ts';
import { codeOf, MAPPERS, open, reopen, temporaryFolder } from './support/stores.ts';

const PAGE = 4096;
const SMALL = { capacity: '4MiB' };

/** A block of `pages` pages under root `x`, all of one value. */
function fill(region: Region, pages: number, value: number): void {
  const address = region.roots.get('x') || region.alloc(pages * PAGE);
  region.roots.set('x', address);
  region.bytes(address).fill(value);
}

function contentOf(region: Region): number {
  const values = new Set(region.bytes(region.roots.get('x')));
  expect(values.size).toBe(1);
  return [...values][0] as number;
}

function names(store: Store): string[] {
  return store.regions().map(({ name }) => name);
}

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test.each([[16, 3], [2, 3], [0, 40]])('back and forth, %i pages inline, %i pages',
    (inlinePages, pages) => {
      const options = { mapper, inlinePages };
      const store = open(temporaryFolder(), options);
      const region = store.region('app', SMALL);
      for (let value = 1; value <= 5; value++) {
        fill(region, pages, value);
        store.checkpoint(value === 2 ? 'two' : undefined);
      }
      store.restore('two');
      expect(contentOf(region)).toBe(2);
      expect(store.checkpoints().at(-1)).toMatchObject({ id: 6, label: null });
      store.restore(5);
      expect(contentOf(region)).toBe(5);
      store.restore(1);
      expect(contentOf(region)).toBe(1);
      const again = reopen(store, options);
      expect(contentOf(again.region('app'))).toBe(1);
      again.restore(7);
      expect(contentOf(again.region('app'))).toBe(5);
      again.restore('two');
      expect(contentOf(again.region('app'))).toBe(2);
      expect(again.check()).toEqual([]);
      again.close();
    });

  test('regions that were dropped, born and renamed since', () => {
    const store = open(temporaryFolder(), { mapper });
    fill(store.region('a', SMALL), 2, 1);
    fill(store.region('b', SMALL), 2, 2);
    store.checkpoint('both');
    fill(store.region('a'), 2, 9);
    store.drop('a');
    store.rename('b', 'a');
    fill(store.region('c', SMALL), 2, 3);
    fill(store.region('a'), 2, 4);
    store.checkpoint('later');
    const [a, c] = [store.region('a'), store.region('c')];
    store.restore('both');
    expect([names(store), contentOf(store.region('a')), contentOf(store.region('b'))])
      .toEqual([['a', 'b'], 1, 2]);
    expect([a.name, contentOf(a), codeOf(() => c.alloc(1))]).toEqual(['b', 2, 'ERR_STALE']);
    const again = reopen(store, { mapper });
    expect([names(again), contentOf(again.region('a'))]).toEqual([['a', 'b'], 1]);
    again.restore('later');
    expect([names(again), contentOf(again.region('a')), contentOf(again.region('c'))])
      .toEqual([['a', 'c'], 4, 3]);
    again.close();
  });

  test('sizes: grown and compacted regions', () => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app', SMALL);
    fill(region, 3, 1);
    store.checkpoint('small');
    const big = region.alloc(300 * PAGE);
    region.bytes(big).fill(9);
    region.roots.set('big', big);
    store.checkpoint('large');
    region.roots.delete('big');
    region.free(big);
    region.compact();
    store.checkpoint();
    const { extent } = region.stat();
    store.restore('large');
    expect(region.stat().extent).toBeGreaterThan(extent);
    expect(region.bytes(big).every((byte) => byte === 9)).toBe(true);
    store.restore('small');
    expect([region.roots.get('big'), contentOf(region)]).toEqual([0, 1]);
    const again = reopen(store, { mapper });
    again.restore('large');
    expect(again.region('app').bytes(big).every((byte) => byte === 9)).toBe(true);
    expect(again.check()).toEqual([]);
    again.close();
  });

  test('what was not checkpointed is dropped, and a restore of the newest is a rollback', () => {
    using store = open(temporaryFolder(), { mapper });
    const region = store.region('app', SMALL);
    fill(region, 2, 1);
    store.checkpoint();
    fill(region, 2, 2);
    store.checkpoint();
    fill(region, 2, 3);
    store.region('young', SMALL);
    store.restore(2);
    expect([contentOf(region), names(store), store.checkpoints().length]).toEqual([2, ['app'], 2]);
    fill(region, 2, 3);
    store.region('young', SMALL);
    store.restore(1);
    expect([contentOf(region), names(store)]).toEqual([1, ['app']]);
    expect(readdirSync(join(store.dir, 'regions')).filter((name) => /region$/.test(name)))
      .toHaveLength(1);
  });

  test('disk use is bounded by what changed between checkpoints that are kept', () => {
    const options = { mapper, inlinePages: 4, settleBytes: 40 * PAGE, history: 2 };
    const store = open(temporaryFolder(), options);
    const region = store.region('app', SMALL);
    fill(region, 10, 1);
    store.checkpoint('first');
    for (let value = 2; value <= 300; value++) {
      fill(region, 10, value & 0xff);
      store.checkpoint(value === 50 ? 'fifty' : undefined);
    }
    expect(store.checkpoints().map(({ id, restorable }) => [id, restorable]))
      .toEqual([[1, true], [50, true], [299, true], [300, true]]);
    // Joined after 128 records at the latest, each of some 11 pages.
    expect(store.stat().historyBytes).toBeLessThan(300 * 12 * PAGE);
    store.restore('fifty');
    expect(contentOf(region)).toBe(50);
    store.restore('first');
    expect(contentOf(region)).toBe(1);
    const before = store.stat().historyBytes;
    store.forget('first');
    store.forget(50);
    expect(store.stat().historyBytes).toBeLessThan(before / 4);
    const again = reopen(store, options);
    expect(again.checkpoints().map(({ id }) => id)).toEqual([301, 302]);
    expect(contentOf(again.region('app'))).toBe(1);
    again.close();
    const images = readdirSync(join(store.dir, 'images'))
      .reduce((n, name) => n + statSync(join(store.dir, 'images', name)).size, 0);
    expect(images).toBeLessThan(1024 * 1024 + 40 * PAGE);
  });

  test('nothing is kept without history and labels', () => {
    const store = open(temporaryFolder(), { mapper, history: 0 });
    const region = store.region('app', SMALL);
    for (let value = 1; value <= 3; value++) {
      fill(region, 30, value);
      store.checkpoint();
    }
    expect(store.stat().historyBytes).toBe(0);
    expect(codeOf(() => store.restore(2))).toBe('ERR_NOT_FOUND');
    store.checkpoint('now');
    fill(region, 30, 9);
    store.checkpoint();
    expect(store.checkpoints().map(({ id }) => id)).toEqual([4, 5]);
    store.restore('now');
    expect(contentOf(region)).toBe(3);
    store.close();
  });

  test('anything in any order, against what each checkpoint held', () => {
    for (const seed of [1, 2].slice(0, often(1, 2))) {
      roam(split(seed, `history ${mapper}`), mapper, seed);
    }
  });
});

/** Every checkpoint that is listed restores to exactly what it held. */
function roam(random: Random, mapper: 'shim' | 'file', seed: number): void {
  const options: StoreOptions = { mapper, inlinePages: random.int(6), history: 1 + random.int(6),
    settleBytes: 30 * PAGE };
  let store = open(temporaryFolder(), options);
  const held = new Map<number, string>();
  const note = () => held.set(store.checkpoints().at(-1)?.id ?? 0, digestOf(store));
  const expectHeld = (id: number) =>
    expect([`seed ${seed}`, id, digestOf(store)]).toEqual([`seed ${seed}`, id, held.get(id)]);
  for (let step = 0; step < 60; step++) {
    const name = random.pick(['a', 'b', 'c']);
    if (random.chance(0.08) && store.has(name)) store.drop(name);
    else if (random.chance(0.07) && store.has('a') && !store.has(name)) store.rename('a', name);
    else if (random.chance(0.2)) {
      const buffer = store.buffer('buf', store.has('buf') ? {} : { size: 9000 });
      buffer.bytes.fill(random.int(256), random.int(9000));
      if (random.chance(0.3)) buffer.resize(1000 + random.int(90_000));
    } else change(store.region(name, store.has(name) ? {} : SMALL), random, 4, 20_000);
    if (random.chance(0.1) && store.has('a')) store.region('a').compact();
    store.checkpoint(random.chance(0.1) ? `label ${step}` : undefined);
    note();
    const points = store.checkpoints();
    if (random.chance(0.25)) {
      const { id } = random.pick(points);
      store.restore(id);
      expectHeld(id);
      note();
    }
    if (random.chance(0.1)) store.forget(random.pick(store.checkpoints()).id);
    if (random.chance(0.1)) store = reopen(store, options);
    if (random.chance(0.05)) {
      store.rollback();
      expectHeld(store.checkpoints().at(-1)?.id ?? 0);
    }
  }
  expect(store.checkpoints().every(({ restorable }) => restorable)).toBe(true);
  for (const { id } of store.checkpoints()) {
    if (!store.checkpoints().some((row) => row.id === id)) continue;
    store.restore(id);
    expectHeld(id);
  }
  store = reopen(store, options);
  store.close();
}

describe('misuse', () => {
  test('no such checkpoint, no such state', () => {
    const store = open(temporaryFolder());
    const region = store.region('a', SMALL);
    fill(region, 2, 1);
    store.checkpoint('one');
    for (const call of [(w: never) => store.restore(w), (w: never) => store.forget(w)]) {
      for (const which of [undefined, null, 1.5, {}, Number.NaN]) {
        expect([which, codeOf(() => call(which as never))]).toEqual([which, 'ERR_BAD_OPTION']);
      }
      for (const which of [0, -1, 2, 'two', '']) {
        expect([which, codeOf(() => call(which as never))]).toEqual([which, 'ERR_NOT_FOUND']);
      }
    }
    expect(() => store.restore('two')).toThrow(/there are: one/);
    store.transaction(() => {
      expect(codeOf(() => store.restore(1))).toBe('ERR_BUSY');
      expect(codeOf(() => store.forget(1))).toBe('ERR_BUSY');
    });
    store.forget('one');
    expect(store.checkpoints()).toMatchObject([{ id: 1, label: null }]);
    store.close();
    expect(codeOf(() => store.restore(1))).toBe('ERR_CLOSED');
    expect(codeOf(() => store.forget(1))).toBe('ERR_CLOSED');
    using reader = open(store.dir, { readOnly: true });
    expect(codeOf(() => reader.restore(1))).toBe('ERR_READ_ONLY');
    expect(codeOf(() => reader.forget(1))).toBe('ERR_READ_ONLY');
    expect(reader.checkpoints()).toHaveLength(1);
  });

  test('a damaged undo record: an error, and everything is as it was', () => {
    using store = open(temporaryFolder(), { inlinePages: 0 });
    const region = store.region('a', SMALL);
    fill(region, 5, 1);
    store.checkpoint();
    fill(region, 5, 2);
    store.checkpoint();
    fill(region, 5, 3);
    region.roots.set('loose', 16 as Address);
    const file = join(store.dir, 'images/1.img');
    const bytes = readFileSync(file);
    bytes[bytes.length - 2 * PAGE] ^= 1;
    writeFileSync(file, bytes);
    expect(codeOf(() => store.restore(1))).toBe('ERR_CORRUPT');
    expect([contentOf(region), region.roots.get('loose')]).toEqual([3, 16]);
    expect(store.checkpoints()).toHaveLength(2);
    store.checkpoint();
  });
});
