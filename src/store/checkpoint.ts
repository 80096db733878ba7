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
import { RegionError } from '../errors.ts';
import { captureChanges, guardFile } from './capture.ts';
import type { CheckpointCommit, CheckpointRow, RegionRow } from './catalog.ts';
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
  core.awaitFlights();
  const start = performance.now();
  const logged = logChanges(core, label, now, only, WRITERS);
  if (logged === null) return core.last as CheckpointRow;
  commit(core, logged);
  adopt(core, logged);
  applyRecords(core, logged);
  if (only === null) core.resetGrowth();
  core.unsettledBytes += logged.redo.bytes;
  if (core.unsettledBytes >= core.options.settleBytes) settle(core, true);
  core.counters?.committed(logged.row, performance.now() - start);
  return logged.row;
}

/** Two records are in the making at a time, each in memory of its own. */
export interface Writers {
  readonly redo: RecordWriter;
  readonly undo: RecordWriter;
}

const WRITERS: Writers = { redo: new RecordWriter(false), undo: new RecordWriter(false) };

/** A checkpoint that is written, but for its commit. */
export interface Logged {
  readonly row: CheckpointRow;
  readonly redo: Written;
  readonly undo: Written | null;
  /** Rows of regions that were made, renamed or dropped, and what they were called before. */
  readonly regions: readonly RegionRow[];
  readonly moves: readonly Move[];
  /** Files with changed pages. */
  readonly changed: readonly RegionFile[];
}

/** Captures what changed and writes its records; null = nothing changed since the last one. */
export function logChanges(
  core: StoreCore, label: string | null, now: number, only: Entry | null, writers: Writers,
): Logged | null {
  const sequence = core.sequence + 1;
  const changes = captureChanges(core, sequence, only);
  const { captures, files: changed, rows: regions } = changes;
  const relabel = label !== null && label !== core.last?.label;
  const isSame = captures.length === 0 && regions.length === 0 && !relabel;
  if (isSame && core.last !== null) return null;
  const before = captureUndo(core, changes);
  const redo = captures.length === 0 ? NOTHING : writers.redo.write(core, sequence, captures);
  const undo = withRetreat(core, redo, () =>
    before === null ? null : writers.undo.write(core, sequence, before));
  const row = { sequence, at: now, label, pages: pagesOf(captures),
    bytes: redo.bytes + (undo?.bytes ?? 0), regions: captures.length };
  const moves = undo === null ? [] : movesOf(core, sequence, regions);
  return { row, redo, undo, regions, moves, changed };
}

/** What the catalog is to commit, over the checkpoint `base`. */
export function commitOf({ row, redo, undo, regions, moves }: Logged, base: number):
    CheckpointCommit {
  return { row, image: redo.image, parts: redo.parts, regions, moves,
    undo: undo === null ? null : undoRows(undo, base, row.sequence) };
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

function commit(core: StoreCore, logged: Logged): void {
  const { row, redo, undo } = logged;
  try {
    core.images.sync();
    for (const { file } of core.current.values()) guardFile(core, () => file?.syncLength());
    core.catalog.commit(commitOf(logged, core.sequence));
  } catch (error) {
    if (isCommitted(core, row.sequence, error as RegionError)) return;
    core.images.retreat([...redo.parts, ...(undo?.parts ?? [])]);
    throw systemError(`writing a checkpoint of ${core.dir}`, error);
  }
}

/** A COMMIT that failed with an I/O error may have happened: only the catalog itself knows. */
export function isCommitted(core: StoreCore, sequence: number, error: RegionError): boolean {
  if (error.code !== 'ERR_IO' || core.poison !== null) return false;
  try {
    core.reopenCatalog();
    return core.catalog.newest === sequence;
  } catch (again) {
    throw core.poisonBy(again);
  }
}

/** From here on the checkpoint exists: what is committed follows it. */
export function adopt(core: StoreCore, { row, undo, regions }: Logged): void {
  const base = core.sequence;
  core.sequence = row.sequence;
  core.last = row;
  core.points.push(row);
  if (undo === null) core.chain = [];
  else core.chain.push({ sequence: row.sequence, base, bytes: undo.bytes });
  for (const region of regions) {
    core.committed.set(region.id, region);
    // What was changed before it was dropped is not to come back with it.
    if (region.dropped !== null) core.dropped.get(region.id)?.file?.revert();
    const entry = core.current.get(region.name);
    if (entry?.id !== region.id) continue;
    entry.born = false;
    core.dropped.delete(region.id);
  }
}

/**
 * The checkpoint exists whatever happens here; images that cannot be read back poison the store.
 */
function applyRecords(core: StoreCore, { redo, changed }: Logged): void {
  const { records, parts } = redo;
  core.pins.look();
  for (const record of records) applyRecord(core, record, changed);
  if (records.length > 0) return;
  try {
    for (const part of parts) {
      const bytes = core.images.read(part, part.sequence, WRITERS.redo.room(part.bytes));
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
    if (file === undefined) continue;
    const isFree = writeNow && core.mayWrite(file, record.sequence);
    const failure = file.apply(change, record.bytes, record.sequence, isFree);
    core.applyFailure = failure ?? core.applyFailure;
  }
}

/** ERR_BAD_OPTION for what is no label. */
export function assertLabel(label: unknown): void {
  if (label === undefined || (typeof label === 'string' && label !== '')) return;
  throw new RegionError('ERR_BAD_OPTION', 'a label is a string that is not empty');
}
