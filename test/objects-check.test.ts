/** heap.check(): every clause is broken once, alone; damage of every sort is survived. */
import { performance } from 'node:perf_hooks';
import { beforeEach, describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import { ANY, BIGINT, BYTES, DIRECTORY, ELEMENT, FORWARD, HASH, HEAD, LIST, NO_VALUE, ROLE,
  ROLE_SHIFT, TREE } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import { tagOf } from '../src/objects/core.ts';
import { type Handle, refOf } from '../src/objects/handles.ts';
import type { ObjectHeap } from '../src/objects/heap.ts';
import { any, bytes, i64, list, map, optional, ref, sorted, str, u32 } from
  '../src/objects/kinds.ts';
import { addressAt } from '../src/objects/memory.ts';
import { type Persistent, struct } from '../src/objects/struct.ts';
import type { Region } from '../src/types.ts';
import { World } from './support/graphs.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const Item = struct('Item', { id: u32, name: str, other: str, next: ref(() => Item), data: bytes(),
  loose: any, maybe: optional(ref(() => Item)), count: optional(i64), items: list(ref(() => Item)),
  named: map(str, ref(() => Item)), ordered: sorted(str, ref(() => Item)) });

let heap: ObjectHeap;
let region: Region;
let item: Persistent<typeof Item>;
let second: Persistent<typeof Item>;

beforeEach(() => {
  ({ heap, region } = newHeap());
  second = heap.create(Item, { id: 2, name: 'second' });
  item = heap.create(Item, { id: 1, name: 'first', other: 'another text', next: second,
    data: new Uint8Array(20), loose: 2n ** 100n, count: 5n });
  item.items.push(second, item);
  for (let i = 0; i < 20; i++) item.named.set(`key ${i}`, second);
  for (let i = 0; i < 200; i++) item.ordered.set(`key ${i}`, item);
  heap.root.set('item', item);
  heap.root.set('moment', new Date(5));
  expect(heap.check()).toEqual([]);
});

/** The block with a reference: its words, to be changed. */
function blockAt(at: number): Int32Array {
  return region.array(Int32Array, addressAt(at));
}

function refOfHandle(handle: unknown): number {
  return refOf(handle as Handle);
}

function addressOf(handle: unknown): number {
  return addressAt(refOfHandle(handle));
}

/** Word of a field of items. */
function wordOf(name: string): number {
  const { layout } = (item as unknown as Handle).$bound.type;
  return (layout?.fields.find((field) => field.name === name)?.at ?? 0) >>> 2;
}

function field(name: string): number {
  return blockAt(refOfHandle(item))[wordOf(name)];
}

function setField(name: string, value: number, offset = 0): void {
  blockAt(refOfHandle(item))[wordOf(name) + offset] = value;
}

function head(): Int32Array {
  return new World(heap, region, randomFrom(1)).head();
}

/** Exactly these findings, ids and addresses. */
function expectFindings(...expected: [string, number][]): void {
  expect(heap.check().map(({ id, address }) => [id, address])).toEqual(expected);
}

describe('O1: the head', () => {
  test('is one', () => {
    head()[HEAD.tag] = ROLE.moment;
    expectFindings(['O1', region.addressOf(head())]);
  });

  test('is of a version that is known', () => {
    head()[HEAD.version] = 77;
    expectFindings(['O1', region.addressOf(head())]);
  });

  test('is the one the region names', () => {
    const at = region.addressOf(head());
    region.roots.set('regionstore heap', addressOf(item));
    expectFindings(['O1', at]);
  });
});

describe('O2: the types', () => {
  test('are in a directory', () => {
    head()[HEAD.types] = field('name');
    expect(heap.check()).toContainEqual(expect.objectContaining({ id: 'O2',
      address: region.addressOf(head()) }));
  });

  test.each([1e6, -1])('are not %i', (count) => {
    head()[HEAD.typeCount] = count;
    expectFindings(['O2', region.addressOf(head())]);
  });

  test('have descriptions', () => {
    const types = blockAt(head()[HEAD.types]);
    types[DIRECTORY.entries] = 0;
    expectFindings(['O2', region.addressOf(types)]);
    types[DIRECTORY.entries] = 0x7fffffff;
    expectFindings(['O3', region.addressOf(types)], ['O2', region.addressOf(types)]);
  });
});

describe('O3: a reference leads to a block', () => {
  test('not into one', () => {
    setField('next', refOfHandle(second) + 1);
    expectFindings(['O3', addressOf(item)]);
  });

  test.each([NO_VALUE.ref, 5, -1, 0x7fffffff, -(2 ** 31)])('not to %i', (value) => {
    setField('next', value);
    expectFindings(['O3', addressOf(item)]);
  });

  test('undefined is where it may be', () => {
    setField('maybe', NO_VALUE.ref);
    expectFindings();
  });

  test('in a slot of kind any', () => {
    setField('loose', 12345678);
    expectFindings(['O3', addressOf(item)]);
  });
});

