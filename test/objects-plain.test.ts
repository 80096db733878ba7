/** Plain JavaScript into a heap and out of it again. */
import { deepStrictEqual } from 'node:assert';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as kinds from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { graphs, picture } from './support/values.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often } from './support/oracle.ts';

const anything = kinds.any;

/** Into a heap, out again. */
function through(value: unknown): unknown {
  const { heap } = newHeap();
  heap.root.set('it', value);
  const found = heap.root.get('it');
  return typeof found === 'object' && found !== null && 'toJS' in found
    ? (found as { toJS(): unknown }).toJS() : found;
}

describe('in and out', () => {
  test.each([
    ['an empty object', {}],
    ['an empty array', []],
    ['nothing in many forms', [undefined, null, '', 0, -0, NaN, false, 0n]],
    ['a nested object', { a: 1, list: [1, 'two', { three: [3n, true] }], none: null }],
    ['a Map and a Set', { m: new Map<unknown, unknown>([['a', 1], [2, new Set([1, 'x'])]]) }],
    ['dates, bytes, arrays', [new Date(5), new Uint8Array([1]), new Float64Array([NaN, -0])]],
    ['odd names', { '': 1, 'a b': 2, 'constructor': 3, 'toJS': 4, '$bound': 5, '$at': 6, 10: 7 }],
  ])('%s', (_, value) => {
    deepStrictEqual(through(value), value);
  });

  test('names that mean something to JavaScript', () => {
    const value = JSON.parse('{"__proto__": {"a": 1}, "hasOwnProperty": 2}') as object;
    const out = through(value) as object;
    deepStrictEqual(out, value);
    expect(Object.keys(out)).toEqual(['__proto__', 'hasOwnProperty']);
    expect(Object.getPrototypeOf(out)).toBe(Object.prototype);
  });

  test('shared references and cycles', () => {
    const shared = { x: 1 };
    const value: Record<string, unknown> = { a: shared, b: [shared], map: new Map(),
      set: new Set() };
    value.self = value;
    (value.map as Map<unknown, unknown>).set(value, value.set).set('shared', shared);
    (value.set as Set<unknown>).add(value.set).add(shared);
    const out = through(value) as typeof value;
    deepStrictEqual(out, value);
    expect(out.self).toBe(out);
    expect((out.b as unknown[])[0]).toBe(out.a);
    expect([...(out.map as Map<unknown, unknown>)][0]).toEqual([out, out.set]);
    expect([...(out.set as Set<unknown>)]).toEqual([out.set, out.a]);
  });

  test('what is plain in another realm, and what has no prototype', () => {
    const value = runInNewContext('({ a: [1], m: new Map([[1, new Set([2])]]) })') as unknown;
    deepStrictEqual(through(value), { a: [1], m: new Map([[1, new Set([2])]]) });
    const bare = Object.assign(Object.create(null) as object, { a: 1 });
    deepStrictEqual(through(bare), { a: 1 });
  });

  test('subclasses come back as their base', () => {
    class Bag extends Set<number> {}
    class Table extends Map<string, number> {}
    class Row extends Array<number> {}
    deepStrictEqual(through([new Bag([1]), new Table([['a', 1]]), Row.from([1, 2])]),
      [new Set([1]), new Map([['a', 1]]), [1, 2]]);
  });

  test('properties: own, enumerable, getters read once', () => {
    let reads = 0;
    const value = Object.defineProperty({
      get a() {
        reads += 1;
        return reads;
      },
    }, 'hidden', { value: 1, enumerable: false });
    deepStrictEqual(through(value), { a: 1 });
    expect(reads).toBe(1);
  });

  test('a million objects in a chain, in and out', { timeout: 600_000 }, () => {
    const length = often(100_000, 1_000_000);
    let chain: { next: unknown } | null = null;
    for (let i = 0; i < length; i++) chain = { next: chain };
    const { heap } = newHeap('1GiB');
    heap.root.set('chain', chain);
    let out = (heap.root.get('chain') as { toJS(): unknown }).toJS() as typeof chain;
    let count = 0;
    for (; out !== null; out = out.next as typeof chain) count += 1;
    expect(count).toBe(length);
  });

  test('random values, cycles included', { timeout: 600_000 }, () => {
    const { heap } = newHeap();
    fc.assert(fc.property(graphs, (value) => {
      heap.root.set('box', { value });
      const { value: out } = (heap.root.get('box') as { toJS(): { value: unknown } }).toJS();
      expect(picture(out)).toEqual(picture(value));
    }), { seed: newSeed(), numRuns: often(300, 5000) });
  });
});

