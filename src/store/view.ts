/**
 * A region as of an earlier checkpoint, for looking only: its file mapped privately, with the
 * images of pages that changed since laid over it. Memory goes with those pages.
 */
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import { attachRegion } from '../region/region.ts';
import type { Region } from '../types.ts';
import type { Entry, StoreCore } from './core.ts';
import { recordsBack } from './history.ts';
import { openRegionFile } from './recover.ts';
import { RegionFile } from './region-file.ts';

export interface View {
  readonly region: Region;
  /** Pages of it that changed since. */
  readonly changed: ReadonlySet<number>;
  /** Its memory, pages counted from the start of the region. */
  page(page: number): Uint8Array;
  close(): void;
}

/** What is to be laid over a region's file. */
interface Laid {
  segmentPages: readonly number[];
  readonly images: Map<number, Uint8Array>;
}

/** `name` = what it was called then. ERR_CORRUPT where an undo record is damaged. */
export function viewOf(core: StoreCore, entry: Entry, name: string, sequence: number): View {
  const { segmentPages, images } = laidOver(core, entry, sequence);
  const { id, capacity } = entry;
  const file = new RegionFile({ path: core.regionPath(id), id, capacity, segmentPages,
    mapper: core.mapper, readOnly: true, isFixed: () => true, isDurable: false,
    onGrow: () => {}, onSync: () => {}, onRefusal: () => false });
  for (const [page, image] of images) file.overlay.set(page, image);
  if (file.inode !== entry.file?.inode) {
    file.release();
    throw new RegionError('ERR_STALE',
      `the writer of ${core.dir} went on in a new file of '${entry.name}'; refresh() first`);
  }
  try {
    const handle = attachRegion(file, { regionId: id, storeId: core.id }, name);
    return {
      region: handle.region,
      changed: new Set(images.keys()),
      page: (page) => file.memory.page(page),
      close: () => {
        handle.region.close();
        file.release();
      },
    };
  } catch (error) {
    file.release();
    throw error;
  }
}

function laidOver(core: StoreCore, entry: Entry, sequence: number): Laid {
  const now = entry.file ?? openRegionFile(core, entry);
  const laid: Laid = { segmentPages: now.committedPages, images: new Map() };
  let isFirst = true;
  for (const { regions, bytes } of recordsBack(core, sequence)) {
    const change = regions.find(({ id }) => id === entry.id);
    if (change === undefined) continue;
    if (isFirst) laid.segmentPages = change.segmentPages;
    isFirst = false;
    change.pages.forEach((page, i) => {
      const at = change.imagesAt + i * PAGE;
      if (!laid.images.has(page)) laid.images.set(page, bytes.slice(at, at + PAGE));
    });
  }
  for (const [page, image] of now.overlay) {
    if (!laid.images.has(page)) laid.images.set(page, image);
  }
  return laid;
}
