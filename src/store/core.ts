/**
 * What the parts of an open store share: its files, its catalog, what is committed, what is not yet
 * applied, and whether it is poisoned.
 *
 * Poisoned: after a failed sync, or when a region's file was disturbed, the kernel's idea of what
 * is on disk can no longer be trusted. Nothing is written, dropped or reverted any more until the
 * store is opened again, which replays the images.
 */
import { join } from 'node:path';
import type { OpenRing } from '../buffers/ring.ts';
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import type { RegionHandle } from '../region/region.ts';
import type { AutoCheckpoint } from './auto-checkpoint.ts';
import { Catalog, type CheckpointRow, type RegionRow } from './catalog.ts';
import type { Counters } from './counters.ts';
import type { Sync } from './catalog-schema.ts';
import type { Link } from './history.ts';
import type { ImageFiles } from './images.ts';
import type { StoreLock } from './lock.ts';
import type { Mapper } from './mapper.ts';
import { type Pin, Pins } from './pins.ts';
import type { ReadingCopy } from './reading-copy.ts';
import { RegionFile } from './region-file.ts';

export interface CoreOptions {
  readonly sync: Sync;
  readonly readOnly: boolean;
  readonly history: number;
  /** Up to so many pages a record goes into the catalog, above into an image file. */
  readonly inlinePages: number;
  /** Bytes of private memory at which growing is refused until a checkpoint. */
  readonly dirtyLimit: number;
  readonly autoCheckpoint: AutoCheckpoint;
  /** Bytes of images after which region files are synced and images let go. */
  readonly settleBytes: number;
}

/** A region of the store that this process knows: committed, or created since. */
export interface Entry {
  readonly id: string;
  name: string;
  readonly kind: string;
  readonly method: string;
  readonly capacity: number;
  /** Not in the catalog yet. */
  born: boolean;
  file: RegionFile | null;
  handle: RegionHandle | null;
  /** Of kind 'ring': no region, and in no checkpoint but by its name. */
  ring: OpenRing | null;
}

export class StoreCore {
  readonly dir: string;
  readonly id: string;
  readonly options: CoreOptions;
  readonly mapper: Mapper;
  readonly lock: StoreLock;
  images: ImageFiles;
  /** Where the open catalog is a copy, because the store is open for reading only. */
  readonly copy: ReadingCopy | null;
  /** What a reader holds back; null for a writer, and where a store cannot be written at all. */
  pin: Pin | null;
  /** What readers hold back, for a writer. */
  readonly pins: Pins;
  /** Bytes of files that only readers have open, by inode. */
  readonly left = new Map<string, number>();
  /** Regions as the program sees them now, by name. */
  readonly current = new Map<string, Entry>();
  /** Rows as committed, by id; dropped ones included until their files are gone. */
  readonly committed = new Map<string, RegionRow>();
  /** Dropped since the last checkpoint, or committed as dropped and not yet removed. */
  readonly dropped = new Map<string, Entry>();
  /** Regions by id that a reader lacks images for, since their files were damaged: never opened. */
  readonly refused = new Map<string, RegionError>();
  catalog: Catalog;
  last: CheckpointRow | null = null;
  /** Checkpoints that are known, oldest first; see history.ts for which are retained. */
  points: CheckpointRow[] = [];
  /** What leads back from the newest one, oldest first. */
  chain: Link[] = [];
  sequence = 0;
  /** Bytes of images since region files were last synced. */
  unsettledBytes = 0;
  poison: RegionError | null = null;
  /** Why committed images are not in the region files yet, or null. */
  applyFailure: unknown = null;
  closed = false;
  /**
   * Nothing is written, and nobody moves on to a later checkpoint: windows are as large as what is
   * there. V8 collects garbage for every window of GiB.
   */
  isFixed = false;
  /** What a writer says of its work to those who watch it; null = it does not. */
  counters: Counters | null = null;
  /** Transactions that are under way, one inside the other. */
  depth = 0;
  /** Waits until every checkpoint that is being committed elsewhere is adopted, or has failed. */
  awaitFlights: () => void = () => {};
  /** Called where a region asks to be made durable. */
  onSync: () => void = () => {};
  #grown = 0;
  /** The last growth that was refused was so because of the limit. */
  #isOverLimit = false;

