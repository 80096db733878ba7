/**
 * Where a replay can put its region, by the name of the discipline. A place is one entry here.
 */
import { join } from 'node:path';
import { compressed } from '../disciplines/compressed.ts';
import { file } from '../disciplines/file.ts';
import { heap } from '../disciplines/heap.ts';
import { mmap } from '../disciplines/mmap.ts';
import { nested } from '../disciplines/nested.ts';
import { shared } from '../disciplines/shared-buffer.ts';
import { RegionError } from '../errors.ts';
import { best } from '../methods/best.ts';
import { createRegion } from '../region/region.ts';
import { openStore } from '../store/store.ts';
import type { Discipline, Method, Region } from '../types.ts';

/** A new region, and how it goes. */
export interface Stand {
  readonly region: Region;
  close(): void;
}

/** Makes a new region in an empty directory. */
export type Place = (dir: string, method: Method) => Stand;

export const PLACES: Readonly<Record<string, Place>> = {
  heap: (_dir, method) => over(heap(), method),
  mmap: (dir, method) => over(mmap(join(dir, 'replay.region')), method),
  file: (dir, method) => over(file(join(dir, 'replay.region')), method),
  compressed: (dir, method) => over(compressed(join(dir, 'replay.region')), method),
  nested: (_dir, method) => over(nested(createRegion(heap(), best)), method),
  shared: (_dir, method) => over(shared({ capacity: '1GiB' }), method),
  store: (dir, method) => {
    // It is thrown away, so every file system will do.
    const store = openStore(dir, { unsafeFileSystem: true });
    return { region: store.region('replay', { method }), close: () => store.abandon() };
  },
};

function over(discipline: Discipline, method: Method): Stand {
  const region = createRegion(discipline, method, { name: 'replay' });
  return { region, close: () => region.close() };
}

/** ERR_BAD_OPTION for a name without a place. */
export function standFor(discipline: string, dir: string, method: Method): Stand {
  const place = PLACES[discipline];
  if (place !== undefined) return place(dir, method);
  throw new RegionError('ERR_BAD_OPTION',
    `there is no discipline '${discipline}'; give some of ${Object.keys(PLACES).join(', ')}`);
}
