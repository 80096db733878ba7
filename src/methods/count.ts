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