  constructor(parts: {
    dir: string; catalog: Catalog; lock: StoreLock; mapper: Mapper; images: ImageFiles;
    options: CoreOptions; copy: ReadingCopy | null; pin: Pin | null;
  }) {
    this.dir = parts.dir;
    this.catalog = parts.catalog;
    this.id = parts.catalog.id;
    this.lock = parts.lock;
    this.mapper = parts.mapper;
    this.images = parts.images;
    this.options = parts.options;
    this.copy = parts.copy;
    this.pin = parts.pin;
    this.pins = new Pins(parts.dir);
  }

  get durable(): boolean {
    return this.options.sync !== 'off';
  }

  regionPath(id: string): string {
    return join(this.dir, 'regions', `${id}.region`);
  }

  ringPath(id: string): string {
    return join(this.dir, 'regions', `${id}.ring`);
  }

  /** Every region file that is open, those of dropped regions too. */
  *files(): Generator<RegionFile> {
    for (const { file } of this.current.values()) if (file !== null) yield file;
    for (const { file } of this.dropped.values()) if (file !== null) yield file;
  }

  assertOpen(): void {
    if (this.closed) throw new RegionError('ERR_CLOSED', `the store ${this.dir} is closed`);
  }

  assertWritable(): void {
    this.assertOpen();
    if (this.options.readOnly) {
      throw new RegionError('ERR_READ_ONLY', `the store ${this.dir} is open for reading only`);
    }
    if (this.poison !== null) throw this.poison;
  }

  /** ERR_BUSY inside a transaction, for `what` would commit or undo half of it. */
  assertNoTransaction(what: string): void {
    if (this.depth === 0) return;
    throw new RegionError('ERR_BUSY',
      `${what}: a transaction of the store ${this.dir} is under way, which decides as a whole ` +
        'what is kept; do it after the transaction');
  }

  /**
   * From here on nothing is trusted until the store is opened again. Returns the error to throw.
   */
  poisonBy(cause: unknown): RegionError {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.poison ??= new RegionError('ERR_IO',
      `the store ${this.dir} stopped writing: ${why}; close it and open it again, which restores ` +
        'the last checkpoint from its images', cause);
    return this.poison;
  }

  openFile(id: string, capacity: number, segmentPages: readonly number[]): RegionFile {
    return new RegionFile({
      path: this.regionPath(id), id, capacity, segmentPages, mapper: this.mapper,
      readOnly: this.options.readOnly, isFixed: () => this.isFixed,
      isDurable: this.durable,
      onGrow: (bytes) => this.#beforeGrowth(bytes),
      onSync: () => this.onSync(),
      onRefusal: () => this.#relieve(),
    });
  }

  /**
   * May images of a checkpoint be written to a region's file? Not beyond what a reader looks at who
   * has that file open. As of the last `pins.look()`.
   */
  mayWrite(file: RegionFile, sequence: number): boolean {
    const { live } = this.pins;
    return live.length === 0 || sequence <= this.pins.limitOf(file.id, file.inode);
  }

  /** A checkpoint was taken: growth counts from zero again. */
  resetGrowth(): void {
    this.#grown = 0;
  }

  /** Opens the catalog again after a commit of unknown result. */
  reopenCatalog(): void {
    const { path } = this.catalog;
    this.catalog.close();
    this.catalog = Catalog.open(path, this.options.sync, this.mapper.crc, null);
  }

  /**
   * Growth was refused, and what asked for it is between two changes: where checkpoints are taken
   * by themselves, two of them (the second finds nothing and gives memory back) make room.
   */
  #relieve(): boolean {
    const { everyMs, everyBytes } = this.options.autoCheckpoint;
    const isAutomatic = everyMs !== undefined || everyBytes !== undefined;
    if (!this.#isOverLimit || !isAutomatic || this.depth > 0 || this.poison !== null) return false;
    this.#isOverLimit = false;
    const before = this.#privatePages();
    this.onSync();
    this.onSync();
    return this.#privatePages() < before;
  }

  #privatePages(): number {
    let pages = 0;
    for (const file of this.files()) pages += file.memory.privatePages();
    return pages;
  }

  #beforeGrowth(bytes: number): void {
    this.assertWritable();
    this.#grown += bytes;
    const { dirtyLimit } = this.options;
    if (this.#grown < dirtyLimit / 8) return this.counters?.grew(bytes);
    const pages = this.#privatePages();
    if (pages * PAGE + bytes <= dirtyLimit) {
      this.#grown = bytes;
      return this.counters?.grew(bytes);
    }
    this.#isOverLimit = true;
    throw new RegionError('ERR_NO_SPACE',
      `${pages * PAGE} bytes are changed and not checkpointed, the limit is ${dirtyLimit}; ` +
        'call checkpoint(), or open the store with a higher dirtyLimit');
  }
}
