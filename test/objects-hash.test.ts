/** Maps and sets of heaps: the habits of Map and Set, misuse, re-entry, space that runs out. */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import { bool, date, f32, f64, type Kind, list, map, ref, set, str, u32, u8 }
  from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { collidingTexts, expectSound, insideOf, newHash } from './support/hashes.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const Item = struct('Item', { id: u32 });
const Other = struct('Other', { id: u32 });
const TEXTS = map(str, u32);

describe('the habits of Map', () => {
  test('a key that is set again keeps its place; one that was deleted comes last', () => {
    const hash = newHash(newHeap(), TEXTS, { a: 1, b: 2, c: 3 });
    hash.set('a', 10).set('b', 20);
    expect([...hash]).toEqual([['a', 10], ['b', 20], ['c', 3]]);
    expect(hash.delete('a')).toBe(true);
    expect(hash.delete('a')).toBe(false);
    hash.set('a', 4);
    expect([...hash.keys()]).toEqual(['b', 'c', 'a']);
    expect([...hash.values()]).toEqual([20, 3, 4]);
    expect([...hash.entries()]).toEqual([['b', 20], ['c', 3], ['a', 4]]);
    expect(hash.size).toBe(3);
  });

  test('NaN is NaN, -0 is 0, as keys', () => {
    for (const kind of [f64, f32]) {
      const hash = newHash(newHeap(), set(kind), [-0, Number.NaN, 0, Number.NaN]);
      expect([...hash]).toEqual([0, Number.NaN]);
      expect(hash.has(-0)).toBe(true);
      expect(hash.delete(Number.NaN)).toBe(true);
      expect(hash.size).toBe(1);
    }
  });

  test('floats of 32 bits are the nearest ones', () => {
    const hash = newHash(newHeap(), map(f32, u8), [[0.1, 1]]);
    expect(hash.get(0.1)).toBe(1);
    hash.set(0.1, 2);
    expect([...hash]).toEqual([[Math.fround(0.1), 2]]);
    expectSound(hash);
  });

  test('dates are equal by their time', () => {
    const hash = newHash(newHeap(), set(date), [new Date(5), new Date(5), new Date(Number.NaN)]);
    expect([...hash]).toEqual([new Date(5), new Date(Number.NaN)]);
  });

  test('iteration visits what is added meanwhile, not what is deleted', () => {
    const hash = newHash(newHeap(), TEXTS, { a: 1, b: 2, c: 3 });
    const seen: unknown[] = [];
    for (const [key, value] of hash) {
      seen.push(key);
      if (key === 'a') hash.delete('b');
      if (seen.length < 5) hash.set(`added ${String(value)}`, 9);
    }
    expect(seen).toEqual(['a', 'c', 'added 1', 'added 3', 'added 9']);
  });

  test('iteration goes on after clear, with what came then', () => {
    const hash = newHash(newHeap(), TEXTS, { a: 1, b: 2, c: 3 });
    const keys = hash.keys();
    expect(keys.next().value).toBe('a');
    expect(keys.next().value).toBe('b');
    hash.clear();
    hash.set('x', 1).set('y', 2);
    expect([...keys]).toEqual(['x', 'y']);
    hash.set('z', 3);
    expect(keys.next()).toEqual({ value: undefined, done: true });
  });

  test('an iteration that was left may be gone on with', () => {
    const hash = newHash(newHeap(), set(u32), [1, 2, 3]);
    const values = hash.values();
    for (const value of values) {
      expect(value).toBe(1);
      break;
    }
    expect([...values]).toEqual([2, 3]);
  });

  test('forEach: value, key, map, and this', () => {
    const hash = newHash(newHeap(), TEXTS, { a: 1 });
    const given: unknown[] = [];
    hash.forEach(function visit(this: unknown, ...all: unknown[]) {
      given.push(this, ...all);
    }, 'this');
    expect(given).toEqual(['this', 1, 'a', hash]);
    const values: unknown[] = [];
    newHash(newHeap(), set(u32), [7]).forEach((value, again) => values.push(value, again));
    expect(values).toEqual([7, 7]);
  });

  test('names, JSON and what console.log shows', () => {
    const opened = newHeap();
    const hash = newHash(opened, TEXTS, { a: 1 });
    const values = newHash(opened, set(u32), [1, 2]);
    expect(String(hash)).toBe('[object PersistentMap]');
    expect(String(values)).toBe('[object PersistentSet]');
    expect(JSON.stringify({ hash, values, pairs: newHash(opened, map(u32, bool), [[1, true]]) }))
      .toBe('{"hash":{"a":1},"values":[1,2],"pairs":[[1,true]]}');
    expect(inspect(hash)).toBe("map(str,u32) Map(1) { 'a' => 1 }");
    expect(inspect(values, { maxArrayLength: 1 })).toBe('set(u32) Set(1) { 1 } and 1 more');
    expect(inspect({ a: { b: { hash } } })).toBe('{ a: { b: { hash: [map(str,u32)] } } }');
  });

  test('a map may contain itself', () => {
    const Node = struct('Node', { id: u32, links: map(str, ref(() => Node)) });
    const { heap } = newHeap();
    const node = heap.create(Node, { id: 1 });
    const links = node.links as unknown as Map<string, unknown>;
    links.set('self', node);
    expect(links.get('self')).toBe(node);
    expect(inspect(links)).toContain('map(str,ref(Node)) Map(1)');
  });
});

