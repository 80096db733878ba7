/**
 * Opening a store for reading, beside a writer or without one, and moving on to its newest
 * checkpoint. What a reader sees is one checkpoint: its catalog is a copy of that moment, its
 * region files are open from then on, and images that are not in them lie in its private memory.
 *
 * Where nothing can be written (other people's stores, read-only media, full disks) there is no
 * pin: the store is locked against writers instead.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, isDamage, type RegionError } from '../errors.ts';
import { Catalog } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';
import { stale } from './entries.ts';
import { chainTo, livePlaces } from './history.ts';
import { ImageFiles } from './images.ts';
import { Pin } from './pins.ts';
import type { ReadingCopy } from './reading-copy.ts';
import { entryOf, openRegionFile, readFront, replayPending } from './recover.ts';
import { snapshotOf } from './sqlite.ts';

/** What a writer does meanwhile may take a file or an image from under a look: it is repeated. */
const TRIES = 8;

/** A pin that holds everything back until it is set; null = none can be made here. */
export function pinStore(dir: string): Pin | null {
  try {
    return Pin.make(dir, 0);
  } catch {
    // Read-only media, somebody else's store, a full disk.
    return null;
  }
}

/** A copy of the catalog as of now, in the folder of the pin, which goes with it. */
export function copyLive(original: string, pin: Pin): ReadingCopy {
  const path = join(pin.folder, 'catalog.db');
  const log = `${original}-wal`;
  // With a log somebody writes, perhaps this process, whose locks on the file end when it is read
  // past SQLite. Without, reading the file is all that leaves no trace in the store.
  const quiet = existsSync(log) ? null : readFileSync(original);
  const bytes = quiet === null || existsSync(log) ? snapshotOf(original) : quiet;
  writeFileSync(path, new Uint8Array(bytes), { mode: 0o600 });
  return { path, remove: () => {} };
}

/** Runs `look` until no writer was in its way; it is told when it is the last time. */
export function withoutRaces<T>(look: (isLast: boolean) => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return look(tries === TRIES);
    } catch (error) {
      if (!isRace(error) || tries === TRIES) throw error;
    }
  }
}

/** May a writer have been in the way? */
function isRace(error: unknown): boolean {
  const { code } = error as RegionError;
  return code === 'ERR_CORRUPT' || code === 'ERR_MISMATCH';
}

/**
 * Opens the file of every region, and says in the pin which they are. `isLast` = damaged ones are
 * left out, and refused when they are asked for: no writer is in the way, they are damaged.
 */
export function holdFiles(core: StoreCore, pin: Pin, isLast: boolean): void {
  pin.set(core.sequence, null);
  const files: Record<string, string> = {};
  for (const entry of core.current.values()) {
    if (entry.kind === 'ring') continue;
    try {
      const file = entry.file ?? openRegionFile(core, entry);
      file.sums.hold();
      files[entry.id] = file.inode;
    } catch (error) {
      if (!isDamage(error) || (isRace(error) && !isLast)) throw error;
    }
  }
  pin.set(core.sequence, files);
}

/** Moves on to the newest checkpoint. False = there is no newer one. */
export function refresh(core: StoreCore): boolean {
  const { pin, catalog, sequence } = core;
  assert(!core.isFixed, 'a store that may be refreshed');
  if (pin === null) return false;
  const next = Pin.make(core.dir, 0);
  try {
    const isNewer = withoutRaces((isLast) => {
      if (core.catalog !== catalog) core.catalog.close();
      const newest = openCopy(core, next);
      if (newest.newest === sequence) {
        newest.close();
        return false;
      }
      moveOn(core, newest, next, isLast);
      return true;
    });
    if (isNewer) {
      catalog.close();
      pin.release();
    } else next.release();
    return isNewer;
  } catch (error) {
    next.release();
    const poison = core.poisonBy(error);
    // What memory shows may be of two checkpoints now: nobody is to see it.
    for (const { handle } of core.current.values()) handle?.retire(poison);
    throw poison;
  }
}

function openCopy(core: StoreCore, pin: Pin): Catalog {
  const { path } = copyLive(join(core.dir, 'catalog.db'), pin);
  return Catalog.open(path, core.options.sync, core.mapper.crc, null);
}

function moveOn(core: StoreCore, catalog: Catalog, next: Pin, isLast: boolean): void {
  core.catalog = catalog;
  core.images.close(null);
  core.images = new ImageFiles(join(core.dir, 'images'), livePlaces({ catalog }), false);
  core.points = catalog.checkpoints();
  core.last = core.points.at(-1) ?? null;
  core.sequence = core.last?.sequence ?? 0;
  core.chain = chainTo(core.sequence, catalog.history.undo());
  core.refused.clear();
  follow(core);
  replayPending(core);
  holdFiles(core, next, isLast);
  core.pin = next;
  for (const { file, handle } of core.current.values()) {
    file?.show();
    if (handle?.region.closed === false) handle.revive();
  }
}

/** Regions as the catalog has them now; those that are gone are stale. */
function follow(core: StoreCore): void {
  const entries = new Map<string, Entry>([...core.current.values()].map((e) => [e.id, e]));
  core.committed.clear();
  core.current.clear();
  core.dropped.clear();
  for (const row of core.catalog.regions()) {
    core.committed.set(row.id, row);
    const entry = entries.get(row.id) ?? entryOf(row);
    if (row.dropped !== null) {
      core.dropped.set(row.id, entryOf(row));
      continue;
    }
    entries.delete(row.id);
    entry.name = row.name;
    entry.handle?.rename(row.name);
    core.current.set(row.name, entry);
    if (entry.file !== null) {
      const { sequence, segmentPages } = readFront(core, entry);
      entry.file.renew(segmentPages, sequence);
    }
  }
  for (const { name, handle, file, ring } of entries.values()) {
    const error = stale(name, 'dropped');
    handle?.retire(error);
    ring?.retire(error);
    file?.release();
  }
}
