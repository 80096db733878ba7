/** How far a region may grow, and how long its windows are. */
import { RegionError } from '../errors.ts';
import { MAX_SEGMENTS, SLOT_BYTES } from '../layout.ts';

export const DEFAULT_CAPACITY = 2 ** 32;

/** A capacity as a multiple of `round`, upwards; ERR_BAD_OPTION when no region can have it. */
export function capacityFrom(
  given: number | undefined,
  round: number,
  limit = MAX_SEGMENTS * SLOT_BYTES,
): number {
  const wanted = given ?? Math.min(DEFAULT_CAPACITY, limit);
  const capacity = Math.ceil(wanted / round) * round;
  if (capacity >= round && capacity <= limit) return capacity;
  throw new RegionError('ERR_BAD_OPTION',
    `a capacity of ${wanted} bytes is impossible here; give ${round} to ${limit}`);
}

/** Bytes of the window of a segment; 0 = there can be no such segment. */
export function windowBytes(capacity: number, segment: number): number {
  return Math.max(0, Math.min(SLOT_BYTES, capacity - segment * SLOT_BYTES));
}
