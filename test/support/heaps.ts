/** Heaps of objects in plain memory. */
import { heap } from '../../src/disciplines/heap.ts';
import { slab } from '../../src/methods/slab.ts';
import { heapIn, type ObjectHeap } from '../../src/objects/heap.ts';
import { createRegion } from '../../src/region/region.ts';
import type { Method, Region } from '../../src/types.ts';

export interface NewHeap {
  readonly heap: ObjectHeap;
  readonly region: Region;
}

/** A new heap and the region it is in. */
export function newHeap(capacity: number | string = '64MiB', method: Method = slab): NewHeap {
  const region = createRegion(heap({ capacity }), method, { name: 'app' });
  return { heap: heapIn(region, { now: () => 0 }), region };
}