describe('O4: the block is what the slot asks for', () => {
  test('not a list for an object', () => {
    setField('next', refOfHandle(item.items));
    expectFindings(['O4', addressOf(item)]);
  });

  test('not another struct', () => {
    const Other = struct('Other', { id: u32 });
    setField('next', refOfHandle(heap.create(Other, {})));
    expectFindings(['O4', addressOf(item)]);
  });

  test('not bytes for a text', () => {
    const data = field('data');
    setField('data', 0);
    setField('name', data);
    expectFindings(['O4', addressOf(item)]);
  });

  test('not a list of something else', () => {
    setField('items', refOfHandle(heap.create(list(u32), [1])));
    expectFindings(['O4', addressOf(item)]);
  });

  test('no text among the elements of a list of objects', () => {
    const elements = blockAt(refOfHandle(item.items))[LIST.elements];
    blockAt(elements)[2] = field('other');
    setField('other', 0);
    expectFindings(['O4', addressAt(elements)]);
  });

  test('no role that is not known', () => {
    blockAt(field('name'))[0] = tagOf(31, 3);
    expectFindings(['O4', addressOf(item)]);
  });

  test('no type that is not known', () => {
    blockAt(refOfHandle(second))[0] = tagOf(ROLE.object, 999);
    const places = heap.check().map(({ id, address }) => `${id} ${address}`);
    expect(places).toContain(`O4 ${addressOf(item)}`);
    expect(new Set(places.map((place) => place.slice(0, 2)))).toEqual(new Set(['O4']));
  });
});

describe('O5: a block has room for what it says', () => {
  test('a text', () => {
    const text = field('name');
    blockAt(text)[0] = tagOf(ROLE.latin1, 1000);
    expectFindings(['O5', addressAt(text)]);
  });

  test('a text of 16-bit units', () => {
    const text = field('name');
    blockAt(text)[0] = tagOf(ROLE.utf16, 5);
    expectFindings(['O5', addressAt(text)]);
  });

  test.each([['their length', BYTES.length, 1e6], ['their elements', BYTES.tag,
    ROLE.bytes | (ELEMENT.f64 << ROLE_SHIFT)], ['elements not known', BYTES.tag,
    ROLE.bytes | (99 << ROLE_SHIFT)]])('bytes: %s', (_, word, value) => {
      const data = field('data');
      blockAt(data)[word] = value;
      expectFindings(['O5', addressAt(data)]);
    });

  test('a big integer', () => {
    const big = field('loose');
    blockAt(big)[BIGINT.count] = 1000;
    expectFindings(['O5', addressAt(big)]);
  });

  test('a list whose elements say that they are more', () => {
    const elements = blockAt(refOfHandle(item.items))[LIST.elements];
    blockAt(elements)[1] = 2 ** 29;
    expect(heap.check()).toContainEqual(expect.objectContaining({ id: 'O5',
      address: addressAt(elements) }));
  });
});

describe('O6: what belongs to a slot belongs to it alone', () => {
  test('texts', () => {
    setField('other', field('name'));
    expectFindings(['O6', addressOf(item)]);
  });

  test('big integers', () => {
    setField('count', field('loose'));
    expectFindings(['O6', addressOf(item)]);
  });

  test('elements of lists', () => {
    const other = heap.create(list(ref(Item)), []);
    const elements = blockAt(refOfHandle(item.items));
    blockAt(refOfHandle(other)).set(elements.subarray(0, LIST.words));
    second.items = other;
    const [found, ...more] = heap.check();
    expect(more).toEqual([]);
    expect(found.id).toBe('O6');
    expect([addressOf(other), addressOf(item.items)]).toContain(found.address);
  });
});

test.each([0x7ff80006, 0x7ff80009, 0x7fffffff])('O7: an any holds no value: %i', (code) => {
  setField('loose', code, 1);
  expectFindings(['O7', addressOf(item)]);
});

test.each([ANY.nan, ANY.undefined, ANY.null, ANY.false, ANY.true, 0, -1])('O7: it does: %i',
  (code) => {
    setField('loose', code, 1);
    expectFindings();
  });

describe('O8: signposts', () => {
  test('in a circle', () => {
    const post = refOfHandle(heap.create(Item, {}));
    blockAt(post)[0] = ROLE.forward;
    blockAt(post)[FORWARD.to] = post;
    setField('next', post);
    expectFindings(['O8', addressOf(item)]);
  });

  test('to nothing', () => {
    const post = refOfHandle(heap.create(Item, {}));
    blockAt(post)[0] = ROLE.forward;
    blockAt(post)[FORWARD.to] = 77;
    setField('next', post);
    expectFindings(['O8', addressOf(item)]);
  });

  test('to where the object is', () => {
    const post = refOfHandle(heap.create(Item, {}));
    blockAt(post)[0] = ROLE.forward;
    blockAt(post)[FORWARD.to] = refOfHandle(second);
    setField('next', post);
    expectFindings();
  });
});

