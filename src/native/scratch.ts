/**
 * Memory for tables that grow with what is looked at. Small ones are JavaScript's; from 16 MiB on
 * they are a file without a name in the system's folder for temporary files (TMPDIR), mapped: the
 * kernel may write their pages there and use the memory for something else.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE, SLOT_BYTES } from '../layout.ts';
import { loadShim } from './load.ts';
import type { Shim } from './shim.ts';

const WORD_BYTES = 4;
/** Bytes from which on a table is a file. */
const LEAST = 16 * 2 ** 20;

/** So many words, all 0. */
export function scratchWords(count: number): Int32Array<ArrayBuffer> {
  return new Int32Array(scratch(count * WORD_BYTES), 0, count);
}

/** So many bytes, all 0. */
export function scratchBytes(count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(scratch(count), 0, count);
}

/** Where no file can be had, also as the disk is full, it is plain memory. */
function scratch(least: number): ArrayBuffer {
  const bytes = Math.ceil(least / PAGE) * PAGE;
  const shim = bytes < LEAST || bytes > SLOT_BYTES ? null : loadShim();
  return (shim === null ? null : mappedFile(shim, bytes)) ?? new ArrayBuffer(least);
}

function mappedFile(shim: Shim, bytes: number): ArrayBuffer | null {
  try {
    const fd = openNameless();
    try {
      // Room on disk is taken now: no store to the window can find it full.
      shim.fallocate(fd, 0, bytes);
      const window = shim.reserve(bytes);
      shim.map(window, 0, fd, 0, bytes, false);
      return window;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

function openNameless(): number {
  const path = join(tmpdir(), `regionstore-${randomBytes(8).toString('hex')}`);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  unlinkSync(path);
  return fd;
}
