/**
 * Pruning history: what nobody can go back to any more goes, and undo records between two
 * checkpoints that are retained are joined into one when they hold much more than is needed. Each
 * step is one transaction, after its images are synced; all of it may be left undone at any time.
 */
import { PAGE, SLOT_PAGES } from '../layout.ts';
import type { RegionError } from '../errors.ts';
import type { UndoRow } from './catalog-history.ts';
import type { StoreCore } from './core.ts';
import { horizonOf, type Link, livePlaces, recordsBack, restorable } from './history.ts';
import type { Place } from './images.ts';
import { encodeRecord, type Record, recordBytes, type RegionCapture } from './record.ts';

const PAGE_ALIGN = 4096;
/** Images of one part, as of a checkpoint. */
const PART_PAGES = 4096;
/** Less than this part of what is settled at once is not worth joining, unless in many records. */
const LEAST_PART = 1 / 16;
const MANY_RECORDS = 128;

export function tidyHistory(core: StoreCore): void {
  const horizon = horizonOf(core);
  const { history } = core.catalog;
  const isCut = core.chain.length > 0 ? (core.chain[0] as Link).sequence > horizon
    : history.undo().length === 0 && history.moves().length === 0;
  if (!isCut) {
    core.catalog.changeHistory((tables) => tables.cut(horizon));
    core.chain = core.chain.filter(({ sequence }) => sequence > horizon);
  }
  try {
    const least = core.options.settleBytes * LEAST_PART;
    for (const gap of gapsOf(core)) if (isWasteful(gap, least)) join(core, gap);
  } catch (error) {
    // Joined or not is the same to everybody but the disk.
    if ((error as RegionError).code !== 'ERR_NO_SPACE') throw error;
  }
}

/** Moves the last records of image files into gaps before them, while those are more than half. */
export function closeGaps(core: StoreCore, spare: number): void {
  const used = () => core.chain.reduce((n, { bytes }) => n + bytes, 0);
  try {
    while (core.images.gaps > Math.max(spare, used())) {
      const row = lastPlaced(core);
      const link = core.chain.find(({ sequence }) => sequence === row?.sequence);
      if (row === null || link === undefined) return;
      join(core, [link]);
      core.images.recycle(livePlaces(core));
      const moved = lastPlaced(core);
      if (moved !== null && !isBefore(moved, row)) return;
    }
  } catch (error) {
    if ((error as RegionError).code !== 'ERR_NO_SPACE') throw error;
  }
}

function lastPlaced(core: StoreCore): UndoRow | null {
  const placed = core.catalog.history.undo().filter(({ file }) => file !== null);
  return placed.reduce<UndoRow | null>((last, row) =>
    last === null || isBefore(last, row) ? row : last, null);
}

function isBefore(a: UndoRow, b: UndoRow): boolean {
  return a.file === b.file ? a.at < b.at : (a.file as number) < (b.file as number);
}

/** Links between neighbours among the checkpoints that can be gone back to. */
function gapsOf(core: StoreCore): Link[][] {
  const points = restorable(core).map(({ sequence }) => sequence);
  return points.slice(1).map((to, i) => core.chain.filter(({ base, sequence }) =>
    base >= (points[i] as number) && sequence <= to));
}

/** Later records repeat pages of earlier ones: at most as much again is kept. */
function isWasteful([first, ...later]: readonly Link[], least: number): boolean {
  if (first === undefined || later.length === 0) return false;
  const bytes = later.reduce((n, link) => n + link.bytes, 0);
  return later.length >= MANY_RECORDS || bytes >= Math.max(first.bytes, least);
}

/** One record in place of many: of each page the oldest contents. */
function join(core: StoreCore, gap: readonly Link[]): void {
  const base = (gap[0] as Link).base;
  const { sequence } = gap.at(-1) as Link;
  const rows: UndoRow[] = [];
  const places: Place[] = [];
  try {
    for (const bytes of joined(core, base, sequence)) {
      const place = core.images.append(bytes);
      places.push(place);
      rows.push({ sequence, part: rows.length, base, ...place });
    }
    core.images.sync();
    core.catalog.changeHistory((tables) => {
      tables.drop(base, sequence);
      tables.write({ rows, image: null });
    });
  } catch (error) {
    core.images.retreat(places);
    throw error;
  }
  const bytes = rows.reduce((n, row) => n + row.bytes, 0);
  const from = core.chain.indexOf(gap[0] as Link);
  core.chain.splice(from, gap.length, { sequence, base, bytes });
}

/** What a region was like at `base`: its extent, and pages still to be written. */
interface Before {
  readonly segmentPages: readonly number[];
  readonly seen: Set<number>;
  pending: Map<number, Uint8Array>;
}

/** The encoded parts of the joined record. Memory is bounded by one part. */
function* joined(core: StoreCore, base: number, sequence: number): Generator<Uint8Array> {
  const regions = new Map<string, Before>();
  let part = 0;
  const flush = (): Uint8Array => {
    const captures = [...regions].map(([id, before]) => captureOf(id, before));
    const out = new Uint8Array(recordBytes(captures, PAGE_ALIGN));
    const { bytes } = encodeRecord({ sequence, part: part++ }, captures, PAGE_ALIGN, out,
      core.mapper.crc);
    for (const before of regions.values()) before.pending = new Map();
    return bytes;
  };
  for (const record of recordsBack(core, base, sequence)) {
    collect(regions, record);
    let pages = 0;
    for (const { pending } of regions.values()) pages += pending.size;
    if (pages >= PART_PAGES) yield flush();
  }
  yield flush();
}

function collect(regions: Map<string, Before>, { regions: changes, bytes }: Record): void {
  for (const { id, segmentPages, pages, imagesAt } of changes) {
    const before = regions.get(id) ?? { segmentPages, seen: new Set(), pending: new Map() };
    regions.set(id, before);
    pages.forEach((page, i) => {
      const wasThere = page % SLOT_PAGES
        < (before.segmentPages[Math.floor(page / SLOT_PAGES)] ?? 0);
      if (!wasThere || before.seen.has(page)) return;
      before.seen.add(page);
      before.pending.set(page, bytes.slice(imagesAt + i * PAGE, imagesAt + (i + 1) * PAGE));
    });
  }
}

function captureOf(id: string, { segmentPages, pending }: Before): RegionCapture {
  const pages = Int32Array.from(pending.keys()).sort();
  return {
    id, segmentPages, pages,
    gather: (list, out, at, crcs, crc) => list.forEach((page, i) => {
      out.set(pending.get(page) as Uint8Array, at + i * PAGE);
      crcs[i] = crc(out, at + i * PAGE, PAGE, 0);
    }),
  };
}
