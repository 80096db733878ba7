/**
 * Pages of a region file mapped MAP_PRIVATE. Programs write to the window with plain stores; which
 * pages they changed is asked of the kernel (private copies), and of those, which really differ
 * from the file. Where the kernel cannot be asked, or failed the self-test, every page is compared
 * and no page is ever given back.
 */
import { fstatSync } from 'node:fs';
import { PAGE, SLOT_BYTES } from '../layout.ts';
import type { Shim } from '../native/shim.ts';
import { readWhole } from '../files.ts';
import type { Mapper, Pages } from './mapper.ts';

/** `scan` = the kernel's dirty pages can be trusted (see selfTest). */
export function privateMapper(shim: Shim, scan: boolean): Mapper {
  return {
    name: 'shim',
    crc: shim.crc32c,
    open: (fd, windowBytes) => new PrivatePages(shim, scan, fd, windowBytes),
    sizeOf: shim.sizeOf,
    fallocate: shim.fallocate,
    punchHole: shim.punchHole,
  };
}

/**
 * One page through its whole life: store, the kernel calls it private, the file is unchanged, give
 * it back, the old value shows again and it is clean. False = the kernel cannot be trusted here.
 */
export function selfTest(shim: Shim, fd: number): boolean {
  if (!shim.pagemap || fstatSync(fd).size < PAGE) return false;
  const window = shim.reserve(PAGE);
  const runs = new Int32Array(8);
  try {
    shim.map(window, 0, fd, 0, PAGE, true);
    const page = new Uint8Array(window);
    const before = page[0];
    const stored = Buffer.alloc(1);
    page[0] = before ^ 0xff;
    const dirty = shim.dirtyRuns(window, 0, PAGE, runs);
    if (readWhole(fd, stored, 0) !== 1) return false;
    if (dirty !== 1 || runs[0] !== 0 || runs[1] !== 1 || stored[0] !== before) return false;
    shim.drop(window, runs, 1);
    return page[0] === before && shim.dirtyRuns(window, 0, PAGE, runs) === 0;
  } finally {
    // Not closed: the first ArrayBuffer that is detached makes V8 test every access in the process.
    shim.unmap(window, 0, PAGE);
  }
}

/** A scan that takes longer than this is slowed down by clean pages that are mapped, ms. */
const SLOW_SCAN_MS = 0.15;
/** Bytes that are kept aside at a time while windows move to another file. */
const MOVE_BYTES = 4 * 1024 * 1024;
/** Unmapping clean pages that are read again at once is tried less and less often, up to this. */
const MAX_PATIENCE = 64;

/**
 * The scan's time grows with the pages that are mapped, written or only read. When it becomes slow,
 * clean pages are unmapped, and mapped again as they are touched; where that does not help, because
 * the program reads that many pages between checkpoints, it is done more and more rarely.
 */
class Unmapping {
  #patience = 1;
  #wait = 0;
  #isTried = false;

  /** Told how long the scan took; says whether clean pages should be unmapped now. */
  isDue(scanMs: number): boolean {
    if (scanMs < SLOW_SCAN_MS) {
      this.#patience = 1;
      this.#wait = 0;
      this.#isTried = false;
      return false;
    }
    if (this.#isTried) this.#patience = Math.min(MAX_PATIENCE, this.#patience * 2);
    this.#isTried = this.#wait === 0;
    this.#wait = this.#isTried ? this.#patience : this.#wait - 1;
    return this.#isTried;
  }
}

class PrivatePages implements Pages {
  readonly #shim: Shim;
  #scan: boolean;
  #fd: number;
  readonly #windowBytes: (segment: number) => number;
  readonly #windows: (ArrayBuffer | undefined)[] = [];
  /** Runs that may be given back, and the pages of them that differ, as of the last `changed`. */
  readonly #last: { runs: Int32Array; changed: Int32Array }[] = [];
  readonly #unmapping = new Unmapping();
  #runs = new Int32Array(1024);

  constructor(shim: Shim, scan: boolean, fd: number, windowBytes: (segment: number) => number) {
    this.#shim = shim;
    this.#scan = scan;
    this.#fd = fd;
    this.#windowBytes = windowBytes;
  }

  window(segment: number): ArrayBuffer {
    const window = this.#windows[segment] ?? this.#shim.reserve(this.#windowBytes(segment));
    this.#windows[segment] = window;
    return window;
  }

  expose(segment: number, from: number, to: number): void {
    const at = segment * SLOT_BYTES + from;
    this.#shim.map(this.window(segment), from, this.#fd, at, to - from, true);
  }

  conceal(segment: number, from: number, to: number): void {
    this.#shim.unmap(this.window(segment), from, to - from);
  }

  expect(segment: number, runs: Int32Array): void {
    this.#shim.expect(this.window(segment), runs, runs.length / 2);
  }

  changed(segment: number, bytes: number): Int32Array {
    const window = this.window(segment);
    const started = performance.now();
    const count = this.#dirty(window, bytes);
    const isDue = this.#unmapping.isDue(performance.now() - started);
    let pages = 0;
    for (let i = 0; i < count; i++) pages += this.#runs[2 * i + 1];
    const out = new Int32Array(pages);
    const n = pages === 0 ? 0 : this.#shim.changedPages(window, this.#runs, count, out);
    const changed = out.subarray(0, n);
    const all = Int32Array.of(0, bytes / PAGE);
    this.#last[segment] = { runs: isDue ? all : this.#runs.slice(0, 2 * count), changed };
    return changed;
  }

