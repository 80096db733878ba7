/**
 * The rings of a store: files of their own beside the regions. A ring is there from the moment it
 * is made, with a row of its own in the catalog; dropping and renaming wait for a checkpoint.
 */
import { randomBytes } from 'node:crypto';
import { openRing, type OpenRing } from '../buffers/ring.ts';
import { copyRing } from '../buffers/ring-copy.ts';
import { createRingFile, readRingHeader, ringSize } from '../buffers/ring-file.ts';
import { RegionError } from '../errors.ts';
import { readBootId, removeIfPossible, systemError } from '../files.ts';
import { ID_BYTES } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import { refuseTaken } from './capture.ts';
import type { RegionRow } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';

export function createRing(core: StoreCore, name: string, wanted: number | undefined): OpenRing {
  core.assertWritable();
  core.assertNoTransaction('ring');
  if (wanted === undefined) {
    throw new RegionError('ERR_BAD_OPTION',
      `there is no ring '${name}' yet: give its size, such as { size: '64MiB' }`);
  }
  const size = ringSize(wanted);
  return addRing(core, name, size, (path, ringId) =>
    createRingFile(path, { size, ringId, storeId: core.id, createdAt: Date.now() },
      core.mapper.fallocate));
}

/**
 * A ring from elsewhere: its whole records, with their numbers, in a ring of this store. What was
 * not closed is put in order in the copy.
 */
export function adoptRing(core: StoreCore, from: string, name: string): OpenRing {
  const { size, storeId, createdAt } = readRingHeader(from);
  const shim = core.mapper.name === 'shim' ? loadShim() : null;
  const source = openRing(from, storeId, { name: () => from, readOnly: true, shim,
    boot: readBootId(), now: Date.now });
  try {
    return addRing(core, name, size, (path, ringId) =>
      copyRing(source, path, { size, ringId, storeId: core.id, createdAt },
        { shim, fallocate: core.mapper.fallocate }));
  } finally {
    source.close();
  }
}

/** `make` makes the file. */
function addRing(
  core: StoreCore, name: string, size: number, make: (path: string, id: string) => void,
): OpenRing {
  const id = randomBytes(ID_BYTES).toString('hex');
  const entry: Entry = { id, name, kind: 'ring', method: '-', capacity: size, born: false,
    file: null, handle: null, ring: null };
  refuseTaken(core, entry);
  const path = core.ringPath(id);
  try {
    make(path, id);
    const row: RegionRow = { id, name, kind: 'ring', method: '-', capacity: size, sequence: 0,
      dropped: null };
    core.catalog.addRegion(row);
    core.committed.set(id, row);
  } catch (error) {
    if (!isCommitted(core, id, error)) {
      for (const file of [path, path.replace(/\.ring$/, '.tmp')]) removeIfPossible(file);
      throw systemError(`creating ring '${name}'`, error);
    }
  }
  core.current.set(name, entry);
  return ringOf(core, entry);
}

/** A COMMIT that failed with an I/O error may have happened: only the catalog itself knows. */
function isCommitted(core: StoreCore, id: string, error: unknown): boolean {
  if (!(error instanceof RegionError) || error.code !== 'ERR_IO') return false;
  try {
    core.reopenCatalog();
    const row = core.catalog.regions().find((region) => region.id === id);
    if (row !== undefined) core.committed.set(id, row);
    return row !== undefined;
  } catch (again) {
    throw core.poisonBy(again);
  }
}

/** The ring of an entry, opened where it is not. */
export function ringOf(core: StoreCore, entry: Entry): OpenRing {
  if (entry.ring !== null && !entry.ring.closed) return entry.ring;
  entry.ring = openRing(core.ringPath(entry.id), core.id, {
    name: () => entry.name,
    readOnly: core.options.readOnly,
    shim: core.mapper.name === 'shim' ? loadShim() : null,
    boot: readBootId(),
    now: Date.now,
  });
  return entry.ring;
}

/** Ends it in order, or, where the store stopped, at once. */
export function closeRing(core: StoreCore, { ring }: Entry, error: RegionError): void {
  if (core.poison === null) ring?.end(error);
  else ring?.retire(error);
}
