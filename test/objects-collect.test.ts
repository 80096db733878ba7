/** Collecting: what is freed, and what is not, whole and in steps. */
import { performance } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import { heap as heapDiscipline } from '../src/disciplines/heap.ts';
import { HEAD, ROLE } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { slab } from '../src/methods/slab.ts';
import { tagOf } from '../src/objects/core.ts';
import { heapIn, type ObjectHeap } from '../src/objects/heap.ts';
import { any, array, bytes, list, map, ref, str, u32, u8 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { createRegion } from '../src/region/region.ts';
import type { Method } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { Node, World } from './support/graphs.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

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
