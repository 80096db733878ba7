/** Looking into a heap, and mending it, from outside: for tools, which know its region. */
import type { Region } from '../types.ts';
import { type Dominators, dominatorsOf } from './dominators.ts';
import { heapIn, type HeapTies, insideOf, newCore } from './heap.ts';
import { blockNamer, type HeapStat, statOfHeap } from './heap-stat.ts';
import { mendHead } from './salvage/head.ts';
import { salvage, type Salvaged } from './salvage/salvage.ts';

/** Says what the block at an address of a heap is: a struct, a collection, `texts` and so on. */
export function blockNamesIn(region: Region, ties: HeapTies): (address: number) => string {
  const { core, table } = insideOf(region, ties);
  return blockNamer(core, table);
}

/** `heap.stat()` from a sample of its blocks. */
export function estimateHeapIn(region: Region, ties: HeapTies): HeapStat {
  const { core, table } = insideOf(region, ties);
  return statOfHeap(core, table, true);
}

/** What keeps what alive in the heap of a region; null = it has more than `most` objects. */
export function dominatorsIn(region: Region, ties: HeapTies, most: number): Dominators | null {
  return dominatorsOf(insideOf(region, ties).core, most);
}

/**
 * Puts the damaged heap in a region in order; see salvage/. `head` = what was done to its head.
 * What is lost is freed, whoever holds it. null = no heap is to be found there.
 */
export function salvageHeapIn(
  region: Region, ties: HeapTies,
): (Salvaged & { readonly head: readonly string[] }) | null {
  const changes = mendHead(newCore(region, ties));
  if (changes === null) return null;
  const heap = heapIn(region, ties);
  const { core, table, head } = insideOf(region, ties);
  table.reload();
  core.forgetClasses();
  const done = salvage(core, head, () => heap.root);
  heap.collect({ handles: false });
  return { head: changes, ...done };
}
