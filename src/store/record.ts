/**
 * The record of one checkpoint: which regions it touched, how long each is, and the images of their
 * changed pages. One codec for records inside the catalog and in image files.
 *
 *   header | region entries | image table (page, crc32c) | padding | images, 4096 bytes each
 *
 * The header's crc covers everything before the images; each image has its own.
 */
import { RegionError } from '../errors.ts';
import { MAX_SEGMENTS, PAGE, RECORD, RECORD_IMAGE, RECORD_MAGIC, RECORD_REGION, SLOT_PAGES, STATE }
  from '../layout.ts';

export type Crc = (data: Uint8Array, at: number, bytes: number, seed: number) => number;

/** Names a record: the checkpoint's sequence number and the part, 0 where there is only one. */
export interface RecordKey {
  readonly sequence: number;
  readonly part: number;
}

/** What a checkpoint changed in one region. */
export interface RegionChange {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** Pages in use per segment as of this checkpoint. */
  readonly segmentPages: readonly number[];
  /** Changed pages, ascending. */
  readonly pages: Int32Array;
  /** crc32c of each image, same order. */
  readonly crcs: Uint32Array;
  /** Where the images of this region start in `bytes` of the record. */
  readonly imagesAt: number;
}

export interface Record extends RecordKey {
  readonly regions: readonly RegionChange[];
  /** The encoded record. */
  readonly bytes: Uint8Array;
}

/** A region's part of a record that is about to be written. */
export interface RegionCapture {
  readonly id: string;
  readonly segmentPages: readonly number[];
  readonly pages: Int32Array;
  /** Copies images of these pages to `out[at…]` and their crc32c to `crcs`. */
  gather(pages: Int32Array, out: Uint8Array, at: number, crcs: Uint32Array, crc: Crc): void;
}

function tableBytes(captures: readonly RegionCapture[]): number {
  let bytes = RECORD.bytes;
  for (const { segmentPages, pages } of captures) {
    bytes += RECORD_REGION.bytes + segmentPages.length * 4 + pages.length * RECORD_IMAGE.bytes;
  }
  return bytes;
}

/** Bytes of the record of these captures; `align` pads the tables so that images start aligned. */
export function recordBytes(captures: readonly RegionCapture[], align: number): number {
  const images = captures.reduce((n, c) => n + c.pages.length, 0);
  return Math.ceil(tableBytes(captures) / align) * align + images * PAGE;
}

/**
 * Encodes a record into `out`, which has at least `recordBytes` bytes, copying the images there.
 * Everything that follows (logging, applying) reads the copy, never live memory.
 */
export function encodeRecord(
  key: RecordKey, captures: readonly RegionCapture[], align: number, out: Uint8Array, crc: Crc,
): Record {
  const total = recordBytes(captures, align);
  const bytes = out.subarray(0, total);
  const view = new DataView(bytes.buffer, bytes.byteOffset, total);
  const imageCount = captures.reduce((n, c) => n + c.pages.length, 0);
  const imagesAt = total - imageCount * PAGE;
  bytes.fill(0, 0, imagesAt);
  Buffer.from(bytes.buffer, bytes.byteOffset).write(RECORD_MAGIC, RECORD.magic, 'latin1');
  view.setFloat64(RECORD.sequence, key.sequence, true);
  view.setUint32(RECORD.part, key.part, true);
  view.setUint32(RECORD.regionCount, captures.length, true);
  view.setUint32(RECORD.imageCount, imageCount, true);
  view.setUint32(RECORD.imagesAt, imagesAt, true);
  const regions = writeImages(captures, bytes, imagesAt, crc);
  writeTables(view, regions);
  view.setUint32(RECORD.crc, crc(bytes, 0, imagesAt, 0), true);
  return { ...key, regions, bytes };
}

function writeImages(
  captures: readonly RegionCapture[], bytes: Uint8Array, imagesAt: number, crc: Crc,
): RegionChange[] {
  let at = imagesAt;
  return captures.map((capture) => {
    const crcs = new Uint32Array(capture.pages.length);
    capture.gather(capture.pages, bytes, at, crcs, crc);
    const { id, segmentPages, pages } = capture;
    const change = { id, segmentPages, pages, crcs, imagesAt: at };
    at += pages.length * PAGE;
    return change;
  });
}

function writeTables(view: DataView, regions: readonly RegionChange[]): void {
  let at: number = RECORD.bytes;
  for (const { id, segmentPages, pages } of regions) {
    Buffer.from(id, 'hex').forEach((byte, i) => view.setUint8(at + RECORD_REGION.id + i, byte));
    view.setUint32(at + RECORD_REGION.segmentCount, segmentPages.length, true);
    view.setUint32(at + RECORD_REGION.imageCount, pages.length, true);
    at += RECORD_REGION.bytes;
    for (const count of segmentPages) {
      view.setUint32(at, count, true);
      at += 4;
    }
  }
  for (const { pages, crcs } of regions) {
    for (let i = 0; i < pages.length; i++, at += RECORD_IMAGE.bytes) {
      view.setUint32(at + RECORD_IMAGE.page, pages[i]!, true);
      view.setUint32(at + RECORD_IMAGE.crc, crcs[i]!, true);
    }
  }
}

