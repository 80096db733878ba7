/** Compaction: what moves, what stays, what is smaller afterwards. */
import { describe, expect, test } from 'vitest';
import { heap as heapDiscipline } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { slab } from '../src/methods/slab.ts';
import type { Handle } from '../src/objects/handles.ts';
import { heapIn } from '../src/objects/heap.ts';
import { any, array, bytes, f64, list, map, ref, str, u32 } from '../src/objects/kinds.ts';
import { type Persistent, struct } from '../src/objects/struct.ts';
import { createRegion } from '../src/region/region.ts';
import { expectCode } from './support/expect-code.ts';
import { Node, World } from './support/graphs.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const METHODS = [['slab', slab], ['best', best], ['debug(slab)', debug(slab, { sites: false })],
] as const;

describe.each(METHODS)('random graphs in %s', (_, method) => {
  test('everything is as it was, in fewer bytes; handles are the same', () => {
    const { heap, region } = newHeap('256MiB', method);
    const world = new World(heap, region, randomFrom(newSeed()));
    let moved = 0;
    for (let round = 0; round < often(5, 14); round++) {
      for (let i = 0; i < 400; i++) world.step();
      heap.collect({ handles: false });
      const before = region.stat().extent;
      const done = heap.compact();
      moved += done.moved;
      const { extent } = region.stat();
      expect(done).toMatchObject({ objects: 0, bytes: before - extent });
      expect(extent).toBeLessThanOrEqual(before);
      world.verifyExactly();
      for (const name of world.roots.keys()) {
        if (world.random(2) === 0) {
          world.roots.delete(name);
          heap.root.delete(name);
        }
      }
    }
    expect(moved).toBeGreaterThan(100);
  });

  test('a fragmented heap becomes about as large as what lives in it', () => {
    const { heap, region } = newHeap('256MiB', method);
    const Item = struct('Item', { id: u32, text: str, score: f64 });
    const random = randomFrom(newSeed());
    const all = heap.create(list(ref(Item)), []);
    heap.root.set('all', all);
    for (let i = 0; i < 20_000; i++) {
      const item = heap.create(Item, { id: i, text: 'x'.repeat(random(random(80) + 1)) });
      if (random(20) === 0) all.push(item);
    }
    const texts = Array.from(all, (one) => [one?.id, one?.text]);
    const handle = all.at(7);
    const text = handle?.text;
    heap.collect({ handles: false });
    const before = region.stat().extent;
    heap.compact();
    // The state of debug takes up to 256 KiB.
    const { extent, busyBytes, paddedBytes = busyBytes } = region.stat();
    expect(extent).toBeLessThan(before / 3);
    expect(extent).toBeLessThan(paddedBytes * 1.25 + 512 * 1024);
    expect(Array.from(all, (one) => [one?.id, one?.text])).toEqual(texts);
    expect(all.at(7)).toBe(handle);
    expect(handle?.text).toBe(text);
    expect(region.check()).toEqual([]);
    expect(heap.compact().objects).toBe(0);
    expect(region.stat().extent).toBeLessThanOrEqual(extent);
  });
});

test.each([['slab', slab], ['best', best]])('%s: one of many sizes and times', (_, method) => {
  const random = randomFrom(newSeed());
  const Item = struct('Item', { id: u32, text: str });
  for (let round = 0; round < often(1, 10); round++) {
    const { heap, region } = newHeap('256MiB', method);
    const all = heap.create(map(u32, any));
    heap.root.set('all', all);
    let keys: number[] = [];
    let next = 0;
    for (let phase = 0; phase < 4; phase++) {
      const most = 2 ** (3 + random(9));
      for (let i = Math.min(8000, 4e6 / most); i > 0; i--) {
        const id = next++;
        const text = 'x'.repeat(random(most));
        keys.push(id);
        all.set(id, [heap.create(Item, { id, text }), text, [text, { id }],
          new Uint8Array(random(most) * 4)][random(4)]);
      }
      const gone = [10, 50, 80, 95][random(4)];
      keys = keys.filter((key) => random(100) >= gone || !all.delete(key));
      if (random(2) === 0) heap.collect({ handles: false });
    }
    heap.collect({ handles: false });
    heap.compact();
    const { extent, busyBytes } = region.stat();
    expect(extent).toBeLessThan(busyBytes * 1.2 + 256 * 1024);
    expect([...all.keys()]).toEqual(keys);
    expect(heap.check()).toEqual([]);
    expect(region.check()).toEqual([]);
  }
});

const Blob = struct('Blob', { id: u32, data: bytes(), inside: array(f64, 4), name: str });

/** Many objects, of which only the last ones live. */
function sparse() {
  const { heap, region } = newHeap();
  const all: Persistent<typeof Blob>[] = [];
  for (let i = 0; i < 2000; i++) {
    all.push(heap.create(Blob, { id: i, data: new Uint8Array(40).fill(i), name: `name ${i}` }));
  }
  const last = all.at(-1) as Persistent<typeof Blob>;
  heap.root.set('last', last);
  heap.collect({ handles: false });
  return { heap, region, last };
}

describe('what is looked into stays where it is', () => {
  test('bytes, while a view of them is alive', () => {
    const { heap, region, last } = sparse();
    const { data } = last;
    const at = region.addressOf(data);
    const before = (last as unknown as Handle).$at;
    expect(heap.compact().moved).toBeGreaterThan(0);
    expect((last as unknown as Handle).$at).toBeLessThan(before);
    data[3] = 99;
    expect(last.data[3]).toBe(99);
    expect(region.addressOf(last.data)).toBe(at);
    expect(last.data[4]).toBe(1999 % 256);
  });

  test('an object, while a view of what lies inside it is', () => {
    const { heap, last } = sparse();
    const { inside } = last;
    const before = (last as unknown as Handle).$at;
    heap.compact();
    expect((last as unknown as Handle).$at).toBe(before);
    inside[2] = 1.5;
    expect(last.inside[2]).toBe(1.5);
    expect(last.name).toBe('name 1999');
  });
});

