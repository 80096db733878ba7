/**
 * What the writer of a store has done since it opened it, in a small file that others read while it
 * works: `regionstore top`. A count is one store to shared memory, no call; without native code the
 * page is written. It belongs to no checkpoint and is never synced. Nothing depends on it: where it
 * cannot be made or written, there is none.
 */
import { closeSync, constants, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openRegular, readWhole, writeWhole } from '../files.ts';
import { COUNTERS, COUNTERS_MAGIC, ID_BYTES, PAGE } from '../layout.ts';
import type { Shim } from '../native/shim.ts';
import type { CheckpointRow } from './catalog.ts';
import { isHeld } from './lock.ts';

/** Counted since the writer opened the store; times in milliseconds, dates since 1970. */
export interface CountersView {
  readonly pid: number;
  readonly openedAt: number;
  /** 0 = it has not closed the store. */
  readonly closedAt: number;
  readonly updatedAt: number;
  /** The newest checkpoint. */
  readonly sequence: number;
  /** Taken, their changed pages, and the bytes of their images. */
  readonly checkpoints: number;
  readonly pages: number;
  readonly imageBytes: number;
  /** Time the calls of `checkpoint` took, all and the last one. */
  readonly busyMs: number;
  readonly lastMs: number;
  /** Bytes that regions grew by. */
  readonly grownBytes: number;
  readonly rollbacks: number;
}

type Field = keyof CountersView;
const FIELDS = ['pid', 'openedAt', 'closedAt', 'updatedAt', 'sequence', 'checkpoints', 'pages',
  'imageBytes', 'busyMs', 'lastMs', 'grownBytes', 'rollbacks'] as const satisfies readonly Field[];

/** The counters of a writer. */
export class Counters {
  readonly #values: Float64Array;
  /** Puts the page where others see it; null = they see it at once, or it could not be written. */
  #publish: (() => void) | null;
  readonly #end: () => void;

  private constructor(page: Uint8Array, publish: (() => void) | null, end: () => void) {
    this.#values = new Float64Array(page.buffer, page.byteOffset, PAGE / 8);
    this.#publish = publish;
    this.#end = end;
  }

  /** null where the file cannot be made. `shim` null = it is not mapped. */
  static open(
    dir: string, id: string, sequence: number, shim: Shim | null,
  ): Counters | null {
    try {
      // Made anew: whatever has this name, nothing is written to it.
      rmSync(pathIn(dir), { force: true });
      const fd = openRegular(pathIn(dir), constants.O_CREAT | constants.O_EXCL);
      try {
        return Counters.#on(fd, firstPage(id, sequence), shim);
      } catch {
        closeSync(fd);
      }
    } catch {
      // A full disk, a directory in its place: the store is as good without.
    }
    return null;
  }

  static #on(fd: number, first: Uint8Array, shim: Shim | null): Counters {
    // Written, so that no store to the page can find the disk full.
    writeWhole(fd, first, 0);
    if (shim === null || shim.pageBytes !== PAGE) {
      return new Counters(first, () => writeWhole(fd, first, 0), () => closeSync(fd));
    }
    const window = shim.reserve(PAGE);
    shim.map(window, 0, fd, 0, PAGE, false);
    return new Counters(new Uint8Array(window), null, () => {
      shim.close(window);
      closeSync(fd);
    });
  }

  /** A checkpoint exists; it took `ms` of this thread, 0 = another one committed it. */
  committed({ sequence, pages, bytes }: CheckpointRow, ms: number): void {
    this.#add('checkpoints', 1);
    this.#add('pages', pages);
    this.#add('imageBytes', bytes);
    this.#add('busyMs', ms);
    this.#set('lastMs', ms);
    this.#set('sequence', sequence);
    this.#show();
  }

  grew(bytes: number): void {
    this.#add('grownBytes', bytes);
    this.#show();
  }

  rolledBack(): void {
    this.#add('rollbacks', 1);
    this.#show();
  }

  close(): void {
    this.#set('closedAt', Date.now());
    this.#show();
    this.#end();
  }

  #set(field: Field, value: number): void {
    this.#values[COUNTERS[field] / 8] = value;
  }

  #add(field: Field, value: number): void {
    this.#values[COUNTERS[field] / 8] += value;
  }

  #show(): void {
    this.#set('updatedAt', Date.now());
    try {
      this.#publish?.();
    } catch {
      this.#publish = null;
    }
  }
}

function pathIn(dir: string): string {
  return join(dir, 'counters');
}

function firstPage(id: string, sequence: number): Uint8Array {
  const page = new Uint8Array(PAGE);
  page.set(Buffer.from(COUNTERS_MAGIC, 'latin1'), COUNTERS.magic);
  page.set(Buffer.from(id, 'hex'), COUNTERS.storeId);
  const values = new Float64Array(page.buffer);
  values[COUNTERS.pid / 8] = process.pid;
  values[COUNTERS.openedAt / 8] = Date.now();
  values[COUNTERS.updatedAt / 8] = Date.now();
  values[COUNTERS.sequence / 8] = sequence;
  return page;
}

/** What the newest writer of the store `id` in `dir` counted; null = none has counted anything. */
export function readCounters(dir: string, id: string): CountersView | null {
  const page = new Uint8Array(PAGE);
  try {
    const fd = openRegular(pathIn(dir), 0, true);
    try {
      if (readWhole(fd, page, 0) < PAGE) return null;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
  const text = (at: number, bytes: number, how: BufferEncoding) =>
    Buffer.from(page.buffer, at, bytes).toString(how);
  const magic = text(COUNTERS.magic, COUNTERS_MAGIC.length, 'latin1');
  if (magic !== COUNTERS_MAGIC || text(COUNTERS.storeId, ID_BYTES, 'hex') !== id) return null;
  const values = new Float64Array(page.buffer);
  const entries = FIELDS.map((field) => [field, values[COUNTERS[field] / 8] ?? 0] as const);
  if (!entries.every(([, value]) => value >= 0 && value < 2 ** 53)) return null;
  return Object.fromEntries(entries) as unknown as CountersView;
}

/** Has a living process the store in `dir` open for writing? */
export function isWritten(dir: string): boolean {
  return isHeld(join(dir, 'lock.db'));
}
