/** Blocks that refuse everything. */
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
