/**
 * Going back: every region as of an earlier checkpoint, put into memory and then committed like any
 * other change. Until that commit only private memory was touched; when it fails, all is as before.
 */
import { RegionError } from '../errors.ts';
import { PAGE, SLOT_PAGES } from '../layout.ts';
import type { CheckpointRow } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';
import { restoreEntry, stale } from './entries.ts';
import { tellWork } from '../work.ts';
import { pointNamed, recordsBack } from './history.ts';
import { openRegionFile } from './recover.ts';
import type { Record, RegionChange } from './record.ts';
import type { RegionFile } from './region-file.ts';
import { transact } from './transactions.ts';

/** Everything becomes what it was at a checkpoint; changes since the last one are dropped. */
export function restoreTo(core: StoreCore, which: unknown, commit: () => void): void {
  core.assertWritable();
  core.assertNoTransaction('restore');
  core.awaitFlights();
  const point = pointNamed(core, which);
  transact(core, () => {
    toCommitted(core);
    if (point.sequence !== core.sequence) goBack(core, point);
  }, commit);
}

/** As rollback, but regions that were born stay for the case that the commit fails. */
function toCommitted(core: StoreCore): void {
  const entries = [...core.current.values(), ...core.dropped.values()];
  core.current.clear();
  core.dropped.clear();
  for (const entry of entries) {
    if (entry.born) setAside(core, entry, 'rolled back');
    else restoreEntry(core, entry);
  }
}

function setAside(core: StoreCore, entry: Entry, how: string): void {
  entry.handle?.retire(stale(entry.name, how));
  entry.handle = null;
  core.dropped.set(entry.id, entry);
}

function goBack(core: StoreCore, { sequence }: CheckpointRow): void {
  nameAsOf(core, sequence);
  const entries = new Map([...core.current.values()].map((entry) => [entry.id, entry]));
  const laid = new Map<string, Laid>();
  for (const record of recordsBack(core, sequence)) {
    tellWork('going back', core.sequence - record.sequence, core.sequence - sequence, 'count');
    layRecord(core, entries, laid, record);
  }
  for (const id of laid.keys()) {
    const handle = entries.get(id)?.handle;
    if (handle !== null && handle?.region.closed === false) handle.revive();
  }
}

/** Which regions there were, under which names. */
function nameAsOf(core: StoreCore, sequence: number): void {
  const before = new Map<string, string | null>();
  for (const move of core.catalog.history.moves()) {
    if (move.sequence > sequence && !before.has(move.id)) before.set(move.id, move.name);
  }
  const all = [...core.current.values(), ...core.dropped.values()];
  core.current.clear();
  core.dropped.clear();
  for (const entry of all) {
    if (entry.kind === 'ring') {
      keepRing(core, entry);
      continue;
    }
    const { dropped } = core.committed.get(entry.id) ?? { dropped: null };
    const name = before.has(entry.id) ? before.get(entry.id) as string | null
      : dropped === null && !entry.born ? entry.name : null;
    if (name === null) {
      setAside(core, entry, 'restored away');
      continue;
    }
    entry.name = name;
    entry.handle?.rename(name);
    refuseRing(core, name);
    core.current.set(name, entry);
  }
}

/** Rings are in no checkpoint: they stay as they are. */
function keepRing(core: StoreCore, entry: Entry): void {
  const isDropped = core.committed.get(entry.id)?.dropped !== null;
  if (isDropped) {
    core.dropped.set(entry.id, entry);
    return;
  }
  if (core.current.has(entry.name)) throw taken(entry.name);
  core.current.set(entry.name, entry);
}

function refuseRing(core: StoreCore, name: string): void {
  if (core.current.get(name)?.kind === 'ring') throw taken(name);
}

function taken(name: string): RegionError {
  return new RegionError('ERR_EXISTS',
    `a region of that checkpoint was called '${name}', which is a ring now; rename the ring first`);
}

/** What was laid of a region, and how long it was. */
interface Laid {
  readonly segmentPages: readonly number[];
  readonly pages: Set<number>;
}

/** Pages that an older record has laid already stay: it is nearer to what is wanted. */
function layRecord(
  core: StoreCore, entries: ReadonlyMap<string, Entry>, all: Map<string, Laid>,
  { regions, bytes }: Record,
): void {
  for (const change of regions) {
    const entry = entries.get(change.id);
    if (entry === undefined) continue;
    const file = entry.file ?? openRegionFile(core, entry);
    const laid = all.get(change.id) ?? prepare(file, change);
    all.set(change.id, laid);
    change.pages.forEach((page, i) => {
      const inUse = laid.segmentPages[Math.floor(page / SLOT_PAGES)] ?? 0;
      if (page % SLOT_PAGES >= inUse || laid.pages.has(page)) return;
      laid.pages.add(page);
      const at = change.imagesAt + i * PAGE;
      file.lay(Int32Array.of(page), bytes.subarray(at, at + PAGE));
    });
  }
}

/** The oldest record of a region says how long it was: its memory is made so long, at least. */
function prepare(file: RegionFile, { segmentPages }: RegionChange): Laid {
  file.open();
  segmentPages.forEach((pages, segment) => {
    if (pages > 0) file.resize(segment, pages * PAGE);
  });
  return { segmentPages, pages: new Set() };
}
