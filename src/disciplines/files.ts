/** Files of direct regions: the plain calls with whole loops, documented errors, synced names. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { RegionError } from '../errors.ts';
import { HEADER, MAGIC, MAX_SEGMENTS, PAGE, SLOT_BYTES, VERSION } from '../layout.ts';
import { crc32c } from '../native/crc32c.ts';

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

/** Descriptor of a regular file, never through a symbolic link; null = there is no such file. */
export function openRegular(path: string, flags: number): number | null {
  let fd: number;
  try {
    const guarded = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | flags;
    fd = openSync(path, guarded, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && (flags & constants.O_CREAT) === 0) return null;
    if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO') throw notRegular(path);
    throw systemError(`opening ${path}`, error);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw notRegular(path);
}

/** Writes all of `bytes` at a position. */
export function writeWhole(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
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
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The capacity a region's header names, or 0 where there is no header this program understands. */
export function storedCapacity(fd: number): number {
  const page = Buffer.alloc(PAGE);
  if (readWhole(fd, page, 0) < PAGE) return 0;
  if (page.toString('latin1', HEADER.magic, HEADER.magic + MAGIC.length) !== MAGIC) return 0;
  if (page.readUInt32LE(HEADER.version) !== VERSION) return 0;
  const crc = crc32c(page, 0, HEADER.identityBytes, 0);
  if (page.readUInt32LE(HEADER.identityCrc) !== crc) return 0;
  const capacity = page.readDoubleLE(HEADER.capacity);
  const isPossible = Number.isSafeInteger(capacity) && capacity > 0
    && capacity <= MAX_SEGMENTS * SLOT_BYTES;
  return isPossible ? capacity : 0;
}

/** Identity of this boot of the machine, '' where the system does not tell. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().replaceAll('-', '');
  } catch {
    return '';
  }
}

function notRegular(path: string): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${path} is not a regular file; a region is never reached through a link or a device`);
}
