/** What is left of a region that is gone: blocks that refuse everything, and why. */
import { RegionError } from '../errors.ts';
import type { Blocks } from '../types.ts';

/** The blocks of a region that can no longer be used, or whose calls are watched. */
export const GONE: Blocks = {
  alloc: () => 0,
  align: () => 0,
  free: () => false,
  resize: () => false,
  sizeOf: () => -1,
  startOf: () => 0,
  hide: () => {},
  walk: () => {},
  stat: () => {},
  check: () => {},
  trim: () => {},
  clear: () => {},
  rebuild: () => false,
};

/** What calls of a region throw when the region whose memory it lay in is closed, or took it. */
export function evicted(name: string, error: Error): RegionError {
  const isClosed = error instanceof RegionError && error.code === 'ERR_CLOSED';
  return new RegionError(isClosed ? 'ERR_CLOSED' : 'ERR_STALE',
    `region '${name}' lies in another region's memory, which is gone: ${error.message}`, error);
}