describe('making one', () => {
  const opened = newHeap();
  const busy = () => opened.region.stat().busyBytes;

  test.each<[string, Kind, unknown, unknown[]]>([
    ['nothing', TEXTS, undefined, []],
    ['a Map', TEXTS, new Map([['a', 1], ['b', 2]]), [['a', 1], ['b', 2]]],
    ['pairs', TEXTS, [['a', 1], ['a', 2]], [['a', 2]]],
    ['a plain object', TEXTS, { x: 1, 2: 3 }, [['2', 3], ['x', 1]]],
    ['no prototype', TEXTS, Object.assign(Object.create(null), { x: 1 }), [['x', 1]]],
    ['an iterator', set(u32), [3, 3, 4].values(), [3, 4]],
    ['a Set', set(str), new Set(['a']), ['a']],
    ['lists', map(u8, list(str)), [], []],
    ['a wrong size', set(u32), { size: 1.5, [Symbol.iterator]: () => [1].values() }, [1]],
  ])('of %s', (_name, kind, value, entries) => {
    const hash = newHash(opened, kind, value);
    expect([...hash]).toEqual(entries);
    expectSound(hash);
  });

  test('of a map of another kind and heap', () => {
    const { core } = insideOf(newHash(opened, TEXTS));
    const other = newHash(newHeap(), map(str, u8), { a: 1, b: 2 });
    const made = core.handleOf(core.create(TEXTS, other)) as unknown as Iterable<unknown>;
    expect([...made]).toEqual([['a', 1], ['b', 2]]);
  });

  test.each<[string, Kind, unknown]>([
    ['a number', TEXTS, 5],
    ['a text', set(str), 'abc'],
    ['null', TEXTS, null],
    ['no pair', TEXTS, [['a', 1], 5]],
    ['what only seems iterable', set(u32), { [Symbol.iterator]: 5, size: 1 }],
    ['an object of a class', TEXTS, new Date()],
    ['a plain object for a set', set(str), { a: 1 }],
    ['keys of another kind', map(u32, u32), { a: 1 }],
    ['a value that does not fit', TEXTS, { a: 1, b: -1 }],
  ])('ERR_SCHEMA and nothing left: %s', (_name, kind, value) => {
    const Box = struct(`Misfit${kind.name}${String(kind.key?.name)}`, { hash: kind });
    expect(opened.heap.create(Box).hash).toBeDefined();
    const before = busy();
    const error = expectCode('ERR_SCHEMA', () => opened.heap.create(Box, { hash: value } as never));
    expect(error.message).toContain('.hash: ');
    expect(busy()).toBe(before);
  });

  test('an iterable that throws leaves nothing', () => {
    function* broken() {
      yield ['a', 1];
      yield ['a longer key', 2];
      throw new Error('broken');
    }
    const Box = struct('Broken', { hash: TEXTS });
    expect(opened.heap.create(Box).hash.size).toBe(0);
    const before = busy();
    expect(() => opened.heap.create(Box, { hash: broken() as never })).toThrow('broken');
    expect(busy()).toBe(before);
  });
});

describe('misuse', () => {
  test('what cannot be a key is refused by set, and not there for others', () => {
    const hash = newHash(newHeap(), map(u32, u32), [[1, 1]]);
    for (const key of [-1, 1.5, '1', null, undefined, 1n, {}]) {
      expectCode('ERR_SCHEMA', () => hash.set(key, 1));
      expect(hash.get(key)).toBe(undefined);
      expect(hash.has(key)).toBe(false);
      expect(hash.delete(key)).toBe(false);
      expectCode('ERR_SCHEMA', () => newHash(newHeap(), set(u8)).add(key));
    }
    expectCode('ERR_SCHEMA', () => hash.set(1, 'text'));
    expectCode('ERR_SCHEMA', () => hash.set(2, -1));
    expect([...hash]).toEqual([[1, 1]]);
    expectSound(hash);
  });

  test('objects of other heaps and of other structs', () => {
    const opened = newHeap();
    const hash = newHash(opened, map(ref(Item), ref(Item)));
    const item = opened.heap.create(Item);
    const foreign = newHeap().heap.create(Item);
    expectCode('ERR_MISMATCH', () => hash.set(foreign, null));
    expectCode('ERR_MISMATCH', () => hash.has(foreign));
    expectCode('ERR_MISMATCH', () => hash.set(item, foreign));
    expectCode('ERR_SCHEMA', () => hash.set(opened.heap.create(Other), null));
    hash.set(null, item).set(item, null);
    expect([...hash]).toEqual([[null, item], [item, null]]);
  });

  test('no function for forEach', () => {
    const opened = newHeap();
    expectCode('ERR_BAD_OPTION', () => newHash(opened, TEXTS).forEach(5 as never));
    expectCode('ERR_BAD_OPTION', () => newHash(opened, set(u8)).forEach(null as never));
  });

  test('stale handles and iterators: every use is ERR_STALE', () => {
    const opened = newHeap();
    for (const kind of [TEXTS, set(str)]) {
      const hash = newHash(opened, kind, kind === TEXTS ? { a: 1, b: 2 } : ['a', 'b']);
      const keys = hash.keys();
      keys.next();
      insideOf(hash).core.expire(null);
      const uses = [() => hash.size, () => hash.has('a'), () => hash.delete('a'),
        () => hash.clear(), () => hash.keys(), () => hash.values(), () => hash.entries(),
        () => [...hash], () => hash.forEach(() => {}), () => keys.next(),
        () => JSON.stringify(hash),
        ...(kind === TEXTS ? [() => hash.get('a'), () => hash.set('a', 1)]
          : [() => hash.add('a')])];
      for (const use of uses) expectCode('ERR_STALE', use);
      expect(inspect(hash)).toBe(kind === TEXTS ? 'map(str,u32) (stale)' : 'set(str) (stale)');
    }
  });
});

