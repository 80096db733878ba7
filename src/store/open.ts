/**
 * Opening a store: options, directory, locks, catalog, recovery, in this order. Nothing is created
 * or changed before the locks are held.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { RegionError } from '../errors.ts';
import { ID_BYTES } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import type { Shim } from '../native/shim.ts';
import { count, flag, oneOf, type Readers, readOptions, size } from '../options.ts';
import { type AutoCheckpoint, autoCheckpoint } from './auto-checkpoint.ts';
import { bufferedMapper } from './buffered-pages.ts';
import { Catalog } from './catalog.ts';
import type { Sync } from './catalog-schema.ts';
import { type CoreOptions, StoreCore } from './core.ts';
import { Counters } from './counters.ts';
import { namesIn, readBootId, syncDirectory, systemError } from '../files.ts';
import { refuseFileSystem } from './file-system.ts';
import { livePlaces } from './history.ts';
import { ImageFiles } from './images.ts';
import { lockStore, lookAtStore, type StoreLock } from './lock.ts';
import type { Mapper } from './mapper.ts';
import type { Pin } from './pins.ts';
import { privateMapper, selfTest } from './private-pages.ts';
import { copyLive, holdFiles, pinStore, withoutRaces } from './reader.ts';
import { copyCatalog, type ReadingCopy } from './reading-copy.ts';
import { recover, type Recovery } from './recover.ts';

export interface StoreOptions {
  /** Make the directory and an empty store when there is none. Default true. */
  create?: boolean;
  /** Look, change nothing. Default false. */
  readOnly?: boolean;
  /**
   * 'full' (default): checkpoint() returns ⇒ survives power loss. 'normal': power loss may lose the
   * last checkpoints, never tears one. 'off': for data that may be lost with the power.
   */
  sync?: Sync;
  /**
   * Unlabelled checkpoints that can be gone back to, the newest included; default 8. With 0 or 1
   * and no labelled one nothing is kept for that.
   */
  history?: number;
  /** Checkpoints taken by themselves, off this thread; default none. */
  autoCheckpoint?: AutoCheckpoint;
  /** 'shim' maps region files, 'file' keeps them in memory; default: shim where it can be built. */
  mapper?: 'shim' | 'file';
  /** Use a file system whose locks and syncs are not known to hold. Default false. */
  unsafeFileSystem?: boolean;
  /** Checkpoints of up to so many pages are kept inside the catalog. Default 16. */
  inlinePages?: number;
  /**
   * Bytes changed since the last checkpoint at which a region that grows takes one first, with
   * `autoCheckpoint` and outside of transactions, and is refused else. Default: half of memory.
   */
  dirtyLimit?: number | string;
  /** Bytes of images after which region files are synced. Default 64 MiB. */
  settleBytes?: number | string;
}

const DEFAULTS: Required<StoreOptions> = {
  create: true,
  readOnly: false,
  sync: 'full',
  history: 8,
  autoCheckpoint: {},
  mapper: 'shim',
  unsafeFileSystem: false,
  inlinePages: 16,
  dirtyLimit: Math.floor(memoryBytes() / 2),
  settleBytes: 64 * 1024 * 1024,
};

/** What there is for this process: a container may have less than the machine. */
function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

export interface OpenedStore {
  readonly core: StoreCore;
  readonly recovery: Recovery | null;
}

/** Opens or creates the store in `dir`; see `openStore`. */
export function openCore(dir: string, given: StoreOptions, clock: () => number): OpenedStore {
  const options = { ...DEFAULTS, ...readOptions(given, READERS, 'openStore') } as CoreOptions &
    Required<StoreOptions>;
  const path = resolve(dir);
  prepareDirectory(path, options);
  const shim = chooseShim(given.mapper);
  const pin = options.readOnly ? pinStore(path) : null;
  if (pin === null) return openWith(path, options, shim, pin, clock);
  try {
    return withoutRaces((isLast) => openWith(path, options, shim, pin, clock, isLast));
  } catch (error) {
    pin.release();
    // A disk without room for the copy of a catalog: made elsewhere, and writers are kept out.
    const { code } = error as RegionError;
    if (code !== 'ERR_NO_SPACE' && code !== 'ERR_IO') throw error;
    return openWith(path, options, shim, null, clock);
  }
}

