/**
 * Fields of objects: every kind takes its values and gives them back to the bit, refuses all others
 * by name, and leaves its neighbours alone.
 */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { slab } from '../src/methods/slab.ts';
import type { Handle } from '../src/objects/handles.ts';
import { any, array, bool, bytes, date, f32, f64, i16, i32, i64, i8, type Kind, list, map, optional,
  ref, set, sorted, str, textOf, u16, u32, u64, u8 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, randomFrom } from './support/oracle.ts';

type Loose = Record<string, unknown>;

/** A kind: what it holds at its borders, what is none of it, and what it is at first. */
interface Case {
  readonly kind: Kind;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
  readonly blank: unknown;
}

const NO_NUMBERS = ['1', null, true, 1n, {}, [1], Symbol.iterator, () => 1, new Number(1)];

function whole(kind: Kind, least: number, most: number): Case {
  const bad = [least - 1, most + 1, 0.5, -0.5, Number.NaN, Infinity, -Infinity, 2 ** 32, 2 ** 53];
  return { kind, good: [least, -0 + least, 0, 1, most - 1, most], blank: 0,
    bad: [...bad, ...NO_NUMBERS] };
}

const FLOATS = [0, -0, 1.5, -1e300, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53, Infinity,
  -Infinity, Number.NaN];
const Other = struct('Other', { n: u8 });
const Third = struct('Third', { n: u8 });

const CASES: readonly Case[] = [
  whole(u8, 0, 255), whole(i8, -128, 127), whole(u16, 0, 65_535), whole(i16, -32_768, 32_767),
  whole(u32, 0, 2 ** 32 - 1), whole(i32, -(2 ** 31), 2 ** 31 - 1),
  { kind: f64, good: FLOATS, bad: NO_NUMBERS, blank: 0 },
  { kind: f32, good: FLOATS.map(Math.fround), bad: NO_NUMBERS, blank: 0 },
  { kind: i64, good: [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, -(2n ** 32n)],
    bad: [2n ** 63n, -(2n ** 63n) - 1n, 1, '1', null, true, {}], blank: 0n },
  { kind: u64, good: [0n, 1n, 2n ** 64n - 1n, 2n ** 63n, 2n ** 32n],
    bad: [2n ** 64n, -1n, 0, '1', null, {}], blank: 0n },
  { kind: bool, good: [true, false], bad: [0, 1, 'true', null, {}, 1n], blank: false },
  { kind: date, good: [new Date(0), new Date(-1.5e12), new Date(8.64e15), new Date(Number.NaN)],
    bad: [0, '2020', null, {}, new Date().toISOString()], blank: new Date(0) },
  { kind: str, good: ['', 'a', 'ÿ', '漢字', '\ud800', 'x'.repeat(100)],
    bad: [5, null, {}, ['a'], true, 1n, new String('a')], blank: '' },
  { kind: bytes(),
    good: [new Uint8Array(0), Uint8Array.of(1, 2, 255), new Uint8Array(1000).fill(7)],
    bad: [[1, 2], 'ab', new ArrayBuffer(2), new Uint16Array(2), new DataView(new ArrayBuffer(2)), 5,
      null], blank: new Uint8Array(0) },
  { kind: any, good: [null, undefined, true, 1.5, 'a', 2n ** 70n], bad: [() => 1, Symbol.iterator],
    blank: undefined },
];

const nameOf = (one: Case) => textOf(one.kind);

/** The same, to the bit. */
function same(a: unknown, b: unknown): void {
  if (typeof a === 'number') expect(Object.is(a, b), `${String(a)} is not ${String(b)}`).toBe(true);
  else expect(a).toEqual(b);
}

/** Everything between two fields that are watched. */
function between(one: Case) {
  return struct('Between', { before: u8, value: one.kind, after: u8, last: u16 });
}

