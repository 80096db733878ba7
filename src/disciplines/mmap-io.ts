/**
 * mmap over the optional package mmap-io, for machines where the shim cannot be built. Its limits:
 * a region has one segment of a fixed capacity below 2 GiB, mapped whole; the package cannot unmap,
 * so memory stays mapped until the views are collected, nothing is given back to the system while
 * the region is open, and the file must not be shortened under it: that would end the process.
 *
 * The file is as long as the capacity once the region above has accepted it (it then resizes or
 * syncs it), so that no view reaches past its end.
 */
import { ftruncateSync, fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import { RegionError } from '../errors.ts';
import type { Shim } from '../native/shim.ts';
import type { Discipline } from '../types.ts';
import { Backing } from './backing.ts';
import { capacityFrom } from './capacity.ts';
import { systemError, writeWhole } from '../files.ts';

const ROUND = 64 * 1024;
/** Sizes and offsets of 2 GiB and more fail in mmap-io. */
const MOST = 2 ** 31 - ROUND;
const DEFAULT = 2 ** 30;
const ZEROS = new Uint8Array(ROUND);

/** What is used of mmap-io. */
export interface MmapIo {
  readonly PROT_READ: number;
  readonly PROT_WRITE: number;
  readonly MAP_SHARED: number;
  map(bytes: number, protection: number, flags: number, fd: number, offset: number): Buffer;
  sync(buffer: Buffer, offset: number, bytes: number, isBlocking: boolean): void;
}

let answer: { readonly mapper: MmapIo | null; readonly problem: string | null } | undefined;

/** The package, or null where it is not installed or does not load. */
export function loadMmapIo(): MmapIo | null {
  return look().mapper;
}

/** Why loadMmapIo() returns null; null when it does not. */
export function mmapIoProblem(): string | null {
  return look().problem;
}

function look(): NonNullable<typeof answer> {
  answer ??= load();
  return answer;
}

function load(): NonNullable<typeof answer> {
  try {
    const found: MmapIo & { default?: MmapIo } = createRequire(import.meta.url)('mmap-io');
    return { mapper: found.default ?? found, problem: null };
  } catch (error) {
    const [why] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { mapper: null, problem: `mmap-io does not load: ${why}` };
  }
}

export interface MmapIoSettings {
  capacity?: number;
  create?: boolean;
  sparse?: boolean;
}

export class MmapIoFile implements Discipline {
  readonly name = 'mmap';
  readonly round = ROUND;
  readonly durable = true;
  readonly bootId: string;
  readonly #settings: MmapIoSettings;
  readonly #mapper: MmapIo;
  readonly #backing: Backing;
  #capacity: number;
  #map: Buffer | null = null;
  #size = 0;

  constructor(
    path: string, settings: MmapIoSettings, mapper: MmapIo, shim: Shim | null, bootId: string,
  ) {
    this.#settings = settings;
    this.#mapper = mapper;
    this.bootId = bootId;
    this.#backing = new Backing(path, shim, bootId);
    this.#capacity = capacityFrom(settings.capacity ?? DEFAULT, ROUND, MOST);
  }

  get capacity(): number {
    return this.#capacity;
  }

  open(): readonly number[] {
    const sizes = this.#backing.open(this.#settings.create);
    if (sizes.length === 0) return [];
    if (sizes.length > 1 || sizes[0] > MOST) {
      this.#backing.close();
      throw new RegionError('ERR_NATIVE',
        `${this.#backing.path} has 2 GiB or more, which mmap-io cannot map; build the shim`);
    }
    const wanted = this.#settings.capacity ?? this.#backing.storedCapacity() ?? ROUND;
    const within = Math.min(MOST, Math.max(wanted, sizes[0]));
    this.#capacity = capacityFrom(within, ROUND, MOST);
    [this.#size] = sizes;
    return sizes;
  }

  window(segment: number): Uint8Array {
    if (segment !== 0) throw new RegionError('ERR_NO_SPACE', 'mmap-io serves one segment only');
    if (this.#map === null) {
      const { PROT_READ, PROT_WRITE, MAP_SHARED } = this.#mapper;
      const whole = PROT_READ | PROT_WRITE;
      try {
        this.#map = this.#mapper.map(this.#capacity, whole, MAP_SHARED, this.#backing.fd, 0);
      } catch (error) {
        throw systemError(`mapping ${this.#backing.path}`, error);
      }
    }
    return new Uint8Array(this.#map.buffer);
  }

  /** Gives no disk back: shortening a file under a map that stays would end the process. */
  resize(segment: number, bytes: number): boolean {
    if (segment !== 0) return false;
    if (this.#backing.fd < 0) this.#backing.create();
    this.#lengthen();
    this.#allocate(this.#size, bytes);
    this.#size = bytes;
    return true;
  }

  sync(): void {
    if (this.#backing.fd >= 0) this.#lengthen();
    if (this.#map !== null && this.#size > 0) {
      try {
        this.#mapper.sync(this.#map, 0, this.#size, true);
      } catch (error) {
        throw systemError(`syncing ${this.#backing.path}`, error);
      }
    }
    this.#backing.sync();
  }

  close(): void {
    this.#map = null;
    this.#size = 0;
    this.#backing.close();
  }

  #lengthen(): void {
    const { fd } = this.#backing;
    if (fstatSync(fd).size < this.#capacity) ftruncateSync(fd, this.#capacity);
  }

  /** Disk is allocated for sure only by writing to it; what is written to is not in use yet. */
  #allocate(from: number, to: number): void {
    if (this.#settings.sparse === true) return;
    try {
      for (let at = from; at < to; at += ROUND) {
        writeWhole(this.#backing.fd, ZEROS.subarray(0, Math.min(ROUND, to - at)), at);
      }
    } catch (error) {
      throw systemError(`growing ${this.#backing.path} by ${to - from} bytes`, error);
    }
  }
}
