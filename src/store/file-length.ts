/**
 * How long a region's file is: disk is allocated before memory over it is used, somewhat ahead of
 * need so that it has to be synced rarely, and given back when nothing needs it.
 */
import { fstatSync, ftruncateSync } from 'node:fs';
import type { RegionError } from '../errors.ts';
import { PAGE, SLOT_BYTES } from '../layout.ts';
import { syncFile, systemError } from '../files.ts';
import type { Mapper } from './mapper.ts';

/** Growth is rounded to steps of this, and ahead of use by an eighth within these bounds, bytes. */
const STEP = 64 * 1024;
const AHEAD_MIN = 256 * 1024;
const AHEAD_MAX = 64 * 1024 * 1024;

/** What is known of the segment that grows. */
interface Growth {
  /** Bytes of its window. */
  readonly window: number;
  /** Bytes of it that show the file already. */
  readonly mapped: number;
  /** No later segment is in the file. */
  readonly isLast: boolean;
}

export class FileLength {
  readonly #fd: number;
  readonly #path: string;
  readonly #mapper: Mapper;
  readonly #isDurable: boolean;
  #bytes: number;
  #synced: number;

  constructor(fd: number, path: string, mapper: Mapper, isDurable: boolean) {
    this.#fd = fd;
    this.#path = path;
    this.#mapper = mapper;
    this.#isDurable = isDurable;
    // A torn last page is no page: only whole ones are mapped.
    this.#bytes = Math.floor(fstatSync(fd).size / PAGE) * PAGE;
    this.#synced = this.#bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The length is as durable as the store promises. */
  get isSynced(): boolean {
    return this.#bytes === this.#synced;
  }

  /** fdatasync, of contents too. */
  sync(): void {
    if (this.#isDurable) syncFile(this.#fd);
    this.#synced = this.#bytes;
  }

  /** The descriptor that is to be synced for the length, null = none. */
  get unsynced(): number | null {
    return this.isSynced || !this.#isDurable ? null : this.#fd;
  }

  /** It was synced elsewhere when it was so long. */
  synced(bytes: number): void {
    this.#synced = Math.max(this.#synced, Math.min(bytes, this.#bytes));
  }

  /** There is disk for `bytes` of a segment. */
  reach(segment: number, bytes: number, { window, mapped, isLast }: Growth): void {
    const slot = segment * SLOT_BYTES;
    const from = Math.max(slot, Math.min(this.#bytes, slot + bytes));
    const ahead = Math.min(AHEAD_MAX, Math.max(AHEAD_MIN, Math.floor(bytes / 8 / STEP) * STEP));
    const wanted = slot + Math.min(window, bytes + ahead);
    if (slot + bytes <= this.#bytes && !isLast) {
      this.#allocate(slot + mapped, slot + bytes);
      return;
    }
    if (wanted <= this.#bytes) return;
    try {
      this.#allocate(from, wanted);
    } catch (error) {
      if ((error as RegionError).code !== 'ERR_NO_SPACE') throw error;
      if (slot + bytes > this.#bytes) this.#allocate(from, slot + bytes);
    }
  }

  /** Shortens the file. */
  cut(bytes: number): void {
    if (bytes >= this.#bytes) return;
    ftruncateSync(this.#fd, bytes);
    this.#bytes = bytes;
    this.#synced = Math.min(this.#synced, bytes);
  }

  #allocate(from: number, to: number): void {
    if (to <= from) return;
    try {
      this.#mapper.fallocate(this.#fd, from, to - from);
    } catch (error) {
      throw systemError(`growing ${this.#path} by ${to - from} bytes`, error);
    }
    this.#bytes = Math.max(this.#bytes, to);
  }
}
