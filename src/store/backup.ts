/**
 * Backups: a store of its own in another directory, as of the newest checkpoint, taken while the
 * store is in use. It is made beside its place and verified there; the rename is the moment it
 * exists. Uncommitted changes and the way back to earlier checkpoints stay behind.
 *
 * Of a writer, nothing is committed while this runs. Of a reader, its pin keeps what it copies.
 */
import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { copyRing } from '../buffers/ring-copy.ts';
import { RegionError } from '../errors.ts';
import { syncDirectory, systemError } from '../files.ts';
import { ID_BYTES } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import { flag, type Reader, type Readers, readOptions } from '../options.ts';
import type { Store } from './api.ts';
import { Catalog, type RegionRow } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';
import { makePart, partOf, placeFor, remove } from './place.ts';
import { openRegionFile } from './recover.ts';
import { bytesInUse, copyRegion } from './region-copy.ts';
import { ringOf } from './rings.ts';

export interface BackupOptions {
  /**
   * The copy is another store: it has an id of its own, so that files of the two are never mistaken
   * for one another once they go separate ways. Default false: the same store in another place.
   */
  clone?: boolean;
  /** Called now and then with the bytes that are copied, and all there are. */
  onProgress?: (done: number, total: number) => void;
}

export interface Backup {
  /** Absolute path. */
  readonly dir: string;
  /** Its number; 0 where there is none yet. */
  readonly checkpoint: number;
  /** Regions, heaps, buffers and rings in it. */
  readonly regions: number;
  /** Of their contents. */
  readonly bytes: number;
  /** How many of those share their disk with the original until one of both is changed. */
  readonly sharedBytes: number;
}

type OnProgress = Required<BackupOptions>['onProgress'];

const CALLBACK: Reader<OnProgress> = (value, name) => {
  if (typeof value === 'function') return value as OnProgress;
  throw new RegionError('ERR_BAD_OPTION', `${name} must be a function`);
};
const READERS: Readers<BackupOptions> = { clone: flag, onProgress: CALLBACK };

/** `open` opens a store for writing. */
export function backup(
  core: StoreCore, dir: string, given: BackupOptions, open: (dir: string) => Store,
): Backup {
  core.assertOpen();
  const { clone = false, onProgress = () => {} } = readOptions(given, READERS, 'backup');
  core.assertNoTransaction('backup');
  if (core.poison !== null) throw core.poison;
  core.awaitFlights();
  const place = placeFor(core.dir, dir, 'backup');
  const made = partOf(place);
  try {
    makePart(place);
    const id = clone ? randomBytes(ID_BYTES).toString('hex') : core.id;
    const copied = new Copying(core, made, id, onProgress).run();
    verify(made, open);
    renameSync(made, place);
    syncDirectory(dirname(place));
    return { dir: place, checkpoint: core.sequence, ...copied };
  } catch (error) {
    remove(made);
    throw systemError(`copying the store ${core.dir} to ${place}`, error);
  }
}

/** Writes the copy, but for its name. */
class Copying {
  readonly #core: StoreCore;
  readonly #dir: string;
  readonly #id: string;
  readonly #onProgress: OnProgress;
  readonly #shim = loadShim();
  readonly #rows: RegionRow[];
  readonly #entries: ReadonlyMap<string, Entry>;
  #done = 0;
  #total = 0;
  #shared = 0;

  constructor(core: StoreCore, dir: string, id: string, onProgress: OnProgress) {
    this.#core = core;
    this.#dir = dir;
    this.#id = id;
    this.#onProgress = onProgress;
    // As committed: what was dropped or renamed since is still there.
    this.#rows = [...core.committed.values()].filter(({ dropped }) => dropped === null);
    const entries = [...core.current.values(), ...core.dropped.values()];
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
  }

  run(): Pick<Backup, 'regions' | 'bytes' | 'sharedBytes'> {
    const entries = this.#rows.map(({ id }) => this.#entries.get(id) as Entry);
    this.#total = entries.reduce((n, entry) => n + this.#bytesOf(entry), 0);
    const rows = entries.map((entry, i) => {
      const row = this.#rows[i] as RegionRow;
      if (entry.kind === 'ring') return this.#copyRing(entry, row);
      return this.#copyRegion(entry, row);
    });
    this.#writeCatalog(rows);
    for (const name of ['regions', 'images', '.']) syncDirectory(join(this.#dir, name));
    return { regions: rows.length, bytes: this.#total, sharedBytes: this.#shared };
  }

  #fileOf(entry: Entry) {
    return entry.file ?? openRegionFile(this.#core, entry);
  }

  #bytesOf(entry: Entry): number {
    return entry.kind === 'ring' ? entry.capacity : bytesInUse(this.#fileOf(entry).committedPages);
  }

  #count(bytes: number): void {
    this.#done += bytes;
    this.#onProgress(this.#done, this.#total);
  }

  #copyRegion(entry: Entry, row: RegionRow): RegionRow {
    const file = this.#fileOf(entry);
    file.verify(this.#core.pin === null);
    const path = join(this.#dir, 'regions', `${entry.id}.region`);
    const isShared = copyRegion(file, path, { storeId: this.#id, shim: this.#shim,
      crc: this.#core.mapper.crc, onPiece: (bytes) => this.#count(bytes) });
    if (isShared) this.#shared += bytesInUse(file.committedPages);
    return { ...row, sequence: file.sequence };
  }

  #copyRing(entry: Entry, row: RegionRow): RegionRow {
    const path = join(this.#dir, 'regions', `${entry.id}.ring`);
    const identity = { size: entry.capacity, ringId: entry.id, storeId: this.#id,
      createdAt: Date.now() };
    const { fallocate } = this.#core.mapper;
    copyRing(ringOf(this.#core, entry), path, identity, { shim: this.#shim, fallocate });
    this.#count(entry.capacity);
    return row;
  }

  #writeCatalog(rows: readonly RegionRow[]): void {
    const { mapper: { crc }, last, sequence } = this.#core;
    const fresh = { id: this.#id, at: Date.now() };
    const catalog = Catalog.open(join(this.#dir, 'catalog.db'), 'full', crc, fresh);
    try {
      if (last === null) for (const row of rows) catalog.addRegion(row);
      else {
        catalog.commit({ row: last, image: null, parts: [], regions: rows, undo: null,
          moves: [] });
        catalog.settle({ applied: sequence, lowWater: sequence, regions: [], keep: 1 });
      }
    } finally {
      catalog.close();
    }
  }
}

/** Opens the copy as its users will, and compares every page with its checksum. */
function verify(dir: string, open: (dir: string) => Store): void {
  const store = open(dir);
  try {
    // What is missing in a ring is missing in the original as well.
    const [found] = store.check({ blocks: false }).filter(({ id }) => id !== 'G2');
    if (found === undefined) return;
    throw new RegionError('ERR_CORRUPT', `the copy is not sound: ${found.id} ${found.detail}; ` +
      'the store itself may be damaged: check() it');
  } finally {
    store.close();
  }
}
