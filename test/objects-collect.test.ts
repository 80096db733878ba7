/** Collecting: what is freed, and what is not, whole and in steps. */
import { describe, expect, test } from 'vitest';
import { heap as heapDiscipline } from '../src/disciplines/heap.ts';
import { HEAD, HEAD_ROOT } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { slab } from '../src/methods/slab.ts';
import type { CollectOptions } from '../src/objects/collector/collect.ts';
import type { Handle } from '../src/objects/handles.ts';
import { heapIn, type ObjectHeap } from '../src/objects/heap.ts';
import { array, bytes, f64, list, map, ref, sorted, str, u32 } from
  '../src/objects/kinds.ts';
import { Marker } from '../src/objects/collector/mark.ts';
import { refAt } from '../src/objects/memory.ts';
import { type Persistent, struct } from '../src/objects/struct.ts';
import { createRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { tickingHeap } from './support/graphs.ts';
import { newHeap } from './support/heaps.ts';
import { often } from './support/oracle.ts';

describe('random graphs of every family', () => {
  test.each([['slab', slab], ['best', best], ['debug(slab)', debug(slab, { sites: false })]])(
    'in %s: what a whole collection leaves is what is reachable', (_, method) => {
      const { heap, world } = tickingHeap(method);
      for (let round = 0; round < often(8, 20); round++) {
        for (let i = 0; i < 120; i++) world.step();
        const busy = world.region.stat();
        const { objects, bytes, done } = heap.collect({ handles: false });
        const left = world.region.stat();
        expect({ objects, bytes, done }).toEqual({ objects: busy.busyBlocks - left.busyBlocks,
          bytes: busy.busyBytes - left.busyBytes, done: true });
        world.verifyExactly();
        expect(heap.collect({ handles: false })).toMatchObject({ objects: 0, bytes: 0 });
      }
    });

});

const Item = struct('Item', { id: u32, name: str, next: ref(() => Item) });
type Item = Persistent<typeof Item>;

function isStale(handle: unknown): boolean {
  return (handle as Handle).$at < 0;
}

describe('handles', () => {
  test('hold their objects, and what these refer to', () => {
    const { heap } = newHeap();
    const inner = heap.create(Item, { id: 1 });
    const outer = heap.create(Item, { id: 2, next: inner });
    expect(heap.collect()).toMatchObject({ objects: 0, bytes: 0, done: true });
    expect(outer.next).toBe(inner);
  });

  test('hold nothing with handles: false: then they are stale', () => {
    const { heap } = newHeap();
    const kept = heap.create(Item, { id: 1 });
    const gone = heap.create(Item, { id: 2, name: 'gone', next: kept });
    heap.root.set('kept', kept);
    expect(heap.collect({ handles: false }).objects).toBe(2);
    expectCode('ERR_STALE', () => gone.id);
    expectCode('ERR_STALE', () => heap.root.set('gone', gone));
    expect(kept.id).toBe(1);
    expect(heap.root.get('kept')).toBe(kept);
  });

  test('of collections as well', () => {
    const { heap } = newHeap();
    const gone = [heap.create(list(str), ['a']), heap.create(map(str, u32), { a: 1 }),
      heap.create(sorted(u32, str), [[1, 'a']])];
    expect(heap.collect().objects).toBe(0);
    expect(heap.collect({ handles: false }).objects).toBeGreaterThan(6);
    expect(gone.every(isStale)).toBe(true);
  });
});

describe('what a view looks at stays', () => {
  const Blob = struct('Blob', { data: bytes(), inside: array(f64, 4), name: str });

  test('bytes whose object is gone', () => {
    const { heap } = newHeap();
    const { data } = heap.create(Blob, { data: new Uint8Array(1000).fill(7) });
    heap.collect({ handles: false });
    for (let i = 0; i < 100; i++) heap.create(Blob, { data: new Uint8Array(1000).fill(i) });
    expect(data).toEqual(new Uint8Array(1000).fill(7));
  });

  test('an object with what it refers to, where the view is inside', () => {
    const { heap } = newHeap();
    const blob = heap.create(Blob, { inside: [1, 2, 3, 4], name: 'still here' });
    const { inside } = blob;
    heap.collect({ handles: false });
    expect([...inside]).toEqual([1, 2, 3, 4]);
    expect(blob.name).toBe('still here');
  });
});

test('objects of an older form are led past signposts, which go', () => {
  const { heap, region } = newHeap();
  const Old = struct('Thing', { id: u32, next: ref(() => Old) });
  const first = heap.create(Old, { id: 1 });
  const index = heap.create(map(ref(Old), u32), [[first, 7]]);
  heap.root.set('index', index);
  heap.root.set('first', first);
  heap.root.set('last', heap.create(Old, { id: 2, next: first }));
  const New = struct('Thing', { id: u32, next: ref(() => New), name: str });
  heap.create(New, {});
  heap.upgrade();
  heap.collect({ handles: false });
  expect(heap.check()).toEqual([]);
  const found = heap.root.get('first') as Persistent<typeof New>;
  expect((heap.root.get('last') as Persistent<typeof New>).next).toBe(found);
  expect(index.get(found)).toBe(7);
  expect([...region.blocks()].filter(({ busy, address }) =>
    busy && region.array(Int32Array, address, 1)[0] === 16)).toEqual([]);
});

describe('misuse', () => {
  test.each([{ budgetMs: 0 }, { budgetMs: -1 }, { budgetMs: Number.NaN }, { budgetMs: '5' },
    { handles: 1 }, { handels: false }, 7, null])('options %j: ERR_BAD_OPTION', (options) => {
      const { heap } = newHeap();
      expectCode('ERR_BAD_OPTION', () => heap.collect(options as CollectOptions));
    });

  test('in a getter, an iterator: ERR_BUSY', () => {
    const { heap } = newHeap();
    const collecting = { get name() { heap.collect(); return 'x'; } };
    expectCode('ERR_BUSY', () => heap.create(Item, collecting));
    function* values() {
      yield 'a';
      heap.compact();
    }
    expectCode('ERR_BUSY', () => heap.create(list(str), values()));
    expectCode('ERR_BUSY', () => heap.root.set('x', collecting));
    expect(heap.collect({ handles: false }).done).toBe(true);
    expect(heap.check()).toEqual([]);
  });

  test('in the handler noMemory: ERR_BUSY', () => {
    let thrown: unknown = null;
    const region = createRegion(heapDiscipline({ capacity: '1MiB' }), slab, { on: {
      noMemory() {
        try {
          heap.collect();
        } catch (error) {
          thrown = error;
        }
        return 'fail';
      },
    } });
    const heap = heapIn(region, { now: () => 0 });
    expectCode('ERR_NO_SPACE', () => {
      for (let id = 0; ; id++) heap.create(Item, { id, name: 'x'.repeat(1000) });
    });
    expectCode('ERR_BUSY', () => { throw thrown; });
    expect(heap.collect({ handles: false }).objects).toBeGreaterThan(1000);
  });

  test('a closed heap: ERR_CLOSED', () => {
    const { heap, region } = newHeap();
    heap.collect({ budgetMs: 1 });
    region.close();
    expectCode('ERR_CLOSED', () => heap.collect());
    expectCode('ERR_CLOSED', () => heap.check());
    expectCode('ERR_CLOSED', () => heap.stat());
  });

  test('a damaged heap: ERR_CORRUPT, and nothing is freed', () => {
    const { heap, world } = tickingHeap();
    for (let i = 0; i < 100; i++) world.step();
    world.head()[HEAD.root] += 1;
    const before = world.region.stat().busyBlocks;
    expectCode('ERR_CORRUPT', () => heap.collect({ handles: false }));
    expect(world.region.stat().busyBlocks).toBe(before);
    world.head()[HEAD.root] -= 1;
    heap.collect({ handles: false });
    world.verifyExactly();
  });
});

test('stat counts what is there', () => {
  const { heap, region } = newHeap();
  const items = Array.from({ length: 10 }, (_, id) => heap.create(Item, { id, name: 'a name' }));
  heap.root.set('items', heap.create(list(ref(Item)), items));
  heap.root.set('when', new Date(0));
  heap.root.set('big', 2n ** 80n);
  heap.root.set('bytes', new Uint8Array(100));
  const stat = heap.stat();
  const { busyBlocks, busyBytes } = region.stat();
  expect(stat.types.get('Item')).toEqual({ count: 10, bytes: 10 * 16 });
  expect([...stat.types].map(([text, { count }]) => [text, count])).toEqual([
    ['Item', 10], ['map(str,any)', 1], ['list(ref(Item))', 1]]);
  expect(stat).toMatchObject({ bytes: { count: 1 }, bigints: { count: 1 }, moments: { count: 1 },
    blocks: { count: busyBlocks, bytes: busyBytes }, handles: 12 });
  // Names, keys of the root, descriptions of types.
  expect(stat.texts.count).toBe(10 + 4 + 3);
});

describe('large graphs', () => {
  const MANY = often(400_000, 10_000_000);

  /** Bytes that marking takes, besides a bit for each granule. */
  function stackBytes(heap: ObjectHeap, region: Region): number {
    const { core } = (heap.root as unknown as Handle).$bound;
    const before = process.memoryUsage().arrayBuffers;
    const marker = new Marker(core, true);
    marker.reach(refAt(region.roots.get(HEAD_ROOT)));
    marker.drain(() => false);
    const taken = process.memoryUsage().arrayBuffers - before;
    return taken - region.stat().extent / 16 / 8;
  }

  test('a list that is linked neither overflows a stack nor needs one', () => {
    const { heap, region } = newHeap('2GiB');
    let last: Item | null = null;
    for (let id = 0; id < MANY; id++) last = heap.create(Item, { id, next: last });
    heap.root.set('last', last);
    expect(stackBytes(heap, region)).toBeLessThan(64 * 1024);
    expect(heap.collect({ handles: false }).objects).toBe(0);
    heap.root.delete('last');
    expect(heap.collect({ handles: false }).objects).toBeGreaterThanOrEqual(MANY);
    expect(region.stat().busyBlocks).toBeLessThan(10);
  }, 600_000);

  test('a list of as many references is looked through in pieces', () => {
    const { heap, region } = newHeap('2GiB');
    const all = heap.create(list(ref(Item)), []);
    heap.root.set('all', all);
    for (let id = 0; id < MANY; id++) all.push(heap.create(Item, { id, next: all.at(-1) ?? null }));
    expect(stackBytes(heap, region)).toBeLessThan(64 * 1024);
    expect(heap.collect({ handles: false }).objects).toBe(0);
    expect(all.at(-1)?.id).toBe(MANY - 1);
    heap.root.delete('all');
    expect(heap.collect({ handles: false }).objects).toBeGreaterThanOrEqual(MANY);
  }, 600_000);
});
