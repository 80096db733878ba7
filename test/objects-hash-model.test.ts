/** Maps and sets of heaps against those of JavaScript: random steps, keys of every kind. */
import { describe, expect, test } from 'vitest';
import { bool, bytes, date, f32, f64, i16, i64, i8, i32, type Kind, map, optional, ref, set, str,
  u16, u32, u64, u8 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { type NewHeap, newHeap } from './support/heaps.ts';
import { type AnyMap, collidingTexts, expectSound, newHash } from './support/hashes.ts';
import { newSeed, often, type Random, randomFrom } from './support/oracle.ts';

const Item = struct('Item', { id: u32 });

/** Values of a kind, number `n` of them. */
type Values = (n: number) => unknown;

/** Few keys, so that they meet again; `range` = how many. */
function keysOf({ heap }: NewHeap, kind: Kind, range: number): Values {
  const odd = [Number.NaN, -0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53,
    1e-300];
  const items = Array.from({ length: kind.name === 'ref' ? range : 0 }, () => heap.create(Item));
  const wide = (bits: number) => (n: number) => BigInt.asIntN(bits, BigInt(n) * 0x123456789abcdn);
  const makers: Record<string, Values> = {
    u8: (n) => n % 256, i8: (n) => (n % 256) - 128, u16: (n) => n, i16: (n) => n - 3000,
    u32: (n) => Math.imul(n, 0x9e3779b1) >>> 0, i32: (n) => Math.imul(n, 0x9e3779b1),
    f32: (n) => Math.fround(odd[n] ?? n / 7 + 10), f64: (n) => odd[n] ?? n / 7 + 10,
    i64: wide(64), u64: (n) => BigInt.asUintN(64, wide(64)(n)), bool: (n) => n % 2 === 0,
    date: (n) => new Date(n === 0 ? Number.NaN : n * 1000),
    str: (n) => n === 0 ? '' : n % 3 === 0 ? `日本 ${n}` : n % 7 === 0 ? `\ud800${n}` : `key ${n}`,
    ref: (n) => n === 0 ? null : items[n],
  };
  return makers[kind.name] as Values;
}

const VALUES: readonly (readonly [Kind, Values])[] = [
  [u8, (n) => n & 255], [i16, (n) => n % 1000], [f64, (n) => n / 3], [bool, (n) => n % 2 === 0],
  [str, (n) => `value ${n}`], [i64, (n) => BigInt(n) << 30n],
  [optional(u32), (n) => n % 3 === 0 ? undefined : n],
  [optional(str), (n) => n % 3 === 0 ? undefined : `${n}`],
  [bytes(), (n) => new Uint8Array(n % 40).fill(n)],
];

/** As a key of a Map of JavaScript: dates by their time. */
const same = (value: unknown) => value instanceof Date ? `date ${value.getTime()}` : value;

function expectSame(hash: AnyMap, model: Map<unknown, unknown>, where: string): void {
  expect(hash.size, where).toBe(model.size);
  const theirs = model.entries();
  for (const [key, value] of hash) {
    const [modelKey, modelValue] = theirs.next().value as [unknown, unknown];
    if (!Object.is(same(key), modelKey) || !Object.is(value, modelValue)) {
      expect([same(key), value], where).toEqual([modelKey, modelValue]);
    }
  }
  expectSound(hash);
}

/** `expect` costs more than a step: it is asked where it will fail. */
function agree(mine: unknown, theirs: unknown): void {
  if (!Object.is(mine, theirs)) expect(mine).toEqual(theirs);
}

/** One random step on both. */
function step(hash: AnyMap, model: Map<unknown, unknown>, keys: Values, values: Values,
              random: Random, range: number, growth: number): void {
  const key = keys(random(range));
  const what = random(100);
  if (what < growth) {
    const value = values(random(1000));
    agree(hash.set(key, value), hash);
    model.set(same(key), value);
  } else if (what < 95) agree(hash.delete(key), model.delete(same(key)));
  else {
    agree(hash.has(key), model.has(same(key)));
    agree(hash.get(key), model.get(same(key)));
  }
}

const KEYS: readonly Kind[] = [u8, i8, u16, i16, u32, i32, f32, f64, i64, u64, bool, date, str,
  ref(Item)];

describe.each(KEYS.map((kind, i) => [kind.name, kind, VALUES[i % VALUES.length]] as const))(
  'keys of kind %s', (_name, kind, [valueKind, values]) => {
    test('random steps, waves of growth and decline', () => {
      const seed = newSeed();
      const random = randomFrom(seed);
      const opened = newHeap();
      const range = kind.name === 'bool' ? 2 : 6000;
      const keys = keysOf(opened, kind, range);
      const hash = newHash(opened, map(kind, valueKind));
      const model = new Map<unknown, unknown>();
      for (let round = 0; round < often(4, 60); round++) {
        const growth = [70, 20, 85, 5][round % 4];
        for (let i = 0; i < 2500; i++) step(hash, model, keys, values, random, range, growth);
        expectSame(hash, model, `seed ${seed}, round ${round}`);
      }
      hash.clear();
      expectSame(hash, new Map(), `seed ${seed}`);
    });

    test('values of every kind', () => {
      const opened = newHeap();
      const keys = keysOf(opened, kind, 60);
      for (const [of, valuesOf] of VALUES) {
        const hash = newHash(opened, map(kind, of));
        const model = new Map<unknown, unknown>();
        const random = randomFrom(newSeed());
        for (let i = 0; i < 300; i++) {
          step(hash, model, keys, valuesOf, random, 60, 60);
          if (i % 10 === 0) expectSame(hash, model, `${of.name} after ${i} steps`);
        }
      }
    });
  });

test('sets', () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const opened = newHeap();
  const hash = newHash(opened, set(str));
  const model = new Set<unknown>();
  for (let i = 0; i < often(20_000, 200_000); i++) {
    const value = `${random(3000)}`;
    if (random(100) < [70, 20][(i >> 12) % 2]) {
      agree(hash.add(value), hash);
      model.add(value);
    } else agree(hash.delete(value), model.delete(value));
    if (i % 1000 === 0) {
      expect([...hash], `seed ${seed}`).toEqual([...model]);
      expectSound(hash);
    }
  }
  expect([...hash.entries()]).toEqual([...model.entries()]);
});

