/**
 * What is in a heap of `slab`: the blocks of `best` in address order, and instead of each span what
 * is in its pages. A free slot and a row of free pages show as free blocks; hidden blocks do not
 * show.
 */
import { GRANULE, SLAB_PAGE, SLAB_SPAN } from '../layout.ts';
import type { Blocks, BlockStat } from '../types.ts';
import { countInto } from './best-walk.ts';
import { isGuarded, isHidden } from './slab-hidden.ts';
import { classOf, firstGranule, isFreeSlot, isSpan, pageOf, roomOf, slotsOf }
  from './slab-pages.ts';
import { isSpanAt } from './slab-rebuild.ts';

const { kind: KIND } = SLAB_PAGE;
const SPAN_GRANULES = 2 ** SLAB_SPAN.shift;
const PAGE_GRANULES = 2 ** SLAB_SPAN.pageShift;

export type Visit = (granule: number, bytes: number, busy: boolean) => boolean;

export function walkSlab(words: Int32Array, s: number, large: Blocks, visit: Visit): void {
  large.walk((granule, bytes, busy) => (busy && isSpanAt(words, s, granule)
    ? walkSpan(words, s, granule, visit)
    : visit(granule, bytes, busy)));
}

/** true = the visitor wants no more. */
function walkSpan(words: Int32Array, s: number, first: number, visit: Visit): boolean {
  let free = 0;
  let from = first;
  for (let granule = first; granule < first + SPAN_GRANULES; granule += PAGE_GRANULES) {
    const d = pageOf(granule);
    if (words[d + KIND] === 0) {
      if (free === 0) from = granule;
      free += roomOf(d);
      continue;
    }
    if (free > 0 && visit(from, free * GRANULE, false)) return true;
    free = 0;
    if (walkPage(words, s, d, visit)) return true;
  }
  return free > 0 && visit(from, free * GRANULE, false);
}

function walkPage(words: Int32Array, s: number, d: number, visit: Visit): boolean {
  const n = classOf(words[d + KIND]);
  const slots = slotsOf(words, d);
  const guarded = isGuarded(words[d + KIND]);
  let granule = firstGranule(d);
  for (let slot = 0; slot < slots; slot += 1) {
    const busy = !isFreeSlot(words, d, slot);
    const shows = !(busy && guarded && isHidden(words, s, granule));
    if (shows && visit(granule, n * GRANULE, busy)) return true;
    granule += n;
  }
  return false;
}

export function statSlab(words: Int32Array, s: number, large: Blocks, into: BlockStat): void {
  walkSlab(words, s, large, countInto(into));
}

/** Start of the live block that holds a granule, or 0. */
export function startOfSlab(
  words: Int32Array,
  s: number,
  large: Blocks,
  granule: number,
): number {
  if (granule >>> 0 >= words.length >>> 2) return 0;
  if (!isSpan(words, s, (granule & -SPAN_GRANULES) << 2)) return large.startOf(granule);
  const d = pageOf(granule);
  const n = classOf(words[d + KIND]);
  const slot = Math.floor((granule & (PAGE_GRANULES - 1)) / n);
  if (n === 0 || slot >= slotsOf(words, d)) return 0;
  if (isFreeSlot(words, d, slot)) return 0;
  const start = firstGranule(d) + slot * n;
  return isGuarded(words[d + KIND]) && isHidden(words, s, start) ? 0 : start;
}
