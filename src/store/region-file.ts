/**
 * A region's file in a store: the discipline under the region, and the pages the store captures,
 * applies and reverts. One rule decides what a page's committed contents are:
 *
 *   committed(page) = the newest committed image that is not yet written to the file (`overlay`),
 *                     else the file.
 *
 * The file is changed in three ways only: it is lengthened before memory is used, images of
 * committed checkpoints are written to it, and it is shortened when the checkpoint without the tail
 * is applied durably.
 */
import { closeSync } from 'node:fs';
import { windowBytes } from '../disciplines/capacity.ts';
import { RegionError } from '../errors.ts';
import { PAGE, SLOT_PAGES, STATE } from '../layout.ts';
import { encodeState } from '../region/header.ts';
import type { Discipline } from '../types.ts';
import { inodeOf, openRegular, systemError, writeWhole } from '../files.ts';
import { FileLength } from './file-length.ts';
import { FileMemory } from './file-memory.ts';
import { type Mapper, whatHappened } from './mapper.ts';
import { Overlay } from './overlay.ts';
import type { RegionCapture, RegionChange } from './record.ts';
import { punchFile, SparePages, trimFile } from './spare-disk.ts';
import { Sums } from './sums.ts';

/** Region memory is asked of the file in steps of this, bytes. */
export const ROUND = 64 * 1024;
/** Page of the durable state: written when a checkpoint is applied, never captured. */
const STATE_PAGE = STATE.at / PAGE;

export interface RegionFileOptions {
  readonly path: string;
  readonly id: string;
  readonly capacity: number;
  /** Pages in use per segment as committed; [] for a new region. */
  readonly segmentPages: readonly number[];
  readonly mapper: Mapper;
  readonly readOnly: boolean;
  /** Will it stay as it is, so that windows need be no larger? Asked before memory is used. */
  readonly isFixed: () => boolean;
  /** false = never sync. */
  readonly isDurable: boolean;
  /** Called before memory grows by so many bytes; may throw. */
  readonly onGrow: (bytes: number) => void;
  readonly onSync: () => void;
  /** Growth was refused: was room made? */
  readonly onRefusal: () => boolean;
}

export class RegionFile implements Discipline {
  readonly name = 'store';
  readonly round = ROUND;
  readonly durable = true;
  readonly capacity: number;
  readonly id: string;
  readonly path: string;
  /** Images committed but not written to the file, by page. */
  readonly overlay = new Overlay();
  /** Newest checkpoint that touched this region, written to the file or in the overlay. */
  sequence = 0;
  /** Images or state were written since the file was last synced. */
  touched = false;
  /** A committed checkpoint made it shorter than it was. */
  shrunk = false;
  /** Pages whose disk may go. */
  readonly spare = new SparePages();
  readonly hollow?: (segment: number, runs: Int32Array) => void;
  readonly sums: Sums;
  length: FileLength;
  readonly #options: RegionFileOptions;
  readonly #mapper: Mapper;
  readonly memory: FileMemory;
  #fd: number;
  #committed: readonly number[];

