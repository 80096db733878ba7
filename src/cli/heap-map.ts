/**
 * Where in a region what lies: its address space in cells of one size, and how much of each is
 * busy. One pass over the blocks, and memory for the cells only.
 */
import type { Region, Segment } from '../types.ts';

export interface Cell {
  readonly address: number;
  /** Bytes of live blocks, of free ones, and how many live ones begin here. */
  busyBytes: number;
  freeBytes: number;
  busyBlocks: number;
}

export interface SegmentMap {
  readonly address: number;
  readonly size: number;
  readonly cells: readonly Cell[];
}

export interface RegionMap {
  readonly name: string;
  readonly method: string;
  readonly extent: number;
  /** A power of two. */
  readonly cellBytes: number;
  readonly segments: readonly SegmentMap[];
}

const LEAST_CELL = 16;

function segmentsIn(region: Region): Segment[] {
  const segments: Segment[] = [];
  region.walk((segment) => {
    segments.push(segment);
  });
  return segments;
}

/** In at most about `most` cells. `onBlock` is called for each block. */
export function mapOf(region: Region, most: number, onBlock: () => void = () => {}): RegionMap {
  const found = segmentsIn(region);
  const extent = found.reduce((n, { size }) => n + size, 0);
  let cellBytes = LEAST_CELL;
  while (extent / cellBytes > most) cellBytes *= 2;
  const segments = found.map(({ address, size }) => ({ address, size,
    cells: Array.from({ length: Math.ceil(size / cellBytes) }, (_, i) =>
      ({ address: address + i * cellBytes, busyBytes: 0, freeBytes: 0, busyBlocks: 0 })) }));
  let at = 0;
  for (const { address, size, busy } of region.blocks()) {
    onBlock();
    while (at + 1 < segments.length && address >= (segments[at + 1] as SegmentMap).address) at += 1;
    const segment = segments[at] as SegmentMap;
    if (busy) (segment.cells[Math.floor((address - segment.address) / cellBytes)] as Cell)
      .busyBlocks += 1;
    spread(segment, address, size, cellBytes, busy ? 'busyBytes' : 'freeBytes');
  }
  return { name: region.name, method: region.method, extent, cellBytes, segments };
}

function spread(
  segment: SegmentMap, address: number, size: number, cellBytes: number,
  what: 'busyBytes' | 'freeBytes',
): void {
  const end = Math.min(address + size, segment.address + segment.size);
  for (let from = address; from < end; ) {
    const cell = segment.cells[Math.floor((from - segment.address) / cellBytes)] as Cell;
    const to = Math.min(end, cell.address + cellBytes);
    cell[what] += to - from;
    from = to;
  }
}

/** How full a cell is: 0 = nothing in it that lives, 4 = more than three quarters. */
export function fullnessOf({ busyBytes }: Cell, cellBytes: number): number {
  return Math.min(4, Math.ceil((4 * busyBytes) / cellBytes));
}

/** Neither live nor free: headers, bitmaps and what a method keeps for itself. */
export function isOverhead({ busyBytes, freeBytes }: Cell): boolean {
  return busyBytes + freeBytes === 0;
}
