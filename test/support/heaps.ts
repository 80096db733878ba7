/** Heaps in plain memory, for tests of what is inside them. */
import { heap } from '../../src/disciplines/heap.ts';
import { best } from '../../src/methods/best.ts';
import { heapIn, type ObjectHeap } from '../../src/objects/heap.ts';
import { createRegion } from '../../src/region/region.ts';
import type { Method, Region } from '../../src/types.ts';

/** A heap, and the region it lies in. */
export function newHeap(capacity: number | string = '64MiB', method: Method = best):
  { heap: ObjectHeap; region: Region } {
  const region = createRegion(heap({ capacity }), method, { name: 'app' });
  return { heap: heapIn(region, { now: () => 0 }), region };
}