describe.each(CASES.map((one) => [nameOf(one), one] as const))('%s', (name, one) => {
  const { heap, region } = newHeap('16MiB');
  const Between = between(one);

  test('takes its values, at their borders too, when it is created and later', () => {
    const object = heap.create(Between, { before: 255, after: 255, last: 65_535 }) as Loose;
    same(object.value, one.blank);
    for (const value of one.good) {
      object.value = value;
      same(object.value, value);
      const created = heap.create(Between, { before: 1, value, last: 3 } as never) as Loose;
      same(created.value, value);
      expect([object.before, object.after, object.last]).toEqual([255, 255, 65_535]);
      expect([created.before, created.after, created.last]).toEqual([1, 0, 3]);
    }
  });

  test('refuses others: ERR_SCHEMA names type, field and kind, the object is as it was', () => {
    const value = one.good.at(-1);
    const object = heap.create(Between, { value } as never) as Loose;
    const before = region.stat().busyBlocks;
    for (const bad of one.bad) {
      const set = expectCode('ERR_SCHEMA', () => { object.value = bad; });
      expect(set.message).toContain('Between.value');
      if (one.kind !== any) expect(set.message).toContain(name);
      const made = expectCode('ERR_SCHEMA', () => heap.create(Between, { before: 1, value: bad } as
        never));
      expect(made.message).toContain('Between.value');
      same(object.value, value);
    }
    expect(region.stat().busyBlocks).toBe(before);
  });

  test('undefined is refused when it is set, and as good as left out when it is created', () => {
    const object = heap.create(Between, { value: undefined } as never) as Loose;
    same(object.value, one.blank);
    if (one.kind !== any) expectCode('ERR_SCHEMA', () => { object.value = undefined; });
  });

  test('defaults: for what is left out, and refused by name where they do not fit', () => {
    const value = one.good.at(-1);
    const Given = struct('Given', { id: u32, value: one.kind }, { defaults: { value } });
    same((heap.create(Given) as Loose).value, value);
    same((heap.create(Given, { id: 1, value: one.good[0] } as never) as Loose).value, one.good[0]);
    const Bad = struct('BadDefault', { value: one.kind }, { defaults: { value: one.bad[0] } });
    const before = region.stat().busyBlocks;
    const error = expectCode('ERR_SCHEMA', () => {
      heap.create(Bad);
      heap.create(Bad);
    });
    expect(error.message).toContain('value');
    expect(region.stat().busyBlocks - before).toBeLessThanOrEqual(3);
  });
});

const OPTIONAL = CASES.filter(({ kind }) => kind !== any);

describe.each(OPTIONAL.map((one) => [`optional(${nameOf(one)})`, one] as const))('%s', (_, one) => {
  const { heap, region } = newHeap('16MiB');
  const Between = between({ ...one, kind: optional(one.kind) });

  test('is undefined at first; every value of the kind and undefined, in any order', () => {
    const object = heap.create(Between, { before: 255, after: 255, last: 65_535 }) as Loose;
    expect(object.value).toBeUndefined();
    for (const value of one.good) {
      object.value = value;
      same(object.value, value);
      object.value = value;
      same(object.value, value);
      object.value = undefined;
      expect(object.value).toBeUndefined();
      object.value = undefined;
      same((heap.create(Between, { value } as never) as Loose).value, value);
      expect([object.before, object.after, object.last]).toEqual([255, 255, 65_535]);
    }
  });

  test('refuses what the kind does', () => {
    const object = heap.create(Between) as Loose;
    const before = region.stat().busyBlocks;
    for (const bad of one.bad) {
      const error = expectCode('ERR_SCHEMA', () => { object.value = bad; });
      expect(error.message).toContain('Between.value');
      expect(object.value).toBeUndefined();
    }
    object.value = one.good[1];
    for (const bad of one.bad) expectCode('ERR_SCHEMA', () => { object.value = bad; });
    object.value = undefined;
    expect(region.stat().busyBlocks).toBe(before);
    object.value = one.good[1];
    for (const bad of one.bad) expectCode('ERR_SCHEMA', () => { object.value = bad; });
    same(object.value, one.good[1]);
  });
});

test('optional floats are as exact as their kind', () => {
  const Maybe = struct('Maybe', { a: optional(f64), b: optional(f32) });
  const made = newHeap().heap.create(Maybe, { a: 0.1, b: 0.1 });
  expect([made.a, made.b]).toEqual([0.1, Math.fround(0.1)]);
});

