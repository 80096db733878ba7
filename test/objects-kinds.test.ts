/** Kinds and structs as they are declared: their texts, and what is refused, and where. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { any, array, bool, bytes, date, f32, f64, i16, i32, i64, i8, isTypeName, type Kind, list,
  map, optional, parseKind, ref, set, sorted, str, textOf, u16, u32, u64, u8 }
  from '../src/objects/kinds.ts';
import { kindsOf, type Struct, struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';

const NUMBERS = [u8, i8, u16, i16, u32, i32, f32, f64, i64, u64];
const Task = struct('Task', { id: u32 });

const names = fc.constantFrom('Task', 'Ünï', '_a', '$x', 'a.b-c', 'T'.repeat(200));
const leaves: fc.Arbitrary<Kind> = fc.oneof(
  fc.constantFrom<Kind>(...NUMBERS, bool, date, str, any, bytes()),
  fc.integer({ min: 1, max: 2 ** 24 }).map((n) => bytes(n)),
  names.map((name) => ref({ name, fields: {} })),
);
const keys: fc.Arbitrary<Kind> = fc.oneof(
  fc.constantFrom<Kind>(...NUMBERS, bool, date, str, any), names.map((name) =>
    ref({ name, fields: {} })));
const ordered: fc.Arbitrary<Kind> = fc.constantFrom<Kind>(...NUMBERS, bool, date, str);
const { kind: kinds } = fc.letrec<{ kind: Kind }>((tie) => ({
  kind: fc.oneof({ depthSize: 'medium', withCrossShrink: true }, leaves,
    tie('kind').map((of) => list(of)),
    tie('kind').map((of) => of.name === 'optional' ? of : optional(of)),
    keys.map((key) => set(key)),
    fc.tuple(keys, tie('kind')).map(([key, of]) => map(key, of)),
    fc.tuple(ordered, tie('kind')).map(([key, of]) => sorted(key, of))),
}));

describe('texts', () => {
  test('of each kind', () => {
    const all: [Kind, string][] = [
      [u8, 'u8'], [i64, 'i64'], [any, 'any'], [bytes(), 'bytes'], [bytes(16), 'bytes(16)'],
      [ref(Task), 'ref(Task)'], [ref(() => Task), 'ref(Task)'], [optional(str), 'optional(str)'],
      [list(list(u32)), 'list(list(u32))'], [set(date), 'set(date)'],
      [map(str, list(bool)), 'map(str,list(bool))'], [sorted(f64, any), 'sorted(f64,any)'],
      [array(f32, 3), 'array(f32,3)'],
    ];
    for (const [kind, text] of all) {
      expect(textOf(kind)).toBe(text);
      expect(textOf(parseKind(text)!)).toBe(text);
    }
  });

  test('come back as the kinds they were', () => {
    fc.assert(fc.property(kinds, (kind) => {
      const text = textOf(kind);
      expect(parseKind(text)).toEqual(kind);
    }), { numRuns: 500 });
    for (const of of NUMBERS) {
      expect(parseKind(textOf(array(of, 2 ** 24)))).toEqual(array(of, 2 ** 24));
    }
  });

  test('whatever the text: a kind with that text, or null', () => {
    const pieces = fc.constantFrom('list', 'map', 'bytes', 'array', 'ref', 'optional', 'u32', 'str',
      '(', ')', ',', ' ', '16', '0x10', '1e1', '-1', 'Task', '__proto__', 'constructor', 'é');
    const texts = fc.oneof(fc.string(), fc.array(pieces, { maxLength: 12 }).map((all) =>
      all.join('')), kinds.map(textOf).chain((text) => fc.nat(text.length).map((n) =>
      text.slice(0, n))));
    fc.assert(fc.property(texts, (text) => {
      const kind = parseKind(text);
      if (kind !== null) expect(textOf(kind)).toBe(text);
    }), { numRuns: 2000 });
    for (const text of ['', 'list', 'list()', 'bytes()', 'bytes(0)', 'bytes(016)', 'bytes(0x10)',
      'array(str,3)', 'array(f64,3', 'set(list(u8))', 'sorted(any,u8)', 'optional(optional(u8))',
      'list(array(f64,3))', 'u32 ', 'toString', 'toString(u8)', 'constructor(u8)', 'ref(a b)',
      'ref()', 'map(str)', 'list(u8,u8)', 'valueOf(u8,u8)']) {
      expect(parseKind(text), text).toBeNull();
    }
  });

  test('kinds inside one another are bounded, when read and when declared', () => {
    const nested = (depth: number) => `${'list('.repeat(depth)}u8${')'.repeat(depth)}`;
    expect(textOf(parseKind(nested(32))!)).toBe(nested(32));
    expect(parseKind(nested(33))).toBeNull();
    expect(parseKind('list('.repeat(1_000_000))).toBeNull();
    let kind: Kind = u8;
    for (let i = 0; i < 32; i++) kind = list(kind);
    expect(textOf(kind)).toBe(nested(32));
    expect(kindsOf(struct('Deep', { kind }))).toEqual([['kind', kind]]);
    expectCode('ERR_BAD_OPTION', () => list(kind));
    expectCode('ERR_BAD_OPTION', () => map(str, kind));
  });
});

describe('refused, with a message that says what to give', () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ['list of nothing', () => list(undefined as never), /list: undefined is no kind/],
    ['list of a function', () => list(String as never), /list: .* is no kind/],
    ['list of a word', () => list({ name: 'text' } as never), /no kind/],
    ['list of a struct', () => list(Task as never), /Task is a struct; give ref/],
    ['list of arrays', () => list(array(f64, 3)), /array lies inside an object/],
    ['optional of an array', () => optional(array(f64, 3)), /array lies inside an object/],
    ['map to arrays', () => map(str, array(f64, 3)), /array lies inside an object/],
    ['optional of optional', () => optional(optional(u8)), /once is enough/],
    ['optional of null', () => optional(null as never), /optional: null is no kind/],
    ['set of lists', () => set(list(u8)), /list\(u8\) cannot be a key/],
    ['map by bytes', () => map(bytes(), u8), /bytes cannot be a key/],
    ['map without values', () => map(str, undefined as never), /map: undefined is no kind/],
    ['sorted by references', () => sorted(ref(Task), u8), /ref\(Task\) have no order/],
    ['sorted by any', () => sorted(any, u8), /have no order/],
    ['sorted by lists', () => sorted(list(u8), u8), /cannot be a key/],
    ['array of texts', () => array(str, 3), /elements of kind str; give a kind of number/],
    ['array of bool', () => array(bool, 3), /give a kind of number/],
    ['ref to a word', () => ref('Task' as never), /give a struct/],
    ['ref to a kind', () => ref(u32 as never), /give a struct/],
    ['ref to nothing', () => ref(undefined as never), /give a struct/],
    ...[0, -1, 1.5, Number.NaN, Infinity, 2 ** 24 + 1, '3', null].flatMap((n) =>
      [['bytes', () => bytes(n as number)], ['array', () => array(f64, n as number)]]
        .map(([name, work]) => [`${String(name)} of ${String(n)}`, work as () => unknown,
          /is no length; give a whole number/] as [string, () => unknown, RegExp])),
  ];
  test.each(wrong)('%s', (_, work, message) => {
    expect(expectCode('ERR_BAD_OPTION', work).message).toMatch(message);
  });

  test('a function that returns no struct, when it is used', () => {
    const { heap } = newHeap();
    for (const given of [undefined, 5, {}, u32, { name: 'a b', fields: {} }]) {
      const Bad = struct('Bad', { to: ref(() => given) });
      expectCode('ERR_BAD_OPTION', () => heap.create(Bad));
    }
  });
});

describe('struct', () => {
  test('names', () => {
    for (const name of ['A', 'Ünï', '_a', '$x', 'a.b-c', 'object', 'list', 'T'.repeat(201)]) {
      expect(struct(name, {}).name).toBe(name);
      expect(isTypeName(name)).toBe(true);
    }
    for (const name of ['', '1a', 'a b', 'a,b', 'a)', 'a(b', '.a', 'T'.repeat(202), 5, null]) {
      expectCode('ERR_BAD_OPTION', () => struct(name as string, {}));
    }
  });

  test('fields that handles have themselves', () => {
    for (const field of ['keep', 'toJS', 'toJSON', 'constructor', '$at', '$group', '$anything']) {
      const error = expectCode('ERR_BAD_OPTION', () => struct('A', { [field]: u8 }));
      expect(error.message).toContain(`'${field}'`);
    }
    expectCode('ERR_BAD_OPTION', () => struct('A', Object.fromEntries([['__proto__', u8]])));
    const many = (n: number) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`f${i}`, u8]));
    expect(Object.keys(struct('A', many(1000)).fields).length).toBe(1000);
    expectCode('ERR_BAD_OPTION', () => struct('A', many(1001)));
  });

  test('fields that are no kinds, when it is used; the message names the field', () => {
    const { heap, region } = newHeap();
    const before = region.stat().busyBlocks;
    for (const kind of [undefined, null, 5, 'u32', Number, Task, { name: 'list' }, { name: 'Task' },
      { name: 'array', of: u8 }, { name: 'map', key: list(u8), of: u8 }]) {
      const Bad = struct('Bad', { good: u8, bad: kind });
      expect(expectCode('ERR_BAD_OPTION', () => heap.create(Bad)).message).toContain("field 'bad'");
    }
    expect(region.stat().busyBlocks).toBe(before);
    expect(heap.create(struct('Bad', { good: u8 })).good).toBe(0);
  });

  test('options: unknown ones, and fields that are not there', () => {
    const make = (options: object) => () => struct('A', { a: u8 }, options);
    expectCode('ERR_BAD_OPTION', make({ alias: { a: 'b' } }));
    expectCode('ERR_BAD_OPTION', make({ aliases: { b: 'a' } }));
    expectCode('ERR_BAD_OPTION', make({ defaults: { b: 1 } }));
    expectCode('ERR_BAD_OPTION', make({ defaults: 5 }));
    const made = struct('A', { a: u8 }, { aliases: { a: 'b' }, defaults: { a: 1 } });
    expect([made.aliases, made.defaults]).toEqual([{ a: 'b' }, { a: 1 }]);
    expect(Object.isFrozen(made)).toBe(true);
  });

  test('what is not a struct, given to create', () => {
    const { heap } = newHeap();
    for (const given of [undefined, null, 5, 'Task', {}, u32, () => Task]) {
      expectCode('ERR_BAD_OPTION', () => heap.create(given as unknown as Struct<object>));
    }
  });

  test('a struct may be called as a collection, or as what plain objects are', () => {
    const { heap } = newHeap();
    for (const name of ['object', 'list', 'map', 'str']) {
      const made = heap.create(struct(name, { n: u32, all: list(u32), plain: any }), { n: 7 });
      made.plain = { n: 1 };
      expect([made.n, [...made.all], made.toJS()])
        .toEqual([7, [], { n: 7, all: [], plain: { n: 1 } }]);
    }
  });
});
