/**
 * Pages of a region file as a copy in memory: no native code, every platform. Changed pages are
 * found by comparing with the file. As safe in a crash as the mapped form; it costs memory and time
 * proportional to the region.
 */
import { fstatSync, ftruncateSync, statSync } from 'node:fs';
import { PAGE, SLOT_BYTES } from '../layout.ts';
import { crc32c } from '../native/crc32c.ts';
import { readWhole, writeWhole } from '../files.ts';
import type { Mapper, Pages } from './mapper.ts';

/** Bytes compared or zero-filled at a time. */
const CHUNK = 256 * 1024;

export const bufferedMapper: Mapper = {
  name: 'file',
  crc: crc32c,
  open: (fd, windowBytes) => new BufferedPages(fd, windowBytes),
  sizeOf,
  fallocate: writeZeros,
  punchHole: () => false,
};

function sizeOf(fd: number, path: string): number {
  const open = fstatSync(fd, { bigint: true });
  if (open.nlink === 0n) return -1;
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (named === undefined) return -2;
  return named.ino === open.ino && named.dev === open.dev ? Number(open.size) : -3;
}

/** Disk is allocated for sure only by writing to it. Existing bytes are left alone. */
function writeZeros(fd: number, at: number, bytes: number): void {
  const size = fstatSync(fd).size;
  const zeros = new Uint8Array(CHUNK);
  try {
    for (let from = Math.max(at, size); from < at + bytes; from += CHUNK) {
      writeWhole(fd, zeros.subarray(0, Math.min(CHUNK, at + bytes - from)), from);
    }
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}

class BufferedPages implements Pages {
  #fd: number;
  readonly #windowBytes: (segment: number) => number;
  readonly #windows: (ArrayBuffer | undefined)[] = [];
  readonly #chunk = Buffer.alloc(CHUNK);

  constructor(fd: number, windowBytes: (segment: number) => number) {
    this.#fd = fd;
    this.#windowBytes = windowBytes;
  }

  window(segment: number): ArrayBuffer {
    const window = this.#windows[segment] ?? new ArrayBuffer(this.#windowBytes(segment));
    this.#windows[segment] = window;
    return window;
  }

  expose(segment: number, from: number, to: number): void {
    const memory = new Uint8Array(this.window(segment), from, to - from);
    memory.fill(0, readWhole(this.#fd, memory, segment * SLOT_BYTES + from));
  }

  conceal(segment: number, from: number, to: number): void {
    new Uint8Array(this.window(segment), from, to - from).fill(0);
  }

  changed(segment: number, bytes: number): Int32Array {
    const out: number[] = [];
    this.#compare(segment, bytes, (page) => out.push(page));
    return Int32Array.from(out);
  }

  revert(segment: number, bytes: number): void {
    this.#compare(segment, bytes, (page, stored) => {
      new Uint8Array(this.window(segment), page * PAGE, PAGE).set(stored);
    });
  }

  expect(): void {}

  relax(): void {}

  privatePages(): number {
    return 0;
  }

  gather(
    segment: number, pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array,
  ): void {
    const memory = new Uint8Array(this.window(segment));
    pages.forEach((page, i) => {
      const to = at + i * PAGE;
      out.set(memory.subarray(page * PAGE, (page + 1) * PAGE), to);
      crcs[i] = crc32c(out, to, PAGE, 0);
    });
  }

  read(pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array): void {
    for (let i = 0; i < pages.length; ) {
      let end = i + 1;
      while (end < pages.length && pages[end] === pages[end - 1] + 1) end++;
      const run = out.subarray(at + i * PAGE, at + end * PAGE);
      run.fill(0, readWhole(this.#fd, run, pages[i] * PAGE));
      for (; i < end; i++) crcs[i] = crc32c(out, at + i * PAGE, PAGE, 0);
    }
  }

  scatter(pages: Int32Array, images: Uint8Array, imagesAt: number): void {
    for (let i = 0; i < pages.length; ) {
      let end = i + 1;
      while (end < pages.length && pages[end] === pages[end - 1] + 1) end++;
      const run = images.subarray(imagesAt + i * PAGE, imagesAt + end * PAGE);
      writeWhole(this.#fd, run, pages[i] * PAGE);
      i = end;
    }
  }

  /** Memory is a copy, and stays what it is. */
  move(fd: number): void {
    this.#fd = fd;
  }

  faults(): number {
    return 0;
  }

  close(): void {
    for (const window of this.#windows) {
      if (window !== undefined) structuredClone(window, { transfer: [window] });
    }
    this.#windows.length = 0;
  }

  /** Visits every page below `bytes` that differs from the file, with the file's contents. */
  #compare(
    segment: number, bytes: number, visit: (page: number, stored: Uint8Array) => void,
  ): void {
    const memory = Buffer.from(this.window(segment), 0, bytes);
    for (let from = 0; from < bytes; from += CHUNK) {
      const chunk = this.#chunk.subarray(0, Math.min(CHUNK, bytes - from));
      chunk.fill(0, readWhole(this.#fd, chunk, segment * SLOT_BYTES + from));
      if (chunk.equals(memory.subarray(from, from + chunk.length))) continue;
      for (let at = 0; at < chunk.length; at += PAGE) {
        const stored = chunk.subarray(at, at + PAGE);
        if (memory.compare(stored, 0, PAGE, from + at, from + at + PAGE) !== 0) {
          visit((from + at) / PAGE, stored);
        }
      }
    }
  }
}
