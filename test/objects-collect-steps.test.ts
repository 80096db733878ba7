/** Collecting in steps: the program goes on in between, and nothing that it can get at is lost. */
import { describe, expect, test } from 'vitest';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import type { Handle } from '../src/objects/handles.ts';
import type { ObjectHeap } from '../src/objects/heap.ts';
import { any, list, map, ref, sorted, str, u32 } from '../src/objects/kinds.ts';
import { type Persistent, struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { expectCode } from './support/expect-code.ts';
import { tickingHeap } from './support/graphs.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

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

describe('random graphs of every family', () => {
  test.each([['slab', slab], ['best', best]])(
    'in %s, in steps: what is reachable stays, what was garbage goes', (_, method) => {
      const { heap, world } = tickingHeap(method);
      let most = 0;
      for (let round = 0; round < often(4, 12); round++) {
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
    for (let round = 0; round < often(5, 16); round++) {
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
    for (let round = 0; round < often(200, 500); round++) {
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

describe('a collection under way is given up', () => {
  const ONE_STEP = { budgetMs: 1e9, handles: false };

  function begun(): { heap: ObjectHeap; items: Item[] } {
    const { heap } = tickingHeap();
    const items = Array.from({ length: 20_000 }, (_, id) => heap.create(Item, { id }));
    heap.root.set('all', heap.create(list(ref(Item)), items));
    expect(heap.collect({ budgetMs: 1, handles: false }).done).toBe(false);
    return { heap, items };
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
    expect(heap.collect(ONE_STEP)).toMatchObject({ objects: 0, done: true });
    expect(again.length).toBe(20_000);
    expect(heap.check()).toEqual([]);
    store.close();
  });

  test('by clear', () => {
    const { heap } = begun();
    heap.clear();
    expect(heap.collect(ONE_STEP)).toMatchObject({ objects: 0, done: true });
    expect(heap.check()).toEqual([]);
  });

  test('by compaction', () => {
    const { heap, items } = begun();
    heap.compact();
    expect(heap.collect(ONE_STEP)).toMatchObject({ objects: 0, done: true });
    expect(items.map(({ id }) => id)).toEqual(items.map((_, id) => id));
  });

  test('by a whole one, which frees what became garbage since', () => {
    const { heap, items } = begun();
    heap.root.delete('all');
    heap.collect({ handles: false });
    expect(items.every(isStale)).toBe(true);
  });

  test('by one that does not let go of what handles hold', () => {
    const { heap, items } = begun();
    heap.root.delete('all');
    while (!heap.collect({ budgetMs: 1 }).done);
    expect(items.map(({ id }) => id)).toEqual(items.map((_, id) => id));
  });
});