describe('collections are checked by their own clauses', () => {
  test('lists', () => {
    const at = refOfHandle(item.items);
    blockAt(at)[LIST.length] = 1e6;
    expectFindings(['L1', addressAt(at)]);
  });

  test('hashes', () => {
    const at = refOfHandle(item.named);
    blockAt(at)[HASH.size] = -1;
    expectFindings(['H1', addressAt(at)]);
  });

  test('sorted maps', () => {
    const at = refOfHandle(item.ordered);
    blockAt(at)[TREE.count] += 1;
    expectFindings(['T8', addressAt(at)]);
  });
});

test('objects of an older form are sound, and stay as they are', () => {
  const Old = struct('Thing', { id: u32 });
  const old = heap.create(Old, { id: 1 });
  heap.root.set('things', new Map<unknown, unknown>([[old, 5]]));
  const New = struct('Thing', { id: u32, name: str });
  const type = (old as unknown as Handle).$bound.type.id;
  heap.create(New, {});
  const late = heap.create(New, {});
  (heap.root.get('things') as Map<unknown, unknown>).set(late, 6);
  // As a program leaves it that was ended before all objects were changed.
  region.array(Int32Array, addressOf(late), 1)[0] = tagOf(ROLE.object, type);
  (heap.root as unknown as Handle).$bound.core.handles.expireAll();
  const before = region.stat();
  expect(heap.check()).toEqual([]);
  expect(region.stat()).toEqual(before);
});

test('a thousand findings are told, no more', () => {
  const all = heap.create(list(ref(Item)), []);
  for (let i = 0; i < 3000; i++) all.push(second);
  heap.root.set('all', all);
  blockAt(blockAt(refOfHandle(all))[LIST.elements]).fill(99, 2, 3002);
  const found = heap.check();
  expect(found.length).toBe(1001);
  expect(found.at(-1)?.detail).toMatch(/not listed/);
});

describe('damage', () => {
  test.each([['slab', slab], ['best', best]])('in %s: found or not, never more than that',
    (_, method) => {
      ({ heap, region } = newHeap('64MiB', method));
      const random = randomFrom(newSeed());
      const world = new World(heap, region, random);
      for (let i = 0; i < 800; i++) world.step();
      heap.collect({ handles: false });
      const blocks = [...region.blocks()].filter(({ busy }) => busy);
      const memory = world.core.memory.views(0).u8.subarray(0, region.stat().extent);
      const whole = memory.slice();
      let found = 0;
      const start = performance.now();
      const rounds = often(50, 1000);
      for (let round = 0; round < rounds; round++) {
        for (let i = random(3); i >= 0; i--) damage(memory, blocks[random(blocks.length)], random);
        const damaged = memory.slice();
        if (heap.check().length > 0) found += 1;
        expect(Buffer.compare(memory, damaged)).toBe(0);
        memory.set(whole);
      }
      expect(found).toBeGreaterThan(rounds / 4);
      expect((performance.now() - start) / rounds).toBeLessThan(1000);
      world.verify();
    });

  test('collecting and compacting say ERR_CORRUPT, or do not notice', () => {
    const random = randomFrom(newSeed());
    let corrupt = 0;
    for (let round = 0; round < often(20, 200); round++) {
      ({ heap, region } = newHeap('16MiB'));
      const world = new World(heap, region, random);
      for (let i = 0; i < 100; i++) world.step();
      const blocks = [...region.blocks()].filter(({ busy }) => busy);
      const memory = world.core.memory.views(0).u8.subarray(0, region.stat().extent);
      for (let i = 0; i < 4; i++) damage(memory, blocks[random(blocks.length)], random);
      try {
        heap.collect({ handles: false });
        heap.compact();
      } catch (error) {
        if (!(error instanceof RegionError)) throw error;
        expect(error.code).toBe('ERR_CORRUPT');
        corrupt += 1;
      }
      expect(region.check()).toEqual([]);
    }
    expect(corrupt).toBeGreaterThan(0);
  });
});

/** A few bytes of a block are others. */
function damage(
  memory: Uint8Array, { address, size }: { address: number; size: number },
  random: (n: number) => number,
): void {
  const at = address + random(Math.min(size, random(2) === 0 ? 8 : size));
  const count = random(2) === 0 ? 1 : random(8) + 1;
  for (let i = at; i < Math.min(at + count, address + size); i++) memory[i] = random(256);
}
