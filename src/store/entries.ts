/**
 * The regions a store knows: made, found by name, thrown away, taken back. A region is born with
 * its file and gets its catalog row at the next checkpoint.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDamage, RegionError } from '../errors.ts';
import { ID_BYTES, METHOD_START, NAME_BYTES, PAGE, STATE } from '../layout.ts';
import { encodeState, type Identity, writeHeader } from '../region/header.ts';
import { attachRegion, formatRegion, type RegionHandle } from '../region/region.ts';
import type { RegionEvents } from '../events.ts';
import type { Method, Region } from '../types.ts';
import type { Entry, StoreCore } from './core.ts';
import { openRegular, removeIfPossible, syncDirectory, syncFile, systemError, writeWhole }
  from '../files.ts';
import { isRegionName, openRegionFile } from './recover.ts';
import { closeRing } from './rings.ts';

export function entryNamed(core: StoreCore, name: string): Entry {
  const entry = core.current.get(name);
  if (entry !== undefined) return entry;
  const names = [...core.current.keys()].sort().slice(0, 10).join(', ');
  throw new RegionError('ERR_NOT_FOUND',
    `there is no region '${name}' in ${core.dir}${names === '' ? '' : `; there are: ${names}`}`);
}

export function assertName(name: string): void {
  if (isRegionName(name)) return;
  throw new RegionError('ERR_BAD_OPTION',
    `a region's name is 1 to ${NAME_BYTES} bytes of UTF-8 without '/' and NUL`);
}

export function stale(name: string, how: string): RegionError {
  return new RegionError('ERR_STALE', `region '${name}' was ${how}; ask the store for it again`);
}

export function handleOf(core: StoreCore, entry: Entry, on: RegionEvents = {}): RegionHandle {
  if (entry.handle !== null && !entry.handle.region.closed) return entry.handle;
  const file = entry.file ?? openRegionFile(core, entry);
  const identity = { regionId: entry.id, storeId: core.id };
  entry.handle = attachRegion(file, identity, entry.name, on);
  entry.handle.announce('opened');
  return entry.handle;
}

/** 0 where its file is damaged or lost: then the other regions are there all the same. */
export function extentOf(core: StoreCore, entry: Entry): number {
  if (entry.kind === 'ring') return entry.capacity;
  try {
    const file = entry.file ?? openRegionFile(core, entry);
    return file.livePages().reduce((n, count) => n + count * PAGE, 0);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return 0;
  }
}

/** What is to be in a new region. */
export interface NewEntry {
  readonly name: string;
  /** 'region', or who keeps its blocks: 'heap'. */
  readonly kind: string;
  readonly method: Method;
  /** Bytes. */
  readonly capacity: number;
  readonly on?: RegionEvents | undefined;
}

/** File first, then memory; the catalog learns of it at the next checkpoint. */
export function createEntry(
  core: StoreCore, { name, kind, method, capacity, on = {} }: NewEntry,
): Region {
  core.assertWritable();
  const id = randomBytes(ID_BYTES).toString('hex');
  const path = core.regionPath(id);
  const identity = { regionId: id, storeId: core.id, createdAt: Date.now(), capacity, name };
  try {
    createRegionFile(path, { ...identity, method: method.name });
    const file = core.openFile(id, capacity, []);
    const handle = formatRegion(file, method, identity, on);
    const entry = { id, name, kind, method: method.name, capacity, born: true, file,
      handle, ring: null };
    core.current.set(name, entry);
    handle.announce('created');
    return handle.region;
  } catch (error) {
    discardFiles(path);
    throw systemError(`creating region '${name}'`, error);
  }
}

function createRegionFile(path: string, identity: Identity & { capacity: number }): void {
  const temporary = path.replace(/\.region$/, '.tmp');
  const front = new Uint8Array(METHOD_START);
  writeHeader(front, identity);
  const state = { sequence: 0, clean: false, regionId: identity.regionId, bootId: '',
    segmentPages: [] };
  front.set(encodeState(state), STATE.at);
  const fd = openRegular(temporary, constants.O_CREAT | constants.O_EXCL);
  try {
    writeWhole(fd, front, 0);
    syncFile(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** A region that was never committed: nothing of it stays. */
export function discard(core: StoreCore, entry: Entry, how: string): void {
  entry.handle?.retire(stale(entry.name, how));
  entry.file?.release();
  discardFiles(core.regionPath(entry.id));
}

/** Files that were never committed: what cannot be removed now is removed by the next opening. */
export function discardFiles(path: string): void {
  for (const name of [path, path.replace(/\.region$/, '.sums')]) removeIfPossible(name);
}

/** One region back to its committed bytes; false where it never was committed. */
export function rollbackEntry(core: StoreCore, entry: Entry): boolean {
  core.assertWritable();
  core.assertNoTransaction('rollback');
  core.awaitFlights();
  if (entry.born) return false;
  entry.file?.revert();
  if (entry.handle?.region.closed === false) entry.handle.revive();
  return true;
}

/** Back to the committed row and the committed bytes; regions dropped for good stay dropped. */
export function restoreEntry(core: StoreCore, entry: Entry): void {
  const row = core.committed.get(entry.id);
  if (row === undefined) {
    discard(core, entry, 'rolled back');
    return;
  }
  if (row.dropped !== null) {
    core.dropped.set(entry.id, entry);
    return;
  }
  entry.name = row.name;
  core.current.set(row.name, entry);
  entry.file?.revert();
  if (entry.handle?.region.closed !== false) return;
  entry.handle.rename(row.name);
  entry.handle.revive();
}

export function dropEntry(core: StoreCore, name: string): void {
  core.assertWritable();
  const entry = entryNamed(core, name);
  core.current.delete(name);
  if (entry.born && core.depth === 0) {
    discard(core, entry, 'dropped');
    return;
  }
  entry.handle?.retire(stale(name, 'dropped'));
  entry.handle = null;
  closeRing(core, entry, stale(name, 'dropped'));
  core.dropped.set(entry.id, entry);
}

export function renameEntry(core: StoreCore, from: string, to: string): void {
  core.assertWritable();
  assertName(to);
  const entry = entryNamed(core, from);
  if (from === to) return;
  assertFree(core, to);
  core.current.delete(from);
  entry.name = to;
  entry.handle?.rename(to);
  core.current.set(to, entry);
}

/** ERR_EXISTS where there is one of the name. */
export function assertFree(core: StoreCore, name: string): void {
  const entry = core.current.get(name);
  if (entry === undefined) return;
  throw new RegionError('ERR_EXISTS', `there is a ${entry.kind} '${name}' already`);
}

/** ERR_MISMATCH where an entry is not what was asked for. */
export function assertSame(entry: Entry, { kind, method, capacity }: {
  kind: string; method: Method | undefined; capacity: number | string | undefined;
}): void {
  const { name } = entry;
  if (kind !== entry.kind) {
    throw new RegionError('ERR_MISMATCH',
      `'${name}' is a ${entry.kind}, not a ${kind}; ask for it by store.${entry.kind}()`);
  }
  if (method !== undefined && method.name !== entry.method) {
    throw new RegionError('ERR_MISMATCH',
      `${kind} '${name}' has method '${entry.method}', not '${method.name}'`);
  }
  if (capacity === undefined || capacity === entry.capacity) return;
  throw new RegionError('ERR_MISMATCH',
    `${kind} '${name}' has a capacity of ${entry.capacity} bytes, not ${capacity}`);
}
