/**
 * Taking a checkpoint. The order is the guarantee:
 *
 *   1. capture: every changed page of every region is copied into a record, with its checksum
 *   2. large records are written to an image file, with what leads back to the checkpoint before,
 *      and synced; region files that grew are synced
 *   3. one catalog transaction — its COMMIT is the moment the checkpoint exists
 *   4. the record's images are written to the region files, not synced
 *   5. now and then: settle (settle.ts) syncs region files and lets old images go
 *
 * A failure before 3 leaves the last checkpoint and all of memory as they were; after 3 nothing can
 * undo the checkpoint, and what 4 could not write is written later.
 */
import type { RegionError } from '../errors.ts';
import { captureChanges, guardFile } from './capture.ts';
import type { CheckpointRow, RegionRow } from './catalog.ts';
import type { Move } from './catalog-history.ts';
import type { Entry, StoreCore } from './core.ts';
import { systemError } from '../files.ts';
import { decodeRecord, type Record } from './record.ts';
import { NOTHING, pagesOf, RecordWriter, undoRows, type Written } from './record-writer.ts';
import type { RegionFile } from './region-file.ts';
import { settle } from './settle.ts';
import { captureUndo, movesOf } from './undo.ts';

/**
 * Commits what changed since the last checkpoint, in all regions or in `only` one; without change
 * returns the last checkpoint.
 */
export function takeCheckpoint(
  core: StoreCore, label: string | null, now: number, only: Entry | null = null,
): CheckpointRow {
  core.assertWritable();
  const sequence = core.sequence + 1;
  const changes = captureChanges(core, sequence, only);
  const { captures, files: changed, rows } = changes;
  const relabel = label !== null && label !== core.last?.label;
  const isSame = captures.length === 0 && rows.length === 0 && !relabel;
  if (isSame && core.last !== null) return core.last;
  const before = captureUndo(core, changes);
  const redo = captures.length === 0 ? NOTHING : redoWriter.write(core, sequence, captures);
  const undo = withRetreat(core, redo, () =>
    before === null ? null : undoWriter.write(core, sequence, before));
  const row = { sequence, at: now, label, pages: pagesOf(captures),
    bytes: redo.bytes + (undo?.bytes ?? 0), regions: captures.length };
  const logged = { row, redo, undo, moves: undo === null ? [] : movesOf(core, sequence, rows) };
  commit(core, logged, rows);
  adopt(core, logged, rows);
  applyRecords(core, redo, changed);
  if (only === null) core.resetGrowth();
  core.unsettledBytes += redo.bytes;
  if (core.unsettledBytes >= core.options.settleBytes) settle(core);
  return row;
}

const redoWriter = new RecordWriter();
const undoWriter = new RecordWriter();

/** What is written of a checkpoint before it is committed. */
interface Logged {
  readonly row: CheckpointRow;
  readonly redo: Written;
  readonly undo: Written | null;
  readonly moves: readonly Move[];
}

/** Runs `work`; when it fails, nobody will refer to what was written before. */
function withRetreat<T>(core: StoreCore, { parts }: Written, work: () => T): T {
  try {
    return work();
  } catch (error) {
    core.images.retreat(parts);
    throw error;
  }
}

function commit(core: StoreCore, logged: Logged, regions: readonly RegionRow[]): void {
  const { row, redo, undo, moves } = logged;
  try {
    core.images.sync();
    for (const { file } of core.current.values()) guardFile(core, () => file?.syncLength());
    core.catalog.commit({ row, image: redo.image, parts: redo.parts, regions,
      undo: undo === null ? null : undoRows(undo, core.sequence, row.sequence), moves });
  } catch (error) {
    if (isCommitted(core, row.sequence, error as RegionError)) return;
    core.images.retreat([...redo.parts, ...(undo?.parts ?? [])]);
    throw systemError(`writing a checkpoint of ${core.dir}`, error);
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
function adopt(core: StoreCore, { row, undo }: Logged, rows: readonly RegionRow[]): void {
  const base = core.sequence;
  core.sequence = row.sequence;
  core.last = row;
  core.points.push(row);
  if (undo === null) core.chain = [];
  else core.chain.push({ sequence: row.sequence, base, bytes: undo.bytes });
  for (const region of rows) {
    core.committed.set(region.id, region);
    const entry = core.current.get(region.name);
    if (entry?.id !== region.id) continue;
    entry.born = false;
    core.dropped.delete(region.id);
  }
}

/**
 * The checkpoint exists whatever happens here; images that cannot be read back poison the store.
 */
function applyRecords(
  core: StoreCore, { record, parts }: Written, changed: readonly RegionFile[],
): void {
  if (record !== null) {
    applyRecord(core, record, changed);
    return;
  }
  try {
    for (const part of parts) {
      const bytes = core.images.read(part, part.sequence, redoWriter.room(part.bytes));
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