test('a NaN with the bits of an empty slot is a NaN', () => {
  const { heap } = newHeap();
  const Maybe = struct('Maybe', { a: optional(f64), b: optional(f32), c: f64, d: any });
  const words = Uint32Array.of(0, 0x7ff80001);
  const [nan] = new Float64Array(words.buffer);
  for (let high = 0x7ff80000; high < 0x7ff80010; high++) {
    words[1] = high;
    const given = new Float64Array(words.buffer)[0];
    const made = heap.create(Maybe, { a: given, b: given, c: given, d: given });
    expect([made.a, made.b, made.c, made.d]).toEqual([nan, nan, nan, nan]);
    made.a = undefined;
    made.a = given;
    expect(made.a).toBeNaN();
  }
});

describe('references', () => {
  const { heap } = newHeap();
  const Node = struct('Node', { next: ref(() => Node), other: ref(Other),
    maybe: optional(ref(Other)) });

  test('null or an object of the struct; cycles; the same handle', () => {
    const node = heap.create(Node);
    const other = heap.create(Other, { n: 5 });
    expect([node.next, node.other, node.maybe]).toEqual([null, null, undefined]);
    node.next = node;
    node.other = other;
    node.maybe = other;
    expect(node.next).toBe(node);
    expect(node.other).toBe(other);
    expect(node.maybe).toBe(other);
    node.next = null;
    node.maybe = null;
    expect([node.next, node.maybe]).toEqual([null, null]);
    node.maybe = undefined;
    expect(node.maybe).toBeUndefined();
  });

  test('others are refused: of another struct, plain, of another heap, stale', () => {
    const other = heap.create(Other, { n: 5 });
    const node = heap.create(Node, { other }) as unknown as Loose;
    const third = heap.create(Third);
    for (const bad of [third, node, {}, { n: 5 }, 5, 'x', undefined, []]) {
      expect(expectCode('ERR_SCHEMA', () => { node.other = bad; }).message).toContain('Node.other');
    }
    expect(expectCode('ERR_SCHEMA', () => { node.other = third; }).message)
      .toBe('Node.other: a Third does not fit kind ref(Other)');
    const foreign = newHeap().heap.create(Other);
    expectCode('ERR_MISMATCH', () => { node.other = foreign; });
    const stale = heap.create(Other);
    const { $bound: { core }, $at } = stale as unknown as Handle;
    core.handles.expire($at >>> 2);
    expectCode('ERR_STALE', () => { node.other = stale; });
    expect(node.other).toBe(other);
  });
});