test('maps find objects by reference after these moved', () => {
  const { heap } = newHeap();
  const Item = struct('Item', { id: u32 });
  const gone = Array.from({ length: 3000 }, (_, id) => heap.create(Item, { id }));
  const kept = Array.from({ length: 300 }, (_, id) => heap.create(Item, { id }));
  const pairs = kept.map((item) => [item, item.id] as const);
  heap.root.set('ids', heap.create(map(ref(Item), u32), pairs));
  heap.root.set('mixed', new Map<unknown, unknown>(pairs));
  heap.collect({ handles: false });
  expect(gone[0]).toSatisfy((one: Handle) => one.$at < 0);
  const before = kept.map((one) => (one as unknown as Handle).$at);
  heap.compact();
  expect(kept.map((one) => (one as unknown as Handle).$at)).not.toEqual(before);
  for (const name of ['ids', 'mixed']) {
    const found = heap.root.get(name) as Map<unknown, number>;
    expect(kept.map((item) => found.get(item))).toEqual(kept.map(({ id }) => id));
    expect(found.size).toBe(kept.length);
  }
});

test('a scan that is under way ends: ERR_STALE', () => {
  const { heap } = newHeap();
  for (let id = 0; id < 10; id++) heap.create(Node, { id });
  const scan = heap.scan(Node);
  const { value } = scan.next();
  heap.compact();
  expectCode('ERR_STALE', () => value.id);
  expectCode('ERR_STALE', () => scan.next());
});

test('objects of an older form, led past their signposts', () => {
  const { heap, region } = newHeap();
  const Old = struct('Item', { id: u32, next: ref(() => Old) });
  let last: Persistent<typeof Old> | null = null;
  for (let id = 0; id < 100; id++) last = heap.create(Old, { id, next: last });
  heap.root.set('last', last);
  heap.collect({ handles: false });
  const New = struct('Item', { id: u32, next: ref(() => New), name: str });
  heap.create(New, {});
  heap.upgrade();
  const { busyBlocks } = region.stat();
  heap.compact();
  // A hundred signposts, and the object that nothing refers to.
  expect(region.stat().busyBlocks).toBeLessThanOrEqual(busyBlocks - 100);
  let found = heap.root.get('last') as Persistent<typeof New> | null;
  for (let id = 99; id >= 0; id--) {
    expect(found?.id).toBe(id);
    found = found?.next as Persistent<typeof New> | null;
  }
  expect(found).toBe(null);
});

test('a full heap is compacted without asking the program for room', () => {
  let asked = 0;
  const region = createRegion(heapDiscipline({ capacity: '1MiB' }), slab, { on: {
    noMemory() {
      asked += 1;
      return 'fail';
    },
  } });
  const heap = heapIn(region, { now: () => 0 });
  const all = heap.create(list(str), []);
  heap.root.set('all', all);
  expectCode('ERR_NO_SPACE', () => {
    for (let i = 0; ; i++) all.push('x'.repeat(i % 700));
  });
  for (let i = 0; i < all.length; i++) all.splice(i, 1);
  const texts = [...all];
  asked = 0;
  expect(heap.compact().moved).toBeGreaterThan(100);
  expect(asked).toBe(0);
  expect([...all]).toEqual(texts);
  expect(heap.check()).toEqual([]);
  expect(region.check()).toEqual([]);
});

test.each(METHODS)('%s in rounds: whole after each, and as small in the end', (_, method) => {
  const { heap, region } = newHeap('64MiB', method);
  const Item = struct('Item', { id: u32, text: str });
  const random = randomFrom(newSeed());
  const all = heap.create(list(ref(Item)), []);
  heap.root.set('all', all);
  for (let i = 0; i < 12_000; i++) {
    const item = heap.create(Item, { id: i, text: 'x'.repeat(random(60) + 1) });
    if (random(4) === 0) all.push(item);
  }
  const content = () => Array.from(all, (one) => `${one?.id} ${one?.text}`).join();
  heap.collect({ handles: false });
  const before = content();
  const extent = () => region.stat().extent;
  const start = extent();
  let rounds = 0;
  let given = 0;
  for (let done = false; !done; rounds++) {
    const size = extent();
    const round = heap.compact({ moveBytes: 20_000 });
    expect(round).toMatchObject({ bytes: size - extent() });
    given += round.bytes;
    ({ done } = round);
    expect(heap.check()).toEqual([]);
    expect(content()).toBe(before);
  }
  expect(rounds).toBeGreaterThan(3);
  expect(given).toBe(start - extent());
  expect(heap.compact()).toMatchObject({ done: true });
  expect(start - given - extent()).toBeLessThan(2 ** 17);
  expect(extent()).toBeLessThan(start / 2);
});

test('limits that are none', () => {
  const { heap } = newHeap();
  for (const moveBytes of [0, -1, NaN, '1MiB', null]) {
    expectCode('ERR_BAD_OPTION', () => heap.compact({ moveBytes } as object));
  }
  expectCode('ERR_BAD_OPTION', () => heap.compact({ moveByte: 1 } as object));
  expectCode('ERR_BAD_OPTION', () => heap.compact(7 as unknown as object));
});

test('an empty heap, a closed one', () => {
  const { heap, region } = newHeap();
  expect(heap.compact()).toMatchObject({ moved: 0, objects: 0 });
  heap.root.set('a', 1);
  heap.compact();
  expect(heap.root.get('a')).toBe(1);
  region.close();
  expectCode('ERR_CLOSED', () => heap.compact());
});
