/**
 * What every region must do, whatever its method, discipline and mapper. A new implementation joins
 * with one line in conformance.test.ts; what it cannot do it says in its traits.
 */
import { describe, expect, test } from 'vitest';
import { createRegion } from '../../src/region/region.ts';
import { TEXT_BYTES } from '../../src/region/text.ts';
import { regionOf } from '../../src/region/windows.ts';
import type { Region } from '../../src/types.ts';
import { describeFiles, describeReopening, type Implementation } from './conformance-reopening.ts';
import { describeWalk } from './conformance-walk.ts';
import { expectCode } from './expect-code.ts';
import { newSeed, often, Oracle, randomFrom, randomStep } from './oracle.ts';
import { memoryDirectory } from './temp.ts';

/** Runs the whole suite over one combination. */
export function describeRegion(implementation: Implementation): void {
  const { method, open, discipline, sizes } = implementation;
  const fresh = (capacity = CAPACITY): Region =>
    createRegion(open(memoryDirectory(), capacity), method);

  describe(`${method.name} over ${discipline}`, () => {
    if (sizes === 'any') describeSizes(fresh);
    else describeOneSize(fresh, sizes);
    describeBlocks(fresh, implementation);
    describeMemory(fresh, sizes);
    describeWhole(fresh, implementation);
    describeWalk(implementation);
    if (implementation.reopens !== false) describeReopening(implementation);
    if (implementation.reopens === true) describeFiles(implementation);
  });
}

/** Enough for every test. V8 counts windows as garbage to be and collects the sooner for them. */
const CAPACITY = '4MiB';

type Fresh = (capacity?: string) => Region;

function describeSizes(fresh: Fresh): void {
  test('a block of every size is aligned, whole and apart from the others', () => {
    using region = fresh();
    const oracle = new Oracle(region, 'any');
    for (const size of [0, 1, 11, 12, 13, 15, 16, 17, 100, 1000, 4096, 70_000, 1_000_000]) {
      expect(oracle.alloc(size) % 16).toBe(0);
    }
    oracle.verify();
    expect(region.alloc(0)).not.toBe(0);
  });

  test('align returns a multiple of any power of two', () => {
    using region = fresh();
    const oracle = new Oracle(region, 'any');
    for (let alignment = 1; alignment <= 2 ** 20; alignment *= 2) oracle.align(33, alignment);
    oracle.verify();
    expectCode('ERR_BAD_OPTION', () => region.align(1, 3));
  });

  test('resize keeps contents, in place or moved', () => {
    using region = fresh();
    const oracle = new Oracle(region, 'any');
    oracle.alloc(100);
    oracle.alloc(100);
    oracle.resize(0, 50_000);
    oracle.resize(1, 200_000);
    oracle.resize(0, 10);
    oracle.resize(0, 0);
    oracle.verify();
  });

  test('resize: 0 is no block, a block of size 0 is one', () => {
    using region = fresh();
    const address = region.resize(0, 10);
    expect(region.sizeOf(address)).toBeGreaterThanOrEqual(10);
    expect(region.sizeOf(region.resize(address, 0))).toBeGreaterThanOrEqual(0);
  });

  test('resize without move stays or returns 0 and changes nothing', () => {
    using region = fresh();
    const a = region.alloc(100);
    region.bytes(a).fill(5);
    const size = region.sizeOf(a);
    region.alloc(100);
    expect(region.resize(a, 1_000_000, { move: false })).toBe(0);
    expect(region.sizeOf(a)).toBe(size);
    expect(region.bytes(a).every((byte) => byte === 5)).toBe(true);
    expect(region.resize(a, 10, { move: false })).toBe(a);
  });

  test('resize zeroes from the old size, or from where it is told', () => {
    using region = fresh();
    const dirty = region.alloc(5000);
    region.bytes(dirty).fill(9);
    region.free(dirty);
    const a = region.alloc(20);
    const old = region.sizeOf(a);
    region.bytes(a).fill(7);
    const b = region.resize(a, 5000, { zero: true });
    const bytes = region.bytes(b);
    expect(bytes.subarray(0, old).every((byte) => byte === 7)).toBe(true);
    expect(bytes.subarray(old).every((byte) => byte === 0)).toBe(true);
    const c = region.resize(b, 5000, { zero: true, from: 3 });
    expect([...region.bytes(c, 5)]).toEqual([7, 7, 7, 0, 0]);
    const d = region.resize(0, 64, { zero: true });
    expect(region.bytes(d).every((byte) => byte === 0)).toBe(true);
  });

  test('a resize that fails leaves the block as it was', () => {
    using region = fresh('1MiB');
    const a = region.alloc(1000);
    region.bytes(a).fill(3);
    region.alloc(10);
    const before = [...region.blocks()].filter(({ busy }) => busy);
    expectCode('ERR_NO_SPACE', () => region.resize(a, 50_000_000));
    expectCode('ERR_BAD_SIZE', () => region.resize(a, 2 ** 40));
    expect([...region.blocks()].filter(({ busy }) => busy)).toEqual(before);
    expect(region.bytes(a).every((byte) => byte === 3)).toBe(true);
  });

  test('text comes back as it went in', () => {
    using region = fresh();
    for (const text of ['', 'a', 'héllo wörld', '日本', '\uFEFFbom', '😀'.repeat(999)]) {
      expect(region.string(region.strdup(text))).toBe(text);
    }
  });
}

