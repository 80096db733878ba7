/** Sorted maps against arrays that are sorted anew, for every kind of key. */
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { any, bool, bytes, date, f32, f64, i16, i32, i64, i8, type Kind, optional, sorted, str, u16,
  u32, u64, u8 } from '../src/objects/kinds.ts';
import type { PersistentSorted, Range } from '../src/objects/persistent.ts';
import { compareText, loadText, newText, sharedUnits, unitAt } from '../src/objects/text.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, type Random, randomFrom } from './support/oracle.ts';
import { findings, leavesOf, newCore, newSorted } from './support/sorted-maps.ts';

type Loose = PersistentSorted<unknown, unknown>;

/** What JavaScript has for a key: in the order of the map. NaN is last. */
function compare(a: unknown, b: unknown): number {
  const [x, y] = [a, b].map((key) => key instanceof Date ? key.getTime() : key) as [number, number];
  if (x < y) return -1;
  if (x > y) return 1;
  return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
}

/** A map of JavaScript with an order. */
class Model {
  entries: [unknown, unknown][] = [];

  set(key: unknown, value: unknown): void {
    const found = this.entries.find((entry) => compare(entry[0], key) === 0);
    if (found !== undefined) found[1] = value;
    else {
      const place = this.entries.findIndex((entry) => compare(entry[0], key) > 0);
      this.entries.splice(place < 0 ? this.entries.length : place, 0, [key, value]);
    }
  }

  get(key: unknown): unknown {
    return this.entries.find((entry) => compare(entry[0], key) === 0)?.[1];
  }

  has(key: unknown): boolean {
    return this.entries.some((entry) => compare(entry[0], key) === 0);
  }

  delete(key: unknown): boolean {
    const place = this.entries.findIndex((entry) => compare(entry[0], key) === 0);
    if (place >= 0) this.entries.splice(place, 1);
    return place >= 0;
  }

  range({ gt, gte, lt, lte, reverse, limit }: Range<unknown>): [unknown, unknown][] {
    const found = this.entries.filter(([key]) => (gt === undefined || compare(key, gt) > 0)
      && (gte === undefined || compare(key, gte) >= 0) && (lt === undefined || compare(key, lt) < 0)
      && (lte === undefined || compare(key, lte) <= 0));
    return (reverse === true ? found.toReversed() : found).slice(0, limit);
  }
}

const wholes = (bits: number, isSigned: boolean) => (random: Random) => {
  const least = isSigned ? -(2 ** (bits - 1)) : 0;
  const most = least + 2 ** bits - 1;
  const some = least + random(2 ** Math.min(bits, 31));
  return [least, most, least + 1, 0, random(100), some][random(6)];
};
const reals = (random: Random) => [Number.NaN, 0, -0, Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY, 5e-324, -5e-324, 1.7e308, random(300), random(300) / 7, -random(300)][
  random(11)];
const wides = (isSigned: boolean) => (random: Random) => {
  const some = (BigInt(random(2 ** 31)) << 32n) + BigInt(random(2 ** 32));
  const picked = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, some,
    BigInt(random(200))][random(8)];
  return isSigned ? (random(2) === 0 ? picked : -picked - 1n) : picked * BigInt(1 + random(2));
};
const letters = ['a', 'b', '', '\0', 'é', 'ÿ', 'Ā', 'я', '中', '😀', '\ud83d', '\ude00', '\uffff'];
const words = (random: Random) => random(3) === 0 ? `key:${random(400)}`
  : Array.from({ length: random(5) }, () => letters[random(letters.length)]).join('');

const KEYS: readonly (readonly [Kind, (random: Random) => unknown])[] = [
  [u8, wholes(8, false)], [i8, wholes(8, true)], [u16, wholes(16, false)], [i16, wholes(16, true)],
  [u32, (random) => random(2) === 0 ? random(500) : wholes(32, false)(random)],
  [i32, (random) => random(2) === 0 ? random(500) - 250 : wholes(32, true)(random)],
  [f32, reals], [f64, reals], [i64, wides(true)], [u64, wides(false)],
  [bool, (random) => random(2) === 0],
  [date, (random) => new Date(random(20) === 0 ? Number.NaN : (random(400) - 200) * 1e9)],
  [str, words],
];
/** As a key comes back. */
const kept = (kind: Kind, key: unknown) => kind === f32 ? Math.fround(key as number) + 0
  : typeof key === 'number' ? key + 0 : key;

