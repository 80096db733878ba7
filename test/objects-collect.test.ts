/** Collecting: what is freed, and what is not, whole and in steps. */
import { describe, expect, test } from 'vitest';
import { heap as heapDiscipline } from '../src/disciplines/heap.ts';
import { HEAD } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { slab } from '../src/methods/slab.ts';
import type { CollectOptions } from '../src/objects/collect.ts';
import type { Handle } from '../src/objects/handles.ts';
import { heapIn, type ObjectHeap } from '../src/objects/heap.ts';
import { any, array, bytes, f64, list, map, ref, sorted, str, u32 } from
  '../src/objects/kinds.ts';
import { type Persistent, struct } from '../src/objects/struct.ts';
import { createRegion } from '../src/region/region.ts';
import { openStore } from '../src/store/store.ts';
import type { Method } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { World } from './support/graphs.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

/** A heap whose clock goes on by one at each look: a step of `budgetMs: n` looks n times. */
function tickingHeap(method: Method = slab): { heap: ObjectHeap; world: World } {
  const region = createRegion(heapDiscipline({ capacity: '256MiB' }), method, { name: 'app' });
  let time = 0;
  const heap = heapIn(region, { now: () => time++ });
  const seed = newSeed();
  return { heap, world: new World(heap, region, randomFrom(seed)) };
}

