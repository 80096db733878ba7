/**
 * The journal beside the file of a `file` region: the pages that are about to be written in place.
 * Complete and synced before the first of them is, so that a crash in between leaves either the old
 * file, or a journal that makes it the new one. Anything that does not add up is a journal that was
 * never completed and is dropped.
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { RegionError } from '../errors.ts';
import { HEADER, ID_BYTES, JOURNAL, JOURNAL_ENTRY, JOURNAL_MAGIC, PAGE } from '../layout.ts';
import { crc32c } from '../native/crc32c.ts';
import { openIfThere, openRegular, readWhole, syncDirectory, writeWhole } from '../files.ts';

/** A changed page: its number in the region's file, and its bytes. */
export interface PageImage {
  readonly page: number;
  readonly bytes: Uint8Array;
}

/** Records pages; durable on return. */
export function writeJournal(
  path: string,
  regionId: Uint8Array,
  fileBytes: number,
  images: readonly PageImage[],
): void {
  const front = encodeFront(regionId, fileBytes, images);
  const fd = openRegular(path, constants.O_CREAT);
  try {
    ftruncateSync(fd, 0);
    writeWhole(fd, front, 0);
    let at = front.length;
    for (const { bytes } of images) {
      writeWhole(fd, bytes, at);
      at += PAGE;
    }
    fsyncSync(fd);
    syncDirectory(dirname(path));
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes a complete journal into the file and syncs it; drops one that is not. Returns how many
 * pages were written.
 */
export function replayJournal(path: string, fd: number): number {
  const journal = openIfThere(path);
  if (journal === null) return 0;
  try {
    const front = readFront(journal);
    if (front === null || !isComplete(journal, front)) return 0;
    assertSameRegion(path, fd, front);
    const image = new Uint8Array(PAGE);
    front.pages.forEach((page, i) => {
      readWhole(journal, image, front.imagesAt + i * PAGE);
      writeWhole(fd, image, page * PAGE);
    });
    ftruncateSync(fd, front.fileBytes);
    fsyncSync(fd);
    return front.pages.length;
  } finally {
    closeSync(journal);
  }
}

export function removeJournal(path: string): void {
  rmSync(path, { force: true });
}

interface Front {
  readonly regionId: Buffer;
  readonly fileBytes: number;
  readonly pages: readonly number[];
  readonly crcs: readonly number[];
  readonly imagesAt: number;
}

function encodeFront(
  regionId: Uint8Array, fileBytes: number, images: readonly PageImage[],
): Buffer {
  const front = Buffer.alloc(JOURNAL.bytes + images.length * JOURNAL_ENTRY.bytes);
  front.write(JOURNAL_MAGIC, JOURNAL.magic, 'latin1');
  front.set(regionId, JOURNAL.regionId);
  front.writeDoubleLE(fileBytes, JOURNAL.fileBytes);
  front.writeUInt32LE(images.length, JOURNAL.pageCount);
  images.forEach(({ page, bytes }, i) => {
    const at = JOURNAL.bytes + i * JOURNAL_ENTRY.bytes;
    front.writeUInt32LE(page, at + JOURNAL_ENTRY.page);
    front.writeUInt32LE(crc32c(bytes, 0, PAGE, 0), at + JOURNAL_ENTRY.crc);
  });
  front.writeUInt32LE(frontCrc(front), JOURNAL.crc);
  return front;
}

/** Everything but the checksum's own place. */
function frontCrc(front: Uint8Array): number {
  const head = crc32c(front, 0, JOURNAL.crc, 0);
  return crc32c(front, JOURNAL.bytes, front.length - JOURNAL.bytes, head);
}

function readFront(fd: number): Front | null {
  const head = Buffer.alloc(JOURNAL.bytes);
  if (readWhole(fd, head, 0) < head.length) return null;
  if (head.toString('latin1', 0, JOURNAL_MAGIC.length) !== JOURNAL_MAGIC) return null;
  const count = head.readUInt32LE(JOURNAL.pageCount);
  const imagesAt = JOURNAL.bytes + count * JOURNAL_ENTRY.bytes;
  if (fstatSync(fd).size !== imagesAt + count * PAGE) return null;
  const front = Buffer.alloc(imagesAt);
  readWhole(fd, front, 0);
  if (frontCrc(front) !== front.readUInt32LE(JOURNAL.crc)) return null;
  const pages: number[] = [];
  const crcs: number[] = [];
  for (let at = JOURNAL.bytes; at < imagesAt; at += JOURNAL_ENTRY.bytes) {
    pages.push(front.readUInt32LE(at + JOURNAL_ENTRY.page));
    crcs.push(front.readUInt32LE(at + JOURNAL_ENTRY.crc));
  }
  const regionId = front.subarray(JOURNAL.regionId, JOURNAL.regionId + ID_BYTES);
  return { regionId, fileBytes: front.readDoubleLE(JOURNAL.fileBytes), pages, crcs, imagesAt };
}

function isComplete(fd: number, front: Front): boolean {
  const image = new Uint8Array(PAGE);
  return front.crcs.every((crc, i) => {
    const got = readWhole(fd, image, front.imagesAt + i * PAGE);
    return got === PAGE && crc32c(image, 0, PAGE, 0) === crc;
  });
}

function assertSameRegion(path: string, fd: number, front: Front): void {
  const page = Buffer.alloc(PAGE);
  readWhole(fd, page, 0);
  const id = page.subarray(HEADER.regionId, HEADER.regionId + ID_BYTES);
  if (id.equals(front.regionId)) return;
  throw new RegionError('ERR_MISMATCH',
    `${path} belongs to another region than the file beside it; move one of them away`);
}
