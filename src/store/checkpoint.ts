/**
 * Taking a checkpoint. The order is the guarantee:
 *
 *   1. capture: every changed page of every region is copied into a record, with its checksum
 *   2. large records are written to an image file and synced; region files that grew are synced
 *   3. one catalog transaction — its COMMIT is the moment the checkpoint exists
 *   4. the record's images are written to the region files, not synced
 *   5. now and then: settle (settle.ts) syncs region files and lets old images go
 *
 * A failure before 3 leaves the last checkpoint and all of memory as they were; after 3 nothing can
 * undo the checkpoint, and what 4 could not write is written later.
 */
import type { RegionError } from '../errors.ts';
import type { CheckpointRow, PartRow, RegionRow } from './catalog.ts';
import { captureChanges, guardFile } from './capture.ts';
import type { Entry, StoreCore } from './core.ts';
import { systemError } from '../files.ts';
import { decodeRecord, encodeRecord, type Record, type RegionCapture, recordBytes }
  from './record.ts';
import type { RegionFile } from './region-file.ts';
import { settle } from './settle.ts';

const PAGE_ALIGN = 4096;
/** Images of one part: 16 MiB, so that memory stays bounded whatever the checkpoint. */
const PART_PAGES = 4096;

let buffer = new Uint8Array(64 * 1024);

/**
 * Commits what changed since the last checkpoint, in all regions or in `only` one; without change
 * returns the last checkpoint.
 */
export function takeCheckpoint(
  core: StoreCore, label: string | null, now: number, only: Entry | null = null,
): CheckpointRow {
  core.assertWritable();
  const sequence = core.sequence + 1;
  const { captures, files: changed, rows } = captureChanges(core, sequence, only);
  const relabel = label !== null && label !== core.last?.label;
  const isSame = captures.length === 0 && rows.length === 0 && !relabel;
  if (isSame && core.last !== null) return core.last;
  const pages = captures.reduce((n, capture) => n + capture.pages.length, 0);
  const { record, parts } = writeRecords(core, sequence, captures, pages);
  const bytes = record?.bytes.length ?? parts.reduce((n, part) => n + part.bytes, 0);
  const row = { sequence, at: now, label, pages, bytes, regions: captures.length };
  commit(core, row, record, parts, rows);
  adopt(core, row, rows);
  applyRecords(core, record, parts, changed);
  if (only === null) core.resetGrowth();
  afterwards(core, row);
  return row;
}

/** One record for the catalog, or parts in an image file, synced. */
function writeRecords(
  core: StoreCore, sequence: number, captures: readonly RegionCapture[], pages: number,
): { record: Record | null; parts: PartRow[] } {
  if (pages === 0) return { record: null, parts: [] };
  const { crc } = core.mapper;
  if (pages <= core.options.inlinePages) {
    const out = room(recordBytes(captures, 1));
    const record = encodeRecord({ sequence, part: 0 }, captures, 1, out, crc);
    return { record, parts: [] };
  }
  const pieces = split(captures);
  const parts: PartRow[] = [];
  let record: Record | null = null;
  try {
    for (const [part, piece] of pieces.entries()) {
      const out = room(recordBytes(piece, PAGE_ALIGN));
      record = encodeRecord({ sequence, part }, piece, PAGE_ALIGN, out, crc);
      const place = core.images.append(record.bytes);
      parts.push({ sequence, part, ...place, bytes: record.bytes.length });
    }
    core.images.sync();
  } catch (error) {
    if (parts.length > 0) core.images.retreat(parts[0]);
    throw systemError(`writing the images of a checkpoint of ${core.dir}`, error);
  }
  return { record: pieces.length === 1 ? record : null, parts };
}

/** The one buffer records are built in and read back into, at least so long. */
function room(bytes: number): Uint8Array {
  if (buffer.length < bytes) buffer = new Uint8Array(Math.ceil(bytes / 65536) * 65536);
  return buffer;
}

/** Captures in pieces of at most PART_PAGES pages. */
function split(captures: readonly RegionCapture[]): RegionCapture[][] {
  const pieces: RegionCapture[][] = [[]];
  let used = 0;
  for (const capture of captures) {
    for (let from = 0; from < capture.pages.length; ) {
      if (used === PART_PAGES) {
        pieces.push([]);
        used = 0;
      }
      const count = Math.min(PART_PAGES - used, capture.pages.length - from);
      const pages = capture.pages.subarray(from, from + count);
      (pieces.at(-1) as RegionCapture[]).push({ ...capture, pages });
      from += count;
      used += count;
    }
  }
  return pieces;
}

function commit(
  core: StoreCore, row: CheckpointRow, record: Record | null, parts: PartRow[],
  regions: readonly RegionRow[],
): void {
  try {
    for (const { file } of core.current.values()) guardFile(core, () => file?.syncLength());
    const image = parts.length === 0 && record !== null ? record.bytes : null;
    core.catalog.commit({ row, image, parts, regions });
  } catch (error) {
    if (isCommitted(core, row.sequence, error as RegionError)) return;
    if (parts.length > 0) core.images.retreat(parts[0]);
    throw error;
  }
}

/** A COMMIT that failed with an I/O error may have happened: only the catalog itself knows. */
function isCommitted(core: StoreCore, sequence: number, error: RegionError): boolean {
  if (error.code !== 'ERR_IO' || core.poison !== null) return false;
  try {
    core.reopenCatalog();
    return core.catalog.newest === sequence;
  } catch (again) {
    throw core.poisonBy(again);
  }
}

/** From here on the checkpoint exists: what is committed follows it. */
function adopt(core: StoreCore, row: CheckpointRow, rows: readonly RegionRow[]): void {
  core.sequence = row.sequence;
  core.last = row;
  for (const region of rows) {
    core.committed.set(region.id, region);
    const entry = core.current.get(region.name);
    if (entry?.id === region.id) entry.born = false;
  }
}

/**
 * The checkpoint exists whatever happens here; images that cannot be read back poison the store.
 */
function applyRecords(
  core: StoreCore, record: Record | null, parts: readonly PartRow[], changed: readonly RegionFile[],
): void {
  if (record !== null) {
    applyRecord(core, record, changed);
    return;
  }
  try {
    for (const part of parts) {
      const bytes = core.images.read(part, room(part.bytes));
      applyRecord(core, decodeRecord(bytes, part, core.mapper.crc), changed);
    }
  } catch (error) {
    core.poisonBy(error);
  }
}

function applyRecord(core: StoreCore, record: Record, changed: readonly RegionFile[]): void {
  const writeNow = core.options.sync !== 'normal';
  for (const change of record.regions) {
    const file = changed.find(({ id }) => id === change.id);
    const failure = file?.apply(change, record.bytes, record.sequence, writeNow);
    core.applyFailure = failure ?? core.applyFailure;
  }
}

function afterwards(core: StoreCore, row: CheckpointRow): void {
  core.unsettledBytes += row.bytes;
  if (core.unsettledBytes >= core.options.settleBytes) settle(core);
}
