/**
 * File system calls of the store, each with what the plain call lacks: whole loops on short reads
 * and writes, a documented error, a synced directory.
 */
import { closeSync, constants, fdatasyncSync, fstatSync, fsyncSync, openSync, readSync, readdirSync,
  statfsSync, writeSync } from 'node:fs';
import { RegionError } from '../errors.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** ERR_NO_SPACE for a full disk, ERR_IO for everything else; a RegionError passes through. */
export function systemError(what: string, error: unknown): RegionError {
  if (error instanceof RegionError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && FULL.has(code)) {
    return new RegionError('ERR_NO_SPACE',
      `${what}: the disk is full; free space and try again, nothing is lost`, error);
  }
  return new RegionError('ERR_IO', `${what}: ${message}`, error);
}

/** Opens for reading and writing (or reading only), never through a symbolic link, regular files only. */
export function openRegular(path: string, flags = 0, readOnly = false): number {
  const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
  const fd = openPlain(path, access | (constants.O_NOFOLLOW ?? 0) | flags);
  if (!fstatSync(fd).isFile()) {
    closeSync(fd);
    throw new RegionError('ERR_CORRUPT', `${path} is not a regular file`);
  }
  return fd;
}

function openPlain(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP' || code === 'EISDIR') {
      throw new RegionError('ERR_CORRUPT',
        `${path} is a symbolic link or a directory, not a file; put the file itself there`, error);
    }
    throw systemError(`opening ${path}`, error);
  }
}

/** Writes all of `bytes` at a position. */
export function writeWhole(fd: number, bytes: Uint8Array, at: number): void {
  let done = 0;
  while (done < bytes.length) {
    const count = writeSync(fd, bytes, done, bytes.length - done, at + done);
    if (count === 0) throw new RegionError('ERR_IO', 'a write made no progress');
    done += count;
  }
}

/** Reads up to `bytes.length` bytes; returns how many there were before the end of the file. */
export function readWhole(fd: number, bytes: Uint8Array, at: number): number {
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, at + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Makes created, renamed and removed names of a directory durable. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function syncFile(fd: number): void {
  fdatasyncSync(fd);
}

export function namesIn(dir: string): string[] {
  return readdirSync(dir);
}

/** What statfs calls the file systems we know; ones that lose synced data or locks are refused. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0x794c7630, 0xf2f52010, 0x2fc12fc1,
  0xca451a4e, 0x3153464a, 0x52654973]);
const MEMORY = new Set([0x01021994, 0x858458f6]);

/**
 * Refuses file systems whose fsync or locks are not known to hold. A memory file system is fine when
 * the caller said durability is not wanted.
 */
export function refuseFileSystem(dir: string, durable: boolean): void {
  if (process.platform !== 'linux') return;
  const type = Number(statfsSync(dir).type) >>> 0;
  if (LOCAL.has(type)) return;
  if (MEMORY.has(type)) {
    if (!durable) return;
    throw new RegionError('ERR_BAD_OPTION',
      `${dir} is on a memory file system, which a power cut empties; choose a directory on disk, ` +
        "or open with { sync: 'off' }");
  }
  throw new RegionError('ERR_BAD_OPTION',
    `${dir} is on a network or unknown file system (type 0x${type.toString(16)}), where locks and ` +
      'syncs are not known to hold; choose a local directory, or force it with ' +
      '{ unsafeFileSystem: true }');
}
