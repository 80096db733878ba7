/** Verbs that look answer at once: what is live in large regions is estimated from a sample. */
import { describe, expect, test } from 'vitest';
import { openInStore } from '../src/cli/open-store.ts';
import { heap } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { profile } from '../src/methods/profile.ts';
import { slab } from '../src/methods/slab.ts';
import { heapIn } from '../src/objects/heap.ts';
import { estimateHeapIn } from '../src/objects/inside.ts';
import { createRegion } from '../src/region/region.ts';
import { estimateOf } from '../src/region/sample.ts';
import { regionIn } from '../src/store/store.ts';
import type { Method, Region } from '../src/types.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { randomFrom } from './support/oracle.ts';
import { open, temporaryFolder } from './support/stores.ts';

const MIB = 1024 * 1024;
const METHODS: readonly Method[] = [best, slab, pool, last, debug(best), profile(slab)];

/** Live blocks and bytes are estimated within this part of what they are. */
function expectNear(region: Region, part: number): void {
  const { busyBlocks, busyBytes, segments, extent, capacity } = region.stat();
  const found = estimateOf(region);
  expect(found).toMatchObject({ segments, extent, capacity, freeBlocks: NaN, freeBytes: NaN,
    largestBusy: NaN, largestFree: NaN });
  expect(Math.abs(found.busyBytes - busyBytes)).toBeLessThanOrEqual(part * busyBytes);
  expect(Math.abs(found.busyBlocks - busyBlocks)).toBeLessThanOrEqual(part * busyBlocks);
}

describe('near what a count says', () => {
  test.each(METHODS)('$name: blocks of many sizes, holes', (method) => {
    using region = createRegion(heap({ capacity: '64MiB' }), method);
    const random = randomFrom(20261127);
    const all: number[] = [];
    for (let bytes = 0; bytes < 24 * MIB;) {
      const size = method === pool ? 96 : 8 + random(2 ** (4 + random(8)));
      all.push(region.alloc(size));
      bytes += size;
    }
    // The first half keeps a tenth of its blocks, the second one nine tenths; `last` all.
    if (method !== last) all.forEach((address, i) => {
      if ((random(10) < 9) === (i < all.length / 2)) region.free(address);
    });
    expectNear(region, 0.1);
  });

  test.each(METHODS)('$name: nothing, then one block', (method) => {
    using region = createRegion(heap({ capacity: '64MiB' }), method);
    expect(estimateOf(region)).toMatchObject({ busyBlocks: 0, busyBytes: 0 });
    region.alloc(method === pool ? 4096 : 40 * MIB);
    expectNear(region, 0.02);
  });

  test('large blocks among small ones, large holes, several segments', () => {
    const dir = temporaryFolder();
    const region = open(dir).region('wide', { capacity: '8GiB' });
    const all: number[] = [];
    for (let i = 0; i < 40_000; i += 1) all.push(region.alloc(100));
    const large = [300, 2000, 1500, 1000].map((size) => region.alloc(size * MIB));
    for (let i = 0; i < 40_000; i += 1) all.push(region.alloc(100));
    region.free(large[1] as number);
    expect([...region.segments()].length).toBe(2);
    const { busyBytes } = region.stat();
    const found = estimateOf(region);
    expect(Math.abs(found.busyBytes - busyBytes)).toBeLessThanOrEqual(0.02 * busyBytes);
  });
});

