/** What is in a region: segments, blocks, counts. */
import { GRANULE } from '../layout.ts';
import type { Address, Blocks, RegionStat, Segment } from '../types.ts';
import type { Space } from './space.ts';

export function* segmentsOf(space: Space): Generator<Segment> {
  for (const part of [...space.parts]) {
    yield { address: part.base as Address, size: part.arena.end() * GRANULE };
  }
}

/** Blocks segment by segment: two numbers a block are held while its segment is listed. */
export function* blocksOf(
  space: Space,
): Generator<{ address: Address; size: number; busy: boolean }> {
  for (const part of [...space.parts]) {
    const found: number[] = [];
    part.blocks.walk((granule, bytes, busy) => {
      found.push(granule, busy ? bytes : -1 - bytes);
      return false;
    });
    for (let i = 0; i < found.length; i += 2) {
      const address = (part.base + found[i] * GRANULE) as Address;
      const busy = found[i + 1] >= 0;
      yield { address, size: busy ? found[i + 1] : -1 - found[i + 1], busy };
    }
  }
}

export function statOf(space: Space): RegionStat {
  const stat = {
    busyBlocks: 0,
    freeBlocks: 0,
    busyBytes: 0,
    freeBytes: 0,
    largestBusy: 0,
    largestFree: 0,
    segments: space.parts.length,
    extent: space.extent(),
    capacity: space.discipline.capacity,
  };
  for (const { blocks } of space.parts) blocks.stat(stat);
  return stat;
}

export function hasBusy(blocks: Blocks): boolean {
  let found = false;
  blocks.walk((_granule, _bytes, busy) => {
    found = busy;
    return busy;
  });
  return found;
}