describe('what cannot be kept is named by its path', () => {
  class Point {
    x = 1;
  }
  test.each([
    ['a function', { list: [1, 2, 3, { fn: () => 1 }] }, 'at list[3].fn: a function'],
    ['a symbol', [[Symbol('s')]], 'at [0][0]: a symbol'],
    ['an instance', { p: new Point() }, 'at p: an instance of Point'],
    ['a hole', { a: Object.assign([], { 0: 1, 2: 3 }) }, 'at a[1]: the array has a hole'],
    ['a symbol as a name', { a: { [Symbol('s')]: 1 } }, 'at a[Symbol(s)]: a property'],
    ['in a Map', new Map([['k', [new Point()]]]), 'at get("k")[0]: an instance'],
    ['a key of a Map', new Map([[new Point(), 1]]), 'at keys()[0]: an instance'],
    ['in a Set', { s: new Set([1, () => 1]) }, 'at s.values()[1]: a function'],
    ['an odd name', { 'a b': { c: () => 1 } }, 'at ["a b"].c: a function'],
    ['a getter', { a: { get b() { throw new Error('no'); } } }, 'at a.b: reading it failed'],
    ['a proxy', { a: new Proxy({}, { ownKeys: () => { throw new Error('no'); } }) },
      'at a[""]: reading it failed: Error: no'],
    ['equal dates as keys', { m: new Map([[new Date(1), 1], [new Date(1), 2]]) }, 'at m: keys'],
  ])('%s', (_, value, message) => {
    const { heap, region } = newHeap();
    // Types are recorded by the first of their kind, and stay.
    heap.root.set('all', { a: [{}], m: new Map([[{}, 1]]), s: new Set([1]) });
    const before = region.stat().busyBlocks;
    const error = expectCode('ERR_SCHEMA', () => heap.root.set('it', value));
    expect(error.message).toContain(message);
    expect(region.stat().busyBlocks).toBe(before);
    expect(heap.root.has('it')).toBe(false);
  });

  test('long paths are cut', () => {
    let value: unknown = () => 1;
    for (let i = 0; i < 1000; i++) value = [value];
    const { heap } = newHeap();
    const { message } = expectCode('ERR_SCHEMA', () => heap.root.set('it', value));
    expect(message).toContain('at …[0][0]');
    expect(message.length).toBeLessThan(200);
  });

  test('without room nothing is left, whenever it runs out', () => {
    const value = { list: Array.from({ length: 3000 }, (_, i) => `text ${i}`),
      map: new Map(Array.from({ length: 500 }, (_, i) => [i, { i: [i] }])) };
    let failed = 0;
    for (let filled = 0; filled < 40; filled++) {
      const { heap, region } = newHeap('448KiB');
      heap.root.set('all', { a: [{}], m: new Map([[{}, 1]]) });
      for (let i = 0; i < filled; i++) heap.root.set(`fill ${i}`, new Uint8Array(8000));
      const { busyBlocks } = region.stat();
      try {
        heap.root.set('it', value);
      } catch (error) {
        failed += 1;
        expect((error as { code: string }).code).toBe('ERR_NO_SPACE');
        expect(region.stat().busyBlocks).toBe(busyBlocks);
      }
    }
    expect(failed).toBeGreaterThan(3);
    expect(failed).toBeLessThan(40);
  });
});

