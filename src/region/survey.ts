/** What is in a region: segments, blocks, counts. */
import { GRANULE } from '../layout.ts';
import type { TraceSink } from '../events.ts';
import type { Address, Blocks, Finding, Region, RegionStat, Segment } from '../types.ts';
import type { Space } from './space.ts';

export function* segmentsOf(space: Space): Generator<Segment> {
  for (const part of [...space.parts]) {
    yield { address: part.base as Address, size: part.arena.end() * GRANULE };
  }
}

/** The segment in use that holds a byte, or null. */
export function segmentAt(space: Space, address: number): Segment | null {
  for (const { address: from, size } of segmentsOf(space)) {
    if (address >= from && address < from + size) return { address: from, size };
  }
  return null;
}

/** Every live block as if it was allocated now; free ones are passed over. */
export function traceBusy(space: Space, { name, method }: Region, sink: TraceSink): void {
  for (const { address, size, busy } of blocksOf(space)) {
    if (!busy) continue;
    sink.record({ old: 0, new: address, size, align: 0, zero: false, region: name, method,
      site: '' });
  }
}

/** Blocks that are listed in one go. */
const BATCH = 1024;

/**
 * Blocks in the order of addresses, some at a time: memory does not grow with the region. Where
 * threads share it, a shard is listed whole, since it is to be seen at one instant.
 */
export function* blocksOf(
  space: Space,
): Generator<{ address: Address; size: number; busy: boolean }> {
  const most = space.shards === null ? 2 * BATCH : Infinity;
  for (let i = 0; i < space.parts.length; i++) {
    const part = space.parts[i];
    for (let from = 0; from >= 0;) {
      const found: number[] = [];
      let next = -1;
      part.blocks.walk((granule, bytes, busy) => {
        found.push(granule, busy ? bytes : -1 - bytes);
        if (found.length === most) next = granule + 1;
        return next >= 0;
      }, from);
      for (let at = 0; at < found.length; at += 2) {
        const address = (part.base + found[at] * GRANULE) as Address;
        const busy = found[at + 1] >= 0;
        yield { address, size: busy ? found[at + 1] : -1 - found[at + 1], busy };
      }
      // The segment may have gone while others looked at its blocks.
      from = space.parts[i] === part ? next : -1;
    }
  }
}

/** Offset of a byte in the live block that holds it, or -1. */
export function offsetIn(space: Space, address: number): number {
  const byte = Math.floor(address);
  const part = byte >= 0 ? space.parts[Math.floor(byte / space.slotBytes)] : undefined;
  if (part === undefined || byte !== address) return -1;
  const offset = byte - part.base;
  if (offset >= part.arena.end() * GRANULE) return -1;
  const start = part.blocks.startOf(Math.floor(offset / GRANULE));
  if (start === 0) return -1;
  const inside = offset - start * GRANULE;
  // A block of no bytes still starts somewhere.
  return inside === 0 || inside < part.blocks.sizeOf(start) ? inside : -1;
}

/**
 * What is live when volatile memory goes can never be freed: methods that debug report it. Memory
 * that threads share stays when one of them closes the region.
 */
export function leaksOf(space: Space, report: (finding: Finding) => void): void {
  if (space.discipline.durable || space.shards !== null) return;
  for (const { blocks, base } of space.parts) {
    blocks.leaks?.((finding) => report({ ...finding, address: base + finding.address }));
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
