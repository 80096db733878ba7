/** The file of a ring: how it is made, and the header that says what it is. */
import { closeSync, constants, existsSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import { RING, RING_LEAST, RING_MAGIC, RING_MOST, RING_START, RING_VERSION }
  from '../layout-ring.ts';
import { crc32c } from '../native/crc32c.ts';
import { openRegular, readWhole, syncDirectory, syncFile, writeWhole } from '../files.ts';

/** Who a ring is. */
export interface RingIdentity {
  /** Bytes of the circle. */
  readonly size: number;
  /** 32 hexadecimal digits. */
  readonly ringId: string;
  readonly storeId: string;
  /** Milliseconds. */
  readonly createdAt: number;
}

/** Bytes of the circle for a wish; ERR_BAD_OPTION where it cannot be. */
export function ringSize(wanted: number): number {
  const size = Math.ceil(wanted / PAGE) * PAGE;
  if (size >= RING_LEAST && size <= RING_MOST) return size;
  throw new RegionError('ERR_BAD_OPTION',
    `ring: size is ${wanted}; give ${RING_LEAST} to ${RING_MOST} bytes`);
}

/**
 * Makes the file, durably, in one step: with all its disk, so that appending never finds it full.
 */
export function createRingFile(
  path: string, identity: RingIdentity, fallocate: (fd: number, at: number, bytes: number) => void,
): void {
  const temporary = path.replace(/\.ring$/, '.tmp');
  const header = new Uint8Array(RING_START);
  writeIdentity(header, identity);
  new DataView(header.buffer).setUint32(RING.clean, 1, true);
  const fd = openRegular(temporary, constants.O_CREAT | constants.O_EXCL);
  try {
    fallocate(fd, 0, RING_START + identity.size);
    writeWhole(fd, header, 0);
    syncFile(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

function writeIdentity(header: Uint8Array, identity: RingIdentity): void {
  const { buffer, byteOffset, length } = header;
  const view = new DataView(buffer, byteOffset, length);
  header.set(Buffer.from(RING_MAGIC, 'latin1'), RING.magic);
  view.setUint32(RING.version, RING_VERSION, true);
  view.setFloat64(RING.size, identity.size, true);
  header.set(Buffer.from(identity.ringId, 'hex'), RING.ringId);
  header.set(Buffer.from(identity.storeId, 'hex'), RING.storeId);
  view.setFloat64(RING.createdAt, identity.createdAt, true);
  view.setUint32(RING.identityCrc, crc32c(header, 0, RING.identityBytes, 0), true);
}

/**
 * The header of a ring again, where it is damaged: whoever opens the file next looks for the
 * records.
 */
export function rewriteIdentity(fd: number, identity: RingIdentity): void {
  const header = new Uint8Array(RING_START);
  readWhole(fd, header, 0);
  writeIdentity(header, identity);
  new DataView(header.buffer).setUint32(RING.clean, 0, true);
  writeWhole(fd, header, 0);
}

/** What the header says. ERR_CORRUPT, ERR_VERSION, ERR_NOT_FOUND. */
export function readRingHeader(path: string): RingIdentity & { readonly isEmpty: boolean } {
  if (!existsSync(path)) {
    throw new RegionError('ERR_NOT_FOUND', `there is no ring in ${path}`);
  }
  const header = new Uint8Array(RING_START);
  const fd = openRegular(path, 0, true);
  try {
    readWhole(fd, header, 0);
  } finally {
    closeSync(fd);
  }
  return identityOf(header, path);
}

/** The identity in a header page. */
export function identityOf(
  header: Uint8Array, path: string,
): RingIdentity & { readonly isEmpty: boolean } {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const text = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  const magic = text.toString('latin1', RING.magic, RING.magic + 8);
  const refuse = (what: string) => new RegionError('ERR_CORRUPT',
    `${path} is no ring (${what}); restore it from a backup, or drop it`);
  if (magic !== RING_MAGIC) throw refuse('the magic number is missing');
  const version = view.getUint32(RING.version, true);
  if (version > RING_VERSION) {
    throw new RegionError('ERR_VERSION', `${path} has version ${version}, this regionstore reads ` +
      `up to ${RING_VERSION}; open it with a newer one`);
  }
  if (view.getUint32(RING.identityCrc, true) !== crc32c(header, 0, RING.identityBytes, 0)) {
    throw refuse('the checksum of its header is wrong');
  }
  const size = view.getFloat64(RING.size, true);
  if (!(size >= RING_LEAST && size <= RING_MOST && size % PAGE === 0)) throw refuse(`size ${size}`);
  return {
    size,
    ringId: text.toString('hex', RING.ringId, RING.ringId + 16),
    storeId: text.toString('hex', RING.storeId, RING.storeId + 16),
    createdAt: view.getFloat64(RING.createdAt, true),
    isEmpty: view.getFloat64(RING.last, true) === 0,
  };
}
