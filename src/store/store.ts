/**
 * The store: a directory of regions under one catalog. This file decides; core.ts holds the state,
 * checkpoint.ts, settle.ts and recover.ts do the work that has an order.
 */
import { capacityFrom } from '../disciplines/capacity.ts';
import { RegionError } from '../errors.ts';
import { bufferCapacity, bufferIn, type RecoverableBuffer } from '../buffers/buffer.ts';
import type { Ring } from '../buffers/ring.ts';
import { ringSize } from '../buffers/ring-file.ts';
import { best } from '../methods/best.ts';
import { last } from '../methods/last.ts';
import { slab } from '../methods/slab.ts';
import { heapIn, type ObjectHeap } from '../objects/heap.ts';
import { flag, type Reader, type Readers, readOptions, size } from '../options.ts';
import { events } from '../region/watch.ts';
import type { Checkpoint, Method, Region } from '../types.ts';
import type { BufferOptions, RegionInfo, RegionOptions, RingOptions, Store, StoreStat }
  from './api.ts';
import type { CheckpointRow } from './catalog.ts';
import { adoptRegion } from './adopt.ts';
import { type Backup, backup, type BackupOptions } from './backup.ts';
import { type CheckOptions, checkStore, type StoreFinding } from './check.ts';
import { startAutoCheckpoints } from './auto-checkpoint.ts';
import { assertLabel, takeCheckpoint } from './checkpoint.ts';
import type { Entry, StoreCore } from './core.ts';
import { assertName, assertSame, createEntry, discard, dropEntry, entryNamed, extentOf, handleOf,
  renameEntry, restoreEntry, rollbackEntry } from './entries.ts';
import { systemError } from '../files.ts';
import { openCore, type StoreOptions } from './open.ts';
import { diffOf, type StoreDiff } from './diff.ts';
import { forget } from './forget.ts';
import { Flights } from './flights.ts';
import { livePlaces, restorable, retained } from './history.ts';
import { closeGaps } from './prune.ts';
import type { Recovery } from './recover.ts';
import { ROUND } from './region-file.ts';
import { refresh } from './reader.ts';
import { restoreTo } from './restore.ts';
import { closeRing, createRing, ringOf } from './rings.ts';
import { settle } from './settle.ts';
import { statOf } from './stat.ts';
import { transact } from './transactions.ts';

/**
 * Opens the store in `dir`, or makes one. Errors: ERR_LOCKED (another process has it),
 * ERR_NOT_FOUND, ERR_CORRUPT, ERR_MISMATCH, ERR_VERSION, ERR_BAD_OPTION, ERR_IO, ERR_NO_SPACE.
 *
 * @example
 * using store = openStore('data');
 * const region = store.region('app');
 * region.roots.set('greeting', region.strdup('hello'));
 * store.checkpoint();
 */
export function openStore(dir: string, options: StoreOptions = {}): Store {
  const { core, recovery } = openCore(dir, options, Date.now);
  const store = new DirectoryStore(core, recovery);
  cores.set(store, core);
  core.onSync = () => store.checkpoint();
  return store;
}

const cores = new WeakMap<Store, StoreCore>();

/** For those who work on a store as a whole. */
export function coreOf(store: Store): StoreCore {
  return cores.get(store) as StoreCore;
}

/** The region under anything a store holds, whoever keeps its blocks: for those who look only. */
export function regionIn(store: Store, name: string): Region {
  const core = coreOf(store);
  core.assertOpen();
  const entry = entryNamed(core, name);
  if (entry.kind !== 'ring') return handleOf(core, entry).region;
  throw new RegionError('ERR_MISMATCH', `'${name}' is a ring, which has no blocks`);
}

const METHOD_OPTION: Reader<Method> = (value, name) => {
  if (typeof (value as Method | null)?.attach === 'function') return value as Method;
  throw new RegionError('ERR_BAD_OPTION', `${name} must be a method such as best or last`);
};
const REGION_READERS: Readers<RegionOptions> = {
  method: METHOD_OPTION, capacity: size, on: events,
};
/** Gaps in image files that are left when the store is closed. */
const SPARE_BYTES = 1024 * 1024;
const RING_READERS: Readers<RingOptions> = { size };
const CHECK_READERS: Readers<CheckOptions> = { pages: flag, blocks: flag };
const BUFFER_READERS: Readers<BufferOptions> = { size, capacity: size };

class DirectoryStore implements Store {
  readonly recovery: Recovery | null;
  readonly #core: StoreCore;
  readonly #stop: () => void = () => {};
  #flights: Flights | null = null;

