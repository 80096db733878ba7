/** The figures of a store. */
import type { RegionInfo, StoreStat } from './api.ts';
import type { StoreCore } from './core.ts';
import { heldBytes } from './generations.ts';

export function statOf(core: StoreCore, infos: readonly RegionInfo[]): StoreStat {
  const files = [...core.files()];
  if (!core.options.readOnly) core.pins.look();
  const { live, oldest } = core.pins;
  return {
    dir: core.dir,
    id: core.id,
    mapper: core.mapper.name,
    sync: core.options.sync,
    regions: infos.length,
    extent: infos.reduce((n, r) => n + r.extent, 0),
    capacity: infos.reduce((n, r) => n + r.capacity, 0),
    sequence: core.sequence,
    applied: core.catalog.applied,
    imageBytes: core.images.bytes,
    historyBytes: core.chain.reduce((n, { bytes }) => n + bytes, 0),
    pendingBytes: files.reduce((n, file) => n + file.overlay.bytes, 0),
    readers: live.length,
    oldestPinned: live.length === 0 ? null : oldest,
    heldBytes: heldBytes(core),
    privatePages: files.reduce((n, file) => n + file.memory.privatePages(), 0),
    dirtyLimit: core.options.dirtyLimit,
    poisoned: core.poison?.message ?? null,
  };
}
