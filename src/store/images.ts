/**
 * Image files: records too large for the catalog. A record is written and synced here *before* the
 * catalog commits the row that refers to it, so bytes nobody refers to are merely old. When no row
 * refers to a file any more it is written again from the start, in place: blocks that are already
 * allocated need no metadata in the sync.
 */
import { closeSync, constants, existsSync, fstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import type { PartRow } from './catalog.ts';
import { namesIn, openRegular, readWhole, syncDirectory, syncFile, writeWhole } from '../files.ts';

/** A new file is begun when the current one has grown past this and still has readers. */
const ROTATE_BYTES = 256 * 1024 * 1024;
const MAX_PART_BYTES = 64 * 1024 * 1024;

export class ImageFiles {
  readonly #dir: string;
  readonly #durable: boolean;
  #file = 1;
  #at = 0;
  #fd = -1;

  constructor(dir: string, live: readonly PartRow[], durable: boolean) {
    this.#dir = dir;
    this.#durable = durable;
    for (const { file, at, bytes } of live) {
      if (file < this.#file) continue;
      this.#at = Math.max(file === this.#file ? this.#at : 0, roundUp(at + bytes));
      this.#file = file;
    }
  }

  /** Bytes on disk of all image files. */
  get bytes(): number {
    return this.#at;
  }

  /** Writes a record; not durable before `sync`. */
  append(bytes: Uint8Array): { file: number; at: number } {
    if (this.#at > ROTATE_BYTES) this.#rotate();
    if (this.#fd < 0) this.#open();
    const place = { file: this.#file, at: this.#at };
    writeWhole(this.#fd, bytes, this.#at);
    this.#at = roundUp(this.#at + bytes.length);
    return place;
  }

  /** Everything appended is durable on return. */
  sync(): void {
    if (this.#fd >= 0 && this.#durable) syncFile(this.#fd);
  }

  /** Takes back what was appended after `place`: its commit failed and nobody refers to it. */
  retreat(place: { file: number; at: number }): void {
    if (place.file === this.#file) this.#at = place.at;
  }

  /** The bytes of a record, in the first bytes of `room` where that is large enough. */
  read({ file, at, bytes, sequence }: PartRow, room: Uint8Array): Uint8Array {
    const path = this.#path(file);
    if (bytes > MAX_PART_BYTES || !existsSync(path)) throw missing(path, sequence);
    const fd = openRegular(path, 0, true);
    try {
      const record = room.length < bytes ? new Uint8Array(bytes) : room.subarray(0, bytes);
      if (at + bytes > fstatSync(fd).size || readWhole(fd, record, at) !== bytes) {
        throw missing(path, sequence);
      }
      return record;
    } finally {
      closeSync(fd);
    }
  }

  /** Starts over in files that no committed row refers to any more. */
  recycle(live: readonly PartRow[]): void {
    const used = new Set(live.map((part) => part.file));
    if (!used.has(this.#file)) this.#at = 0;
    this.#remove((file) => file !== this.#file && !used.has(file));
  }

  /** Closes; removes files nobody refers to, unless `live` is null: nothing may be written. */
  close(live: readonly PartRow[] | null): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    if (live === null) return;
    const used = new Set(live.map((part) => part.file));
    this.#remove((file) => !used.has(file));
  }

  #remove(unused: (file: number) => boolean): void {
    if (!existsSync(this.#dir)) return;
    for (const name of namesIn(this.#dir)) {
      const file = /^(\d+)\.img$/.exec(name)?.[1];
      if (file !== undefined && unused(Number(file))) unlinkSync(join(this.#dir, name));
    }
  }

  #rotate(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#file += 1;
    this.#at = 0;
  }

  #open(): void {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const path = this.#path(this.#file);
    const fresh = !existsSync(path);
    this.#fd = openRegular(path, constants.O_CREAT);
    if (fresh && this.#durable) syncDirectory(this.#dir);
  }

  #path(file: number): string {
    return join(this.#dir, `${file}.img`);
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}

function missing(path: string, sequence: number): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${path} lacks the images of checkpoint ${sequence}; restore the store from a backup`);
}
