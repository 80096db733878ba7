/**
 * Lists of every kind beside arrays: random steps change both, and after each one the contents, the
 * invariants and what was returned are compared. At the end nothing is left in the region.
 */
import { describe, expect, test } from 'vitest';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import { bool, date, f32, f64, i16, i64, i8, type Kind, list, optional, ref, str, u16, u32, u64,
  u8 } from '../src/objects/kinds.ts';
import type { PersistentList } from '../src/objects/persistent.ts';
import { struct } from '../src/objects/struct.ts';
import type { Method } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { findingsOf } from './support/lists.ts';
import { newSeed, often, type Random, randomFrom } from './support/oracle.ts';

type List = PersistentList<unknown>;

/** Values of a kind, and one that does not fit. */
interface Values {
  readonly kind: Kind;
  make(random: Random): unknown;
  readonly misfit: unknown;
}

const Item = struct('Item', { n: u32 });
const WORDS = ['', 'a', 'zwölf', 'длинный', '漢字', '\ud800', 'x'.repeat(40), '😀', '10', '9'];

const KINDS: readonly Values[] = [
  { kind: u8, make: (random) => random(256), misfit: 256 },
  { kind: i8, make: (random) => random(256) - 128, misfit: -129 },
  { kind: u16, make: (random) => random(65_536), misfit: 1.5 },
  { kind: i16, make: (random) => random(65_536) - 32_768, misfit: '1' },
  { kind: u32, make: (random) => random(2 ** 32), misfit: -1 },
  { kind: f32, make: (random) => Math.fround(random(1000) / 7), misfit: 1n },
  { kind: f64, make: (random) => [Number.NaN, -0, Infinity, random(1000) / 7][random(4)],
    misfit: '1' },
  { kind: i64, make: (random) => BigInt(random(1000) - 500) << 53n, misfit: 1n << 63n },
  { kind: u64, make: (random) => BigInt(random(1000)) << 54n, misfit: -1n },
  { kind: bool, make: (random) => random(2) === 1, misfit: 0 },
  { kind: date, make: (random) => new Date(random(2000) * 1e9), misfit: 5 },
  { kind: str, make: (random) => WORDS[random(WORDS.length)], misfit: 7 },
  { kind: optional(u8), make: (random) => random(3) === 0 ? undefined : random(256), misfit: 256 },
  { kind: optional(str), make: (random) => random(3) === 0 ? undefined : WORDS[random(10)],
    misfit: null },
];

/** A value as it can be compared: dates by their time, lists by their contents. */
function plain(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && 'splice' in value) {
    return [...value as List].map(plain);
  }
  return value instanceof Date ? value.getTime() : value;
}

/** One step: what it does to both; what it returns is compared. */
type Step = (both: { list: List; model: unknown[]; random: Random; values: Values }) => void;

function same(a: unknown, b: unknown): void {
  const both = [a, b].map((one) => Array.isArray(one) ? one.map(plain) : plain(one));
  expect(both[0]).toEqual(both[1]);
}

function several({ random, values }: { random: Random; values: Values }, most: number): unknown[] {
  return Array.from({ length: random(most) }, () => values.make(random));
}

/** Also outside, negative, broken. */
function anyPlace(random: Random, length: number): number {
  if (random(20) === 0) return [Number.NaN, Infinity, -Infinity, 1e12][random(4)];
  return random(2 * length + 4) - length - 2 + (random(10) === 0 ? 0.5 : 0);
}

const ascending = (a: unknown, b: unknown): number => {
  const [x, y] = [plain(a), plain(b)] as [number, number];
  return x < y ? -1 : Number(x > y);
};

