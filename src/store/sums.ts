/**
 * Page checksums of a region, in a sidecar file beside it: one crc32c a page, 0 = never imaged. New
 * ones are collected in memory as images are committed and saved just before the region file is
 * synced; after a crash the images that are replayed give them again.
 */
import { closeSync, constants, copyFileSync, existsSync, fstatSync, renameSync } from 'node:fs';
import { PAGE, SUM_BYTES } from '../layout.ts';
import { openIfThere, openRegular, readWhole, syncFile, writeWhole } from '../files.ts';
import type { Crc, RegionChange } from './record.ts';

const PER_PAGE = PAGE / SUM_BYTES;

export class Sums {
  readonly path: string;
  readonly #crc: Crc;
  /** What a reader looks at, whatever its name names by now; null = there was none. */
  #held: number | null | undefined;
  /** Not yet saved: page → checksum. */
  readonly #fresh = new Map<number, number>();

  constructor(regionPath: string, crc: Crc) {
    this.path = regionPath.replace(/\.region$/, '.sums');
    this.#crc = crc;
  }

  note({ pages, crcs }: RegionChange): void {
    for (let i = 0; i < pages.length; i++) this.#fresh.set(pages[i], crcs[i]);
  }

  /**
   * Pages [from, to) are cut off: they have no checksum any more. Durable before the file is cut.
   */
  forget(from: number, to: number): void {
    for (const page of this.#fresh.keys()) if (page >= from && page < to) this.#fresh.delete(page);
    if (!existsSync(this.path)) return;
    const fd = openRegular(this.path);
    try {
      const end = Math.min(to * SUM_BYTES, fstatSync(fd).size);
      if (from * SUM_BYTES >= end) return;
      writeWhole(fd, new Uint8Array(end - from * SUM_BYTES), from * SUM_BYTES);
      syncFile(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** The same in a new file of the name: whoever has the old one open keeps what is in it. */
  renew(isDurable: boolean): void {
    const temporary = this.path.replace(/\.sums$/, '.tmp-sums');
    if (existsSync(this.path)) copyFileSync(this.path, temporary);
    else closeSync(openRegular(temporary, constants.O_CREAT));
    this.#write(temporary, isDurable);
    renameSync(temporary, this.path);
  }

  /** Writes the collected checksums and syncs them. */
  save(isDurable: boolean): void {
    if (this.#fresh.size > 0) this.#write(this.path, isDurable);
  }

  /** Opens the file as it is now, and goes on with it and nothing else. */
  hold(): void {
    this.release();
    this.#fresh.clear();
    this.#held = openIfThere(this.path);
  }

  release(): void {
    if (typeof this.#held === 'number') closeSync(this.#held);
    this.#held = undefined;
  }

  #write(path: string, isDurable: boolean): void {
    const fd = openRegular(path, constants.O_CREAT);
    try {
      const blocks = new Map<number, number[]>();
      for (const page of this.#fresh.keys()) {
        const block = Math.floor(page / PER_PAGE);
        const list = blocks.get(block);
        if (list === undefined) blocks.set(block, [page]);
        else list.push(page);
      }
      for (const [block, pages] of blocks) this.#patch(fd, block, pages);
      if (isDurable) syncFile(fd);
    } finally {
      closeSync(fd);
    }
    this.#fresh.clear();
  }

  #patch(fd: number, block: number, pages: readonly number[]): void {
    const table = new Uint32Array(PER_PAGE);
    const bytes = new Uint8Array(table.buffer);
    readWhole(fd, bytes, block * PAGE);
    for (const page of pages) table[page % PER_PAGE] = this.#fresh.get(page) as number;
    writeWhole(fd, bytes, block * PAGE);
  }

  /** Pages of the region's file whose contents do not match their checksum. */
  *mismatches(regionFd: number, inUse: (page: number) => boolean): Generator<number> {
    if (this.#held === null || (this.#held === undefined && !existsSync(this.path))) return;
    const fd = this.#held ?? openRegular(this.path, 0, true);
    try {
      const table = new Uint32Array(PER_PAGE);
      const bytes = new Uint8Array(table.buffer);
      for (let block = 0; readWhole(fd, bytes, block * PAGE) > 0; block++) {
        yield* this.#mismatchesOf(regionFd, block * PER_PAGE, table, inUse);
        table.fill(0);
      }
    } finally {
      if (fd !== this.#held) closeSync(fd);
    }
  }

  *#mismatchesOf(
    regionFd: number, first: number, table: Uint32Array, inUse: (page: number) => boolean,
  ): Generator<number> {
    const image = new Uint8Array(PAGE);
    for (let i = 0; i < PER_PAGE; i++) {
      const page = first + i;
      const sum = this.#fresh.get(page) ?? table[i];
      if (sum === 0 || !inUse(page)) continue;
      image.fill(0, readWhole(regionFd, image, page * PAGE));
      if (this.#crc(image, 0, PAGE, 0) !== sum) yield page;
    }
  }
}
