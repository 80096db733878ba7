/** Heaps of objects in memory of JavaScript. */
import { heap } from '../../src/disciplines/heap.ts';
import { slab } from '../../src/methods/slab.ts';
import { heapIn, type ObjectHeap } from '../../src/objects/heap.ts';
import { createRegion } from '../../src/region/region.ts';
import type { Region } from '../../src/types.ts';

export interface NewHeap {
  readonly heap: ObjectHeap;
  readonly region: Region;
}

/** A new heap and the region it is in. */
export function newHeap(capacity: number | string = '64MiB'): NewHeap {
  const region = createRegion(heap({ capacity }), slab);
  return { heap: heapIn(region, { now: () => 0 }), region };
}