  constructor(core: StoreCore, recovery: Recovery | null) {
    this.#core = core;
    this.recovery = recovery;
    if (core.options.readOnly) return;
    this.#stop = startAutoCheckpoints(core, core.options.autoCheckpoint,
      () => this.checkpointAsync());
  }

  get dir(): string {
    return this.#core.dir;
  }

  get closed(): boolean {
    return this.#core.closed;
  }

  region(name: string, options: RegionOptions = {}): Region {
    return this.#regionOf('region', name, options, best);
  }

  heap(name: string, options: RegionOptions = {}): ObjectHeap {
    const isNew = !this.has(name);
    const region = this.#regionOf('heap', name, options, slab);
    try {
      return heapIn(region, { now: () => performance.now() });
    } catch (error) {
      if (isNew) this.drop(name);
      throw error;
    }
  }

  buffer(name: string, options: BufferOptions = {}): RecoverableBuffer {
    const core = this.#core;
    core.assertOpen();
    const { size, capacity } = readOptions(options, BUFFER_READERS, 'buffer') as
      { size?: number; capacity?: number };
    const isNew = !this.has(name);
    if (isNew && size === undefined) {
      throw new RegionError('ERR_BAD_OPTION',
        `there is no buffer '${name}' yet: give its size, such as { size: '1MiB' }`);
    }
    const room = capacity ?? (isNew ? bufferCapacity(size as number) : undefined);
    const region = this.#regionOf('buffer', name, room === undefined ? {} : { capacity: room },
      last);
    const entry = entryNamed(core, name);
    try {
      const buffer = bufferIn(region, isNew ? size as number : null, {
        commit: (label) => this.#commit(label, entry),
        rollback: () => rollbackEntry(core, entry),
      });
      if (size === undefined || size === buffer.size) return buffer;
      throw new RegionError('ERR_MISMATCH', `buffer '${name}' has ${buffer.size} bytes, not ` +
        `${size}; leave size out, and resize() it`);
    } catch (error) {
      if (isNew) this.drop(name);
      throw error;
    }
  }

  ring(name: string, options: RingOptions = {}): Ring {
    const core = this.#core;
    core.assertOpen();
    assertName(name);
    const { size: wanted } = readOptions(options, RING_READERS, 'ring') as { size?: number };
    const entry = core.current.get(name);
    if (entry === undefined) return createRing(core, name, wanted);
    assertSame(entry, { kind: 'ring', method: undefined,
      capacity: wanted === undefined ? undefined : ringSize(wanted) });
    return ringOf(core, entry);
  }

  transaction<T>(work: () => T): T {
    if (typeof work !== 'function') {
      throw new RegionError('ERR_BAD_OPTION', 'transaction: give a function');
    }
    return transact(this.#core, work, () => this.checkpoint());
  }

  /** The region of an entry, made where there is none; `byDefault` = method of a new one. */
  #regionOf(kind: string, name: string, options: RegionOptions, byDefault: Method): Region {
    const core = this.#core;
    core.assertOpen();
    assertName(name);
    const read = readOptions(options, REGION_READERS, kind);
    const { method = byDefault, on } = read;
    const capacity = capacityFrom(read.capacity as number | undefined, ROUND);
    const entry = core.current.get(name);
    if (entry === undefined) return createEntry(core, { name, kind, method, capacity, on });
    assertSame(entry, { kind, method: read.method, capacity: read.capacity && capacity });
    const isOpen = entry.handle !== null && !entry.handle.region.closed;
    const handle = handleOf(core, entry, on);
    if (isOpen && on !== undefined) handle.listen(on);
    return handle.region;
  }

  regions(): RegionInfo[] {
    this.#core.assertOpen();
    return [...this.#core.current.values()]
      .map((entry) => {
        const { name, id, kind, method, capacity, born } = entry;
        return { name, id, kind, method, capacity, extent: extentOf(this.#core, entry), born };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  has(name: string): boolean {
    this.#core.assertOpen();
    return this.#core.current.has(name);
  }

  drop(name: string): void {
    dropEntry(this.#core, name);
  }

  rename(from: string, to: string): void {
    renameEntry(this.#core, from, to);
  }

  checkpoint(label?: string): Checkpoint {
    return this.#commit(label, null);
  }

  async checkpointAsync(label?: string): Promise<Checkpoint> {
    const core = this.#core;
    core.assertOpen();
    assertLabel(label);
    core.assertNoTransaction('checkpointAsync');
    core.assertWritable();
    this.#flights ??= new Flights(core);
    return toCheckpoint(await this.#flights.launch(label ?? null, Date.now()), true);
  }

  /** Of everything, or of one entry alone. */
  #commit(label: string | undefined, only: Entry | null): Checkpoint {
    const core = this.#core;
    core.assertOpen();
    assertLabel(label);
    core.assertNoTransaction(only === null ? 'checkpoint' : 'commit');
    return toCheckpoint(takeCheckpoint(core, label ?? null, Date.now(), only), true);
  }

  checkpoints(): Checkpoint[] {
    const core = this.#core;
    core.assertOpen();
    const reachable = new Set(restorable(core));
    return retained(core).map((row) => toCheckpoint(row, reachable.has(row)));
  }

  restore(which: number | string): void {
    restoreTo(this.#core, which, () => this.checkpoint());
  }

  diff(from: number | string, to?: number | string): StoreDiff {
    return diffOf(this.#core, from, to);
  }

  forget(which: number | string): void {
    forget(this.#core, which);
  }

  rollback(): void {
    const core = this.#core;
    core.assertWritable();
    core.assertNoTransaction('rollback');
    core.awaitFlights();
    for (const [name, entry] of core.current) {
      if (!entry.born) continue;
      discard(core, entry, 'rolled back');
      core.current.delete(name);
    }
    const entries = [...core.current.values(), ...core.dropped.values()];
    core.dropped.clear();
    core.current.clear();
    try {
      for (const entry of entries) restoreEntry(core, entry);
    } catch (error) {
      throw core.poisonBy(error);
    }
    core.resetGrowth();
    core.counters?.rolledBack();
  }

  refresh(): boolean {
    const core = this.#core;
    core.assertOpen();
    core.assertNoTransaction('refresh');
    if (core.poison !== null) throw core.poison;
    return core.options.readOnly && refresh(core);
  }

  check(options: CheckOptions = {}): StoreFinding[] {
    const core = this.#core;
    core.assertOpen();
    const { pages = true, blocks = true } = readOptions(options, CHECK_READERS, 'check');
    return checkStore(core, { pages, blocks }, (entry) => handleOf(core, entry).region);
  }

  backup(dir: string, options: BackupOptions = {}): Backup {
    const { mapper } = this.#core;
    return backup(this.#core, dir, options, (place) =>
      openStore(place, { create: false, unsafeFileSystem: true, mapper: mapper.name }));
  }

  adopt(file: string, name: string): RegionInfo {
    adoptRegion(this.#core, file, name);
    return this.regions().find((region) => region.name === name) as RegionInfo;
  }

  stat(): StoreStat {
    this.#core.assertOpen();
    return statOf(this.#core, this.regions());
  }

  close(): void {
    const core = this.#core;
    if (core.closed) return;
    core.assertNoTransaction('close');
    core.awaitFlights();
    const { poison } = core;
    if (poison === null) for (const { handle } of core.current.values()) handle?.askToClose();
    if (poison === null && !core.options.readOnly) {
      // Regions in their memory leave their last words there before it is captured.
      for (const { handle } of core.current.values()) handle?.vacate(closedError(core));
      takeCheckpoint(core, null, Date.now());
      if (core.catalog.applied < core.sequence) settle(core);
      if (core.poison === null) closeGaps(core, SPARE_BYTES);
    }
    try {
      this.#release();
    } finally {
      // biome-ignore lint/correctness/noUnsafeFinally: what stopped the store matters more.
      if (poison !== null) throw poison;
    }
  }

  abandon(): void {
    const core = this.#core;
    if (core.closed) return;
    core.assertNoTransaction('abandon');
    try {
      core.awaitFlights();
      if (core.poison === null && !core.options.readOnly) {
        this.rollback();
        if (core.catalog.applied < core.sequence) settle(core);
      }
    } finally {
      this.#release();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Every step is taken, whatever another one throws; the first error is thrown at the end. */
  #release(): void {
    const core = this.#core;
    core.closed = true;
    const writable = core.poison === null && !core.options.readOnly;
    const error = closedError(core);
    const steps = [
      () => this.#stop(),
      () => writable && core.catalog.applied === core.sequence && trimTails(core),
      () => core.images.close(writable ? livePlaces(core) : null),
      ...[...core.current.values()].map(({ handle }) => () => handle?.retire(error)),
      ...[...core.current.values()].map((entry) => () => closeRing(core, entry, error)),
      ...[...core.files()].map((file) => () => file.release()),
      () => this.#flights?.close(),
      () => core.counters?.close(),
      () => core.catalog.close(),
      () => core.copy?.remove(),
      () => core.pin?.release(),
      () => (core.poison === null ? core.lock.release() : core.lock.abandon()),
    ];
    const failures: unknown[] = [];
    for (const step of steps) {
      try {
        step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw systemError(`closing the store ${core.dir}`, failures[0]);
  }
}

function closedError(core: StoreCore): RegionError {
  return new RegionError('ERR_CLOSED', `the store ${core.dir} is closed`);
}

function trimTails(core: StoreCore): void {
  for (const { file } of core.current.values()) {
    file?.trim();
    file?.punch();
  }
}

function toCheckpoint(row: CheckpointRow, isRestorable: boolean): Checkpoint {
  const { sequence, label, at, bytes, pages, regions } = row;
  return { id: sequence, label, at: new Date(at), bytes, pages, regions,
    restorable: isRestorable };
}
