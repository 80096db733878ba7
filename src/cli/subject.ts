/** A region as a verb sees it, with the heap of objects that may be in it. */
import { checkHeapIn, heapIn, isHeap } from '../objects/heap.ts';
import { estimateHeapIn } from '../objects/inside.ts';
import { estimateOf } from '../region/sample.ts';
import type { Region } from '../types.ts';
import type { Subject } from './target.ts';

const ties = { now: () => performance.now() };

export function subjectOf(
  name: string, kind: string, discipline: string, region: Region,
): Subject {
  return {
    name,
    kind,
    discipline,
    region,
    heap: () => isHeap(region) ? heapIn(region, ties) : null,
    estimate: () => estimateOf(region),
    estimateHeap: () => estimateHeapIn(region, ties),
    check() {
      const found = region.check();
      // What a heap says of itself counts where its blocks are sound.
      return found.length === 0 && isHeap(region) ? checkHeapIn(region, ties) : found;
    },
  };
}