/**
 * Decodes and verifies a record: every count is checked before it is used, every image against its
 * crc. Throws ERR_CORRUPT.
 */
export function decodeRecord(bytes: Uint8Array, key: RecordKey, crc: Crc): Record {
  const { sequence } = key;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { regionCount, imagesAt } = readHead(bytes, view, key, crc);
  const regions = readTables(view, regionCount, imagesAt, sequence);
  for (const region of regions) {
    verifyPages(region, sequence);
    verifyImages(bytes, region, sequence, crc);
  }
  return { ...key, regions, bytes };
}

function damaged(sequence: number, what: string): RegionError {
  return new RegionError(
    'ERR_CORRUPT',
    `checkpoint ${sequence} cannot be replayed: its record is damaged (${what}); ` +
      'restore the store from a backup, or mend it with `regionstore repair`',
  );
}

function readHead(bytes: Uint8Array, view: DataView, key: RecordKey, crc: Crc) {
  const { sequence } = key;
  if (bytes.byteLength < RECORD.bytes) throw damaged(sequence, 'too short');
  const magic = Buffer.from(bytes.buffer, bytes.byteOffset, 8).toString('latin1');
  if (magic !== RECORD_MAGIC) throw damaged(sequence, 'no record magic');
  if (view.getFloat64(RECORD.sequence, true) !== sequence) throw damaged(sequence, 'sequence');
  if (view.getUint32(RECORD.part, true) !== key.part) throw damaged(sequence, 'part number');
  const regionCount = view.getUint32(RECORD.regionCount, true);
  const imageCount = view.getUint32(RECORD.imageCount, true);
  const imagesAt = view.getUint32(RECORD.imagesAt, true);
  if (imagesAt + imageCount * PAGE !== bytes.byteLength) throw damaged(sequence, 'length');
  if (regionCount * RECORD_REGION.bytes > imagesAt) throw damaged(sequence, 'region count');
  const stored = view.getUint32(RECORD.crc, true);
  view.setUint32(RECORD.crc, 0, true);
  const actual = crc(bytes, 0, imagesAt, 0);
  view.setUint32(RECORD.crc, stored, true);
  if (stored !== actual) throw damaged(sequence, 'checksum of the tables');
  return { regionCount, imagesAt };
}

interface Entry {
  readonly id: string;
  readonly segmentPages: readonly number[];
  readonly imageCount: number;
}

function readEntry(view: DataView, at: number, end: number): Entry | null {
  if (at + RECORD_REGION.bytes > end) return null;
  const segmentCount = view.getUint32(at + RECORD_REGION.segmentCount, true);
  const imageCount = view.getUint32(at + RECORD_REGION.imageCount, true);
  if (segmentCount > MAX_SEGMENTS || at + RECORD_REGION.bytes + segmentCount * 4 > end) return null;
  const id = Buffer.from(view.buffer, view.byteOffset + at, 16).toString('hex');
  const from = at + RECORD_REGION.bytes;
  const segmentPages = Array.from({ length: segmentCount }, (_, i) =>
    view.getUint32(from + i * 4, true));
  return { id, segmentPages, imageCount };
}

function readTables(
  view: DataView, regionCount: number, imagesAt: number, sequence: number,
): RegionChange[] {
  const entries: Entry[] = [];
  let at: number = RECORD.bytes;
  for (let i = 0; i < regionCount; i++) {
    const entry = readEntry(view, at, imagesAt);
    if (entry === null) throw damaged(sequence, 'region entry');
    entries.push(entry);
    at += RECORD_REGION.bytes + entry.segmentPages.length * 4;
  }
  const images = entries.reduce((n, e) => n + e.imageCount, 0);
  if (at + images * RECORD_IMAGE.bytes > imagesAt) throw damaged(sequence, 'image table');
  let imageAt = imagesAt;
  return entries.map(({ id, segmentPages, imageCount }) => {
    const pages = new Int32Array(imageCount);
    const crcs = new Uint32Array(imageCount);
    for (let i = 0; i < imageCount; i++, at += RECORD_IMAGE.bytes) {
      pages[i] = view.getUint32(at + RECORD_IMAGE.page, true);
      crcs[i] = view.getUint32(at + RECORD_IMAGE.crc, true);
    }
    const change = { id, segmentPages, pages, crcs, imagesAt: imageAt };
    imageAt += imageCount * PAGE;
    return change;
  });
}

/** Pages are ascending, in use as of this checkpoint, and never the durable state. */
function verifyPages({ id, pages, segmentPages }: RegionChange, sequence: number): void {
  let before = -1;
  for (const page of pages) {
    const inUse = segmentPages[Math.floor(page / SLOT_PAGES)] ?? 0;
    const isInUse = page >= 0 && page % SLOT_PAGES < inUse;
    if (!isInUse || page <= before || page === STATE.at / PAGE) {
      throw damaged(sequence, `page ${page} of region ${id}`);
    }
    before = page;
  }
}

function verifyImages(bytes: Uint8Array, region: RegionChange, sequence: number, crc: Crc): void {
  for (let i = 0; i < region.pages.length; i++) {
    if (crc(bytes, region.imagesAt + i * PAGE, PAGE, 0) !== region.crcs[i]) {
      throw damaged(sequence, `image of page ${region.pages[i]} of region ${region.id}`);
    }
  }
}
