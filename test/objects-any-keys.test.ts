/** Keys of kind `any`: equal by contents where they are copied, else by identity. */
import { describe, expect, test } from 'vitest';
import { any as anything, map, set, u32 } from '../src/objects/kinds.ts';
import type { PersistentMap } from '../src/objects/persistent.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const Item = struct('Item', { id: u32 });

describe('equality', () => {
  test.each<[string, unknown, unknown]>([
    ['-0 and 0', -0, 0],
    ['NaN', NaN, Number('x')],
    ['texts', 'üx', 'üx'],
    ['long texts', '€'.repeat(100), '€'.repeat(100)],
    ['the empty text', '', ''],
    ['big integers', 2n ** 100n, 2n ** 100n],
    ['moments', new Date(5), new Date(5)],
    ['no moments', new Date(NaN), new Date(NaN)],
    ['bytes', new Uint8Array([1, 2]), Buffer.from([1, 2])],
    ['no bytes', new Uint8Array(), new Uint8Array()],
    ['numbers in arrays', new Float64Array([NaN, 1]), new Float64Array([NaN, 1])],
  ])('%s are one key', (_, a, b) => {
    const { heap } = newHeap();
    const keys = heap.create(map(anything, u32));
    keys.set(a, 1).set(b, 2);
    expect([keys.size, keys.get(a), keys.get(b), keys.has(b)]).toEqual([1, 2, 2, true]);
    expect(keys.delete(b)).toBe(true);
    expect([keys.size, keys.has(a)]).toEqual([0, false]);
  });

  test('what is alike but not equal: each is a key of its own', () => {
    const { heap } = newHeap();
    const items = [heap.create(Item, { id: 1 }), heap.create(Item, { id: 1 })];
    heap.root.set('a', {});
    heap.root.set('b', {});
    const given: unknown[] = [1, 1n, '1', true, new Date(1), new Uint8Array([1]),
      new Int8Array([1]), new Uint8ClampedArray([1]), 0, 0n, '', false, null, undefined, NaN,
      'null', new Date(NaN), new Uint8Array(), new Int8Array(), -1n, 2n ** 64n, -(2n ** 64n), 'ü',
      'Ã¼', '\ud800', '\ud801',
      ...items, heap.root.get('a'), heap.root.get('b'), heap.root];
    const keys = heap.create(map(anything, anything));
    given.forEach((key, i) => keys.set(key, i));
    expect(keys.size).toBe(given.length);
    given.forEach((key, i) => expect(keys.get(key)).toBe(i));
    expect([...keys.keys()]).toEqual(given);
  });

  test('values are found in lists as in arrays', () => {
    const { heap } = newHeap();
    heap.root.set('list', ['a', NaN, 5n, new Date(5), null, {}]);
    const found = heap.root.get('list') as unknown as unknown[];
    expect(['a', 5n, null, 'b'].map((value) => found.indexOf(value))).toEqual([0, 2, 4, -1]);
    expect([found.includes(NaN), found.indexOf(NaN), found.includes(found.at(5))])
      .toEqual([true, -1, true]);
  });
});

test('what would be copied is no key, and says what to do', () => {
  const { heap, region } = newHeap();
  const keys = heap.create(set(anything));
  const { busyBlocks } = region.stat();
  for (const value of [{}, [], new Map(), new Set()]) {
    expect(expectCode('ERR_SCHEMA', () => keys.add(value)).message).toContain('store it first');
    expect(keys.has(value)).toBe(false);
  }
  for (const value of [() => 1, Symbol('s'), /x/]) expectCode('ERR_SCHEMA', () => keys.add(value));
  expectCode('ERR_MISMATCH', () => keys.add(newHeap().heap.create(Item)));
  expect([keys.size, region.stat().busyBlocks]).toEqual([0, busyBlocks]);
});

test('a Set of objects is copied in with its members', () => {
  const { heap } = newHeap();
  heap.root.set('set', new Set([{ a: 1 }, { a: 1 }, 5]));
  const members = heap.root.get('set') as Set<unknown> & { toJS(): unknown };
  expect(members.toJS()).toEqual(new Set([{ a: 1 }, { a: 1 }, 5]));
  const [first] = members;
  expect(members.has(first)).toBe(true);
});

/** A key as a text: equal where the keys are. */
function nameOf(key: unknown, items: readonly unknown[]): string {
  if (typeof key === 'string') return `text ${key}`;
  if (key instanceof Date) return `date ${key.getTime()}`;
  if (ArrayBuffer.isView(key)) return `${key.constructor.name} ${[...key as Uint8Array]}`;
  if (typeof key === 'object' && key !== null) return `item ${items.indexOf(key)}`;
  return `${typeof key} ${String(key)}`;
}

test('random steps against a Map, collections between', { timeout: 600_000 }, () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const { heap, region } = newHeap('16MiB');
  const items = Array.from({ length: 40 }, (_, id) => heap.create(Item, { id }));
  const makers: readonly ((n: number) => unknown)[] = [(n) => n, (n) => n / 3, (n) => `key ${n}`,
    (n) => `日本 ${n}`, (n) => BigInt(n) ** 9n, (n) => new Date(n), (n) => new Uint8Array([n]),
    (n) => new Float32Array([n]), (n) => items[n], (n) => [null, undefined, true, NaN][n % 4]];
  const keys: PersistentMap<unknown, unknown> = heap.create(map(anything, anything));
  heap.root.set('keys', keys);
  const model = new Map<string, unknown>();
  for (let step = 0; step < often(4000, 60_000); step++) {
    const key = makers[random(makers.length)](random(40));
    const name = nameOf(key, items);
    const where = `seed ${seed}, step ${step}, ${name}`;
    const what = random(100);
    if (what < 45) {
      keys.set(key, `value ${step}`);
      model.set(name, `value ${step}`);
    } else if (what < 70) expect(keys.delete(key), where).toBe(model.delete(name));
    else if (what < 98) expect(keys.get(key), where).toBe(model.get(name));
    else if (what === 98) heap.collect();
    else heap.compact();
    expect(keys.size, where).toBe(model.size);
  }
  expect([...keys].map(([key, value]) => [nameOf(key, items), value])).toEqual([...model]);
  keys.clear();
  heap.collect();
  const before = region.stat().busyBlocks;
  for (const item of items) keys.set(item, item);
  keys.clear();
  expect(region.stat().busyBlocks).toBe(before);
});