describe('inside objects', () => {
  const { heap } = newHeap();
  const KINDS = [[u8, Uint8Array], [i8, Int8Array], [u16, Uint16Array], [i16, Int16Array],
    [u32, Uint32Array], [i32, Int32Array], [f32, Float32Array], [f64, Float64Array],
    [i64, BigInt64Array], [u64, BigUint64Array]] as const;

  test.each(KINDS.map(([kind, made]) => [`array(${kind.name}, 5)`, kind, made] as const))('%s',
    (_, kind, Made) => {
      const Holder = struct(`Holder_${kind.name}`, { a: u8, all: array(kind, 5), b: u8 });
      const isBig = kind === i64 || kind === u64;
      const values = [1, 2, 3, 4, 100].map((n) => isBig ? BigInt(n) : n);
      const made = heap.create(Holder, { a: 255, all: values as never, b: 255 });
      expect(made.all).toBeInstanceOf(Made);
      expect([...made.all]).toEqual(values);
      (made.all as unknown as Loose)[4] = values[0];
      expect(made.all[4]).toBe(values[0]);
      made.all = new Made(5) as never;
      expect([...made.all].map(Number)).toEqual([0, 0, 0, 0, 0]);
      expect([made.a, made.b]).toEqual([255, 255]);
      const wrong = isBig ? [1, 2, 3, 4, 5] : [1n, 2n, 3n, 4n, 5n];
      for (const bad of [values.slice(1), [...values, values[0]], wrong, 'abcde', null, 5, {},
        { length: 5 }, [undefined, ...values.slice(1)]]) {
        const error = expectCode('ERR_SCHEMA', () => { made.all = bad as never; });
        expect(error.message).toContain('.all');
      }
      expect([...heap.create(Holder).all].map(Number)).toEqual([0, 0, 0, 0, 0]);
    });

  test('bytes(n): exactly n, a view of the object itself', () => {
    const Holder = struct('Holder', { a: u8, key: bytes(16), b: u8 });
    const made = heap.create(Holder, { a: 9, key: new Uint8Array(16).fill(7), b: 9 });
    const view = made.key;
    expect(view).toEqual(new Uint8Array(16).fill(7));
    view[3] = 1;
    expect(made.key[3]).toBe(1);
    made.key = new Uint8Array(16);
    expect(view[0]).toBe(0);
    for (const n of [0, 15, 17]) {
      expectCode('ERR_SCHEMA', () => { made.key = new Uint8Array(n); });
      expectCode('ERR_SCHEMA', () => heap.create(Holder, { key: new Uint8Array(n) }));
    }
    expect([made.a, made.b]).toEqual([9, 9]);
    const Small = struct('Small', { one: bytes(1), three: bytes(3), last: u8 });
    const given = { one: Uint8Array.of(1), three: Uint8Array.of(2, 3, 4), last: 5 };
    const small = heap.create(Small, given);
    expect([[...small.one], [...small.three], small.last]).toEqual([[1], [2, 3, 4], 5]);
  });
});

test('narrow fields side by side: random writes disturb none of the others', () => {
  const { heap } = newHeap();
  const kinds: Record<string, [Kind, number, number]> = {};
  const narrow: [Kind, number, number][] = [[u8, 0, 256], [i8, -128, 256], [u16, 0, 65_536],
    [i16, -32_768, 65_536], [u32, 0, 2 ** 32], [i32, -(2 ** 31), 2 ** 32], [bool, 0, 2]];
  for (let i = 0; i < 24; i++) kinds[`f${i}`] = narrow[i % 7];
  const Wide = struct('Wide', Object.fromEntries(Object.entries(kinds).map(([name, [kind]]) =>
    [name, kind])));
  const random = randomFrom(newSeed());
  const object = heap.create(Wide) as Loose;
  const model: Loose = Object.fromEntries(Object.entries(kinds).map(([name, [kind]]) =>
    [name, kind === bool ? false : 0]));
  for (let i = 0; i < 5000; i++) {
    const name = `f${random(24)}`;
    const [kind, least, count] = kinds[name];
    const value = kind === bool ? random(2) === 1 : least + random(count);
    object[name] = value;
    model[name] = value;
    if (i % 10 === 0) {
      for (const [each, expected] of Object.entries(model)) {
        if (object[each] !== expected) expect.fail(`${each} is ${String(object[each])} at ${i}`);
      }
    }
  }
});

test('no byte behind an object is written: its neighbours in memory are as they were', () => {
  const { heap, region } = newHeap('16MiB', slab);
  for (let n = 1; n <= 40; n++) {
    const Odd = struct(`Odd${n}`, Object.fromEntries(Array.from({ length: n }, (_, i) =>
      [`f${i}`, u8])));
    const all = Array.from({ length: 20 }, () => heap.create(Odd) as Loose);
    for (const one of all) for (let i = 0; i < n; i++) one[`f${i}`] = (i * 7) & 255;
    for (const one of all) for (let i = 0; i < n; i++) expect(one[`f${i}`]).toBe((i * 7) & 255);
  }
  expect(region.check()).toEqual([]);
});

