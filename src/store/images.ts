/**
 * Image files: records too large for the catalog. A record is written and synced here *before* the
 * catalog commits the row that refers to it, so bytes nobody refers to are merely old. Space that
 * no committed row refers to is written again, in place: blocks that are already allocated need no
 * metadata in the sync.
 */
import { closeSync, constants, existsSync, fstatSync, ftruncateSync, mkdirSync, statSync,
  unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import { namesIn, openRegular, readWhole, syncDirectory, syncFile, writeWhole } from '../files.ts';

/** No record begins behind this: a new file is begun instead. */
const ROTATE_BYTES = 256 * 1024 * 1024;
const MAX_PART_BYTES = 64 * 1024 * 1024;
/** Unused bytes at the end of a file that are kept to be written again. */
const SPARE_BYTES = 64 * 1024 * 1024;

/** Where a record is. */
export interface Place {
  readonly file: number;
  readonly at: number;
  readonly bytes: number;
}

interface ImageFile {
  fd: number;
  /** Length on disk. */
  end: number;
  /** Something was written since the last sync. */
  touched: boolean;
  /** Records that are referred to, or are about to be, ascending. */
  places: Place[];
}

export class ImageFiles {
  readonly #dir: string;
  readonly #durable: boolean;
  readonly #files = new Map<number, ImageFile>();

  constructor(dir: string, live: readonly Place[], durable: boolean) {
    this.#dir = dir;
    this.#durable = durable;
    this.#adopt(live);
  }

  /** Bytes on disk of all image files. */
  get bytes(): number {
    return [...this.#files.values()].reduce((n, file) => n + file.end, 0);
  }

  /** Bytes of gaps between records. */
  get gaps(): number {
    return [...this.#files.values()].reduce((n, { places }) =>
      places.reduce((left, { bytes }) => left - roundUp(bytes), n + roundUp(endOf(places))), 0);
  }

  /** Writes a record where there is room; not durable before `sync`. */
  append(record: Uint8Array): Place {
    const size = roundUp(record.length);
    let number = 1;
    let at = gapIn(this.#files.get(number)?.places, size);
    while (at > ROTATE_BYTES) {
      number += 1;
      at = gapIn(this.#files.get(number)?.places, size);
    }
    const file = this.#opened(number);
    writeWhole(file.fd, record, at);
    file.end = Math.max(file.end, at + record.length);
    file.touched = true;
    const place = { file: number, at, bytes: record.length };
    file.places.push(place);
    file.places.sort((a, b) => a.at - b.at);
    return place;
  }

  /** Descriptors of files that are not synced; whoever asks will sync them. */
  takeUnsynced(): number[] {
    const touched = [...this.#files.values()].filter((file) => file.touched);
    for (const file of touched) file.touched = false;
    return this.#durable ? touched.map(({ fd }) => fd) : [];
  }

  /** Everything appended is durable on return. */
  sync(): void {
    for (const file of this.#files.values()) {
      if (file.touched && this.#durable) syncFile(file.fd);
      file.touched = false;
    }
  }

  /** Takes back what was appended: its commit failed and nobody refers to it. */
  retreat(places: readonly Place[]): void {
    for (const { file, at } of places) {
      const found = this.#files.get(file);
      if (found !== undefined) found.places = found.places.filter((place) => place.at !== at);
    }
  }

  /** The bytes of a record, in the first bytes of `room` where that is large enough. */
  read({ file, at, bytes }: Place, sequence: number, room: Uint8Array): Uint8Array {
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

  /** Space of records that no committed row refers to any more may be used again. */
  recycle(live: readonly Place[]): void {
    this.#adopt(live);
    for (const [number, file] of this.#files) {
      const used = endOf(file.places);
      // One empty file stays, so that its blocks are used again.
      if (used === 0 && number > 1) this.#remove(number, file);
      else if (file.end > 2 * used + SPARE_BYTES) this.#cut(number, used);
    }
  }

  /** Closes; gives back what nobody refers to, unless `live` is null: nothing may be written. */
  close(live: readonly Place[] | null): void {
    if (live !== null) {
      this.#adopt(live);
      for (const [number, file] of this.#files) {
        const used = endOf(file.places);
        if (used === 0) this.#remove(number, file);
        else if (file.end > used) this.#cut(number, used);
      }
    }
    for (const { fd } of this.#files.values()) if (fd >= 0) closeSync(fd);
    this.#files.clear();
  }

  /** What is on disk, and in use. */
  #adopt(live: readonly Place[]): void {
    for (const name of existsSync(this.#dir) ? namesIn(this.#dir) : []) {
      const number = Number(/^(\d+)\.img$/.exec(name)?.[1] ?? 0);
      if (number > 0 && !this.#files.has(number)) {
        const end = statSync(this.#path(number)).size;
        this.#files.set(number, { fd: -1, end, touched: false, places: [] });
      }
    }
    for (const file of this.#files.values()) file.places = [];
    for (const { file, at, bytes } of live) this.#files.get(file)?.places.push({ file, at, bytes });
    for (const file of this.#files.values()) file.places.sort((a, b) => a.at - b.at);
  }

  #remove(number: number, { fd }: ImageFile): void {
    if (fd >= 0) closeSync(fd);
    this.#files.delete(number);
    unlinkSync(this.#path(number));
  }

  #cut(number: number, bytes: number): void {
    const file = this.#opened(number);
    ftruncateSync(file.fd, bytes);
    file.end = bytes;
  }

  #opened(number: number): ImageFile {
    const known = this.#files.get(number);
    if (known !== undefined && known.fd >= 0) return known;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const path = this.#path(number);
    const isNew = !existsSync(path);
    const fd = openRegular(path, constants.O_CREAT);
    if (isNew && this.#durable) syncDirectory(this.#dir);
    const file = known ?? { fd, end: fstatSync(fd).size, touched: false, places: [] };
    file.fd = fd;
    this.#files.set(number, file);
    return file;
  }

  #path(file: number): string {
    return join(this.#dir, `${file}.img`);
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}

/** The first gap of so many bytes, or where the last record ends. */
function gapIn(places: readonly Place[] | undefined, size: number): number {
  let at = 0;
  for (const place of places ?? []) {
    if (place.at - at >= size) return at;
    at = Math.max(at, roundUp(place.at + place.bytes));
  }
  return at;
}

function endOf(places: readonly Place[]): number {
  return places.reduce((end, { at, bytes }) => Math.max(end, at + bytes), 0);
}

function missing(path: string, sequence: number): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${path} lacks the images of checkpoint ${sequence}; restore the store from a backup`);
}
