/**
 * Where the bytes of a ring are. Mapped shared they are in the file with every store, and survive
 * the death of the process; without native code they are a copy, and what changes is written. One
 * interface, so that the ring itself knows nothing of it.
 */
import { closeSync, fstatSync } from 'node:fs';
import { crc32c } from '../native/crc32c.ts';
import type { Shim } from '../native/shim.ts';
import { openRegular, readWhole, syncFile, systemError, writeWhole } from '../files.ts';

export interface RingMemory {
  /** The whole file. */
  readonly bytes: Uint8Array;
  readonly crc: (data: Uint8Array, at: number, bytes: number, seed: number) => number;
  /** What was stored in a range is in the file on return. */
  store(at: number, bytes: number): void;
  /** A range shows what others wrote to the file. */
  load(at: number, bytes: number): void;
  /** Everything stored is on disk on return. */
  sync(): void;
  /** The file cannot be trusted any more: pages of it could not be read. */
  faults(): number;
  close(): void;
}

/** Opens the file of a ring, of which `size` bytes are wanted. `shim` null = no mapping. */
export function ringMemory(path: string, shim: Shim | null, readOnly: boolean): RingMemory {
  const fd = openRegular(path, 0, readOnly);
  try {
    const { size } = fstatSync(fd);
    return shim === null ? new CopiedRing(fd, size) : new MappedRing(fd, size, shim, readOnly);
  } catch (error) {
    closeSync(fd);
    throw systemError(`opening ${path}`, error);
  }
}

function guarded(doing: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw systemError(`${doing} the file of a ring`, error);
  }
}

class MappedRing implements RingMemory {
  readonly bytes: Uint8Array;
  readonly crc: RingMemory['crc'];
  readonly #fd: number;
  readonly #shim: Shim;
  readonly #window: ArrayBuffer;

  constructor(fd: number, size: number, shim: Shim, readOnly: boolean) {
    this.#fd = fd;
    this.#shim = shim;
    this.crc = shim.crc32c;
    const bytes = size - (size % shim.pageBytes);
    this.#window = shim.reserve(Math.max(bytes, shim.pageBytes));
    // Read only: a private map shows what others write, as long as nothing is written to it.
    if (bytes > 0) shim.map(this.#window, 0, fd, 0, bytes, readOnly);
    this.bytes = new Uint8Array(this.#window, 0, bytes);
  }

  store(): void {}

  load(): void {}

  sync(): void {
    guarded('syncing', () => {
      this.#shim.sync(this.#window, 0, this.bytes.length);
      syncFile(this.#fd);
    });
  }

  faults(): number {
    return this.#shim.faults(this.#window);
  }

  close(): void {
    this.#shim.close(this.#window);
    closeSync(this.#fd);
  }
}

class CopiedRing implements RingMemory {
  readonly bytes: Uint8Array;
  readonly crc = crc32c;
  readonly #fd: number;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.bytes = new Uint8Array(size);
    readWhole(fd, this.bytes, 0);
  }

  store(at: number, bytes: number): void {
    guarded('writing', () => writeWhole(this.#fd, this.bytes.subarray(at, at + bytes), at));
  }

  load(at: number, bytes: number): void {
    guarded('reading', () => void readWhole(this.#fd, this.bytes.subarray(at, at + bytes), at));
  }

  sync(): void {
    guarded('syncing', () => syncFile(this.#fd));
  }

  faults(): number {
    return 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
