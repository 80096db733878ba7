/**
 * How the memory of a store's region relates to its file: a window shows the file's bytes and keeps
 * changes private. Two implementations, private-pages.ts (shim, MAP_PRIVATE) and buffered-pages.ts
 * (pure TypeScript, a copy in memory); the store is written against this interface alone.
 */
import type { Crc } from './record.ts';

/**
 * The pages of one region file. Page numbers are local to a segment, byte ranges page multiples.
 */
export interface Pages {
  /** The window of a segment, made when first asked for. */
  window(segment: number): ArrayBuffer;
  /** Bytes [from, to) of the segment show the file; it is at least that long. */
  expose(segment: number, from: number, to: number): void;
  /** Zero memory in place of the file from here to `to`; the file may be shorter afterwards. */
  conceal(segment: number, from: number, to: number): void;
  /** Advice: see Discipline. */
  expect(segment: number, runs: Int32Array): void;
  /** Pages below `bytes` whose contents differ from the file's, ascending. */
  changed(segment: number, bytes: number): Int32Array;
  /** Forgets every change below `bytes`: the file's contents show again. */
  revert(segment: number, bytes: number): void;
  /** Gives back memory of pages that `changed` last found equal to the file. */
  relax(): void;
  /** Private pages below `bytes`, an upper bound of the changed ones; 0 where memory is a copy. */
  privatePages(segment: number, bytes: number): number;
  /** Copies pages to `out[at…]`, and the crc32c of each to `crcs`. */
  gather(segment: number, pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array): void;
  /** The file's contents of pages, counted from its start, to `out[at…]`, and their crc32c. */
  read(pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array): void;
  /** Writes images to the file, `pages` counted from the file's start. */
  scatter(pages: Int32Array, images: Uint8Array, imagesAt: number): void;
  /**
   * The windows show another file, whose descriptor is given, in the first `mapped[i]` bytes of
   * each segment; pages that were changed keep their contents.
   */
  move(fd: number, mapped: readonly number[]): void;
  /** Times a mapped page could not be read since the file was opened. */
  faults(): number;
  /** Views of the windows become empty or zero. */
  close(): void;
}

export interface Mapper {
  readonly name: 'shim' | 'file';
  readonly crc: Crc;
  /** `windowBytes(i)` = bytes of the window of segment i. */
  open(fd: number, windowBytes: (segment: number) => number): Pages;
  /**
   * Size of an open file, bytes, if it is still the one its path names; -1 = it was removed, -2 =
   * the path names nothing, -3 = it names another file.
   */
  sizeOf(fd: number, path: string): number;
  /** Allocates disk for a range of the file; throws the system's error. */
  fallocate(fd: number, at: number, bytes: number): void;
  /** Gives back disk inside the file; false where that is not possible. */
  punchHole(fd: number, at: number, bytes: number): boolean;
}

/** To a file whose `sizeOf` is none, or too small. */
export function whatHappened(size: number): string {
  if (size === -1) return 'it was removed';
  if (size === -2) return 'it was renamed or removed';
  return size === -3 ? 'another file was put in its place' : 'it was truncated';
}