/** One try. `pin` null = a writer, or a reader that locks writers out. */
function openWith(
  path: string, options: CoreOptions & Required<StoreOptions>, shim: Shim | null, pin: Pin | null,
  clock: () => number, isLast = true,
): OpenedStore {
  const lock = pin === null ? takeLock(path, options.readOnly, shim) : lookAtStore(path);
  let catalog: Catalog | null = null;
  let core: StoreCore | null = null;
  let copy: ReadingCopy | null = null;
  try {
    const mapper = chooseMapper(shim, lock);
    const file = join(path, 'catalog.db');
    if (options.readOnly) copy = pin === null ? copyCatalog(file) : copyLive(file, pin);
    catalog = openCatalog(path, copy?.path ?? file, options, mapper, clock());
    const images = new ImageFiles(join(path, 'images'), livePlaces({ catalog }),
      options.sync !== 'off');
    if (!options.readOnly) syncDirectories(path, catalog.newest === 0);
    core = new StoreCore({ dir: path, catalog, lock, mapper, images, options, copy, pin });
    const recovery = recover(core, clock);
    if (pin !== null) holdFiles(core, pin, isLast);
    const mapped = mapper.name === 'shim' ? shim : null;
    if (!options.readOnly) core.counters = Counters.open(path, core.id, core.sequence, mapped);
    return { core, recovery };
  } catch (error) {
    for (const file of core?.files() ?? []) file.release();
    (core?.catalog ?? catalog)?.close();
    copy?.remove();
    lock.abandon();
    throw systemError(`opening the store ${path}`, error);
  }
}

const READERS: Readers<StoreOptions> = {
  create: flag,
  readOnly: flag,
  sync: oneOf('full', 'normal', 'off'),
  history: count(0),
  autoCheckpoint,
  mapper: oneOf('shim', 'file'),
  unsafeFileSystem: flag,
  inlinePages: count(0),
  dirtyLimit: size,
  settleBytes: size,
};

function prepareDirectory(path: string, options: Required<StoreOptions>): void {
  const isNew = !existsSync(join(path, 'catalog.db'));
  if (isNew) {
    if (hasRegions(path)) {
      throw new RegionError('ERR_CORRUPT',
        `${path} has regions but no catalog; restore catalog.db from a backup, or mend the store ` +
          'with `regionstore repair`');
    }
    if (!options.create || options.readOnly) {
      throw new RegionError('ERR_NOT_FOUND', `there is no store in ${path}`);
    }
  }
  try {
    for (const dir of options.readOnly ? [] : [path, join(path, 'regions'), join(path, 'images')]) {
      if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode: 0o700 });
    }
    if (!options.unsafeFileSystem) refuseFileSystem(path, options.sync !== 'off');
  } catch (error) {
    throw systemError(`preparing ${path}`, error);
  }
}

/** The shim, unless the caller asked for the pure form or it cannot be loaded here. */
function chooseShim(asked: 'shim' | 'file' | undefined): Shim | null {
  const shim = loadShim();
  if (asked === 'shim' && shim === null) {
    throw new RegionError('ERR_NATIVE',
      'the native shim is not built; run `npm run build:native`, or leave out mapper');
  }
  return asked === 'file' ? null : shim;
}

function chooseMapper(shim: Shim | null, lock: StoreLock): Mapper {
  return shim === null ? bufferedMapper : privateMapper(shim, selfTest(shim, lock.fd));
}

function openCatalog(
  path: string, file: string, options: Required<StoreOptions>, mapper: Mapper, now: number,
): Catalog {
  const mayCreate = options.create && !options.readOnly && !hasRegions(path);
  const fresh = mayCreate ? { id: randomBytes(ID_BYTES).toString('hex'), at: now } : null;
  return Catalog.open(file, options.sync, mapper.crc, fresh);
}

function takeLock(path: string, readOnly: boolean, shim: Shim | null): StoreLock {
  try {
    return lockStore(path, { boot: readBootId(), readOnly, shim });
  } catch (error) {
    throw systemError(`locking the store ${path}`, error);
  }
}

/**
 * Names are durable once their directory is synced. A process that died before us may have made
 * some without, so this is done at every open, and up to the root until the first checkpoint
 * exists.
 */
function syncDirectories(path: string, isNew: boolean): void {
  for (const dir of [join(path, 'regions'), join(path, 'images'), path]) syncDirectory(dir);
  for (let dir = dirname(path); isNew; dir = dirname(dir)) {
    syncDirectory(dir);
    if (dir === dirname(dir)) return;
  }
}

function hasRegions(path: string): boolean {
  const regions = join(path, 'regions');
  return existsSync(regions) && namesIn(regions).some((name) => name.endsWith('.region'));
}