test('values of another realm, as in a REPL, fit their kinds', () => {
  const { heap } = newHeap();
  const { u8, str, date, bytes, list, map, set, sorted, array, f64 } = kinds;
  const All = struct('All', { date, bytes: bytes(), list: list(u8), map: map(str, u8),
    set: set(date), sorted: sorted(str, u8), byDate: sorted(date, str), array: array(f64, 2),
    extra: anything });
  const given = runInNewContext(`({ date: new Date(5), bytes: new Uint8Array([1]), list: [1, 2],
    map: { a: 1 }, set: new Set([new Date(6)]), sorted: { b: 2 },
    byDate: new Map([[new Date(7), 'x']]), array: new Float64Array([1, 2]),
    extra: { a: [new Date(8)] } })`) as object;
  const all = heap.create(All, given);
  deepStrictEqual(all.toJS(), { date: new Date(5), bytes: new Uint8Array([1]), list: [1, 2],
    map: new Map([['a', 1]]), set: new Set([new Date(6)]), sorted: new Map([['b', 2]]),
    byDate: new Map([[new Date(7), 'x']]), array: new Float64Array([1, 2]),
    extra: { a: [new Date(8)] } });
  expect(all.set.has(runInNewContext('new Date(6)') as Date)).toBe(true);
  expect(all.byDate.get(runInNewContext('new Date(7)') as Date)).toBe('x');
});

describe('structs and collections out', () => {
  test('all kinds', () => {
    const { heap } = newHeap();
    const Node = struct('Node', { id: kinds.u32, next: kinds.ref({ name: 'Node', fields: {} }),
      tags: kinds.list(kinds.str), seen: kinds.set(kinds.u8), extra: anything,
      counts: kinds.map(kinds.str, kinds.u32), maybe: kinds.optional(kinds.list(kinds.bool)),
      data: kinds.bytes(), fixed: kinds.array(kinds.f64, 2), at: kinds.date });
    const first = heap.create(Node, { id: 1, tags: ['a'], seen: [1, 2], counts: { x: 1 },
      data: new Uint8Array([1]), fixed: [1, 2], at: new Date(7), maybe: [true],
      extra: { plain: [1] } });
    const second = heap.create(Node, { id: 2, next: first });
    first.next = second as never;
    const out = second.toJS();
    const other = out.next as Record<string, unknown>;
    expect(other.next).toBe(out);
    delete out.next;
    delete other.next;
    deepStrictEqual(out, { id: 2, tags: [], seen: new Set(), extra: undefined, counts: new Map(),
      maybe: undefined, data: new Uint8Array(), fixed: new Float64Array(2), at: new Date(0) });
    deepStrictEqual(other, { id: 1, tags: ['a'], seen: new Set([1, 2]), extra: { plain: [1] },
      counts: new Map([['x', 1]]), maybe: [true], data: new Uint8Array([1]),
      fixed: new Float64Array([1, 2]), at: new Date(7) });
  });

  test('looking makes no collection and pins nothing', () => {
    const { heap, region } = newHeap();
    const Box = struct('Box', { tags: kinds.list(kinds.str), data: kinds.bytes() });
    const box = heap.create(Box, { data: new Uint8Array(50) });
    const before = region.stat().busyBlocks;
    const copy = box.toJS();
    expect(region.stat().busyBlocks).toBe(before);
    box.data = new Uint8Array(60);
    expect(region.stat().busyBlocks).toBe(before);
    deepStrictEqual(copy, { tags: [], data: new Uint8Array(50) });
  });

  test('a copy is a copy', () => {
    const { heap } = newHeap();
    heap.root.set('it', { list: [new Uint8Array([1])] });
    const it = heap.root.get('it') as { toJS(): { list: Uint8Array[] } };
    const copy = it.toJS();
    copy.list[0][0] = 9;
    copy.list.push(new Uint8Array());
    deepStrictEqual(it.toJS(), { list: [new Uint8Array([1])] });
  });

  test('a stale handle', () => {
    const { heap } = newHeap();
    heap.root.set('it', {});
    const it = heap.root.get('it') as { toJS(): unknown };
    heap.clear();
    expectCode('ERR_STALE', () => it.toJS());
  });
});
