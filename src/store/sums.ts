/**
 * Page checksums of a region, in a sidecar file beside it: one crc32c a page, 0 = never imaged. New
 * ones are collected in memory as images are committed and saved just before the region file is
 * synced; after a crash the images that are replayed give them again.
 */
import { closeSync, constants, existsSync, fstatSync, renameSync } from 'node:fs';
import { PAGE, SLOT_PAGES, STATE, SUM_BYTES } from '../layout.ts';
import { copyRange, openIfThere, openRegular, readWhole, syncFile, writeWhole } from '../files.ts';
import { tellWork } from '../work.ts';
import type { Crc, RegionChange } from './record.ts';

const PER_PAGE = PAGE / SUM_BYTES;
/** Written past the checkpoints, so without a checksum. */
const STATE_PAGE = STATE.at / PAGE;

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
    copyWhole(openIfThere(this.path, true),
      openRegular(temporary, constants.O_CREAT | constants.O_TRUNC));
    this.#write(temporary, isDurable);
    this.#fresh.clear();
    renameSync(temporary, this.path);
  }

  /** Writes the collected checksums and syncs them. */
  save(isDurable: boolean): void {
    if (this.#fresh.size > 0) this.#write(this.path, isDurable);
    this.#fresh.clear();
  }

  /** Those of a copy of the region's file, in which `images` lie as well. */
  copyTo(path: string, images: Iterable<readonly [number, Uint8Array]>): void {
    const from = this.#held === undefined ? openIfThere(this.path, true) : this.#held;
    copyWhole(from, openRegular(path, constants.O_CREAT | constants.O_EXCL), this.#held);
    const sums = new Map(this.#fresh);
    for (const [page, image] of images) sums.set(page, this.#crc(image, 0, PAGE, 0));
    this.#write(path, true, sums);
  }

  /** The checksum of a page is another one from now on; saved at once. */
  change(page: number, image: Uint8Array): void {
    this.#write(this.path, true, new Map([[page, this.#crc(image, 0, PAGE, 0)]]));
  }

  /** Of every page in use of a region's file, as it is. */
  rebuild(regionFd: number, segmentPages: readonly number[]): void {
    const fd = openRegular(this.path, constants.O_CREAT);
    const [image, table] = [new Uint8Array(PAGE), new Uint32Array(PER_PAGE)];
    try {
      segmentPages.forEach((pages, segment) => {
        for (let first = 0; first < pages; first += PER_PAGE) {
          table.fill(0);
          for (let i = 0; i < PER_PAGE && first + i < pages; i++) {
            const page = segment * SLOT_PAGES + first + i;
            image.fill(0, readWhole(regionFd, image, page * PAGE));
            if (page !== STATE_PAGE) table[i] = this.#crc(image, 0, PAGE, 0);
          }
          writeWhole(fd, new Uint8Array(table.buffer),
            (segment * SLOT_PAGES + first) * SUM_BYTES);
        }
      });
      syncFile(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Opens the file as it is now, and goes on with it and nothing else. */
  hold(): void {
    this.release();
    this.#fresh.clear();
    this.#held = openIfThere(this.path, true);
  }

  release(): void {
    if (typeof this.#held === 'number') closeSync(this.#held);
    this.#held = undefined;
  }

  #write(path: string, isDurable: boolean, sums: ReadonlyMap<number, number> = this.#fresh): void {
    const fd = openRegular(path, constants.O_CREAT);
    try {
      const blocks = new Map<number, number[]>();
      for (const page of sums.keys()) {
        const block = Math.floor(page / PER_PAGE);
        const list = blocks.get(block);
        if (list === undefined) blocks.set(block, [page]);
        else list.push(page);
      }
      for (const [block, pages] of blocks) patch(fd, block, pages, sums);
      if (isDurable) syncFile(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Pages of the region's file whose contents do not match their checksum. */
  *mismatches(regionFd: number, inUse: (page: number) => boolean): Generator<number> {
    if (this.#held === null || (this.#held === undefined && !existsSync(this.path))) return;
    const fd = this.#held ?? openRegular(this.path, 0, true);
    try {
      const table = new Uint32Array(PER_PAGE);
      const bytes = new Uint8Array(table.buffer);
      const all = fstatSync(fd).size * PER_PAGE;
      for (let block = 0; readWhole(fd, bytes, block * PAGE) > 0; block++) {
        tellWork('checking pages', block * PER_PAGE * PAGE, all);
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

/** `from` null = of nothing. Both are closed, but for the one that is to be `kept`. */
function copyWhole(from: number | null, to: number, kept: number | null = null): void {
  try {
    if (from !== null) copyRange(from, to, 0, fstatSync(from).size);
  } finally {
    if (from !== null && from !== kept) closeSync(from);
    closeSync(to);
  }
}

function patch(
  fd: number, block: number, pages: readonly number[], sums: ReadonlyMap<number, number>,
): void {
  const table = new Uint32Array(PER_PAGE);
  const bytes = new Uint8Array(table.buffer);
  readWhole(fd, bytes, block * PAGE);
  for (const page of pages) table[page % PER_PAGE] = sums.get(page) as number;
  writeWhole(fd, bytes, block * PAGE);
}
