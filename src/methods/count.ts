/** Counting blocks while they are walked. */
import type { BlockStat } from '../types.ts';

export type Visit = (granule: number, bytes: number, busy: boolean) => boolean;

/** A visitor that adds what it sees. */
export function countInto(into: BlockStat): Visit {
  return (_granule, bytes, busy) => {
    if (busy) {
      into.busyBlocks += 1;
      into.busyBytes += bytes;
      into.largestBusy = Math.max(into.largestBusy, bytes);
    } else {
      into.freeBlocks += 1;
      into.freeBytes += bytes;
      into.largestFree = Math.max(into.largestFree, bytes);
    }
    return false;
  };
}

/** How many bits of a word are set. */
export function bitsIn(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
