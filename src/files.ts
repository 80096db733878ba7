/**
 * File system calls, each with what the plain call lacks: whole loops on short reads and writes, a
 * documented error, a synced directory.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { RegionError } from './errors.ts';
import type { Crash } from './types.ts';

const COPY_BYTES = 256 * 1024;
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const NOT_A_FILE = new Set(['ELOOP', 'EISDIR', 'ENXIO']);

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

/**
 * Opens for reading and writing (or reading only) what must be a regular file, never through a
 * symbolic link.
 */
export function openRegular(path: string, flags = 0, readOnly = false): number {
  const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
  const guards = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const fd = openGuarded(path, access | guards | flags);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw notRegular(path);
}

/** The same; null = there is no such file. */
export function openIfThere(path: string, readOnly = false): number | null {
  try {
    return openRegular(path, 0, readOnly);
  } catch (error) {
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    if (cause?.code === 'ENOENT') return null;
    throw error;
  }
}

function openGuarded(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && NOT_A_FILE.has(code)) throw notRegular(path);
    throw systemError(`opening ${path}`, error);
  }
}

function notRegular(path: string): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${path} is not a regular file; a region is never reached through a link, directory or device`);
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

/** Removes a file nobody needs; what cannot be removed stays. */
export function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
  }
}

export function namesIn(dir: string): string[] {
  return readdirSync(dir);
}

/** How it ended; `left` = the boot it was last used in, 32 hexadecimal digits, '' = unknown. */
export function crashOf(left: string, boot: string): Crash {
  if (boot === '' || /^0*$/.test(left)) return 'unknown';
  return left === boot ? 'process' : 'machine';
}

/** Identity of this boot of the machine, '' where the system does not tell. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().replaceAll('-', '');
  } catch {
    return '';
  }
}

/** Device and inode of an open file. */
export function inodeOf(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}

/**
 * Copies bytes [start, end) of a file to the same place in another, in pieces; what is zeros stays
 * a hole. `onPiece` is given the bytes of each.
 */
export function copyRange(
  from: number, to: number, start: number, end: number, onPiece: (bytes: number) => void = () => {},
): void {
  const piece = new Uint8Array(COPY_BYTES);
  for (let at = start; at < end; at += piece.length) {
    const had = readWhole(from, piece.subarray(0, Math.min(piece.length, end - at)), at);
    if (!isZero(piece, had)) writeWhole(to, piece.subarray(0, had), at);
    onPiece(had);
  }
}

function isZero(piece: Uint8Array, count: number): boolean {
  return count === 0 || (piece[0] === 0 && Buffer.compare(piece.subarray(1, count),
    piece.subarray(0, count - 1)) === 0);
}
