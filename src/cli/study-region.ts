/** A region for a measurement: a method over a discipline, both by name, and its peak extent. */
import { join } from 'node:path';
import { file } from '../disciplines/file.ts';
import { heap } from '../disciplines/heap.ts';
import { mmap } from '../disciplines/mmap.ts';
import { nested } from '../disciplines/nested.ts';
import { shared } from '../disciplines/shared-buffer.ts';
import { RegionError } from '../errors.ts';
import { best } from '../methods/best.ts';
import { methodNamed } from '../methods/registry.ts';
import { createRegion } from '../region/region.ts';
import { openStore } from '../store/store.ts';
import type { Discipline, Region, RegionEvents } from '../types.ts';

/** Files go to the directory, which is empty. */
type Make = (dir: string) => Discipline;

const DISCIPLINES: Readonly<Record<string, Make>> = {
  heap: () => heap(),
  mmap: (dir) => mmap(join(dir, 'study.region')),
  file: (dir) => file(join(dir, 'study.region')),
  nested: () => nested(createRegion(heap(), best)),
  shared: () => shared({ capacity: '1GiB' }),
};

/** Names for `--discipline`; `store` is a region of a store, durable by checkpoints. */
export const STUDY_DISCIPLINES: readonly string[] = [...Object.keys(DISCIPLINES), 'store'];

export interface StudyRegion {
  readonly region: Region;
  /** Bytes it occupied at its peak. */
  readonly peakExtent: () => number;
  readonly end: () => void;
}

/** ERR_NOT_FOUND for a method, ERR_BAD_OPTION for a discipline that is not known. */
export function studyRegion(method: string, discipline: string, dir: string): StudyRegion {
  const extent = watchExtent();
  if (discipline === 'store') {
    // A throwaway store; any file system will do.
    const store = openStore(join(dir, 'store'), { unsafeFileSystem: true });
    const region = store.region('study', { method: methodNamed(method), on: extent.on });
    return { region, peakExtent: () => extent.peak(region), end: () => store.abandon() };
  }
  const make = DISCIPLINES[discipline];
  if (make === undefined) {
    throw new RegionError('ERR_BAD_OPTION',
      `there is no discipline '${discipline}'; give some of ${STUDY_DISCIPLINES.join(', ')}`);
  }
  const region = createRegion(make(dir), methodNamed(method), { on: extent.on });
  return { region, peakExtent: () => extent.peak(region), end: () => region.close() };
}

interface Extent {
  readonly on: RegionEvents;
  readonly peak: (region: Region) => number;
}

function watchExtent(): Extent {
  let now = 0;
  let above = 0;
  return {
    on: {
      grow: (bytes) => {
        now += bytes;
        above = Math.max(above, now);
      },
      shrink: (bytes) => {
        now -= bytes;
      },
    },
    // What it had before the first event is not told: the end is where both are known.
    peak: (region) => region.stat().extent - now + above,
  };
}