const VALUES: readonly (readonly [Kind, (random: Random) => unknown])[] = [
  [u32, (random) => random(1000)], [str, words], [f64, reals],
  [optional(u8), (random) => random(3) === 0 ? undefined : random(256)],
  [u8, (random) => random(256)],
  [any, (random) => [words(random), random(9), null, undefined, 2n ** 70n][random(5)]],
];

describe.each(KEYS)('keys of $name', (kind, newKey) => {
  test.each(VALUES)('as an array that is sorted, values of $name', (valueKind, newValue) => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const core = newCore();
    const before = core.memory.region.stat().busyBlocks;
    const map: Loose = newSorted(core, kind, valueKind);
    const model = new Model();
    for (let step = 0; step < often(400, 20_000); step++) {
      const key = newKey(random);
      const isGrowing = Math.floor(step / 250) % 2 === 0;
      if (random(100) < (isGrowing ? 75 : 25)) {
        const value = newValue(random);
        expect(map.set(key, value)).toBe(map);
        model.set(kept(kind, key), value);
        expect(map.get(key)).toEqual(value);
      } else {
        expect(map.has(key)).toBe(model.has(kept(kind, key)));
        expect(map.delete(key), `seed ${seed}`).toBe(model.delete(kept(kind, key)));
        expect(map.has(key)).toBe(false);
      }
      if (step % 200 === 0) verify(core, map, model, seed);
    }
    verify(core, map, model, seed);
    map.clear();
    expect(map.size).toBe(0);
    // The header of the map, and what says its type.
    expect(core.memory.region.stat().busyBlocks).toBeLessThanOrEqual(before + 3);
  });
});

function verify(core: ReturnType<typeof newCore>, map: Loose, model: Model, seed: number): void {
  expect(findings(core, map), `seed ${seed}`).toEqual([]);
  expect(map.size).toBe(model.entries.length);
  expect([...map], `seed ${seed}`).toEqual(model.entries);
  expect([...map.keys({ reverse: true })]).toEqual(model.entries.map(([key]) => key).reverse());
  expect(map.first()).toEqual(model.entries[0]);
  expect(map.last()).toEqual(model.entries.at(-1));
}

test('ranges: as filters of an array', () => {
  const core = newCore();
  const map: Loose = newSorted(core, i32, u32);
  const model = new Model();
  for (let i = 0; i < 600; i++) {
    map.set((i * 7) % 1201, i);
    model.set((i * 7) % 1201, i);
  }
  const bound = fc.oneof(fc.integer({ min: -10, max: 1210 }), fc.double({ min: 0, max: 1200 }),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0));
  const side = (open: string, closed: string) => fc.oneof(fc.constant({}),
    fc.record({ [open]: bound }), fc.record({ [closed]: bound }));
  const ranges = fc.tuple(side('gt', 'gte'), side('lt', 'lte'), fc.record({ reverse: fc.boolean(),
    limit: fc.oneof(fc.nat(20), fc.nat(1000)) }, { requiredKeys: [] }))
    .map((parts) => Object.assign({}, ...parts) as Range<unknown>);
  fc.assert(fc.property(ranges, (range) => {
    const expected = model.range(range);
    expect([...map.entries(range)]).toEqual(expected);
    expect([...map.keys(range)]).toEqual(expected.map(([key]) => key));
    expect([...map.values(range)]).toEqual(expected.map(([, value]) => value));
  }), { seed: newSeed(), numRuns: often(300, 3000) });
});

/** Strings of any UTF-16 units, of one byte, of few letters. */
const texts = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.array(fc.integer({ min: 0, max: 0xff })).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string({ maxLength: 60 }),
  fc.array(fc.constantFrom(...letters)).map((parts) => parts.join('')));

test('ranges of texts of every script', () => {
  fc.assert(fc.property(fc.array(texts, { maxLength: 200 }), texts, texts, (keys, low, high) => {
    const core = newCore('1MiB');
    const map: Loose = newSorted(core, str, u32);
    const model = new Model();
    for (const [i, key] of keys.entries()) {
      map.set(key, i);
      model.set(key, i);
    }
    expect([...map.entries({ gte: low, lt: high })]).toEqual(model.range({ gte: low, lt: high }));
    expect([...map.keys({ gt: low, reverse: true })])
      .toEqual(model.range({ gt: low, reverse: true }).map(([key]) => key));
    for (const key of keys) expect(map.get(key)).toBe(model.get(key));
    expect(findings(core, map)).toEqual([]);
  }), { seed: newSeed(), numRuns: often(60, 1000) });
});