test('which pages are looked at is said before, and that it is over after', () => {
  const memory = heap({ capacity: '64MiB' });
  const said: Int32Array[] = [];
  const discipline = Object.assign(Object.create(memory) as typeof memory, {
    capacity: memory.capacity,
    open: () => memory.open(), window: (i: number) => memory.window(i), sync: () => memory.sync(),
    resize: (i: number, bytes: number) => memory.resize(i, bytes), close: () => memory.close(),
    expect: (_: number, runs: Int32Array) => said.push(runs),
  });
  using region = createRegion(discipline, best);
  for (let i = 0; i < 100_000; i++) region.alloc(400);
  estimateOf(region);
  const [runs, none] = said;
  expect([said.length, none?.length, (runs?.length ?? 0) / 2]).toEqual([2, 0, 256]);
  const pages = region.stat().extent / 4096;
  let sum = 0;
  for (let i = 0, end = 0; i < 256; i++) {
    const [first, count] = (runs as Int32Array).subarray(2 * i) as unknown as [number, number];
    expect(first).toBeGreaterThanOrEqual(end - 1);
    end = first + count;
    sum += count;
    expect(end).toBeLessThanOrEqual(pages);
  }
  expect(sum).toBeLessThanOrEqual(256 * 5);
  expect(sum).toBeGreaterThanOrEqual(256 * 4);
});

test('types of a heap', () => {
  const store = open(temporaryFolder());
  const objects = store.heap('app', { capacity: '64MiB' });
  objects.root.set('list', Array.from({ length: 30_000 },
    (_, i) => ({ id: i, name: `user ${i}` })));
  const exact = objects.stat();
  const found = estimateHeapIn(regionIn(store, 'app'), { now: () => 0 });
  expect([...found.types.keys()].sort()).toEqual(['list(any)', 'object']);
  expect(exact.types.has('map(str,any)'), 'the root, which is rare').toBe(true);
  expect(found.texts.count / exact.texts.count).toBeCloseTo(1, 1);
  expect(found.blocks.bytes / exact.blocks.bytes).toBeCloseTo(1, 1);
  expect(heapIn(regionIn(store, 'app'), { now: () => 0 }).stat().blocks).toEqual(exact.blocks);
});

test('who looks once maps what is there, who may move on all that may come', () => {
  const dir = temporaryFolder();
  const store = open(dir);
  const address = store.region('app').alloc(1000);
  store.checkpoint();
  store.close();
  for (const isOnce of [true, false]) {
    const target = openInStore(dir, null, { mode: 'read', isOnce });
    for (const subject of target.subjects()) {
      const { extent, capacity } = subject.region.stat();
      const { byteLength } = subject.region.bytes(address).buffer;
      expect(byteLength).toBe(isOnce ? extent : capacity);
      expect(subject.check()).toEqual([]);
    }
    if (isOnce) expect(() => target.store?.refresh()).toThrow(/may be refreshed/);
    else expect(target.store?.refresh()).toBe(false);
    target.close(true);
  }
});

describe('the command', () => {
  interface Inspected {
    regions: { name: string; estimated: boolean; busyBytes: number; freeBytes: number | null;
      fragmentation: number | null; fits: object[] | null }[];
  }

  test('ls, inspect: estimates say that they are, --exact and --csv count', async () => {
    const dir = temporaryFolder();
    const store = open(dir);
    store.region('small').alloc(1000);
    store.region('large').alloc(300 * MIB);
    const { busyBytes } = store.region('large').stat();
    store.checkpoint();
    store.close();
    for (const verb of ['ls', 'inspect']) {
      const text = (await cliHere([verb, dir])).stdout;
      expect(text).toMatch(/^large .*≈(299|300|301)(\.\d)? MiB/m);
      expect(text).toMatch(/^small .*1008 B/m);
      expect(text).toContain('--exact');
      const { regions } = await jsonHere<Inspected>([verb, dir]);
      expect(regions).toMatchObject([{ name: 'large', estimated: true }, { estimated: false }]);
      const exact = await cliHere([verb, dir, '--exact']);
      expect(exact.stdout).not.toMatch(/≈|--exact/);
      expect(await jsonHere([verb, dir, '--exact'])).toMatchObject({
        regions: [{ name: 'large', estimated: false, busyBytes }, { name: 'small' }] });
    }
    const [large] = (await jsonHere<Inspected>(['inspect', dir, 'large'])).regions;
    expect(large).toMatchObject({ freeBytes: null, fragmentation: null, fits: null });
    const csv = (await cliHere(['ls', dir, '--csv'])).stdout;
    expect(csv).toMatch(new RegExp(`^large,.*,${busyBytes},`, 'm'));
  });
});
