/**
 * What is live, estimated from places spread evenly over a region: the time does not grow with it.
 * A block counts by how much of it lies in the places that are looked at, so that large ones, which
 * are few, weigh no more than small ones.
 */
import { GRANULE, GRANULES_PER_PAGE } from '../layout.ts';
import type { Blocks, Region, RegionStat } from '../types.ts';
import { spaceOf } from './calls.ts';
import type { Part } from './space.ts';

/** Places of a region that are looked at, and granules of each. */
const PLACES = 256;
const PLACE = 1024;
/** Where a place lies in its share: fractions that never repeat, so in no step with any table. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Anything may be read. */
const ALL = new Int32Array(0);

/** `weight` = how many live blocks of the region this one stands for. */
export type Sampler = (part: Part, granule: number, bytes: number, weight: number) => void;

/** Live blocks and their bytes, from a sample of them. */
export function sampleOf(
  region: Region, visit: Sampler = () => {},
): { busyBlocks: number; busyBytes: number } {
  const parts = spaceOf(region)?.parts ?? [];
  const all = parts.reduce((sum, { arena }) => sum + arena.end(), 0);
  let [busyBlocks, busyBytes] = [0, 0];
  for (const part of parts) {
    const { share, length, starts } = placesOf(part, PLACES * part.arena.end() / all);
    const discipline = spaceOf(region)?.discipline;
    discipline?.expect?.(part.index, pagesOf(starts, length));
    const sight = new Sight(part.blocks);
    for (const from of starts) {
      sight.look(from, Math.floor(from + length), (granule, bytes, portion) => {
        const weight = portion * share / length;
        busyBlocks += weight;
        busyBytes += weight * bytes;
        visit(part, granule, bytes, weight);
      });
    }
    discipline?.expect?.(part.index, ALL);
  }
  return { busyBlocks: Math.round(busyBlocks), busyBytes: Math.round(busyBytes) };
}

/** Where places of a segment begin, each in a share of its own; all in granules. */
function placesOf({ arena }: Part, wanted: number) {
  const count = Math.max(1, Math.round(wanted));
  const share = (arena.end() - arena.start) / count;
  const length = Math.min(PLACE, share);
  const starts = Array.from({ length: count }, (_, i) =>
    Math.floor(arena.start + i * share + (share - length) * ((i * GOLDEN) % 1)));
  return { share, length, starts };
}

/** The pages of places, as runs. */
function pagesOf(starts: readonly number[], length: number): Int32Array {
  return Int32Array.from(starts.flatMap((from) => {
    const first = Math.floor(from / GRANULES_PER_PAGE);
    return [first, Math.floor((from + length - 1) / GRANULES_PER_PAGE) - first + 1];
  }));
}

/** `stat()` of a region as a sample tells it; NaN = it does not. */
export function estimateOf(region: Region): RegionStat {
  const space = spaceOf(region);
  const busy = sampleOf(region);
  return { ...busy, freeBlocks: NaN, freeBytes: NaN, largestBusy: NaN, largestFree: NaN,
    segments: space?.parts.length ?? 0, extent: space?.extent() ?? 0,
    capacity: space?.discipline.capacity ?? 0 };
}

/** Looks at places of a segment, ascending; what lies between is not looked for twice. */
class Sight {
  readonly #blocks: Blocks;
  /** The last live block that was seen, its end. */
  #held = { granule: 0, bytes: 0, end: 0 };
  /** No block starts between the last place and here; Infinity = none starts behind it. */
  #next = 0;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /** `portion` = the part of a block that lies in the place. */
  look(
    from: number, to: number, add: (granule: number, bytes: number, portion: number) => void,
  ): void {
    if (from >= this.#held.end && from >= this.#next) this.#hold(this.#blocks.startOf(from));
    const { granule, bytes, end } = this.#held;
    if (granule < from && end > from) {
      add(granule, bytes, (Math.min(to, end) - from) / (end - granule));
    }
    const first = Math.max(from, end, this.#next);
    if (first >= to) return;
    this.#next = Infinity;
    this.#blocks.walk((at, size, busy) => {
      if (at >= to) {
        this.#next = at;
        return true;
      }
      if (busy) {
        this.#keep(at, size);
        add(at, size, (Math.min(to, this.#held.end) - at) / (this.#held.end - at));
      }
      return false;
    }, first);
  }

  #hold(granule: number): void {
    if (granule > 0) this.#keep(granule, Math.max(0, this.#blocks.sizeOf(granule)));
  }

  #keep(granule: number, bytes: number): void {
    this.#held = { granule, bytes, end: granule + Math.max(1, Math.ceil(bytes / GRANULE)) };
  }
}
