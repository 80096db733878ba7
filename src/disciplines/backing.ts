/**
 * The file under a direct region: opened safely, locked, created whole. A new file is made under
 * another name and gets its own only when it is complete and synced (`publish`), so that creation
 * that was cut short leaves nothing under the name. Nothing is written to a file that has bytes
 * before the region above has accepted them.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { RegionError } from '../errors.ts';
import { PAGE, SLOT_BYTES } from '../layout.ts';
import type { Shim } from '../native/shim.ts';
import { openIfThere, openRegular, syncDirectory, systemError } from '../files.ts';
import { storedCapacity } from './stored-capacity.ts';
import { removeJournal, replayJournal } from './journal.ts';
import { lockFile } from './lock.ts';

export class Backing {
  readonly path: string;
  readonly #shim: Shim | null;
  readonly #bootId: string;
  #fd = -1;
  #isPublished = true;
  #isOpen = false;
  #unlock: () => void = () => {};

  constructor(path: string, shim: Shim | null, bootId: string) {
    this.path = resolve(path);
    this.#shim = shim;
    this.#bootId = bootId;
  }

  /** Descriptor; -1 = there is no file yet. */
  get fd(): number {
    return this.#fd;
  }

  get isPublished(): boolean {
    return this.#isPublished;
  }

  /** Bytes per segment that are in the file, [] = no file, or an empty one. */
  open(create = true): number[] {
    if (this.#isOpen) {
      throw new RegionError('ERR_BUSY', `${this.path} serves an open region; close that first`);
    }
    const fd = openIfThere(this.path);
    const bytes = fd === null ? 0 : fstatSync(fd).size;
    if (bytes === 0 && !create) {
      if (fd !== null) closeSync(fd);
      throw new RegionError('ERR_NOT_FOUND', `${this.path} does not exist or is empty`);
    }
    this.#isOpen = true;
    if (fd === null) return [];
    this.#fd = fd;
    if (bytes === 0) {
      this.#release();
      return [];
    }
    this.#lock(this.path);
    try {
      this.finishJournal();
    } catch (error) {
      this.close();
      throw error;
    }
    return segmentSizes(fstatSync(fd).size);
  }

  /** The capacity in the file's header, or undefined where there is no header of ours. */
  storedCapacity(): number | undefined {
    const stored = this.#fd < 0 ? 0 : storedCapacity(this.#fd);
    return stored === 0 ? undefined : stored;
  }

  /** Name of the journal a `file` region writes beside it. */
  get journal(): string {
    return `${this.path}.journal`;
  }

  /** Completes a write that a crash or a failure cut short; a torn journal was never begun. */
  finishJournal(): void {
    try {
      replayJournal(this.journal, this.#fd);
      removeJournal(this.journal);
    } catch (error) {
      throw systemError(`finishing ${this.journal}`, error);
    }
  }

  /** Makes the file of a new region, under the name it has until `publish`. */
  create(): void {
    const draft = this.#draft();
    this.#fd = openRegular(draft, constants.O_CREAT);
    this.#lock(this.path);
    // Between opening and locking, another process may have published this very file.
    if (lstatSync(draft, { throwIfNoEntry: false })?.ino !== fstatSync(this.#fd).ino) {
      this.#release();
      throw new RegionError('ERR_EXISTS', `${this.path} was created by another process; open it`);
    }
    ftruncateSync(this.#fd, 0);
    removeJournal(this.journal);
    this.#isPublished = false;
  }

  /** Everything written is durable, and the file has its name. */
  sync(): void {
    if (this.#fd < 0) return;
    try {
      fsyncSync(this.#fd);
      if (!this.#isPublished) this.#publish();
    } catch (error) {
      throw systemError(`syncing ${this.path}`, error);
    }
  }

  /** Sets the length; never called before the contents were accepted. */
  truncate(bytes: number): void {
    try {
      ftruncateSync(this.#fd, bytes);
    } catch (error) {
      throw systemError(`setting the length of ${this.path} to ${bytes}`, error);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!this.#isPublished) rmSync(this.#draft(), { force: true });
    this.#isPublished = true;
    this.#release();
  }

  #publish(): void {
    const there = lstatSync(this.path, { throwIfNoEntry: false });
    if (there !== undefined && (!there.isFile() || there.size > 0)) {
      throw new RegionError('ERR_EXISTS', `${this.path} appeared while it was created; open it`);
    }
    renameSync(this.#draft(), this.path);
    this.#isPublished = true;
    syncDirectory(dirname(this.path));
  }

  #draft(): string {
    return `${this.path}.creating`;
  }

  #lock(path: string): void {
    try {
      this.#unlock = lockFile(this.#fd, path, this.#shim, this.#bootId);
    } catch (error) {
      this.#isOpen = false;
      this.#release();
      throw error;
    }
  }

  #release(): void {
    this.#unlock();
    this.#unlock = () => {};
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Whole pages of each segment in a file of so many bytes. */
export function segmentSizes(fileBytes: number): number[] {
  const sizes: number[] = [];
  for (let at = 0; at < fileBytes; at += SLOT_BYTES) {
    sizes.push(Math.floor(Math.min(SLOT_BYTES, fileBytes - at) / PAGE) * PAGE);
  }
  return sizes;
}

/** Length of a file with these segments. */
export function fileBytes(sizes: readonly number[]): number {
  const last = sizes.findLastIndex((bytes) => bytes > 0);
  return last < 0 ? 0 : last * SLOT_BYTES + sizes[last];
}