test('keys with equal hashes', () => {
  const texts = collidingTexts(8);
  const opened = newHeap();
  const hash = newHash(opened, map(str, u32), [['other', 1]]);
  const model = new Map<unknown, unknown>([['other', 1]]);
  const random = randomFrom(newSeed());
  for (let i = 0; i < 4000; i++) step(hash, model, (n) => texts[n], (n) => n, random, 256, 55);
  expectSame(hash, model, 'equal hashes');
});

/** Iterators of both, that are gone on with between random steps. */
test.each([str, u32])('iterators over changing maps, keys of kind $name', (kind) => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const opened = newHeap();
  const keys = keysOf(opened, kind, 500);
  const hash = newHash(opened, map(kind, u32));
  const model = new Map<unknown, unknown>();
  const open: [Iterator<unknown>, Iterator<unknown>][] = [];
  for (let i = 0; i < often(30_000, 400_000); i++) {
    const growth = [60, 15, 80, 3][(i >> 9) % 4];
    step(hash, model, keys, (n) => n, random, [20, 500][(i >> 11) % 2], growth);
    if (random(400) === 0) {
      hash.clear();
      model.clear();
    }
    if (random(20) === 0) {
      const how = (['keys', 'values', 'entries'] as const)[random(3)];
      open.push([hash[how](), model[how]()]);
    }
    if (open.length === 0) continue;
    const index = random(open.length);
    const [mine, theirs] = open[index];
    const given = mine.next();
    expect(given, `seed ${seed}, step ${i}`).toEqual(theirs.next());
    if (given.done === true && random(2) === 0) open.splice(index, 1);
  }
  expect(open.length).toBeGreaterThan(0);
  expectSame(hash, model, `seed ${seed}`);
});

test('values that are shared', () => {
  const opened = newHeap();
  const items = Array.from({ length: 50 }, (_, id) => opened.heap.create(Item, { id }));
  const hash = newHash(opened, map(u16, ref(Item)));
  for (let i = 0; i < 3000; i++) hash.set(i, items[i % 50]);
  for (let i = 0; i < 3000; i++) expect(hash.get(i)).toBe(items[i % 50]);
});

test('directories of blocks grow, have gaps, and shrink to one block', () => {
  const opened = newHeap();
  const hash = newHash(opened, map(u32, u32));
  const model = new Map<number, number>();
  const both = (from: number, to: number, change: (i: number) => void) => {
    for (let i = from; i < to; i++) change(i);
    expect(JSON.stringify([...hash])).toBe(JSON.stringify([...model]));
    expectSound(hash);
  };
  const put = (i: number) => {
    hash.set(i, i * 2);
    model.set(i, i * 2);
  };
  const remove = (i: number) => agree(hash.delete(i), model.delete(i));
  both(0, 32_000, put);
  // No step takes time in proportion to the map: no block is larger than 2^10 entries of 16 bytes.
  expect(opened.region.stat().largestBusy).toBeLessThan(17 * 1024);
  // Whole blocks in the middle, then more at the end.
  both(10_000, 18_000, remove);
  both(32_000, 40_000, put);
  both(0, 8000, remove);
  both(40_000, 45_000, put);
  both(18_000, 44_990, remove);
  both(8000, 9980, remove);
  both(0, 10_000, put);
  both(0, 45_000, remove);
  expect(hash.size).toBe(0);
});