  constructor(options: RegionFileOptions) {
    this.#options = options;
    this.#mapper = options.mapper;
    this.path = options.path;
    this.id = options.id;
    this.capacity = options.capacity;
    this.#committed = options.segmentPages;
    this.#fd = openRegular(options.path, 0, options.readOnly);
    this.length = new FileLength(this.#fd, options.path, options.mapper, options.isDurable);
    const windowOf = (segment: number) => options.isFixed()
      ? (this.#committed[segment] ?? 0) * PAGE : windowBytes(this.capacity, segment);
    this.memory = new FileMemory(this.#mapper.open(this.#fd, windowOf), windowOf);
    this.sums = new Sums(options.path, this.#mapper.crc);
    if (this.#mapper.name === 'shim') {
      this.hollow = (segment, runs) => {
        this.spare.note(segment, runs, this.sequence);
      };
    }
  }

  get fd(): number {
    return this.#fd;
  }

  get inode(): string {
    return inodeOf(this.#fd);
  }

  // As a discipline.
  /** A second handle on a region that is in use sees what the first one left. */
  open(): readonly number[] {
    if (this.isUsed) return this.livePages().map((pages) => pages * PAGE);
    this.#committed.forEach((pages, segment) => {
      if (pages > 0) this.memory.expose(segment, pages * PAGE, this.length.bytes);
    });
    this.#layOverlay();
    return this.#committed.map((pages) => pages * PAGE);
  }

  window(segment: number): Uint8Array {
    return new Uint8Array(this.memory.pages.window(segment));
  }

  resize(segment: number, bytes: number): boolean {
    const mapped = this.memory.mapped[segment] ?? 0;
    if (bytes <= mapped) return true;
    if (this.#options.readOnly) return false;
    this.#options.onGrow(bytes - mapped);
    this.length.reach(segment, bytes, {
      window: windowBytes(this.capacity, segment), mapped,
      isLast: segment + 1 >= this.memory.mapped.length,
    });
    this.memory.expose(segment, bytes, this.length.bytes);
    return true;
  }

  relieve(): boolean {
    return this.#options.onRefusal();
  }

  expect(segment: number, runs: Int32Array): void {
    this.memory.pages.expect(segment, runs);
  }

  /** By a checkpoint of the store. */
  sync(): void {
    this.#options.onSync();
  }

  /** Closing a handle on the region closes nothing here: its changes wait for the checkpoint. */
  close(): void {}

  /** Views of the region become empty or zero, and the file is closed. */
  release(): void {
    this.memory.pages.close();
    this.sums.release();
    closeSync(this.#fd);
  }

  /**
   * Pages in use per segment now, as the region's header says; committed ones before it is used.
   */
  livePages(): readonly number[] {
    return this.isUsed ? this.memory.inUse() : this.#committed;
  }

  /**
   * Throws when the file was truncated, replaced or removed under us, or memory faulted. A reader's
   * (`isNamed` false) may be one that a writer has left.
   */
  verify(isNamed = true): void {
    const size = this.#mapper.sizeOf(this.#fd, this.path);
    if (isNamed && size < this.length.bytes) throw this.#disturbed(whatHappened(size));
    if (this.memory.pages.faults() > 0) throw this.#disturbed('a page of it could not be read');
  }

  /** The pages whose contents differ from committed(page); null when there are none. */
  capture(): RegionCapture | null {
    // Memory that nobody asked for yet does not show the file: it is not to be compared with it.
    if (!this.isUsed) return null;
    const segmentPages = this.livePages();
    const local = segmentPages.map((count, segment) =>
      count === 0 ? new Int32Array(0) : this.#changed(segment, count));
    const total = local.reduce((n, list) => n + list.length, 0);
    if (total === 0) return null;
    const pages = new Int32Array(total);
    let at = 0;
    local.forEach((list, segment) => {
      for (const page of list) pages[at++] = segment * SLOT_PAGES + page;
    });
    return { id: this.id, segmentPages, pages, 
      gather: (p, o, a, c) => this.memory.gather(p, o, a, c) };
  }

  get isUsed(): boolean {
    return this.memory.mapped.length > 0;
  }

  get committedPages(): readonly number[] {
    return this.#committed;
  }

  /** Committed contents of pages to `out[at…]`, and the crc32c of each. */
  original(pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array): void {
    this.memory.pages.read(pages, out, at, crcs);
    if (this.overlay.size === 0) return;
    pages.forEach((page, i) => {
      const image = this.overlay.get(page);
      if (image === undefined) return;
      out.set(image, at + i * PAGE);
      crcs[i] = this.#mapper.crc(image, 0, PAGE, 0);
    });
  }

  /** Its descriptor where contents or state are not synced, else null. */
  get unsynced(): number | null {
    return this.touched && this.#options.isDurable ? this.#fd : null;
  }

  /** The file is as long as the committed extent needs, durably: before a commit. */
  syncLength(): void {
    if (!this.length.isSynced) this.length.sync();
  }

  /**
   * Takes over what a committed record changed here. `write` = also into the file now; otherwise,
   * or when writing fails, the images stay in the overlay. Returns the error that kept them there.
   */
  apply(change: RegionChange, bytes: Uint8Array, sequence: number, write: boolean): unknown {
    this.#follow(change, sequence);
    this.sums.note(change);
    if (write && this.overlay.size === 0) {
      const failure = this.#write(change.pages, bytes, change.imagesAt);
      if (failure === null) return null;
      this.overlay.keep(change, bytes);
      return failure;
    }
    this.overlay.keep(change, bytes);
    return write ? this.flush() : null;
  }

  /**
   * Takes over images that are being committed elsewhere: from here on they count as committed, and
   * `land` writes them to the file. They are not copied. What is returned takes them back.
   */
  stage(change: RegionChange, bytes: Uint8Array, sequence: number): () => void {
    const before = { sequence: this.sequence, shrunk: this.shrunk, committed: this.#committed };
    const takeBack = this.overlay.lend(change, bytes);
    this.#follow(change, sequence);
    return () => {
      this.sequence = before.sequence;
      this.shrunk = before.shrunk;
      this.#committed = before.committed;
      takeBack();
    };
  }

  /** Staged images are committed: those still the newest of their page go to the file, or wait. */
  land(change: RegionChange, bytes: Uint8Array, sequence: number, write: boolean): unknown {
    this.sums.note(change);
    if (!write) return null;
    const own = this.overlay.stillLent(change, bytes);
    const failure = own.length === change.pages.length
      ? this.#write(own, bytes, change.imagesAt, this.state(sequence, change.segmentPages))
      : this.#write(own, this.overlay.joined(own), 0, this.state(sequence, change.segmentPages));
    if (failure === null) for (const page of own) this.overlay.delete(page);
    return failure;
  }

  /**
   * Goes on in another file of the same contents, but for changes; the old one stays with whoever
   * has it open.
   */
  moveTo(fd: number): void {
    this.memory.move(fd);
    closeSync(this.#fd);
    this.#fd = fd;
    this.length = new FileLength(fd, this.path, this.#mapper, this.#options.isDurable);
  }

  /** As of another checkpoint: what is in the file, and its images, are looked at again. */
  renew(segmentPages: readonly number[], sequence: number): void {
    const named = openRegular(this.path, 0, this.#options.readOnly);
    if (inodeOf(named) === this.inode) closeSync(named);
    else this.moveTo(named);
    this.overlay.clear();
    this.sequence = sequence;
    this.#committed = segmentPages;
    this.length = new FileLength(this.#fd, this.path, this.#mapper, this.#options.isDurable);
  }

  /** The memory shows what is committed, and no more of the file than that. */
  show(): void {
    if (!this.isUsed) return;
    this.memory.mapped.forEach((_, segment) =>
      this.memory.conceal(segment, (this.#committed[segment] ?? 0) * PAGE));
    this.#committed.forEach((pages, segment) => {
      if (pages > 0) this.memory.expose(segment, pages * PAGE, this.length.bytes);
    });
    this.revert();
  }

  /** Writes the overlay to the file. Returns the error that kept it, or null. */
  flush(): unknown {
    if (this.overlay.size === 0) return null;
    const pages = Int32Array.from(this.overlay.keys()).sort();
    const failure = this.#write(pages, this.overlay.joined(pages), 0);
    if (failure === null) this.overlay.clear();
    return failure;
  }

  /** fdatasync; throws the system's error. Only then may images of this region go. */
  syncApplied(): void {
    if (!this.touched) return;
    this.sums.save(this.#options.isDurable);
    this.length.sync();
    this.touched = false;
  }

  /** Forgets every change since the last commit. */
  revert(): void {
    this.memory.revert();
    this.#layOverlay();
  }

  /** Puts images into memory, one after the other in `images`; the file is left alone. */
  lay(pages: Int32Array, images: Uint8Array): void {
    pages.forEach((page, i) => {
      this.memory.lay(page, images.subarray(i * PAGE, (i + 1) * PAGE));
    });
  }

  /** Gives back memory of pages equal to the file, unless images wait that would show there. */
  relax(): void {
    if (this.overlay.size === 0) this.memory.pages.relax();
  }

  /** Pages of the file that do not match their checksum. */
  mismatches(): Generator<number> {
    return this.sums.mismatches(this.#fd, (page) => !this.overlay.has(page)
      && page % SLOT_PAGES < (this.#committed[Math.floor(page / SLOT_PAGES)] ?? 0));
  }

  /** Gives disk back behind its segments. Called when everything committed is applied durably. */
  trim(): void {
    trimFile(this, this.#mapper);
    this.shrunk = false;
  }

  /** The same inside, under what is clear. */
  punch(): void {
    if (!this.spare.isEmpty) punchFile(this, this.#mapper);
  }

  #changed(segment: number, count: number): Int32Array {
    const found = this.memory.pages.changed(segment, count * PAGE);
    const hasState = segment === 0 && found.includes(STATE_PAGE);
    if (this.overlay.size === 0) return hasState ? found.filter((p) => p !== STATE_PAGE) : found;
    const base = segment * SLOT_PAGES;
    const plain = found.filter((p) => !this.overlay.has(base + p) && base + p !== STATE_PAGE);
    const memory = Buffer.from(this.memory.pages.window(segment));
    const laid: number[] = [];
    for (const [page, image] of this.overlay) {
      const at = (page - base) * PAGE;
      if (page < base || page >= base + count) continue;
      if (memory.compare(image, 0, PAGE, at, at + PAGE) !== 0) laid.push(page - base);
    }
    return Int32Array.from([...plain, ...laid]).sort();
  }

  #write(pages: Int32Array, images: Uint8Array, imagesAt: number, state = this.state()): unknown {
    try {
      this.touched = true;
      this.memory.pages.scatter(pages, images, imagesAt);
      writeWhole(this.#fd, state, STATE.at);
      return null;
    } catch (error) {
      return systemError(`applying a checkpoint to ${this.path}`, error);
    }
  }

  state(sequence = this.sequence, segmentPages = this.#committed): Uint8Array {
    return encodeState({ sequence, clean: false, regionId: this.id, bootId: '', segmentPages });
  }

  /** What is committed of it follows a checkpoint. */
  #follow({ segmentPages }: RegionChange, sequence: number): void {
    this.sequence = sequence;
    this.shrunk ||= this.#committed.some((pages, s) => pages > (segmentPages[s] ?? 0));
    this.#committed = segmentPages;
  }

  #layOverlay(): void {
    for (const [page, image] of this.overlay) this.memory.lay(page, image);
  }

  #disturbed(how: string): RegionError {
    return new RegionError('ERR_IO',
      `the file ${this.path} of a region was disturbed while the store was open: ${how}; ` +
        'nothing more is written; close the store, put the file back and open it again');
  }
}
