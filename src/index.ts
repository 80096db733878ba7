/** Everything a program uses, under the names of the contract. */
export type { Purged, PurgeOptions, ResizeHow } from './call-options.ts';
export { compressed } from './disciplines/compressed.ts';
export { file } from './disciplines/file.ts';
export { heap } from './disciplines/heap.ts';
export { mmap } from './disciplines/mmap.ts';
export { nested } from './disciplines/nested.ts';
export { type SharedDiscipline, type SharedOptions, shared } from
  './disciplines/shared-buffer.ts';
export { ERROR_CODES, type ErrorCode, RegionError } from './errors.ts';
export { best } from './methods/best.ts';
export { debug } from './methods/debug.ts';
export type { DebugOptions } from './methods/debug-state.ts';
export { last } from './methods/last.ts';
export { pool, poolOf } from './methods/pool.ts';
export { profile } from './methods/profile.ts';
export type { ProfileOptions } from './methods/profile-state.ts';
export { registerMethod } from './methods/registry.ts';
export { slab } from './methods/slab.ts';
export type { Collected, CollectOptions } from './objects/collector/collect.ts';
export type { Compacted, CompactOptions } from './objects/collector/compact.ts';
export type { Imported, ImportOptions, ObjectHeap } from './objects/heap.ts';
export type { HeapCount, HeapStat } from './objects/heap-stat.ts';
export { any, array, bool, bytes, date, f32, f64, i16, i32, i64, i8, type Kind, list, map,
  optional, ref, set, sorted, str, u16, u32, u64, u8 } from './objects/kinds.ts';
export type { LooseObject, PersistentList, PersistentMap, PersistentObject, PersistentSet,
  PersistentSorted, Range } from './objects/persistent.ts';
export { type Persistent, type Struct, struct, type StructOptions } from './objects/struct.ts';
export type { Profile, SiteProfile } from './profile.ts';
export { type FlameGraphOptions, flameGraph } from './profile/flame-graph.ts';
export { type ProfileTextOptions, profileText } from './profile/profile-text.ts';
export { profileOf } from './region/profile-of.ts';
export { createRegion, openRegion, scratch, toAddress } from './region/region.ts';
export { regionOf, walkRegions } from './region/windows.ts';
export type { Sharing } from './sharing.ts';
export type { RecoverableBuffer } from './buffers/buffer.ts';
export type { FollowOptions, Ring, RingRecovery } from './buffers/ring.ts';
export type { RingRecord } from './buffers/ring-log.ts';
export type { BufferOptions, RegionInfo, RegionOptions, RingOptions, Store, StoreStat }
  from './store/api.ts';
export type { Backup, BackupOptions } from './store/backup.ts';
export type { CheckOptions, StoreFinding } from './store/check.ts';
export type { DiffCount, RegionDiff, StoreDiff } from './store/diff.ts';
export type { AutoCheckpoint } from './store/auto-checkpoint.ts';
export type { StoreOptions } from './store/open.ts';
export type { Recovery } from './store/recover.ts';
export { openStore } from './store/store.ts';
export {
  type LineTrace,
  lineTrace,
  type TraceFile,
  type TraceFileOptions,
  type TraceRecorder,
  traceFile,
  traceRecorder,
} from './trace/record.ts';
export type { Origin, Trace } from './trace/trace.ts';
export { readTrace, type TraceFormat, writeTrace } from './trace/trace-file.ts';
export type { RegionEvents, RegionFlags, TraceEvent, TraceSink } from './events.ts';
export type {
  Address,
  Arena,
  Blocks,
  BlockStat,
  Checkpoint,
  Crash,
  Discipline,
  Finding,
  Method,
  Monitor,
  Region,
  RegionRecovery,
  RegionStat,
  Roots,
  Segment,
  Tenant,
} from './types.ts';
