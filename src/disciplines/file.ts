/**
 * file: a file without native code. The region is a copy in memory, loaded when it is opened;
 * `sync` writes the pages that changed, all or none: first into a journal beside the file
 * (journal.ts), then in place. What was not synced is lost when the process dies, and only that.
 *
 * Order of a sync: the file is long enough, journal, sync, pages in place, sync, journal removed. A
 * failure before the journal is complete changes nothing; one after it leaves the journal, and the
 * next sync or open finishes it first.
 */
import { fstatSync } from 'node:fs';
import { RegionError } from '../errors.ts';
import { HEADER, ID_BYTES, PAGE, SLOT_BYTES, SLOT_PAGES } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import { readOptions, size, text } from '../options.ts';
import type { Discipline } from '../types.ts';
import { Backing, fileBytes } from './backing.ts';
import { capacityFrom, windowBytes } from './capacity.ts';
import { readBootId, readWhole, systemError, writeWhole } from '../files.ts';
import { type PageImage, removeJournal, writeJournal } from './journal.ts';

const ROUND = 64 * 1024;
/** Bytes compared, loaded or zero-filled at a time. */
const CHUNK = 256 * 1024;
const ZEROS = Buffer.alloc(CHUNK);

export interface FileOptions {
  /** Bytes, or a string like '1GiB'; default: what the file says, 4 GiB for a new one. */
  readonly capacity?: number | string;
}

/**
 * A file, copied to memory. Pure TypeScript; costs memory and time of the region's size.
 *
 * @example const region = createRegion(file('notes.region'), best); region.sync();
 */
export function file(path: string, options?: FileOptions): Discipline {
  const { capacity } = readOptions<{ capacity?: number }>(options, { capacity: size }, 'file');
  return new BufferedFile(text(path, 'file: path'), capacity, readBootId());
}

class BufferedFile implements Discipline {
  readonly name = 'file';
  readonly round = ROUND;
  readonly durable = true;
  readonly bootId: string;
  readonly #backing: Backing;
  readonly #given: number | undefined;
  readonly #chunk = Buffer.alloc(CHUNK);
  #capacity: number;
  readonly #windows: (ArrayBuffer | undefined)[] = [];
  #sizes: number[] = [];
  #isLeftOver = false;
  #failure: RegionError | null = null;

  constructor(path: string, given: number | undefined, bootId: string) {
    this.bootId = bootId;
    this.#given = given;
    this.#backing = new Backing(path, loadShim(), bootId);
    this.#capacity = capacityFrom(given, ROUND);
  }

  get capacity(): number {
    return this.#capacity;
  }

  open(): readonly number[] {
    this.#failure = null;
    this.#sizes = this.#backing.open();
    this.#capacity = capacityFrom(this.#given ?? this.#backing.storedCapacity(), ROUND);
    return this.#sizes.slice();
  }

