/**
 * The first step of a checkpoint: what changed since the last one, in pages and in rows of the
 * catalog. Nothing is written here.
 */
import { RegionError } from '../errors.ts';
import type { RegionRow } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';
import type { RegionCapture } from './record.ts';
import type { RegionFile } from './region-file.ts';

/** What one checkpoint is about to commit. */
export interface Changes {
  readonly captures: readonly RegionCapture[];
  /** The files of those captures. */
  readonly files: readonly RegionFile[];
  /** Regions created, renamed or dropped. */
  readonly rows: readonly RegionRow[];
}

/** Changes of all regions, or of `only` one. */
export function captureChanges(core: StoreCore, sequence: number, only: Entry | null): Changes {
  for (const file of only === null ? core.files() : [only.file]) {
    guardFile(core, () => file?.verify());
  }
  const captures: RegionCapture[] = [];
  const files: RegionFile[] = [];
  for (const { file } of only === null ? core.current.values() : [only]) {
    if (file === null) continue;
    const capture = file.capture();
    if (capture !== null) {
      captures.push(capture);
      files.push(file);
    }
    // A page that stayed as it was since the last checkpoint has been compared once, which costs
    // about what copying it again on the next write would: from here on it is given back.
    file.relax();
  }
  return { captures, files, rows: changedRows(core, sequence, only) };
}

/** Runs `work` on a region's file; an error means that the file cannot be trusted any more. */
export function guardFile(core: StoreCore, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw core.poisonBy(error);
  }
}

/** Rows of regions created, renamed or dropped since the last checkpoint. */
function changedRows(core: StoreCore, sequence: number, only: Entry | null): RegionRow[] {
  const rows: RegionRow[] = [];
  for (const entry of only === null ? core.current.values() : [only]) {
    const { id, name, kind, method, capacity } = entry;
    const before = core.committed.get(id);
    if (before?.name === name && before.dropped === null) continue;
    if (only !== null) refuseTaken(core, only);
    rows.push({ id, name, kind, method, capacity, sequence: before?.sequence ?? 0, dropped: null });
  }
  for (const entry of only === null ? core.dropped.values() : []) {
    const before = core.committed.get(entry.id);
    if (before?.dropped === null) rows.push({ ...before, dropped: sequence });
  }
  return rows;
}

/** A name that the last checkpoint gave to another region is free once that change is committed. */
export function refuseTaken(core: StoreCore, { id, name }: Entry): void {
  for (const row of core.committed.values()) {
    if (row.name !== name || row.dropped !== null || row.id === id) continue;
    throw new RegionError('ERR_BUSY',
      `'${name}' was another region's name at the last checkpoint; checkpoint the store first`);
  }
}
