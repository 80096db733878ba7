/**
 * What a program sees of a store: the interface, and the shapes of what it returns. store.ts keeps
 * these promises.
 */
import type { RegionEvents } from '../events.ts';
import type { RecoverableBuffer } from '../buffers/buffer.ts';
import type { Ring } from '../buffers/ring.ts';
import type { ObjectHeap } from '../objects/heap.ts';
import type { Checkpoint, Method, Region } from '../types.ts';
import type { Backup, BackupOptions } from './backup.ts';
import type { CheckOptions, StoreFinding } from './check.ts';
import type { StoreDiff } from './diff.ts';
import type { Recovery } from './recover.ts';

export interface RegionInfo {
  readonly name: string;
  readonly id: string;
  readonly kind: string;
  readonly method: string;
  /** Bytes. */
  readonly capacity: number;
  /** Bytes; 0 where its file is damaged or lost, which asking for the region tells. */
  readonly extent: number;
  /** Created since the last checkpoint. */
  readonly born: boolean;
}

/** All sizes in bytes. */
export interface StoreStat {
  readonly dir: string;
  readonly id: string;
  readonly mapper: 'shim' | 'file';
  readonly sync: string;
  readonly regions: number;
  readonly extent: number;
  readonly capacity: number;
  /** Newest checkpoint, and the newest whose images are durably in the region files. */
  readonly sequence: number;
  readonly applied: number;
  readonly imageBytes: number;
  /** What leads back to the checkpoints that are kept, in the catalog and in image files. */
  readonly historyBytes: number;
  /** Committed images the disk refused so far; they are written again later. */
  readonly pendingBytes: number;
  /** Pages that are private memory, and the bytes of them above which nothing may grow. */
  readonly privatePages: number;
  readonly dirtyLimit: number;
  /** Readers beside this writer, and the oldest checkpoint one of them looks at. */
  readonly readers: number;
  readonly oldestPinned: number | null;
  /** Disk of earlier files of regions, which go when the readers that have them open let go. */
  readonly heldBytes: number;
  readonly poisoned: string | null;
}

export interface RegionOptions {
  method?: Method;
  /** Address space it may grow to: bytes or '64KiB', '1GiB'. Default '4GiB'. */
  capacity?: number | string;
  /** Handlers of the region's events; those of an open region are replaced. */
  on?: RegionEvents;
}

export interface BufferOptions {
  /**
   * Bytes, or '64KiB', '1GiB'; of a buffer that exists it must be left out or be right: its size
   * changes with `resize`.
   */
  size?: number | string;
  /** Address space it may grow to. Default: four times its first size, at least 16 MiB. */
  capacity?: number | string;
}

export interface RingOptions {
  /**
   * Bytes of its circle, or '64MiB', rounded up to pages of 4096, at most 2 GiB: all of it is
   * allocated on disk at once. Of a ring that exists it may be left out.
   */
  size?: number | string;
}