/** What `describeSizes` tries, where all blocks have one size. */
function describeOneSize(fresh: Fresh, size: number): void {
  test('every block has that size, is aligned, whole and apart from the others', () => {
    using region = fresh();
    const oracle = new Oracle(region, 'any', size);
    for (let i = 0; i < 300; i++) expect(oracle.alloc(size) % 16).toBe(0);
    oracle.verify();
    expect(region.sizeOf(oracle.blocks[0].address)).toBeLessThan(size + 16);
  });

  test('other sizes are refused and change nothing', () => {
    using region = fresh();
    const a = region.alloc(size);
    region.bytes(a).fill(5);
    const before = [...region.blocks()];
    for (const other of [0, 1, size - 1, size + 1, 2 * size, 1e9, 2 ** 32 - 1, 2 ** 40]) {
      expectCode('ERR_BAD_SIZE', () => region.alloc(other));
      expectCode('ERR_BAD_SIZE', () => region.align(other, 16));
      expectCode('ERR_BAD_SIZE', () => region.resize(a, other));
      expectCode('ERR_BAD_SIZE', () => region.resize(a, other, { move: false }));
      expectCode('ERR_BAD_SIZE', () => region.resize(0, other));
    }
    expect([...region.blocks()]).toEqual(before);
    expect(region.bytes(a).every((byte) => byte === 5)).toBe(true);
  });

  test('align returns what every block has, and refuses more', () => {
    using region = fresh();
    for (const alignment of [1, 2, 4, 8, 16]) expect(region.align(size, alignment) % 16).toBe(0);
    expectCode('ERR_BAD_SIZE', () => region.align(size, 2 ** 20));
    expectCode('ERR_BAD_OPTION', () => region.align(size, 3));
  });

  test('resize to that size stays, zeroes from where it is told, and 0 is no block', () => {
    using region = fresh();
    const a = region.resize(0, size, { zero: true });
    expect(region.bytes(a, size).every((byte) => byte === 0)).toBe(true);
    region.bytes(a).fill(7);
    expect(region.resize(a, size)).toBe(a);
    expect(region.resize(a, size, { move: false })).toBe(a);
    expect(region.bytes(a).every((byte) => byte === 7)).toBe(true);
    expect(region.resize(a, size, { zero: true, from: 3 })).toBe(a);
    expect([...region.bytes(a, 5)]).toEqual([7, 7, 7, 0, 0]);
  });

  test('text of that size comes back as it went in', () => {
    using region = fresh();
    const text = 'é'.repeat((size - TEXT_BYTES) / 2);
    expect(region.string(region.strdup(text))).toBe(text);
    expectCode('ERR_BAD_SIZE', () => region.strdup(`${text}é`));
  });
}

function describeBlocks(fresh: Fresh, { order, sizes }: Implementation): void {
  const sized = sizer(sizes);

  test('free: 0 is ignored, anything but a live block is refused', () => {
    using region = fresh();
    const a = region.alloc(sized(100));
    const b = region.alloc(sized(100));
    region.free(0);
    for (const wrong of [a + 16, a + 1, 16, 1e15, -16, Number.NaN, 2 ** 33]) {
      expectCode('ERR_BAD_ADDRESS', () => region.free(wrong));
    }
    region.free(b);
    expectCode('ERR_BAD_ADDRESS', () => region.free(b));
    if (order === 'any') region.alloc(sized(1000));
    region.free(order === 'any' ? a : region.alloc(sized(8)));
    expect(region.check()).toEqual([]);
  });

  test('memory that contains what looks like a block is no block', () => {
    using region = fresh();
    const a = region.alloc(sized(4096));
    const b = region.alloc(sized(64));
    const size = region.sizeOf(a);
    const header = new Uint8Array(region.bytes(b).buffer, b - 16, 16);
    for (let at = 0; at < size - 16; at += 16) region.bytes(a).set(header, at);
    for (let at = 16; at < size; at += 16) {
      expectCode('ERR_BAD_ADDRESS', () => region.free(a + at));
    }
    expect(region.check()).toEqual([]);
  });
}

/** A size that can be had, for one that is wanted. */
function sizer(sizes: 'any' | number): (size: number) => number {
  return (size) => (sizes === 'any' ? size : sizes);
}

