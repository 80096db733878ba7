/**
 * Typed bindings of native-shim: system calls only, no knowledge of the format. Everything here is
 * in bytes unless a name says pages; page numbers count from the start of the window or file.
 * Every call throws an error with `code`, `errno` and `syscall` when the system refuses.
 */

/** Runs of pages: pairs (first page, page count) in an Int32Array. */
export type PageRuns = Int32Array;

export interface Shim {
  readonly pageBytes: number;
  /** True where /proc/self/pagemap could be opened when the shim was loaded. */
  readonly pagemap: boolean;
  /** How dirty pages are found: the PAGEMAP_SCAN call, reading the file, or not at all. */
  readonly scanner: 'scan' | 'read' | 'none';

  /**
   * Reserves address space as an external ArrayBuffer of exactly `bytes` (≤ 4 GiB, a page
   * multiple): anonymous zero memory, readable and writable, no swap reserved, not inherited by
   * fork. Released by the buffer's finalizer only.
   */
  reserve(bytes: number): ArrayBuffer;
  /** Puts a range of a file over a range of the window (MAP_FIXED); private = MAP_PRIVATE. */
  map(window: ArrayBuffer, at: number, fd: number, fileAt: number, bytes: number,
      isPrivate: boolean): void;
  /** Puts anonymous zero pages over a range of the window; never leaves a hole. */
  unmap(window: ArrayBuffer, at: number, bytes: number): void;
  /**
   * Zero pages over the whole window, then detaches it: every view becomes empty. The address space
   * stays reserved until the ArrayBuffer itself is collected, as native I/O may still hold it.
   */
  close(window: ArrayBuffer): void;
  /** msync(MS_SYNC) of a range. */
  sync(window: ArrayBuffer, at: number, bytes: number): void;
  /** madvise(MADV_DONTNEED) of page runs: private copies are dropped, the file shows again. */
  drop(window: ArrayBuffer, runs: PageRuns, runCount: number): void;
  /**
   * Advice: of the whole window little but these runs will be read, which are fetched at once,
   * without waiting; no runs = anything may be read again, as at first.
   */
  expect(window: ArrayBuffer, runs: PageRuns, runCount: number): void;
  /**
   * Pages in [at, at+bytes) that are private copies (pagemap: present or swapped, not file).
   * Writes runs to `out` and returns how many; -1 = `out` is too small. Throws where pagemap fails:
   * an error or a short read is never "clean". `byReading` leaves PAGEMAP_SCAN aside (for tests).
   */
  dirtyRuns(window: ArrayBuffer, at: number, bytes: number, out: PageRuns,
            byReading?: boolean): number;
  /**
   * Of the pages in `runs`, those whose bytes differ from the file's that is mapped there privately
   * (not mapped = zeros). Writes page numbers to `out` (large enough), returns how many. Compares
   * with a shared view of the file that `map` keeps beside every private one.
   */
  changedPages(window: ArrayBuffer, runs: PageRuns, runCount: number, out: Int32Array): number;
  /**
   * Copies pages one after the other to out[outAt…] and their crc32c to crcs; pages from `list`.
   */
  gather(window: ArrayBuffer, list: Int32Array, count: number, out: Uint8Array, outAt: number,
         crcs: Uint32Array): void;
  /** pwrite of page images to the file, adjacent pages in one call, whole loops on short writes. */
  scatter(fd: number, fileAt: number, list: Int32Array, count: number, images: Uint8Array,
          imagesAt: number): void;
  /**
   * The reverse: pages of the file to out[outAt…], and their crc32c; zeros behind its end.
   */
  readPages(fd: number, fileAt: number, list: Int32Array, count: number, out: Uint8Array,
            outAt: number, crcs: Uint32Array): void;
  /** Faults in this window that the SIGBUS guard caught (a zero page stands there now). */
  faults(window: ArrayBuffer): number;

  /** flock(LOCK_NB) with LOCK_EX or LOCK_SH; false = another open file of it holds the lock. */
  lock(fd: number, exclusive: boolean): boolean;
  unlock(fd: number): void;
  /** Allocates disk for a range and lengthens the file where needed; refused = length unchanged. */
  fallocate(fd: number, at: number, bytes: number): void;
  /** Gives the disk of a range back, length kept; false where the file system cannot. */
  punchHole(fd: number, at: number, bytes: number): boolean;
  /** Shares the blocks of a whole file (FICLONE); false where the file system cannot. */
  clone(fromFd: number, toFd: number): boolean;
  /** Two files or folders of one file system change names, at once; false where it cannot. */
  exchange(one: string, other: string): boolean;
  /**
   * Size of an open file, bytes, if it is still the one its path names; -1 = it was removed, -2 =
   * the path names nothing, -3 = it names another file.
   */
  sizeOf(fd: number, path: string): number;
  /** CRC-32C (Castagnoli) of a range; `seed` is the crc of what came before. */
  crc32c(data: Uint8Array, at: number, bytes: number, seed: number): number;
}
