/**
 * compressed: a file that is small because its chunks of 64 KiB are packed, and a region that is a
 * copy of it in memory: unpacked whole when it is opened, chunks that changed packed again at
 * `sync`, all or none of them (compressed-file.ts). What was not synced is lost when the process
 * dies, and only that.
 *
 * Which chunks changed is told by a digest of each, 128 bits of SHA-256: the same that tells at the
 * next opening whether a chunk is whole. Memory is that of heap(): pages nobody touched cost
 * nothing. A chunk that is all zero is not in the file.
 */
import { fstatSync } from 'node:fs';
import { RegionError } from '../errors.ts';
import { readBootId, readWhole, systemError, writeWhole } from '../files.ts';
import { CHUNK, CHUNKS_PER_SEGMENT, HEADER, ID_BYTES, PAGE } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import { count, oneOf, readOptions, size, text } from '../options.ts';
import type { Discipline } from '../types.ts';
import { Backing } from './backing.ts';
import { capacityFrom, windowBytes } from './capacity.ts';
import { type Codec, type CodecName, codecNamed, codecOf } from './compressed-codec.ts';
import { type Contents, corrupt, type Disk, readContents } from './compressed-contents.ts';
import { CompressedFile, digestOf, type Draft, isZero, NOTHING, readChunk }
  from './compressed-file.ts';
import { heap } from './heap.ts';
import { touchedParts } from './touched.ts';

export interface CompressedOptions {
  /** Bytes, or a string like '1GiB'; default: what the file says, 4 GiB for a new one. */
  readonly capacity?: number | string;
  /**
   * How chunks are packed; default: as the file is, 'deflate' for a new one. A file packed
   * otherwise is packed again. 'zstd' needs Node 22.15, 23.8 or newer: ERR_VERSION.
   */
  readonly codec?: CodecName;
  /** 1 = fast … 9 (zstd: 19) = small; default 6 (zstd: 3). */
  readonly level?: number;
}

interface Settings {
  capacity?: number;
  codec?: CodecName;
  level?: number;
}

/**
 * A packed file, copied to memory. Costs memory and time of the region's size, which is not that of
 * the file: with a file you do not trust, `capacity` says how much memory it may take.
 * ERR_VERSION where this Node or this program lacks what the file was packed with.
 *
 * @example const region = createRegion(compressed('notes.region', { level: 9 }), best);
 */
export function compressed(path: string, options?: CompressedOptions): Discipline {
  const settings = readOptions<Settings>(options, {
    capacity: size, codec: oneOf('deflate', 'zstd'), level: count(1),
  }, 'compressed');
  return new CompressedMemory(text(path, 'compressed: path'), settings, readBootId());
}

class CompressedMemory implements Discipline {
  readonly name = 'compressed';
  readonly round = CHUNK;
  readonly durable = true;
  readonly bootId: string;
  readonly #settings: Settings;
  readonly #backing: Backing;
  readonly #disk: Disk;
  #capacity: number;
  #codec: Codec;
  #memory: Discipline;
  #file: CompressedFile;
  #sizes: number[] = [];

  constructor(path: string, settings: Settings, bootId: string) {
    this.bootId = bootId;
    this.#settings = settings;
    this.#backing = new Backing(path, loadShim(), bootId);
    this.#disk = diskOf(this.#backing);
    this.#capacity = capacityFrom(settings.capacity, CHUNK);
    this.#codec = codecNamed(settings.codec ?? 'deflate', this.#backing.path);
    if (settings.codec !== undefined) this.#level();
    this.#memory = heap({ capacity: this.#capacity });
    this.#file = new CompressedFile(this.#disk, NOTHING, true);
  }

  get capacity(): number {
    return this.#capacity;
  }

