/**
 * The memory over a region's file: which bytes of each segment show the file, and pages by their
 * number from the start of the region.
 */
import { HEADER, MAX_SEGMENTS, PAGE, SLOT_BYTES, SLOT_PAGES } from '../layout.ts';
import type { Pages } from './mapper.ts';

export class FileMemory {
  readonly pages: Pages;
  /** Bytes of each segment that show the file. */
  readonly mapped: number[] = [];
  readonly #windowOf: (segment: number) => number;

  /** `windowOf(i)` = bytes of the window of segment i. */
  constructor(pages: Pages, windowOf: (segment: number) => number) {
    this.pages = pages;
    this.#windowOf = windowOf;
  }

  /** Pages in use per segment, as the region's header says. */
  inUse(): readonly number[] {
    const table = new Uint32Array(this.pages.window(0), HEADER.segmentPages, MAX_SEGMENTS);
    return this.mapped.map((bytes, i) => Math.min(table[i], bytes / PAGE));
  }

  /** At least `bytes` of a segment show the file, which has `fileBytes`. */
  expose(segment: number, bytes: number, fileBytes: number): void {
    const mapped = this.mapped[segment] ?? 0;
    const slot = segment * SLOT_BYTES;
    const window = this.#windowOf(segment);
    const isLast = fileBytes < slot + SLOT_BYTES;
    const to = isLast ? Math.max(bytes, Math.min(window, fileBytes - slot)) : bytes;
    if (to <= mapped) return;
    this.pages.expose(segment, mapped, to);
    for (let s = this.mapped.length; s < segment; s++) this.mapped[s] = 0;
    this.mapped[segment] = to;
  }

  /** No more than `bytes` of a segment show the file. */
  conceal(segment: number, bytes: number): void {
    const mapped = this.mapped[segment] ?? 0;
    if (bytes >= mapped) return;
    this.pages.conceal(segment, bytes, mapped);
    this.mapped[segment] = bytes;
  }

  /** Everything shows the file again. */
  revert(): void {
    this.mapped.forEach((bytes, segment) => this.pages.revert(segment, bytes));
  }

  /** The same windows show another file; what differs from the old one stays as it is. */
  move(fd: number): void {
    this.pages.move(fd, this.mapped);
  }

  /** The memory of one page; zeros where it shows no file. */
  page(page: number): Uint8Array {
    const segment = Math.floor(page / SLOT_PAGES);
    const at = (page % SLOT_PAGES) * PAGE;
    if (at >= (this.mapped[segment] ?? 0)) return new Uint8Array(PAGE);
    return new Uint8Array(this.pages.window(segment), at, PAGE);
  }

  /** Puts an image into a page, if it shows the file. */
  lay(page: number, image: Uint8Array): void {
    this.page(page).set(image);
  }

  /** Private pages, at most: changed since the last commit or not yet given back. */
  privatePages(): number {
    return this.mapped.reduce((n, bytes, s) => n + this.pages.privatePages(s, bytes), 0);
  }

  gather(pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array): void {
    for (let from = 0; from < pages.length; ) {
      const segment = Math.floor((pages[from] as number) / SLOT_PAGES);
      const base = segment * SLOT_PAGES;
      let end = from;
      while (end < pages.length && (pages[end] as number) < base + SLOT_PAGES) end++;
      const local = pages.subarray(from, end);
      const list = segment === 0 ? local : local.map((page) => page - base);
      this.pages.gather(segment, list, out, at + from * PAGE, crcs.subarray(from, end));
      from = end;
    }
  }
}
