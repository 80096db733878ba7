/**
 * A copy of a region's file: its committed contents, wherever they are by now, with their
 * checksums. The copy may be given another identity.
 */
import { closeSync, constants, ftruncateSync } from 'node:fs';
import { copyRange, openRegular, readWhole, syncFile, writeWhole } from '../files.ts';
import { PAGE, SLOT_BYTES, SLOT_PAGES, STATE } from '../layout.ts';
import type { Shim } from '../native/shim.ts';
import { encodeState, identify, identifySegment } from '../region/header.ts';
import type { Crc } from './record.ts';
import type { RegionFile } from './region-file.ts';
import { Sums } from './sums.ts';

export interface CopyTies {
  readonly storeId: string;
  readonly crc: Crc;
  /** For copies that share their disk with the original, where the file system can. */
  readonly shim: Shim | null;
  /** Given the bytes of each piece. */
  readonly onPiece: (bytes: number) => void;
}

/** Bytes of pages in use. */
export function bytesInUse(segmentPages: readonly number[]): number {
  return segmentPages.reduce((n, pages) => n + pages * PAGE, 0);
}

/**
 * Copies what is committed to a new file, of a region of the store `storeId`. True where it shares
 * its disk with the original.
 */
export function copyRegion(
  file: RegionFile, path: string, { storeId, shim, crc, onPiece }: CopyTies,
): boolean {
  const pages = file.committedPages;
  const fd = openRegular(path, constants.O_CREAT | constants.O_EXCL);
  try {
    const isShared = shim?.clone(file.fd, fd) === true;
    if (isShared) onPiece(bytesInUse(pages));
    else copySegments(file.fd, fd, pages, onPiece);
    ftruncateSync(fd, endOf(pages));
    for (const [page, image] of file.overlay) {
      if (page % SLOT_PAGES < (pages[Math.floor(page / SLOT_PAGES)] ?? 0)) {
        writeWhole(fd, image, page * PAGE);
      }
    }
    file.sums.copyTo(path.replace(/\.region$/, '.sums'), file.overlay);
    identifyFile(fd, new Sums(path, crc),
      { regionId: file.id, storeId, sequence: file.sequence, segmentPages: pages });
    syncFile(fd);
    return isShared;
  } finally {
    closeSync(fd);
  }
}

/** The pages in use of every segment. */
export function copySegments(
  from: number, to: number, segmentPages: readonly number[], onPiece: (bytes: number) => void,
): void {
  segmentPages.forEach((pages, segment) => {
    const start = segment * SLOT_BYTES;
    copyRange(from, to, start, start + pages * PAGE, onPiece);
  });
}

/** Bytes of a file that ends with the last page in use. */
export function endOf(segmentPages: readonly number[]): number {
  const last = segmentPages.findLastIndex((pages) => pages > 0);
  return last < 0 ? 0 : last * SLOT_BYTES + segmentPages[last] * PAGE;
}

/** Who a copy is to be, and of which checkpoint. */
export interface CopyIdentity {
  readonly regionId: string;
  readonly storeId: string;
  readonly sequence: number;
  readonly segmentPages: readonly number[];
}

/** The file of a region becomes that of another one: headers, state, and their checksums. */
export function identifyFile(
  fd: number, sums: Sums, { regionId, storeId, sequence, segmentPages }: CopyIdentity,
): void {
  const page = new Uint8Array(PAGE);
  segmentPages.forEach((pages, segment) => {
    if (pages === 0) return;
    const at = segment * SLOT_BYTES;
    readWhole(fd, page, at);
    if (segment === 0) identify(page, { regionId, storeId });
    else identifySegment(page, regionId);
    writeWhole(fd, page, at);
    sums.change(segment * SLOT_PAGES, page);
  });
  writeWhole(fd, encodeState({ sequence, clean: false, regionId, bootId: '', segmentPages }),
    STATE.at);
}
