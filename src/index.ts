/** Everything a program uses, under the names of the contract. */
export { file } from './disciplines/file.ts';
export { heap } from './disciplines/heap.ts';
export { mmap } from './disciplines/mmap.ts';
export { ERROR_CODES, type ErrorCode, RegionError } from './errors.ts';
export { best } from './methods/best.ts';
export { last } from './methods/last.ts';
export { pool, poolOf } from './methods/pool.ts';
export { registerMethod } from './methods/registry.ts';
export { slab } from './methods/slab.ts';
export { createRegion, openRegion, scratch, toAddress } from './region/region.ts';
export { regionOf } from './region/windows.ts';
export type { StoreOptions } from './store/open.ts';
export type { Recovery } from './store/recover.ts';
export {
  type Checkpoint,
  openStore,
  type RegionInfo,
  type RegionOptions,
  type Store,
  type StoreStat,
} from './store/store.ts';
export type {
  Address,
  Arena,
  Blocks,
  BlockStat,
  Discipline,
  Finding,
  Method,
  Monitor,
  Region,
  RegionEvents,
  RegionFlags,
  RegionStat,
  ResizeHow,
  Roots,
  Segment,
  Tenant,
  TraceEvent,
  TraceSink,
} from './types.ts';