function describeMemory(fresh: Fresh, sizes: 'any' | number): void {
  const sized = sizer(sizes);

  test('views are bounded by the block and know where they are', () => {
    using region = fresh();
    const a = region.alloc(sized(100));
    const size = region.sizeOf(a);
    expect(region.bytes(a).length).toBe(size);
    expect(region.bytes(a, 10).length).toBe(10);
    expectCode('ERR_BAD_SIZE', () => region.bytes(a, size + 1));
    const numbers = region.array(Float64Array, a);
    expect(numbers.length).toBe(Math.floor(size / 8));
    numbers[0] = Math.PI;
    expect(region.array(Float64Array, a, 1)[0]).toBe(Math.PI);
    expectCode('ERR_BAD_SIZE', () => region.array(Float64Array, a, numbers.length + 1));
    expect(region.addressOf(numbers)).toBe(a);
    expect(region.addressOf(region.bytes(a).subarray(5))).toBe(a + 5);
    expectCode('ERR_BAD_ADDRESS', () => region.addressOf(new Uint8Array(4)));
    expect(regionOf(numbers)).toBe(region);
    expect(regionOf(new Uint8Array(4))).toBeUndefined();
  });

  test('offsetOf answers for every byte of a live block and for nothing else', () => {
    using region = fresh();
    const a = region.alloc(sized(100));
    const size = region.sizeOf(a);
    const offsets = Array.from({ length: size }, (_, at) => region.offsetOf(a + at));
    expect(offsets).toEqual([...offsets.keys()]);
    expect(region.offsetOf(a - 1)).toBe(-1);
    expect(region.offsetOf(a + size)).toBe(-1);
    region.free(a);
    expect(region.offsetOf(a)).toBe(-1);
    for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 45]) expect(region.offsetOf(wrong)).toBe(-1);
  });

  test('what is no text is refused', () => {
    using region = fresh();
    expectCode('ERR_BAD_OPTION', () => region.strdup('a\0b'));
    expectCode('ERR_BAD_OPTION', () => region.strdup('\ud800'));
    const a = region.alloc(sized(8));
    region.bytes(a).fill(0xff);
    expectCode('ERR_CORRUPT', () => region.string(a));
  });
}

function describeWhole(fresh: Fresh, { order, sizes }: Implementation): void {
  test('a full region says so, loses nothing and goes on', () => {
    using region = fresh('1MiB');
    const oracle = new Oracle(region, order, sizes);
    expectCode('ERR_NO_SPACE', () => {
      for (;;) oracle.alloc(3000);
    });
    expect(oracle.blocks.length).toBeGreaterThan(250);
    oracle.verify();
    oracle.free(oracle.blocks.length >> 1);
    oracle.alloc(3000);
    oracle.verify();
    expect(region.stat().extent).toBeLessThanOrEqual(2 ** 20);
  });

  test('clear frees everything and keeps the segments', () => {
    using region = fresh();
    const oracle = new Oracle(region, order, sizes);
    for (let i = 0; i < 50; i++) oracle.alloc(10_000);
    for (let i = 0; i < 300; i++) oracle.set(`a root with a long name, number ${i}`, i);
    oracle.verify();
    const { extent } = region.stat();
    oracle.clear();
    oracle.verify();
    expect(region.stat().extent).toBe(extent);
    expect(region.roots.get('a root with a long name, number 3')).toBe(0);
    oracle.alloc(100);
    oracle.verify();
  });

  test('compact gives back what is not needed', () => {
    using region = fresh();
    const oracle = new Oracle(region, order, sizes);
    const count = Math.ceil(2_000_000 / oracle.sized(100_000));
    oracle.alloc(100);
    for (let i = 0; i < count; i++) oracle.alloc(100_000);
    for (let i = 0; i < count; i++) oracle.free(oracle.blocks.length - 1);
    const before = region.stat().extent;
    const given = region.compact();
    expect(given).toBeGreaterThan(1_500_000);
    expect(region.stat().extent).toBe(before - given);
    oracle.verify();
    oracle.alloc(500_000);
    oracle.verify();
  });

  test('random steps agree with a model', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const steps = often(250, 1500);
    using region = fresh('16MiB');
    const oracle = new Oracle(region, order, sizes);
    try {
      for (let i = 0; i < steps; i++) {
        randomStep(oracle, random, 60_000);
        if (i % 100 === 99) oracle.verify();
      }
      oracle.verify();
    } catch (error) {
      throw new Error(`seed ${seed}: set REGIONSTORE_SEED to repeat`, { cause: error });
    }
  });

  test('after close every call is refused and stale views are harmless', () => {
    const region = fresh();
    const a = region.alloc(sizes === 'any' ? 100 : sizes);
    const view = region.bytes(a);
    region.close();
    region.close();
    expect(region.closed).toBe(true);
    expectCode('ERR_CLOSED', () => region.alloc(1));
    expectCode('ERR_CLOSED', () => region.free(a));
    expectCode('ERR_CLOSED', () => region.roots.get('a'));
    expect(regionOf(view) === region).toBe(false);
    for (let i = 0; i < 100; i++) view[i] = i;
    expect(view.length === 0 || view[99] === 99).toBe(true);
  });
}
