/**
 * mmap: a file mapped shared. Every store to memory is in the file's pages at once and survives the
 * death of the process; `sync` makes it survive power loss. After a machine crash pages may be of
 * different times: the region is then rebuilt and checked, or refused.
 *
 * Segment i is at i × 4 GiB of the file. Disk is allocated before memory is mapped over it, so that
 * a full disk is an error of the call that grows (`sparse` gives that up). Memory that is given
 * back shows zero pages before the file is shortened or its middle punched out.
 */
import { RegionError } from '../errors.ts';
import { SLOT_BYTES } from '../layout.ts';
import { loadShim, shimProblem } from '../native/load.ts';
import type { Shim } from '../native/shim.ts';
import { flag, oneOf, readOptions, size, text } from '../options.ts';
import type { Discipline } from '../types.ts';
import { Backing, fileBytes } from './backing.ts';
import { capacityFrom, windowBytes } from './capacity.ts';
import { readBootId, systemError } from '../files.ts';
import { loadMmapIo, MmapIoFile, mmapIoProblem } from './mmap-io.ts';

const ROUND = 64 * 1024;

export interface MmapOptions {
  /** Bytes, or a string like '1GiB'; default: what the file says, 4 GiB for a new one. */
  readonly capacity?: number | string;
  /** false = createRegion does not make the file, ERR_NOT_FOUND; default true. */
  readonly create?: boolean;
  /** true = no disk is allocated ahead; a full disk then shows as lost pages. Default false. */
  readonly sparse?: boolean;
  /** Default: the shim where it is built, else mmap-io. */
  readonly mapper?: 'shim' | 'mmap-io';
}

/** Checked options. */
export interface MmapSettings {
  capacity?: number;
  create?: boolean;
  sparse?: boolean;
  mapper?: 'shim' | 'mmap-io';
}

/**
 * A file, mapped shared.
 *
 * @example const region = createRegion(mmap('notes.region', { capacity: '64GiB' }), best);
 */
export function mmap(path: string, options?: MmapOptions): Discipline {
  const settings = readOptions<MmapSettings>(options, {
    capacity: size, create: flag, sparse: flag, mapper: oneOf('shim', 'mmap-io'),
  }, 'mmap');
  const file = text(path, 'mmap: path');
  const bootId = readBootId();
  const shim = settings.mapper === 'mmap-io' ? null : loadShim();
  if (shim !== null) return new MappedFile(file, settings, shim, bootId);
  const mapper = settings.mapper === 'shim' ? null : loadMmapIo();
  if (mapper !== null) return new MmapIoFile(file, settings, mapper, loadShim(), bootId);
  throw new RegionError('ERR_NATIVE',
    `no mapper: ${shimProblem() ?? 'the shim was not asked for'}; ` +
      `${mmapIoProblem() ?? 'mmap-io was not asked for'}; build the shim, or use file()`);
}

class MappedFile implements Discipline {
  readonly name = 'mmap';
  readonly round = ROUND;
  readonly durable = true;
  readonly bootId: string;
  readonly #settings: MmapSettings;
  readonly #shim: Shim;
  readonly #backing: Backing;
  #capacity: number;
  readonly #windows: (ArrayBuffer | undefined)[] = [];
  #sizes: number[] = [];

  constructor(path: string, settings: MmapSettings, shim: Shim, bootId: string) {
    this.#settings = settings;
    this.#shim = shim;
    this.bootId = bootId;
    this.#backing = new Backing(path, shim, bootId);
    this.#capacity = capacityFrom(settings.capacity, ROUND);
  }

  get capacity(): number {
    return this.#capacity;
  }

  open(): readonly number[] {
    this.#sizes = this.#backing.open(this.#settings.create);
    const stored = this.#backing.storedCapacity();
    this.#capacity = capacityFrom(this.#settings.capacity ?? stored, ROUND);
    return this.#sizes.slice();
  }

  window(segment: number): Uint8Array {
    const known = this.#windows[segment];
    if (known !== undefined) return new Uint8Array(known);
    const window = this.#shim.reserve(windowBytes(this.#capacity, segment));
    this.#windows[segment] = window;
    this.#map(segment, 0, Math.min(this.#sizes[segment] ?? 0, window.byteLength));
    return new Uint8Array(window);
  }

  resize(segment: number, bytes: number): boolean {
    if (this.#backing.fd < 0) this.#backing.create();
    const held = this.#sizes[segment] ?? 0;
    if (bytes > held) this.#grow(segment, held, bytes);
    else if (bytes < held) this.#shrink(segment, held, bytes);
    return true;
  }

  expect(segment: number, runs: Int32Array): void {
    const window = this.#windows[segment];
    if (window !== undefined) this.#shim.expect(window, runs, runs.length / 2);
  }

  sync(): void {
    this.#windows.forEach((window, segment) => {
      if (window === undefined) return;
      if (this.#shim.faults(window) > 0) throw this.#lost();
      try {
        if (this.#sizes[segment] > 0) this.#shim.sync(window, 0, this.#sizes[segment]);
      } catch (error) {
        throw systemError(`syncing ${this.#backing.path}`, error);
      }
    });
    this.#backing.sync();
  }

  close(): void {
    for (const window of this.#windows) if (window !== undefined) this.#shim.close(window);
    this.#windows.length = 0;
    this.#sizes = [];
    this.#backing.close();
  }

  #grow(segment: number, held: number, bytes: number): void {
    const at = segment * SLOT_BYTES;
    const before = fileBytes(this.#sizes);
    if (this.#settings.sparse === true) {
      if (at + bytes > before) this.#backing.truncate(at + bytes);
    } else {
      try {
        this.#shim.fallocate(this.#backing.fd, at + held, bytes - held);
      } catch (error) {
        if (at + bytes > before) this.#backing.truncate(before);
        throw systemError(`growing ${this.#backing.path} by ${bytes - held} bytes`, error);
      }
    }
    this.#setSize(segment, bytes);
    if (this.#windows[segment] !== undefined) this.#map(segment, held, bytes);
  }

  #shrink(segment: number, held: number, bytes: number): void {
    const window = this.#windows[segment];
    const mapped = window === undefined ? bytes : Math.min(held, window.byteLength);
    if (window !== undefined && mapped > bytes) this.#shim.unmap(window, bytes, mapped - bytes);
    const isLast = this.#sizes.every((size, i) => i <= segment || size === 0);
    this.#setSize(segment, bytes);
    if (isLast) this.#backing.truncate(fileBytes(this.#sizes));
    else this.#shim.punchHole(this.#backing.fd, segment * SLOT_BYTES + bytes, held - bytes);
  }

  #setSize(segment: number, bytes: number): void {
    for (let i = this.#sizes.length; i < segment; i++) this.#sizes[i] = 0;
    this.#sizes[segment] = bytes;
  }

  #map(segment: number, from: number, to: number): void {
    const window = this.#windows[segment];
    if (window === undefined || to <= from) return;
    const at = segment * SLOT_BYTES + from;
    this.#shim.map(window, from, this.#backing.fd, at, to - from, false);
  }

  #lost(): RegionError {
    return new RegionError('ERR_IO',
      `pages of ${this.#backing.path} could not be read or written: the file was cut off or the ` +
        'disk is full or failing; what was in those pages is lost; restore it from a backup');
  }
}