test('texts are compared as JavaScript does', () => {
  const { memory } = newCore();
  fc.assert(fc.property(texts, texts, (a, b) => {
    const ref = newText(memory, a);
    expect(loadText(memory, ref)).toBe(a);
    expect(Math.sign(compareText(memory, ref, b))).toBe(a < b ? -1 : Number(a > b));
    expect(compareText(memory, ref, a)).toBe(0);
    expect(Math.sign(compareText(memory, ref, `${a}\0`))).toBe(-1);
    const shared = [...Array(Math.min(a.length, b.length, 7) + 1).keys()]
      .findLast((n) => a.slice(0, n) === b.slice(0, n));
    expect(sharedUnits(memory, ref, b, 7)).toBe(shared);
    for (let i = 0; i < 5; i++) expect(unitAt(memory, ref, i)).toBe(a.charCodeAt(i) || 0);
    memory.free(ref);
  }), { seed: newSeed(), numRuns: often(2000, 50_000) });
});

describe('an iteration', () => {
  const cases = [false, true].flatMap((reverse) =>
    [1, 3, 200].map((count) => ({ reverse, count })));
  test.each(cases)('goes on behind the last key: %o', ({ reverse, count }) => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const map: Loose = newSorted(newCore(), u32, u32);
    const model = new Model();
    const change = () => {
      const key = random(2000);
      if (random(2) === 0) {
        map.set(key, key);
        model.set(key, key);
      } else expect(map.delete(key)).toBe(model.delete(key));
    };
    for (let i = 0; i < count * 5; i++) change();
    for (let round = 0; round < often(5, 50); round++) {
      let last: unknown;
      for (const key of map.keys({ reverse })) {
        const next = model.range(last === undefined ? { reverse, limit: 1 }
          : { [reverse ? 'lt' : 'gt']: last, reverse, limit: 1 })[0];
        expect([key], `seed ${seed}`).toEqual([next?.[0]]);
        last = key;
        if (random(30) === 0) map.delete(key) && model.delete(key);
        for (let i = random(4) * random(2); i > 0; i--) change();
      }
    }
  });

  test('ends for good, and can be gone on with after a break', () => {
    const map: Loose = newSorted(newCore(), u32, u32, [[1, 1], [2, 2], [3, 3]]);
    const keys = map.keys();
    for (const key of keys) if (key === 2) break;
    expect([...keys]).toEqual([3]);
    map.set(4, 4);
    expect(keys.next()).toEqual({ value: undefined, done: true });
  });

  test.each([false, true])('goes on where compaction moved the leaves; reverse: %s', (reverse) => {
    const { heap } = newHeap();
    const all = Array.from({ length: 2000 }, (_, i) => i);
    heap.root.set('junk', Array.from({ length: 20_000 }, (_, i) => i));
    const map = heap.create(sorted(u32, str), all.map((i) => [i, `value ${i}`] as const));
    heap.root.set('map', map);
    const given = map.entries({ reverse });
    const expected = all.map((i) => reverse ? 1999 - i : i).map((i) => [i, `value ${i}`]);
    for (let i = 0; i < 700; i++) expect(given.next().value).toEqual(expected[i]);
    heap.root.delete('junk');
    expect(heap.compact().moved).toBeGreaterThan(1000);
    // Lies where the map was.
    heap.root.set('more', Array.from({ length: 50_000 }, () => 7));
    expect([...given]).toEqual(expected.slice(700));
  });

  test('is over where the map was cleared, and goes on where it was filled again', () => {
    const map: Loose = newSorted(newCore(), u32, u32, [[1, 1], [2, 2], [3, 3]]);
    const keys = map.keys();
    expect(keys.next().value).toBe(1);
    map.clear();
    map.set(0, 0).set(9, 9);
    expect([...keys]).toEqual([9]);
  });
});