describe('code of the program that runs inside set', () => {
  const opened = newHeap();
  const lists = () => newHash(opened, map(str, set(u32)),
    Array.from({ length: 40 }, (_, i) => [`${i}`, [i]]));

  /** A value that changes the map while it is being put in. */
  function* changing(change: () => void) {
    yield 1;
    change();
    yield 2;
  }

  test.each<[string, string, (hash: ReturnType<typeof lists>) => void, number]>([
    ['grows the map', 'new', (hash) => {
      for (let i = 0; i < 3000; i++) hash.set(`more ${i}`, []);
    }, 3041],
    ['grows the map, for a key that is there', '5', (hash) => {
      for (let i = 0; i < 3000; i++) hash.set(`more ${i}`, []);
    }, 3040],
    ['sets the same key', 'new', (hash) => hash.set('new', [9]), 41],
    ['deletes the key', '5', (hash) => hash.delete('5'), 40],
    ['deletes most', '39', (hash) => {
      for (let i = 0; i < 39; i++) hash.delete(`${i}`);
    }, 1],
    ['clears the map', '5', (hash) => hash.clear(), 1],
  ])('%s', (_name, key, change, size) => {
    const hash = lists();
    hash.set(key, changing(() => change(hash)));
    expect(hash.size).toBe(size);
    expect([...hash.get(key) as Iterable<number>]).toEqual([1, 2]);
    expectSound(hash);
  });

  test('makes the handle stale', () => {
    const hash = lists();
    expectCode('ERR_STALE', () => hash.set('x', changing(() => insideOf(hash).core.expire(null))));
  });
});

describe('no space', () => {
  const collisions = collidingTexts(3);

  test('at any point: the map is as it was, and can be emptied', () => {
    const random = randomFrom(newSeed());
    for (let round = 0; round < often(12, 100); round++) {
      const opened = newHeap(`${96 + (round % 30) * 12}KiB`);
      const hash = newHash(opened, map(str, str));
      const model = new Map<unknown, unknown>();
      // What is left over decides which of the blocks of an entry does not fit.
      newHash(opened, set(u32), Array.from({ length: random(500) }, (_, i) => i));
      const { busyBytes } = opened.region.stat();
      let failures = 0;
      for (let i = 0; failures < 10; i++) {
        const key = random(8) === 0 ? collisions[random(8)] : `key ${i}`;
        const value = 'v'.repeat(random(failures > 0 ? 20 : 200));
        try {
          hash.set(key, value);
          model.set(key, value);
        } catch (error) {
          if (!(error instanceof RegionError) || error.code !== 'ERR_NO_SPACE') throw error;
          failures += 1;
          expect([...hash]).toEqual([...model]);
          expectSound(hash);
          const [first] = model.keys();
          if (failures % 4 === 0) expect(hash.delete(first)).toBe(model.delete(first));
        }
      }
      for (const key of model.keys()) expect(hash.delete(key)).toBe(true);
      expect(hash.size).toBe(0);
      expectSound(hash);
      hash.clear();
      expect(opened.region.stat().busyBytes).toBe(busyBytes);
    }
  });

  test('a new map that does not fit leaves nothing', () => {
    const opened = newHeap('64KiB');
    const Box = struct('Box', { hash: TEXTS });
    expect(opened.heap.create(Box).hash.size).toBe(0);
    const { busyBlocks } = opened.region.stat();
    const pairs = Array.from({ length: 5000 }, (_, i) => [`key ${i}`, i]);
    expectCode('ERR_NO_SPACE', () => opened.heap.create(Box, { hash: pairs as never }));
    expect(opened.region.stat().busyBlocks).toBe(busyBlocks);
  });
});