  window(segment: number): Uint8Array {
    const known = this.#windows[segment];
    if (known !== undefined) return new Uint8Array(known);
    const window = new ArrayBuffer(windowBytes(this.#capacity, segment));
    this.#windows[segment] = window;
    this.#load(segment, Math.min(this.#sizes[segment] ?? 0, window.byteLength));
    return new Uint8Array(window);
  }

  resize(segment: number, bytes: number): boolean {
    if (this.#backing.fd < 0) this.#backing.create();
    const held = this.#sizes[segment] ?? 0;
    const window = this.window(segment);
    for (let i = this.#sizes.length; i < segment; i++) this.#sizes[i] = 0;
    this.#sizes[segment] = bytes;
    if (bytes < held) window.fill(0, bytes, Math.min(held, window.byteLength));
    return true;
  }

  sync(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#backing.fd < 0) return;
    try {
      if (this.#isLeftOver) this.#backing.finishJournal();
      this.#isLeftOver = false;
      this.#write();
    } catch (error) {
      throw systemError(`writing ${this.#backing.path}`, error);
    }
  }

  close(): void {
    for (const window of this.#windows) {
      if (window !== undefined) structuredClone(window, { transfer: [window] });
    }
    this.#windows.length = 0;
    this.#sizes = [];
    this.#backing.close();
  }

  #write(): void {
    const bytes = fileBytes(this.#sizes);
    const isLonger = this.#lengthen(bytes);
    const images = this.#changed();
    const isShorter = fstatSync(this.#backing.fd).size > bytes;
    if (images.length === 0 && !isLonger && !isShorter && this.#backing.isPublished) return;
    if (!this.#backing.isPublished) {
      for (const image of images) this.#store(image);
      this.#backing.sync();
      return;
    }
    this.#record(bytes, images);
    this.#isLeftOver = true;
    for (const image of images) this.#store(image);
    this.#backing.truncate(bytes);
    this.#syncOnce();
    removeJournal(this.#backing.journal);
    this.#isLeftOver = false;
  }

  #record(bytes: number, images: readonly PageImage[]): void {
    const id = this.window(0).slice(HEADER.regionId, HEADER.regionId + ID_BYTES);
    try {
      writeJournal(this.#backing.journal, id, bytes, images);
    } catch (error) {
      removeJournal(this.#backing.journal);
      throw error;
    }
  }

  #store({ page, bytes }: PageImage): void {
    writeWhole(this.#backing.fd, bytes, page * PAGE);
  }

  /** A sync that failed may have dropped pages: only opening again, with the journal, is safe. */
  #syncOnce(): void {
    try {
      this.#backing.sync();
    } catch (error) {
      this.#failure = new RegionError('ERR_IO',
        `${this.#backing.path} could not be synced; close the region and open it again, which ` +
          'finishes the write from its journal', error);
      throw this.#failure;
    }
  }

  /** Pages in use that differ from the file's. */
  #changed(): PageImage[] {
    const images: PageImage[] = [];
    this.#sizes.forEach((bytes, segment) => {
      const window = this.window(segment);
      for (let at = 0; at < bytes; at += CHUNK) {
        const memory = Buffer.from(window.buffer, at, Math.min(CHUNK, bytes - at));
        const stored = this.#read(segment * SLOT_BYTES + at, memory.length);
        if (!stored.equals(memory)) compareChunk(memory, stored, segment, at / PAGE, images);
      }
    });
    return images;
  }

  #read(at: number, bytes: number): Buffer {
    const chunk = this.#chunk.subarray(0, bytes);
    chunk.fill(0, readWhole(this.#backing.fd, chunk, at));
    return chunk;
  }

  /** Zeros at the end first, so that a full disk is found before anything changed. */
  #lengthen(bytes: number): boolean {
    const { fd } = this.#backing;
    const { size: had } = fstatSync(fd);
    if (had >= bytes) return false;
    const from = Math.max(had, Math.floor((bytes - 1) / SLOT_BYTES) * SLOT_BYTES);
    try {
      for (let at = from; at < bytes; at += CHUNK) {
        writeWhole(fd, ZEROS.subarray(0, Math.min(CHUNK, bytes - at)), at);
      }
    } catch (error) {
      this.#backing.truncate(had);
      throw error;
    }
    return true;
  }

  /** Memory is zero already: holes and zeros of the file are not touched. */
  #load(segment: number, bytes: number): void {
    const memory = this.window(segment);
    for (let at = 0; at < bytes; at += CHUNK) {
      const stored = this.#read(segment * SLOT_BYTES + at, Math.min(CHUNK, bytes - at));
      if (!stored.equals(ZEROS.subarray(0, stored.length))) memory.set(stored, at);
    }
  }
}

function compareChunk(
  memory: Buffer, stored: Buffer, segment: number, firstPage: number, into: PageImage[],
): void {
  for (let at = 0; at < memory.length; at += PAGE) {
    const bytes = memory.subarray(at, at + PAGE);
    if (bytes.equals(stored.subarray(at, at + PAGE))) continue;
    into.push({ page: segment * SLOT_PAGES + firstPage + at / PAGE, bytes });
  }
}