test('keys in order leave full leaves, from below and from above', () => {
  const core = newCore();
  const count = 10_000;
  const up: Loose = newSorted(core, u32, u32);
  const down: Loose = newSorted(core, u32, u32);
  for (let i = 0; i < count; i++) {
    up.set(i, i);
    down.set(count - i, i);
  }
  const bulk: Loose = newSorted(core, u32, u32, up);
  for (const map of [up, down, bulk]) {
    expect(findings(core, map)).toEqual([]);
    const sizes = leavesOf(core, map);
    expect(sizes.length).toBe(Math.ceil(count / Math.max(...sizes)));
    expect(sizes.reduce((sum, size) => sum + size)).toBe(count);
  }
});

test('values are what their kind is: texts, bytes, maps', () => {
  const core = newCore();
  const map = newSorted<string, Uint8Array>(core, str, bytes());
  map.set('a', Uint8Array.of(1, 2)).set('b', new Uint8Array(0)).set('a', Uint8Array.of(3));
  expect([...map]).toEqual([['a', Uint8Array.of(3)], ['b', new Uint8Array(0)]]);
  const outer: Loose = newSorted(core, str, sorted(u32, str));
  outer.set('x', [[2, 'two'], [1, 'one']]);
  const inner = outer.get('x') as Loose;
  expect([...inner]).toEqual([[1, 'one'], [2, 'two']]);
  expect(outer.get('x')).toBe(inner);
  inner.set(3, 'three');
  expect((outer.get('x') as Loose).size).toBe(3);
  // A value whose making changes the map it is for.
  function* pairs(): Generator<[number, string]> {
    for (let i = 0; i < 500; i++) outer.set(`y${i}`, undefined);
    outer.delete('x');
    yield [7, 'seven'];
  }
  outer.set('x', pairs());
  expect([...(outer.get('x') as Loose)]).toEqual([[7, 'seven']]);
  expect(outer.size).toBe(501);
  expect(findings(core, outer)).toEqual([]);
});

test('a map is printed with what is in it', () => {
  const core = newCore();
  expect(inspect(newSorted(core, str, u32, { b: 2, a: 1 })))
    .toBe("sorted(str,u32) Map(2) { 'a' => 1, 'b' => 2 }");
  const many = Array.from({ length: 250 }, (_, i) => [i, i]);
  expect(inspect(newSorted(core, u32, u32, many))).toMatch(/ 99 => 99\n\} and 150 more$/);
  const map = newSorted<number, number>(core, u32, u32, [[2, 20], [1, 10]]);
  const seen: unknown[] = [];
  map.forEach((value, key, whole) => seen.push([value, key, whole === map]));
  expect(seen).toEqual([[10, 1, true], [20, 2, true]]);
  core.expire(null);
  expect(inspect(map)).toBe('sorted(u32,u32) (stale)');
});

test('what a map is made from', () => {
  const core = newCore();
  const pairs: [string, number][] = [['b', 2], ['a', 1], ['b', 3]];
  const expected = [['a', 1], ['b', 3]];
  expect([...newSorted(core, str, u32)]).toEqual([]);
  expect([...newSorted(core, str, u32, pairs)]).toEqual(expected);
  expect([...newSorted(core, str, u32, new Map(pairs))]).toEqual(expected);
  expect([...newSorted(core, str, u32, Object.fromEntries(pairs))]).toEqual(expected);
  expect([...newSorted(core, str, u32, new Map(pairs).entries())]).toEqual(expected);
  const other: Loose = newSorted(newCore(), str, u32, pairs);
  expect([...newSorted(core, str, u32, other)]).toEqual(expected);
  const { busyBlocks } = core.memory.region.stat();
  const misfits: unknown[] = [null, 1, 'ab', [1], [null], [['a', -1]], [['a', 1], ['b', 'x']],
    [[1, 1]], new Date(), { a: 'x' }];
  for (const given of misfits) expectCode('ERR_SCHEMA', () => newSorted(core, str, u32, given));
  expectCode('ERR_SCHEMA', () => newSorted(core, i32, u32, { 1: 1 }));
  const failing = function* () {
    for (let i = 0; i < 300; i++) yield [`key ${i}`, i];
    throw new Error('enough');
  };
  expect(() => newSorted(core, str, u32, failing())).toThrow('enough');
  // Another type is known from now on, a text.
  expect(core.memory.region.stat().busyBlocks).toBe(busyBlocks + 1);
});