  revert(segment: number, bytes: number): void {
    const window = this.window(segment);
    if (this.#scan) {
      // Asking may make room for more runs: only then is it known where they are.
      const count = this.#dirty(window, bytes);
      this.#shim.drop(window, this.#runs, count);
      return;
    }
    const memory = new Uint8Array(window);
    for (const page of this.changed(segment, bytes)) {
      const at = page * PAGE;
      const image = memory.subarray(at, at + PAGE);
      const had = readWhole(this.#fd, image, segment * SLOT_BYTES + at);
      image.fill(0, had);
    }
  }

  relax(): void {
    if (!this.#scan) return;
    this.#last.forEach(({ runs, changed }, segment) => {
      const cold = without(runs, changed);
      const window = this.#windows[segment];
      if (cold.length > 0 && window !== undefined) this.#shim.drop(window, cold, cold.length / 2);
    });
    this.#last.length = 0;
  }

  privatePages(segment: number, bytes: number): number {
    if (!this.#scan) return 0;
    const count = this.#dirty(this.window(segment), bytes);
    let pages = 0;
    for (let i = 0; i < count; i++) pages += this.#runs[2 * i + 1];
    return pages;
  }

  gather(
    segment: number, pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array,
  ): void {
    this.#shim.gather(this.window(segment), pages, pages.length, out, at, crcs);
  }

  read(pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array): void {
    this.#shim.readPages(this.#fd, 0, pages, pages.length, out, at, crcs);
  }

  scatter(pages: Int32Array, images: Uint8Array, imagesAt: number): void {
    this.#shim.scatter(this.#fd, 0, pages, pages.length, images, imagesAt);
  }

  move(fd: number, mapped: readonly number[]): void {
    this.#fd = fd;
    mapped.forEach((bytes, segment) => {
      for (let at = 0; at < bytes; at += MOVE_BYTES) {
        this.#movePart(segment, at, Math.min(MOVE_BYTES, bytes - at));
      }
    });
    this.#last.length = 0;
  }

  /** What is private is kept aside while the file under it changes. */
  #movePart(segment: number, at: number, bytes: number): void {
    const window = this.window(segment);
    const memory = new Uint8Array(window, at, bytes);
    const runs = this.#scan ? new Int32Array(bytes / PAGE + 2) : Int32Array.of(0, bytes / PAGE);
    const count = this.#scan ? this.#shim.dirtyRuns(window, at, bytes, runs) : 1;
    const kept: [number, Uint8Array][] = [];
    for (let i = 0; i < count; i++) {
      const first = (runs[2 * i] as number) * PAGE - (this.#scan ? at : 0);
      kept.push([first, memory.slice(first, first + (runs[2 * i + 1] as number) * PAGE)]);
    }
    this.#shim.map(window, at, this.#fd, segment * SLOT_BYTES + at, bytes, true);
    for (const [first, run] of kept) {
      for (let page = 0; page < run.length; page += PAGE) {
        const was = run.subarray(page, page + PAGE);
        const now = memory.subarray(first + page, first + page + PAGE);
        if (Buffer.compare(was, now) !== 0) now.set(was);
      }
    }
  }

  faults(): number {
    return this.#windows.reduce((n, w) => n + (w === undefined ? 0 : this.#shim.faults(w)), 0);
  }

  close(): void {
    for (const window of this.#windows) if (window !== undefined) this.#shim.close(window);
    this.#windows.length = 0;
  }

  /** Fills #runs with the runs that may have changed; returns how many. */
  #dirty(window: ArrayBuffer, bytes: number): number {
    if (bytes === 0) return 0;
    if (!this.#scan) {
      this.#runs[0] = 0;
      this.#runs[1] = bytes / PAGE;
      return 1;
    }
    for (;;) {
      const count = this.#ask(window, bytes);
      if (count === null) return this.#dirty(window, bytes);
      if (count >= 0) return count;
      this.#runs = new Int32Array(this.#runs.length * 4);
    }
  }

  /** A kernel that stops answering is never taken for "clean": from here on pages are compared. */
  #ask(window: ArrayBuffer, bytes: number): number | null {
    try {
      return this.#shim.dirtyRuns(window, 0, bytes, this.#runs);
    } catch {
      this.#scan = false;
      return null;
    }
  }
}

/** The pages of `runs` that are not in `pages` (ascending), as runs. */
function without(runs: Int32Array, pages: Int32Array): Int32Array {
  const out: number[] = [];
  let next = 0;
  for (let i = 0; i < runs.length; i += 2) {
    let from = runs[i];
    const end = from + runs[i + 1];
    for (; next < pages.length && pages[next] < end; next++) {
      if (pages[next] > from) out.push(from, pages[next] - from);
      from = pages[next] + 1;
    }
    if (end > from) out.push(from, end - from);
  }
  return Int32Array.from(out);
}
