/**
 * One look at a store that a program writes, from outside: what the writer counts (counters), what
 * its newest checkpoint holds (a reader's), and how much of its memory is not in the region files
 * (the kernel's, of its mappings). The writer does nothing for it and waits for nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CountersView, isWritten, readCounters } from '../store/counters.ts';
import type { Store } from '../store/api.ts';
import { regionIn } from '../store/store.ts';

export interface RegionSample {
  readonly name: string;
  readonly kind: string;
  /** Bytes. */
  readonly extent: number;
  /** As of the newest checkpoint; null of a ring, and where blocks are left out. */
  readonly busyBlocks: number | null;
  readonly busyBytes: number | null;
  /** Changed and in no region file yet; null where that is not to be seen. */
  readonly dirtyBytes: number | null;
  /** Of a ring: sequence of its newest record. */
  readonly records: number | null;
}

/** What there was at one moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** What the newest writer counted; null where none could. */
  readonly counters: CountersView | null;
  /** Is there a living process that writes the store? */
  readonly isOpen: boolean;
  readonly checkpoint: number;
  readonly dirtyBytes: number | null;
  readonly regions: readonly RegionSample[];
}

/** `store` is open for reading. */
export function sampleOf(store: Store, withBlocks: boolean, now: number): Sample {
  const isOpen = isWritten(store.dir);
  store.refresh();
  const { id, sequence } = store.stat();
  const counters = readCounters(store.dir, id);
  const dirty = isOpen && counters !== null ? dirtyIn(store.dir, counters.pid) : null;
  const regions = store.regions().map(({ id: regionId, name, kind, extent }): RegionSample => {
    if (kind === 'ring') {
      return { name, kind, extent, busyBlocks: null, busyBytes: null, dirtyBytes: null,
        records: store.ring(name).last };
    }
    const { busyBlocks = null, busyBytes = null } = withBlocks ? regionIn(store, name).stat() : {};
    return { name, kind, extent, busyBlocks, busyBytes, records: null,
      dirtyBytes: dirty === null ? null : dirty.get(regionId) ?? 0 };
  });
  const dirtyBytes = dirty === null ? null : [...dirty.values()].reduce((sum, n) => sum + n, 0);
  return { at: now, counters, isOpen, checkpoint: sequence, dirtyBytes, regions };
}

/**
 * Bytes of private copies of pages, by region: what the process changed since its last checkpoint,
 * and what that has just compared. null where the kernel does not say, or to somebody else only,
 * or where the writer maps nothing.
 */
function dirtyIn(dir: string, pid: number): Map<string, number> | null {
  let maps: string;
  try {
    maps = readFileSync(`/proc/${pid}/smaps`, 'utf8');
  } catch {
    return null;
  }
  return dirtyOf(maps, join(dir, 'regions'));
}

/** The same, of the text of `smaps`. */
export function dirtyOf(maps: string, folder: string): Map<string, number> | null {
  const dirty = new Map<string, number>();
  let regionId: string | null = null;
  for (const line of maps.split('\n')) {
    const [, path] = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
    if (path !== undefined) {
      regionId = path.startsWith(`${folder}/`)
        ? /^([0-9a-f]{32})\.region$/.exec(path.slice(folder.length + 1))?.[1] ?? null : null;
      if (regionId !== null && !dirty.has(regionId)) dirty.set(regionId, 0);
      continue;
    }
    const [, kibibytes] = regionId === null ? [] : /^Anonymous: +(\d+) kB$/.exec(line) ?? [];
    if (regionId === null || kibibytes === undefined) continue;
    dirty.set(regionId, (dirty.get(regionId) ?? 0) + Number(kibibytes) * 1024);
  }
  return dirty.size === 0 ? null : dirty;
}