describe('random graphs of every family', () => {
  test.each([['slab', slab], ['best', best], ['debug(slab)', debug(slab, { sites: false })]])(
    'in %s: what a whole collection leaves is what is reachable', (_, method) => {
      const { heap, world } = tickingHeap(method);
      for (let round = 0; round < often(12, 20); round++) {
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

  test.each([['slab', slab], ['best', best]])(
    'in %s, in steps: what is reachable stays, what was garbage goes', (_, method) => {
      const { heap, world } = tickingHeap(method);
      let most = 0;
      for (let round = 0; round < often(6, 12); round++) {
        for (let i = 0; i < 600; i++) world.step();
        const live = world.reachable();
        const garbage = [...world.handles.keys()].filter((one) => !live.has(one));
        let steps = 1;
        for (; !heap.collect({ handles: false, budgetMs: 1 }).done; steps++) {
          for (let i = 0; i < 3; i++) world.step(true);
          if (steps % 8 === 0) world.verify();
        }
        most = Math.max(most, steps);
        world.verify();
        const ids = new Set(world.ids());
        expect(garbage.filter(({ id }) => ids.has(id))).toEqual([]);
      }
      expect(most).toBeGreaterThan(20);
      heap.collect({ handles: false });
      world.verifyExactly();
    });

  test('in steps, and garbage is used again before it is freed', () => {
    const { heap, world } = tickingHeap();
    for (let round = 0; round < often(8, 16); round++) {
      for (let i = 0; i < 500; i++) world.step();
      for (let steps = 1; !heap.collect({ handles: false, budgetMs: 1 }).done; steps++) {
        for (let i = 0; i < 3; i++) world.step();
        if (steps % 8 === 0) world.verify();
      }
      world.verify();
    }
    heap.collect({ handles: false });
    world.verifyExactly();
  });

  test('in steps, given up now and then, while handles hold everything', () => {
    const { heap, world } = tickingHeap();
    for (let round = 0; round < often(300, 500); round++) {
      for (let i = 0; i < 4; i++) world.step();
      heap.collect({ budgetMs: 1 + world.random(4) });
      if (world.random(40) === 0) heap.collect();
    }
    for (const model of world.handles.keys()) expect(world.isStale(model)).toBe(false);
    world.verify();
    heap.collect({ handles: false });
    world.verifyExactly();
  });
});

const Item = struct('Item', { id: u32, name: str, next: ref(() => Item) });
type Item = Persistent<typeof Item>;

function isStale(handle: unknown): boolean {
  return (handle as Handle).$at < 0;
}

/** One step after the other, and `between` in between; how many there were. */
function inSteps(heap: ObjectHeap, between: () => void = () => {}): number {
  let steps = 1;
  for (; !heap.collect({ handles: false, budgetMs: 1 }).done; steps++) between();
  return steps;
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

describe('slots that move while they are marked', () => {
  const Box = struct('Box', { items: list(ref(Item)), named: map(u32, ref(Item)),
    ordered: sorted(u32, ref(Item)), loose: any });
  const COUNT = 12_000;

  /** Nothing but the collections refers to the items. */
  function boxed() {
    const { heap, world } = tickingHeap();
    const box = heap.create(Box, {});
    heap.root.set('box', box);
    for (let id = 0; id < COUNT; id++) {
      box.items.push(heap.create(Item, { id }));
      box.named.set(id, heap.create(Item, { id }));
      box.ordered.set(id, heap.create(Item, { id }));
    }
    return { heap, world, box };
  }

  type Items = Persistent<typeof Box>['items'];
  // One at a time: what passes through the program's hands is marked for that reason.
  test.each<[string, (items: Items) => void, (ids: number[]) => void]>([
    ['shift', (items) => items.shift(), (ids) => ids.shift()],
    ['splice', (items) => items.splice(100, 200), (ids) => ids.splice(100, 200)],
    ['reverse', (items) => items.reverse(), (ids) => ids.reverse()],
    ['sort', (items) => items.sort((a, b) => (b?.id ?? 0) - (a?.id ?? 0)),
      (ids) => ids.sort((a, b) => b - a)],
  ])('by %s of a list', (_, change, same) => {
    const { heap, world, box } = boxed();
    const ids = Array.from({ length: COUNT }, (_, id) => id);
    const steps = inSteps(heap, () => {
      change(box.items);
      same(ids);
    });
    expect(steps).toBeGreaterThan(50);
    expect(box.items.map((one) => one?.id)).toEqual(ids);
    expect(heap.check()).toEqual([]);
    expect(world.region.check()).toEqual([]);
  });

  test('by deleting from, and adding to, a map and a sorted map', () => {
    const { heap, box } = boxed();
    const ids = new Map(Array.from({ length: COUNT }, (_, id) => [id, id]));
    const random = randomFrom(newSeed());
    inSteps(heap, () => {
      const from = random(COUNT);
      for (let id = from; id < Math.min(COUNT, from + 400); id++) {
        ids.delete(id);
        box.named.delete(id);
        box.ordered.delete(id);
      }
      const id = random(COUNT);
      ids.set(id, id);
      for (const target of [box.named, box.ordered]) target.set(id, heap.create(Item, { id }));
    });
    const pairs = (all: Iterable<[number, { id: number } | null]>) =>
      Array.from(all, ([key, one]) => [key, one?.id]);
    expect(pairs(box.named)).toEqual([...ids]);
    expect(pairs(box.ordered)).toEqual([...ids].sort(([a], [b]) => a - b));
    expect(heap.check()).toEqual([]);
  });
});

describe('scans', () => {
  test('see no object that is about to be freed', () => {
    const { heap } = tickingHeap();
    for (let id = 0; id < 20_000; id++) heap.create(Item, { id, name: `name ${id}` });
    const kept = heap.create(Item, { id: 77, name: 'kept' });
    heap.root.set('kept', kept);
    let freed = 0;
    let isDone = false;
    while (!isDone) {
      const { objects, done } = heap.collect({ handles: false, budgetMs: 3 });
      freed += objects;
      isDone = done;
      const seen = [...heap.scan(Item)].length;
      // Before the end of marking all are there, after it one.
      expect([20_001, 1]).toContain(seen);
      if (seen === 1) expect(heap.root.get('kept')).toBe(kept);
    }
    freed += heap.collect({ handles: false }).objects;
    expect(freed).toBe(40_000);
  });

  test('go on while what they have passed, and what comes, is freed', () => {
    const { heap } = newHeap();
    for (let id = 0; id < 2000; id++) heap.create(Item, { id });
    const kept = heap.create(Item, { id: 2000 });
    heap.root.set('kept', kept);
    let count = 0;
    for (const one of heap.scan(Item)) {
      count += 1;
      if (count !== 5) continue;
      heap.collect({ handles: false });
      expect(isStale(one)).toBe(true);
      expectCode('ERR_STALE', () => one.id);
      expectCode('ERR_STALE', () => one.keep());
    }
    expect(count).toBe(6);
  });

  test('hold the object they show, with handles', () => {
    const { heap } = newHeap();
    for (let id = 0; id < 100; id++) heap.create(Item, { id, name: `name ${id}` });
    heap.collect({ handles: false });
    expect([...heap.scan(Item)]).toEqual([]);
    heap.create(Item, { id: 5, name: 'shown' });
    for (const one of heap.scan(Item)) {
      heap.collect();
      expect(one.name).toBe('shown');
      heap.root.set('shown', one.keep());
    }
    heap.collect({ handles: false });
    expect((heap.root.get('shown') as Item).name).toBe('shown');
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

describe('a collection under way is given up', () => {
  function begun(): { heap: ObjectHeap; items: Item[]; dir: string } {
    const dir = temporaryDirectory();
    const heap = openStore(dir).heap('app');
    const items = Array.from({ length: 20_000 }, (_, id) => heap.create(Item, { id }));
    heap.root.set('all', heap.create(list(ref(Item)), items));
    return { heap, items, dir };
  }

  test('by rollback', () => {
    const dir = temporaryDirectory();
    const store = openStore(dir);
    const heap = store.heap('app');
    const all = heap.create(list(ref(Item)), []);
    heap.root.set('all', all);
    for (let id = 0; id < 20_000; id++) all.push(heap.create(Item, { id }));
    store.checkpoint();
    heap.root.delete('all');
    expect(heap.collect({ budgetMs: 0.001, handles: false }).done).toBe(false);
    store.rollback();
    const again = heap.root.get('all') as { length: number };
    expect(heap.collect({ budgetMs: 1e9, handles: false })).toMatchObject({ objects: 0, done: true });
    expect(again.length).toBe(20_000);
    expect(heap.check()).toEqual([]);
    store.close();
  });

  test('by clear, and by compaction', () => {
    const { heap } = begun();
    expect(heap.collect({ budgetMs: 0.001, handles: false }).done).toBe(false);
    heap.compact();
    expect(heap.collect({ budgetMs: 1e9, handles: false })).toMatchObject({ objects: 0, done: true });
    expect(heap.collect({ budgetMs: 0.001, handles: false }).done).toBe(false);
    heap.clear();
    expect(heap.collect({ budgetMs: 1e9, handles: false })).toMatchObject({ objects: 0, done: true });
    expect(heap.check()).toEqual([]);
  });

  test('by a whole one, which frees what became garbage since', () => {
    const { heap, items } = begun();
    expect(heap.collect({ budgetMs: 0.001, handles: false }).done).toBe(false);
    heap.root.delete('all');
    heap.collect({ handles: false });
    expect(items.every(isStale)).toBe(true);
  });
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
    // The copy names what it could not read; the cause is the heap's.
    const failed = expectCode('ERR_SCHEMA', () => heap.root.set('x', collecting));
    expect(failed.message).toMatch(/in the middle of a call/);
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
  const MANY = often(100_000, 1_000_000);

  test('a list that is linked neither overflows a stack nor needs one', () => {
    const { heap, region } = newHeap('2GiB');
    let last: Item | null = null;
    for (let id = 0; id < MANY; id++) last = heap.create(Item, { id, next: last });
    heap.root.set('last', last);
    expect(heap.collect({ handles: false }).objects).toBe(0);
    heap.root.delete('last');
    expect(heap.collect({ handles: false }).objects).toBeGreaterThanOrEqual(MANY);
    expect(region.stat().busyBlocks).toBeLessThan(10);
  });

  test('a list of as many references', () => {
    const { heap } = newHeap('2GiB');
    const all = heap.create(list(ref(Item)), []);
    heap.root.set('all', all);
    for (let id = 0; id < MANY; id++) all.push(heap.create(Item, { id }));
    expect(heap.collect({ handles: false }).objects).toBe(0);
    expect(all.at(-1)?.id).toBe(MANY - 1);
    heap.root.delete('all');
    expect(heap.collect({ handles: false }).objects).toBeGreaterThanOrEqual(MANY);
  });
});