describe('create', () => {
  const { heap, region } = newHeap();
  const Task = struct('Task', { id: u32, title: str, tags: list(str), by: map(str, u8),
    marks: set(u8), times: sorted(f64, str), at: optional(date) });

  test('fields in any order, left out, from other objects', () => {
    const one = heap.create(Task, { tags: ['a', 'b'], title: 'x', id: 7 });
    expect([one.id, one.title, [...one.tags]]).toEqual([7, 'x', ['a', 'b']]);
    const times = new Map([[2, 'b'], [1, 'a']]);
    const two = heap.create(Task, { by: { a: 1 }, marks: [3, 3], times });
    expect([[...two.by], [...two.marks], [...two.times]])
      .toEqual([[['a', 1]], [3], [[1, 'a'], [2, 'b']]]);
    const three = heap.create(Task, { title: one.title, tags: one.tags });
    expect(three.tags).toBe(one.tags);
    expect(heap.create(Task).at).toBeUndefined();
  });

  test('an unknown field is refused and named, with those that there are; nothing is left', () => {
    const before = region.stat().busyBlocks;
    const given = { id: 1, title: 'long enough to have a block', titel: 'x' };
    const error = expectCode('ERR_SCHEMA', () => heap.create(Task, given));
    expect(error.message).toMatch(/Task has no field 'titel'.*id, title, tags/);
    expect(region.stat().busyBlocks).toBe(before);
    expect(() => heap.create(Task, { title: 'x', get id(): number { throw new Error('mine'); } }))
      .toThrow('mine');
    expect(region.stat().busyBlocks).toBe(before);
  });

  test('a struct without fields, and one of a thousand', () => {
    const Empty = struct('Empty', {});
    expect(heap.create(Empty).toJS()).toEqual({});
    const names = Array.from({ length: 1000 }, (_, i) => `f${i}`);
    const Many = struct('Many', Object.fromEntries(names.map((name, i) =>
      [name, [u8, str, f64, optional(i16)][i % 4]])));
    const many = heap.create(Many, Object.fromEntries(names.map((name, i) =>
      [name, i % 4 === 1 ? name : i % 200]))) as unknown as Loose;
    expect(names.every((name, i) => many[name] === (i % 4 === 1 ? name : i % 200))).toBe(true);
  });

  test('fields are enumerable on the prototype; a stale object throws on all of them', () => {
    const task = heap.create(Task, { id: 3 });
    const names: string[] = [];
    for (const name in task) if (!name.startsWith('$')) names.push(name);
    expect(names).toEqual(['id', 'title', 'tags', 'by', 'marks', 'times', 'at']);
    expect('title' in task).toBe(true);
    const { $bound: { core }, $at } = task as unknown as Handle;
    core.handles.expire($at >>> 2);
    for (const name of names) {
      expectCode('ERR_STALE', () => (task as unknown as Loose)[name]);
      expectCode('ERR_STALE', () => { (task as unknown as Loose)[name] = 1; });
    }
    expectCode('ERR_STALE', () => task.keep());
  });
});

describe('looking at an object', () => {
  test('changes nothing: collections that nobody asked for stay unset', () => {
    const { heap, region } = newHeap('1MiB');
    const Holder = struct('Holder', { items: list(u32), names: map(str, u32) });
    const holder = heap.create(Holder);
    const before = region.stat().busyBlocks;
    expect(inspect(holder)).toBe('Holder { items: [], names: Map(0) {} }');
    expect(holder.toJS()).toEqual({ items: [], names: new Map() });
    expect(region.stat().busyBlocks).toBe(before);
  });
});

test('what lies inside an object takes only numbers of its kind', () => {
  const { heap } = newHeap('1MiB');
  const Holder = struct('Holder', { whole: array(u8, 2), big: array(u64, 1), raw: bytes(2) });
  const holder = heap.create(Holder, { whole: [1, 2], big: [3n], raw: new Uint8Array([4, 5]) });
  const before = holder.toJS();
  for (const [name, value] of [['whole', [1.5, 0]], ['whole', [256, 0]], ['whole', [-1, 0]],
    ['whole', ['1', 0]], ['big', [-1n]], ['big', [2n ** 64n]], ['big', [1]], ['raw', [256, 0]]]) {
    const loose = holder as unknown as Record<string, unknown>;
    expectCode('ERR_SCHEMA', () => { loose[name as string] = value; });
  }
  expect(holder.toJS()).toEqual(before);
});
