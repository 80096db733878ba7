/** How many blocks of each size still fit into the free memory of a region. */
import type { Region } from '../types.ts';
import { type Column, humanSize, type Paint, printable, table } from './table.ts';

/** `count` blocks of `size` bytes fit into what is free now, without growing. */
export interface Fit {
  readonly size: number;
  readonly count: number;
}

const SMALLEST = 16;

/**
 * By powers of two, up to the largest free block. A bound from the sizes of free blocks: what a
 * method adds to a block, or rounds it up by, comes on top.
 */
export function fitsIn(region: Region): Fit[] {
  const counts: number[] = [];
  for (const { size, busy } of region.blocks()) {
    if (busy) continue;
    for (let i = 0; SMALLEST * 2 ** i <= size; i += 1) {
      counts[i] = (counts[i] ?? 0) + Math.floor(size / (SMALLEST * 2 ** i));
    }
  }
  return counts.map((count, i) => ({ size: SMALLEST * 2 ** i, count }));
}

const COLUMNS: readonly Column<Fit>[] = [
  { title: 'SIZE', text: ({ size }) => humanSize(size), right: true },
  { title: 'STILL FIT', text: ({ count }) => String(count), right: true },
];

export function* fitsText(name: string, fits: readonly Fit[], head: Paint): Generator<string> {
  yield '';
  yield `${printable(name)}: blocks that fit into what is free, without growing`;
  if (fits.length === 0) yield '  none: nothing is free';
  else yield* table(COLUMNS, fits, head);
}
