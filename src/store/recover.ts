/**
 * What happens to a store between being locked and being handed out: leftovers of uncommitted work
 * are removed, every region file is matched with the catalog, and images that may not have reached
 * the region files are written again. Idempotent: a second run finds nothing to do.
 */
import { closeSync, existsSync, fstatSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { windowBytes } from '../disciplines/capacity.ts';
import { readRingHeader } from '../buffers/ring-file.ts';
import { isDamage, RegionError } from '../errors.ts';
import { MAX_SEGMENTS, NAME_BYTES, PAGE, SLOT_BYTES, STATE } from '../layout.ts';
import { decodeState, headerError, readHeader } from '../region/header.ts';
import type { Crash } from '../types.ts';
import type { RegionRow } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';
import { crashOf, namesIn, openIfThere, openRegular, readBootId, readWhole } from '../files.ts';
import { chainTo, horizonOf } from './history.ts';
import { decodeRecord, type Record, type RegionChange } from './record.ts';
import type { RegionFile } from './region-file.ts';
import { settle } from './settle.ts';
import { tellWork } from '../work.ts';

/** What opening the store had to do; null when it had been closed. */
export interface Recovery {
  /** Checkpoints whose images were written to the region files again. */
  readonly replayedCheckpoints: number;
  readonly replayedBytes: number;
  /** The last owner died: what it had not checkpointed is gone. */
  readonly discarded: boolean;
  /** How it died; null where it let go in order. */
  readonly crash: Crash | null;
  readonly ms: number;
}

/** What may be stored under a name. */
const KINDS: ReadonlySet<string> = new Set(['region', 'heap', 'buffer', 'ring']);
const REGION_NAME = /^([0-9a-f]{32})\.(region|sums|ring|tmp|tmp-sums)$/;

/** Fills `core` with what is committed. `clock` gives milliseconds. */
export function recover(core: StoreCore, clock: () => number): Recovery | null {
  const started = clock();
  const checkpoints = core.catalog.checkpoints();
  core.last = checkpoints.at(-1) ?? null;
  core.sequence = core.last?.sequence ?? 0;
  core.points = checkpoints;
  core.chain = chainTo(core.sequence, core.catalog.history.undo());
  const pending = core.catalog.pending(core.catalog.applied);
  for (const row of core.catalog.regions()) {
    assertRow(core, row);
    core.committed.set(row.id, row);
  }
  const orphans = removeLeftovers(core);
  for (const row of core.committed.values()) {
    if (row.dropped === null) admit(core, row);
    else core.dropped.set(row.id, entryOf(row));
  }
  const bytes = replayPending(core);
  const horizon = horizonOf(core);
  const hasGone = [...core.committed.values()].some(({ dropped }) =>
    dropped !== null && dropped <= horizon);
  if (!core.options.readOnly && (pending.length > 0 || hasGone)) settle(core);
  if (core.poison !== null) throw core.poison;
  const discarded = core.lock.left !== null || orphans > 0;
  if (!discarded && pending.length === 0) return null;
  const ms = clock() - started;
  const { left } = core.lock;
  const crash = left === null ? null : crashOf(left.boot, readBootId());
  return { replayedCheckpoints: pending.length, replayedBytes: bytes, discarded, crash, ms };
}

/** Images that may not be in the region files yet; returns how many bytes. */
export function replayPending(core: StoreCore): number {
  let bytes = 0;
  if (!core.options.readOnly) core.pins.look();
  const pending = core.catalog.pending(core.catalog.applied);
  for (const [i, sequence] of pending.entries()) {
    tellWork('replaying checkpoints', i, pending.length, 'count');
    for (const record of recordsOf(core, sequence)) {
      replay(core, record);
      bytes += record.bytes.length;
    }
  }
  return bytes;
}

/** A row is a name for a file and sizes for memory: both are checked before they are used. */
function assertRow(core: StoreCore, { id, name, kind, method, capacity }: RegionRow): void {
  const isSound = /^[0-9a-f]{32}$/.test(id) && isRegionName(name)
    && /^[!-~]{1,24}$/.test(method)
    && capacity > 0 && capacity % PAGE === 0 && capacity <= MAX_SEGMENTS * SLOT_BYTES;
  if (!isSound) {
    throw new RegionError('ERR_CORRUPT',
      `the catalog of ${core.dir} has an impossible region row; restore it from a backup`);
  }
  if (!KINDS.has(kind)) {
    throw new RegionError('ERR_VERSION',
      `'${name}' is of kind '${kind}', which this regionstore does not know; use a newer one`);
  }
}

/** 1 to 255 bytes of UTF-8 without '/' and NUL. */
export function isRegionName(name: unknown): boolean {
  return typeof name === 'string' && name !== '' && name.isWellFormed()
    && Buffer.byteLength(name) <= NAME_BYTES && !/[/\0]/.test(name);
}

export function entryOf({ id, name, kind, method, capacity }: RegionRow): Entry {
  return { id, name, kind, method, capacity, born: false, file: null, handle: null, ring: null };
}

/**
 * Region files the catalog does not know: removed if they were never committed, otherwise the
 * catalog is not the one that belongs to these files.
 */
function removeLeftovers(core: StoreCore): number {
  const dir = join(core.dir, 'regions');
  const unknown = namesIn(dir)
    .map((name) => ({ name, match: REGION_NAME.exec(name) }))
    .filter(({ match }) => match !== null
      && (match[2]?.startsWith('tmp') || !core.committed.has(match[1])));
  for (const { name, match } of unknown) {
    if (match?.[2] === 'region') refuseCommitted(core, join(dir, name));
    if (match?.[2] === 'ring') refuseFilled(core, join(dir, name));
  }
  if (core.options.readOnly) return unknown.length;
  for (const { name } of unknown) if (existsSync(join(dir, name))) unlinkSync(join(dir, name));
  return unknown.length;
}

function refuseCommitted(core: StoreCore, path: string): void {
  const fd = openRegular(path, 0, core.options.readOnly);
  try {
    const { header, state } = frontOf(fd);
    if (header !== null && header.storeId !== core.id) {
      throw mismatch(`${path} belongs to another store; move it out of the directory, or adopt it`);
    }
    if (state !== null && state.sequence > 0) {
      throw mismatch(`${path} was committed by a checkpoint this catalog does not know: the ` +
        'catalog is older than its regions; restore both from the same backup');
    }
  } finally {
    closeSync(fd);
  }
}

/** A ring gets its row when it is made: without one nothing was ever appended. */
function refuseFilled(core: StoreCore, path: string): void {
  const { storeId, isEmpty } = readRingHeader(path);
  if (storeId === core.id && isEmpty) return;
  throw mismatch(`${path} is a ring that this catalog does not know: the catalog is older, or of ` +
    'another store; move the file out of the directory');
}

function frontOf(fd: number) {
  const bytes = new Uint8Array(2 * PAGE);
  readWhole(fd, bytes, 0);
  // Its extent may be torn until pending images are replayed; only the identity is used here.
  const found = readHeader(bytes);
  const state = decodeState(bytes.subarray(STATE.at, STATE.at + STATE.bytes));
  return 'code' in found
    ? { header: null, problem: found, state }
    : { header: found, problem: null, state };
}

/** A committed region: its file must be the one the catalog means. */
function admit(core: StoreCore, row: RegionRow): void {
  const entry = entryOf(row);
  const path = row.kind === 'ring' ? core.ringPath(row.id) : core.regionPath(row.id);
  // Who only looks is refused when the region is asked for.
  const isNeeded = row.kind === 'ring' || !core.options.readOnly;
  if (isNeeded && !existsSync(path)) throw lostFile(entry, path);
  core.current.set(row.name, entry);
}

function lostFile({ kind, name }: Entry, path: string): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${kind} '${name}' has lost its file ${path}; restore the store from a backup, or mend it ` +
      'with `regionstore repair`');
}

/** Verifies the file of a committed region and opens it. Images may still be pending for it. */
export function openRegionFile(core: StoreCore, entry: Entry): RegionFile {
  const refused = core.refused.get(entry.id);
  if (refused !== undefined) throw refused;
  const { segmentPages, sequence } = readFront(core, entry);
  const file = core.openFile(entry.id, entry.capacity, segmentPages);
  file.sequence = sequence;
  entry.file = file;
  return file;
}

/** What a region's file says of itself, if it is the one the catalog means. */
export function readFront(core: StoreCore, entry: Entry) {
  const path = core.regionPath(entry.id);
  const row = core.committed.get(entry.id);
  const fd = openIfThere(path, core.options.readOnly);
  if (fd === null) throw lostFile(entry, path);
  try {
    const { header, problem, state } = frontOf(fd);
    if (header === null) throw headerError(problem, path);
    if (header.regionId !== entry.id || header.storeId !== core.id) {
      throw mismatch(`${path} holds region ${header.regionId} of store ${header.storeId}, not ` +
        `'${entry.name}'; put the right file back`);
    }
    if (header.method !== entry.method) throw mismatch(`${path} has method ${header.method}`);
    if (state === null) throw new RegionError('ERR_CORRUPT', `${path}: its state is damaged`);
    if (row !== undefined) compareSequences(core, path, row, state.sequence);
    refuseShort(path, fstatSync(fd).size, state.segmentPages);
    return { segmentPages: state.segmentPages, sequence: state.sequence };
  } finally {
    closeSync(fd);
  }
}

function compareSequences(core: StoreCore, path: string, row: RegionRow, found: number): void {
  if (found < row.sequence) {
    throw mismatch(`${path} is older (checkpoint ${found}) than the catalog says it is ` +
      `(${row.sequence}); restore both from the same backup`);
  }
  if (found > core.sequence) {
    throw mismatch(`${path} is newer (checkpoint ${found}) than the catalog (${core.sequence}); ` +
      'restore both from the same backup');
  }
}

function refuseShort(path: string, size: number, segmentPages: readonly number[]): void {
  segmentPages.slice(0, MAX_SEGMENTS).forEach((pages, segment) => {
    if (pages > 0 && segment * SLOT_BYTES + pages * PAGE > size) {
      throw new RegionError('ERR_CORRUPT',
        `${path} is truncated: ${size} bytes; restore the store from a backup, or mend it with ` +
          '`regionstore repair`');
    }
  });
}

/** Records are read one after the other into the same memory. */
let room = new Uint8Array(0);
const MAX_ROOM = 32 * 1024 * 1024;

function* recordsOf(core: StoreCore, sequence: number): Generator<Record> {
  const { crc } = core.mapper;
  const image = core.catalog.image(sequence);
  if (image !== null) yield decodeRecord(image, { sequence, part: 0 }, crc);
  for (const part of core.catalog.parts(sequence)) {
    if (room.length < part.bytes && part.bytes <= MAX_ROOM) room = new Uint8Array(part.bytes);
    yield decodeRecord(core.images.read(part, sequence, room), part, crc);
  }
}

function replay(core: StoreCore, record: Record): void {
  const entries = [...core.current.values(), ...core.dropped.values()];
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  for (const change of record.regions) {
    const entry = byId.get(change.id);
    // A dropped region is brought up to date while history can bring it back.
    if (core.dropped.has(change.id) && !existsSync(core.regionPath(change.id))) continue;
    if (entry === undefined) {
      throw new RegionError('ERR_CORRUPT',
        `checkpoint ${record.sequence} changes a region that is not in the catalog`);
    }
    const file = fileFor(core, entry);
    if (file === null) continue;
    refuseBeyond(file, change, record.sequence);
    const isFree = !core.options.readOnly && core.mayWrite(file, record.sequence);
    const failure = file.apply(change, record.bytes, record.sequence, isFree);
    core.applyFailure = failure ?? core.applyFailure;
  }
}

/** null = it is damaged, and who only looks goes on without it. */
function fileFor(core: StoreCore, entry: Entry): RegionFile | null {
  try {
    return entry.file ?? openRegionFile(core, entry);
  } catch (error) {
    if (!core.options.readOnly || !isDamage(error)) throw error;
    core.refused.set(entry.id, error);
    return null;
  }
}

function refuseBeyond(file: RegionFile, change: RegionChange, sequence: number): void {
  change.segmentPages.forEach((pages, segment) => {
    if (pages * PAGE <= windowBytes(file.capacity, segment)) return;
    throw new RegionError('ERR_CORRUPT',
      `checkpoint ${sequence} makes ${file.path} larger than its capacity, ${file.capacity} bytes`);
  });
}

function mismatch(what: string): RegionError {
  return new RegionError('ERR_MISMATCH', what);
}