const STEPS: readonly Step[] = [
  ({ list, model, random, values }) => {
    const value = values.make(random);
    same(list.push(value), model.push(value));
  },
  (both) => {
    const given = several(both, 4);
    same(both.list.push(...given), both.model.push(...given));
  },
  (both) => {
    const given = several(both, 30);
    both.model.push(...given);
    same(both.list.pushAll(both.random(2) === 0 ? given : given.values()), both.model.length);
  },
  ({ list, model }) => same(list.pop(), model.pop()),
  ({ list, model }) => same(list.shift(), model.shift()),
  (both) => {
    const given = several(both, 3);
    same(both.list.unshift(...given), both.model.unshift(...given));
  },
  (both) => {
    const { list, model, random } = both;
    const start = anyPlace(random, model.length);
    if (random(8) === 0) return same(list.splice(start), model.splice(start));
    const count = random(4) === 0 ? anyPlace(random, model.length) : random(6);
    const given = several(both, 6);
    same(list.splice(start, count, ...given), model.splice(start, count, ...given));
  },
  ({ list, model, random, values }) => {
    const i = random(model.length + 1);
    const value = values.make(random);
    list.set(i > 0 && random(3) === 0 && i < model.length ? i - model.length : i, value);
    model[i] = value;
  },
  (both) => {
    const { list, model, random, values } = both;
    const [from, to] = [anyPlace(random, model.length), anyPlace(random, model.length)];
    const value = values.make(random);
    same([...list.fill(value, from, to)], model.fill(value, from, to));
  },
  ({ list, model }) => same([...list.reverse()], model.reverse()),
  ({ list, model, random }) => {
    const how = random(2) === 0 ? undefined : ascending;
    same([...list.sort(how)], model.sort(how));
  },
  ({ list, model, random }) => {
    const [from, to] = [anyPlace(random, model.length), anyPlace(random, model.length)];
    same(list.slice(from, to), model.slice(from, to));
    same(list.slice(from), model.slice(from));
    same(list.at(from), model.at(from));
  },
  ({ list, model, random, values }) => {
    const value = values.make(random);
    const from = anyPlace(random, model.length);
    const isDate = value instanceof Date;
    const numbers = isDate ? model.map(plain) : model;
    const wanted = isDate ? plain(value) : value;
    same(list.indexOf(value, from), numbers.indexOf(wanted, from));
    same(list.includes(value, from), numbers.includes(wanted, from));
    expect(list.includes(values.misfit)).toBe(false);
  },
  (both) => {
    const given = [...several(both, 3), both.values.misfit];
    expectCode('ERR_SCHEMA', () => both.list.pushAll(given));
    expectCode('ERR_SCHEMA', () => both.list.push(...given));
    expectCode('ERR_SCHEMA', () => both.list.push(both.values.misfit));
    expectCode('ERR_SCHEMA', () => both.list.unshift(...given));
    expectCode('ERR_SCHEMA', () => both.list.splice(1, 2, ...given));
    expectCode('ERR_SCHEMA', () => both.list.set(0, both.values.misfit));
    if (both.model.length > 0) {
      expectCode('ERR_SCHEMA', () => both.list.fill(both.values.misfit));
    }
  },
  ({ list, model, random }) => {
    if (random(10) !== 0) return;
    list.clear();
    model.length = 0;
  },
];

function run(method: Method, values: Values, seed: number, count: number): void {
  const { heap, region } = newHeap('64MiB', method);
  const Holder = struct('Holder', { all: list(values.kind) });
  const holder = heap.create(Holder) as unknown as { all: List };
  const all = holder.all;
  const before = region.stat().busyBlocks;
  const model: unknown[] = [];
  const random = randomFrom(seed);
  for (let i = 0; i < count; i++) {
    STEPS[random(STEPS.length)]({ list: all, model, random, values });
    same([...all], model);
    expect(all.length).toBe(model.length);
    expect(findingsOf(all), `step ${i} of seed ${seed}`).toEqual([]);
  }
  expect(region.check()).toEqual([]);
  all.clear();
  expect(region.stat().busyBlocks).toBe(before);
}

describe.each([best, slab])('$name', (method) => {
  test.each(KINDS.map((one) => [one.kind.of === undefined ? one.kind.name
    : `${one.kind.name}(${one.kind.of.name})`, one] as const))('list(%s)', (_, values) => {
    run(method, values, newSeed(), often(600, 20_000));
  });
});

test('references: the handles are the same', () => {
  const { heap } = newHeap();
  const Holder = struct('Holder', { all: list(ref(Item)) });
  const items = Array.from({ length: 50 }, (_, n) => heap.create(Item, { n }));
  const values: Values = { kind: ref(Item), misfit: heap.create(Holder),
    make: (random) => random(10) === 0 ? null : items[random(items.length)] };
  const all = heap.create(Holder).all as unknown as List;
  const model: unknown[] = [];
  const random = randomFrom(newSeed());
  for (let i = 0; i < often(1500, 30_000); i++) {
    const step = STEPS[random(STEPS.length)];
    // Objects have no order of their own that both sides could be sorted into.
    if (step.toString().includes('sort')) continue;
    step({ list: all, model, random, values });
    expect(all.length).toBe(model.length);
    expect(model.every((value, k) => all.at(k) === value), `step ${i}`).toBe(true);
    expect(findingsOf(all)).toEqual([]);
  }
});

test('lists in lists: arrays become lists, lists are shared', () => {
  const { heap, region } = newHeap();
  const Holder = struct('Holder', { all: list(list(u16)) });
  const { all } = heap.create(Holder);
  const one = heap.create(Holder, { all: [[1, 2], new Set([3])] }).all.at(0)!;
  all.push(one, one);
  expect(all.at(0)).toBe(all.at(1));
  one.push(9);
  expect([...all.at(1)!]).toEqual([1, 2, 9]);
  all.fill([7] as never, 0, 2);
  expect(all.at(0)).toBe(all.at(1));
  expect(all.at(0)).not.toBe(one);
  expect([...all.at(0)!]).toEqual([7]);
  expect(all.indexOf(all.at(1)!)).toBe(0);
  expect(all.includes(one)).toBe(false);
  expect(findingsOf(all)).toEqual([]);
  expect(region.check()).toEqual([]);
});