  open(): readonly number[] {
    this.#backing.open();
    try {
      if (this.#backing.fd < 0) this.#take(NOTHING, true);
      else {
        const { contents, isMirrored } = readContents(this.#disk);
        this.#take(contents, isMirrored);
      }
    } catch (error) {
      this.close();
      throw systemError(`reading ${this.#backing.path}`, error);
    }
    return this.#sizes.slice();
  }

  window(segment: number): Uint8Array {
    return this.#memory.window(segment);
  }

  resize(segment: number, bytes: number): boolean {
    if (this.#backing.fd < 0) this.#backing.create();
    for (let i = this.#sizes.length; i < segment; i++) this.#sizes[i] = 0;
    this.#sizes[segment] = bytes;
    return this.#memory.resize(segment, bytes);
  }

  sync(): void {
    if (this.#backing.fd < 0) return;
    try {
      const draft = this.#changes();
      if (draft !== null) this.#file.commit(draft, this.#summary());
      if (!this.#backing.isPublished) this.#backing.sync();
    } catch (error) {
      this.#tidy();
      throw systemError(`writing ${this.#backing.path}`, error);
    }
  }

  close(): void {
    this.#memory.close();
    this.#sizes = [];
    this.#backing.close();
  }

  #take(contents: Contents, isMirrored: boolean): void {
    const { codec, capacity } = this.#settings;
    const isNew = contents.sequence === 0;
    const { path } = this.#disk;
    const stored = isNew ? codecNamed('deflate', path) : codecOf(contents.codec, path);
    this.#codec = codec === undefined ? stored : codecNamed(codec, path);
    this.#level();
    this.#capacity = capacityFrom(capacity ?? (isNew ? undefined : contents.capacity), CHUNK);
    if (contents.segmentPages.some((pages, i) => pages * PAGE > windowBytes(this.#capacity, i))) {
      throw new RegionError('ERR_BAD_OPTION',
        `${path} is larger than the capacity of ${this.#capacity} bytes; give a larger one`);
    }
    this.#file = new CompressedFile(this.#disk, contents, isMirrored);
    this.#sizes = contents.segmentPages.map((pages) => pages * PAGE);
    this.#memory = unpacked(this.#disk, contents, stored, this.#capacity);
  }

  #level(): number {
    const { level } = this.#settings;
    const { name, levels: [least, usual, most] } = this.#codec;
    if (level === undefined) return usual;
    if (level >= least && level <= most) return level;
    throw new RegionError('ERR_BAD_OPTION',
      `compressed: level is ${level}; give ${least} to ${most} for ${name}`);
  }

  /** Chunks that differ from the file's, packed and written where nothing is; null = none. */
  #changes(): Draft | null {
    const { chunks, codec } = this.#file.contents;
    const isRepacking = chunks.size > 0 && codec !== this.#codec.id;
    const level = this.#level();
    let draft = this.#isSameSummary() ? null : this.#file.draft();
    this.#eachChunk((number, bytes, isTouched) => {
      const known = chunks.get(number);
      const isEmpty = !isTouched || isZero(bytes);
      if (isEmpty && known === undefined) return;
      const digest = digestOf(bytes);
      if (!isRepacking && known?.digest.equals(digest)) return;
      draft ??= this.#file.draft();
      if (isEmpty) draft.drop(number);
      else draft.put(number, this.#codec.pack(bytes, level), digest);
    });
    for (const number of chunks.keys()) {
      if (this.#isInUse(number)) continue;
      draft ??= this.#file.draft();
      draft.drop(number);
    }
    return draft;
  }

  #eachChunk(visit: (number: number, bytes: Buffer, isTouched: boolean) => void): void {
    this.#sizes.forEach((size, segment) => {
      const window = this.#memory.window(segment);
      const touched = touchedParts(window, size, CHUNK);
      const first = segment * CHUNKS_PER_SEGMENT;
      for (let i = 0; i < size / CHUNK; i++) {
        const bytes = Buffer.from(window.buffer, window.byteOffset + i * CHUNK, CHUNK);
        visit(first + i, bytes, touched[i] !== 0);
      }
    });
  }

  #isInUse(number: number): boolean {
    const size = this.#sizes[Math.floor(number / CHUNKS_PER_SEGMENT)] ?? 0;
    return (number % CHUNKS_PER_SEGMENT) * CHUNK < size;
  }

  #summary() {
    const used = this.#sizes.findLastIndex((size) => size > 0) + 1;
    return {
      codec: this.#codec.id,
      capacity: this.#capacity,
      regionId: regionIdIn(this.#memory),
      segmentPages: this.#sizes.slice(0, used).map((size) => size / PAGE),
    };
  }

  #isSameSummary(): boolean {
    const { codec, capacity, segmentPages } = this.#file.contents;
    const now = this.#summary();
    return now.codec === codec && now.capacity === capacity
      && now.segmentPages.length === segmentPages.length
      && now.segmentPages.every((pages, i) => pages === segmentPages[i]);
  }

  /** After a write that failed: what it added to the file is given back, as far as possible. */
  #tidy(): void {
    try {
      this.#file.trim();
    } catch {
      // The first error says more; the next sync cuts the file off.
    }
  }
}

/** The memory a file holds, as a heap of a capacity that it fits. Also for looking at files. */
export function unpacked(
  disk: Disk, contents: Contents, codec: Codec, capacity: number,
): Discipline {
  const memory = heap({ capacity });
  memory.open();
  try {
    contents.segmentPages.forEach((pages, i) => {
      memory.resize(i, pages * PAGE);
    });
    for (const [number, chunk] of contents.chunks) {
      const bytes = readChunk(disk, number, chunk, codec);
      const window = memory.window(Math.floor(number / CHUNKS_PER_SEGMENT));
      window.set(bytes, (number % CHUNKS_PER_SEGMENT) * CHUNK);
    }
    if (contents.sequence > 0 && !regionIdIn(memory).equals(contents.regionId)) {
      throw corrupt(disk, 'it names another region than it holds');
    }
    return memory;
  } catch (error) {
    memory.close();
    throw error;
  }
}

function regionIdIn(memory: Discipline): Buffer {
  return Buffer.from(memory.window(0).subarray(HEADER.regionId, HEADER.regionId + ID_BYTES));
}

function diskOf(backing: Backing): Disk {
  return {
    path: backing.path,
    size: () => fstatSync(backing.fd).size,
    read: (bytes, at) => readWhole(backing.fd, bytes, at),
    write: (bytes, at) => writeWhole(backing.fd, bytes, at),
    truncate: (bytes) => backing.truncate(bytes),
    // A file without its name is synced once, when it gets it.
    sync: () => {
      if (backing.isPublished) backing.sync();
    },
  };
}