export interface Store extends Disposable {
  readonly dir: string;
  readonly closed: boolean;
  /** What opening had to do; null after a clean close. */
  readonly recovery: Recovery | null;
  /** Opens or creates. ERR_MISMATCH when it exists with another method. */
  region(name: string, options?: RegionOptions): Region;
  /**
   * Opens or creates a heap of objects, in a region of its own, of method `slab` by default. Again
   * the same one while it is open. ERR_MISMATCH when there is a region of the name.
   */
  heap(name: string, options?: RegionOptions): ObjectHeap;
  /**
   * Opens or creates a recoverable buffer: plain bytes, committed alone or with everything else.
   * ERR_MISMATCH when it exists with another size, or as something else; ERR_BAD_OPTION for a new
   * one without size; ERR_NO_SPACE.
   */
  buffer(name: string, options?: BufferOptions): RecoverableBuffer;
  /**
   * Opens or creates a ring, a flight recorder: durable at once, in no checkpoint or transaction
   * but by its name. ERR_MISMATCH when it exists with another size, or as something else;
   * ERR_BAD_OPTION for a new one without size; ERR_BUSY for a new one inside a transaction, and
   * where the last checkpoint still knows the name as another's; ERR_NO_SPACE.
   */
  ring(name: string, options?: RingOptions): Ring;
  /** By name. Regions that were created since the last checkpoint are `born`. */
  regions(): RegionInfo[];
  has(name: string): boolean;
  /** Durable at the next checkpoint, undone by rollback. ERR_NOT_FOUND. */
  drop(name: string): void;
  /** Durable at the next checkpoint, undone by rollback. ERR_NOT_FOUND, ERR_EXISTS. */
  rename(from: string, to: string): void;
  /**
   * Commits every change of every region at once; durable on return (see `sync`). Without change it
   * returns the last one, unless a new label is given. ERR_NO_SPACE and ERR_IO leave memory and the
   * last checkpoint as they were; call again when the cause is gone.
   */
  checkpoint(label?: string): Checkpoint;
  /**
   * The same off this thread: captures now, in time that goes with the pages that changed, and
   * resolves when it is committed; what is changed meanwhile is not in it. Several may be under
   * way, in order; whatever needs to know what is committed (a checkpoint that is not asynchronous,
   * rollback, restore, close) waits for them first. Rejects with the errors of `checkpoint`; where
   * one fails, those after it do too, and everything they held counts as changed again.
   *
   * @example await store.checkpointAsync();
   */
  checkpointAsync(label?: string): Promise<Checkpoint>;
  /** Oldest first: the last `history` ones and every labelled one. */
  checkpoints(): Checkpoint[];
  /**
   * Every region as of a checkpoint, by its number or label (the newest of that label): contents,
   * sizes, names; dropped ones are back, younger ones gone. What was not checkpointed is dropped
   * first, as by `rollback`. It is a checkpoint itself, so that it can be undone by restoring the
   * one before. Time and memory go with the pages that changed since. Handles of objects are stale,
   * so are regions that are gone. ERR_NOT_FOUND names the checkpoints there are; ERR_BUSY inside a
   * transaction; ERR_CORRUPT, ERR_NO_SPACE: nothing was changed.
   *
   * @example store.restore('before the import');
   */
  restore(which: number | string): void;
  /**
   * What changed between two checkpoints, by number or label; `to` is the newest unless it is
   * given. Only changed pages are compared, but all blocks of changed regions are walked.
   * ERR_NOT_FOUND, ERR_BAD_OPTION, ERR_CORRUPT.
   *
   * @example for (const region of store.diff('monday').regions) console.log(region.name);
   */
  diff(from: number | string, to?: number | string): StoreDiff;
  /**
   * A checkpoint, by number or label, can no longer be gone back to, and what was kept for it is
   * given back. The newest one only loses its label. ERR_NOT_FOUND, ERR_BUSY, ERR_NO_SPACE.
   */
  forget(which: number | string): void;
  /** Every region as of the last checkpoint; those born since are gone, handles ERR_STALE. */
  rollback(): void;
  /**
   * Runs `work` and checkpoints. When it throws, or the checkpoint fails, every region, heap and
   * buffer is exactly as it was at entry, changes that were not committed then included, and the
   * error goes on. Transactions nest: an inner one that throws undoes what it did, the outermost
   * one checkpoints. Inside, `checkpoint`, `commit`, `rollback`, `restore`, `close` are ERR_BUSY. A
   * promise is refused with ERR_BAD_OPTION. Handles to objects of a heap that was changed are stale
   * after a throw.
   *
   * @example
   * store.transaction(() => {
   *   from.balance -= 10;
   *   to.balance += 10;
   * });
   */
  transaction<T>(work: () => T): T;
  /**
   * Of a store that was opened with `readOnly`: moves on to the newest checkpoint; false where it
   * shows that already. Regions, heaps and buffers stay open and show it, their addresses are
   * good as far as the program that writes says so; handles of objects are stale, as are regions
   * that were dropped. A writer sees its own checkpoints at once: false.
   */
  refresh(): boolean;
  /**
   * A copy of the newest checkpoint, as a store in a directory that is made: consistent whatever
   * goes on meanwhile, also from a reader beside the program that writes. Where the file system has
   * reflinks, contents are shared until they change. Every page is read again and compared before
   * the copy gets its name; an earlier copy is never replaced. Uncommitted changes and earlier
   * checkpoints are not in it. Keeps this thread for as long as copying takes: of large stores, let
   * a process beside do it (`regionstore backup`). ERR_EXISTS where there is something already,
   * ERR_BAD_OPTION inside of the store, ERR_BUSY inside a transaction, ERR_CORRUPT where the store
   * is damaged, ERR_NO_SPACE.
   *
   * @example store.backup('backups/monday');   // openStore('backups/monday') is this store then
   */
  backup(dir: string, options?: BackupOptions): Backup;
  /**
   * Takes in a region file as the region, heap or buffer `name`: of another store or of one whose
   * catalog is lost (with the file of checksums beside it), or a region by itself that was closed.
   * The file is copied and left as it is; a page that does not match its checksum and every broken
   * invariant refuse it. The next checkpoint keeps it. ERR_NOT_FOUND, ERR_EXISTS (the name),
   * ERR_CORRUPT, ERR_VERSION, ERR_BUSY (in use), ERR_NO_SPACE.
   *
   * @example store.adopt('rescued/4f….region', 'tasks');
   */
  adopt(file: string, name: string): RegionInfo;
  /** Broken invariants of the store and all its regions. */
  check(options?: CheckOptions): StoreFinding[];
  stat(): StoreStat;
  /**
   * Checkpoints what changed. When that fails with ERR_NO_SPACE, or a region's handler `close`
   * vetoes (ERR_BUSY), the store stays open.
   */
  close(): void;
  /** Closes without a checkpoint. */
  abandon(): void;
}
