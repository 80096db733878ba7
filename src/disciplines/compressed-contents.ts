/**
 * What a compressed region file says it holds: a slot and the table it names, decoded with every
 * field judged before it is used, and encoded.
 *
 * A file has two slots with the same contents; the first is written first. Where one is damaged the
 * other counts, where both are whole the newer: they differ only after a crash between the two.
 */
import { fstatSync } from 'node:fs';
import { assert, RegionError } from '../errors.ts';
import { readWhole } from '../files.ts';
import {
  CHUNK, CHUNKS_PER_SEGMENT, COMPRESSED, COMPRESSED_CHUNK, COMPRESSED_MAGIC, COMPRESSED_SLOTS,
  COMPRESSED_START, COMPRESSED_VERSION, ID_BYTES, MAX_SEGMENTS, PAGE, SLOT_BYTES,
} from '../layout.ts';
import { crc32c } from '../native/crc32c.ts';
import { windowBytes } from './capacity.ts';
import { inOrder, type Range } from './compressed-space.ts';

/** What `salvageContents` finds. */
export interface Salvaged {
  readonly contents: Contents;
  readonly lost: readonly string[];
  readonly inDoubt: readonly number[];
}

/** A file, as the code below and a recording test see it. */
export interface Disk {
  /** What messages call it. */
  readonly path: string;
  size(): number;
  /** How many bytes there were. */
  read(bytes: Uint8Array, at: number): number;
  write(bytes: Uint8Array, at: number): void;
  truncate(bytes: number): void;
  sync(): void;
}

/** A chunk that is in the file; one that is not reads as zeros. */
export interface Chunk extends Range {
  readonly digest: Buffer;
}

/** What is known without the table. */
export interface Summary {
  readonly sequence: number;
  readonly codec: number;
  readonly capacity: number;
  readonly regionId: Buffer;
  /** Pages in use of each segment. */
  readonly segmentPages: readonly number[];
}

export interface Contents extends Summary {
  readonly tableAt: number;
  /** By chunk number. */
  readonly chunks: ReadonlyMap<number, Chunk>;
}

interface Slot extends Summary {
  readonly tableAt: number;
  readonly chunkCount: number;
  readonly tableCrc: number;
}

const PAGES_PER_CHUNK = CHUNK / PAGE;

/** A file that is only read. */
export function readOnlyDisk(fd: number, path: string): Disk {
  const refuse = () => assert(false, 'a file that is looked at is not written');
  return {
    path,
    size: () => fstatSync(fd).size,
    read: (bytes, at) => readWhole(fd, bytes, at),
    write: refuse,
    truncate: refuse,
    sync: refuse,
  };
}

/** Does a file begin, or go on in its second page, like a compressed region? */
export function isCompressed(disk: Pick<Disk, 'read'>): boolean {
  const found = Buffer.alloc(COMPRESSED_MAGIC.length);
  return COMPRESSED_SLOTS.some((at) =>
    disk.read(found, at) === found.length && found.toString('latin1') === COMPRESSED_MAGIC);
}

/**
 * The newest whole contents, and whether both slots agree. ERR_CORRUPT, ERR_VERSION.
 */
export function readContents(disk: Disk): { contents: Contents; isMirrored: boolean } {
  const { slots, isMirrored } = readSlots(disk);
  const problem = slotProblem(slots[0]);
  if (problem !== null) throw corrupt(disk, problem);
  return { contents: withTable(disk, slots[0]), isMirrored };
}

/**
 * What a damaged file still says: of the newest state whose table is whole, else of the newest one
 * whatever in its table can be; what that leaves out; and the numbers of chunks that are in doubt
 * therefore: zeros, as far as a damaged table says. A chunk's digest says whether it is the chunk.
 * ERR_CORRUPT where no slot is whole, ERR_VERSION.
 */
export function salvageContents(disk: Disk): Salvaged {
  const slots = readSlots(disk).slots.filter((slot) => slotProblem(slot) === null);
  if (slots.length === 0) throw corrupt(disk, 'neither of its slots says what can be');
  for (const slot of slots) {
    try {
      const contents = withTable(disk, slot);
      const isNewest = slot.sequence === slots[0].sequence;
      const lost = isNewest ? [] : ['its newest state is lost, not the one before'];
      return { contents, lost, inDoubt: [] };
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
    }
  }
  const chunks = plausibleChunks(disk, slots[0]);
  const { chunkCount, segmentPages } = slots[0];
  const lost = 'its table was damaged: ' +
    `${chunkCount - chunks.size} of ${chunkCount} chunks cannot be found`;
  const inDoubt = segmentPages.flatMap((pages, segment) =>
    Array.from({ length: pages / PAGES_PER_CHUNK }, (_, i) => segment * CHUNKS_PER_SEGMENT + i))
    .filter((number) => !chunks.has(number));
  return { contents: { ...slots[0], chunks }, lost: [lost], inDoubt };
}

/** Newest first, one at least. */
function readSlots(disk: Disk): { slots: Slot[]; isMirrored: boolean } {
  if (!isCompressed(disk)) {
    throw corrupt(disk, 'it is no compressed region (mmap() and file() open plain ones)');
  }
  const raw = COMPRESSED_SLOTS.map((at) => readSlot(disk, at));
  const newer = raw.find((bytes) => bytes !== null
    && bytes.readUInt32LE(COMPRESSED.version) > COMPRESSED_VERSION);
  if (newer) {
    const version = newer.readUInt32LE(COMPRESSED.version);
    throw new RegionError('ERR_VERSION',
      `${disk.path}: format version ${version}, this program knows ${COMPRESSED_VERSION}; open ` +
        'it with a newer regionstore; it was not changed');
  }
  const whole = raw.filter((bytes) => bytes !== null);
  if (whole.length === 0) throw corrupt(disk, 'both of its slots are damaged');
  const slots = whole.map(decodeSlot).sort((a, b) => b.sequence - a.sequence);
  return { slots, isMirrored: whole.length === 2 && whole[0].equals(whole[1]) };
}

/** The bytes of a slot whose checksum holds, else null. */
function readSlot(disk: Disk, at: number): Buffer | null {
  const bytes = Buffer.alloc(COMPRESSED.bytes);
  if (disk.read(bytes, at) < bytes.length) return null;
  const magic = bytes.toString('latin1', COMPRESSED.magic, COMPRESSED_MAGIC.length);
  const crc = bytes.readUInt32LE(COMPRESSED.crc);
  const isWhole = magic === COMPRESSED_MAGIC && crc === crc32c(bytes, 0, COMPRESSED.crc, 0);
  return isWhole ? bytes : null;
}

function decodeSlot(bytes: Buffer): Slot {
  const pages = Array.from({ length: MAX_SEGMENTS }, (_, i) =>
    bytes.readUInt32LE(COMPRESSED.segmentPages + 4 * i));
  return {
    codec: bytes.readUInt32LE(COMPRESSED.codec),
    regionId: bytes.subarray(COMPRESSED.regionId, COMPRESSED.regionId + ID_BYTES),
    sequence: bytes.readDoubleLE(COMPRESSED.sequence),
    capacity: bytes.readDoubleLE(COMPRESSED.capacity),
    tableAt: bytes.readDoubleLE(COMPRESSED.tableAt),
    chunkCount: bytes.readUInt32LE(COMPRESSED.chunkCount),
    tableCrc: bytes.readUInt32LE(COMPRESSED.tableCrc),
    segmentPages: pages.slice(0, pages.findLastIndex((count) => count > 0) + 1),
  };
}

function slotProblem({ sequence, capacity, segmentPages }: Slot): string | null {
  if (!Number.isSafeInteger(sequence) || sequence < 1) return `impossible sequence ${sequence}`;
  const isPossible = Number.isSafeInteger(capacity) && capacity > 0 && capacity % PAGE === 0
    && capacity <= MAX_SEGMENTS * SLOT_BYTES;
  if (!isPossible) return `impossible capacity ${capacity}`;
  if (segmentPages.length === 0) return 'it has no segment';
  const wrong = segmentPages.findIndex((pages, i) =>
    pages % PAGES_PER_CHUNK !== 0 || pages * PAGE > windowBytes(capacity, i));
  return wrong < 0 ? null : `segment ${wrong} cannot have ${segmentPages[wrong]} pages`;
}

function withTable(disk: Disk, slot: Slot): Contents {
  const { tableAt, chunkCount, segmentPages } = slot;
  const most = segmentPages.reduce((sum, pages) => sum + pages / PAGES_PER_CHUNK, 0);
  const bytes = chunkCount * COMPRESSED_CHUNK.bytes;
  const size = disk.size();
  const isInside = Number.isSafeInteger(tableAt) && tableAt >= COMPRESSED_START
    && tableAt + bytes <= Math.max(size, COMPRESSED_START) && chunkCount <= most;
  if (!isInside) throw corrupt(disk, 'its table is cut off, or none');
  const table = Buffer.alloc(bytes);
  disk.read(table, tableAt);
  if (crc32c(table, 0, bytes, 0) !== slot.tableCrc) throw corrupt(disk, 'its table is damaged');
  const chunks = new Map<number, Chunk>();
  let before = -1;
  for (let at = 0; at < bytes; at += COMPRESSED_CHUNK.bytes) {
    const number = table.readUInt32LE(at + COMPRESSED_CHUNK.chunk);
    const chunk = decodeChunk(table, at);
    if (number <= before || !isInUse(number, segmentPages) || !isInFile(chunk, size)) {
      throw corrupt(disk, `its table is wrong at chunk ${number}, or the file was cut off`);
    }
    chunks.set(number, chunk);
    before = number;
  }
  const ranges = [...chunks.values(), { place: tableAt, length: bytes }];
  if (inOrder(ranges) === null) throw corrupt(disk, 'parts of it overlap');
  return { ...slot, chunks };
}

function plausibleChunks(disk: Disk, { tableAt, chunkCount, segmentPages }: Slot) {
  const size = disk.size();
  const chunks = new Map<number, Chunk>();
  if (!Number.isSafeInteger(tableAt) || tableAt < COMPRESSED_START || tableAt > size) return chunks;
  const table = Buffer.alloc(Math.min(chunkCount * COMPRESSED_CHUNK.bytes, size - tableAt));
  disk.read(table, tableAt);
  const end = table.length - COMPRESSED_CHUNK.bytes;
  for (let at = 0; at <= end; at += COMPRESSED_CHUNK.bytes) {
    const number = table.readUInt32LE(at + COMPRESSED_CHUNK.chunk);
    const chunk = decodeChunk(table, at);
    if (isInUse(number, segmentPages) && isInFile(chunk, size)) chunks.set(number, chunk);
  }
  return chunks;
}

function decodeChunk(table: Buffer, at: number): Chunk {
  return {
    length: table.readUInt32LE(at + COMPRESSED_CHUNK.length),
    place: table.readDoubleLE(at + COMPRESSED_CHUNK.place),
    digest: table.subarray(at + COMPRESSED_CHUNK.digest, at + COMPRESSED_CHUNK.bytes),
  };
}

function isInUse(number: number, segmentPages: readonly number[]): boolean {
  const pages = segmentPages[Math.floor(number / CHUNKS_PER_SEGMENT)] ?? 0;
  return ((number % CHUNKS_PER_SEGMENT) + 1) * PAGES_PER_CHUNK <= pages;
}

function isInFile({ place, length }: Chunk, size: number): boolean {
  return Number.isSafeInteger(place) && place >= 0 && length >= 1 && length <= CHUNK
    && place + length <= size;
}

export function encodeTable({ chunks }: Contents): Buffer {
  const table = Buffer.alloc(chunks.size * COMPRESSED_CHUNK.bytes);
  let at = 0;
  for (const number of [...chunks.keys()].sort((a, b) => a - b)) {
    const { length, place, digest } = chunks.get(number) as Chunk;
    table.writeUInt32LE(number, at + COMPRESSED_CHUNK.chunk);
    table.writeUInt32LE(length, at + COMPRESSED_CHUNK.length);
    table.writeDoubleLE(place, at + COMPRESSED_CHUNK.place);
    table.set(digest, at + COMPRESSED_CHUNK.digest);
    at += COMPRESSED_CHUNK.bytes;
  }
  return table;
}

export function encodeSlot(contents: Contents, table: Buffer): Buffer {
  const bytes = Buffer.alloc(COMPRESSED.bytes);
  bytes.write(COMPRESSED_MAGIC, COMPRESSED.magic, 'latin1');
  bytes.writeUInt32LE(COMPRESSED_VERSION, COMPRESSED.version);
  bytes.writeUInt32LE(contents.codec, COMPRESSED.codec);
  bytes.set(contents.regionId, COMPRESSED.regionId);
  bytes.writeDoubleLE(contents.sequence, COMPRESSED.sequence);
  bytes.writeDoubleLE(contents.capacity, COMPRESSED.capacity);
  bytes.writeDoubleLE(contents.tableAt, COMPRESSED.tableAt);
  bytes.writeUInt32LE(contents.chunks.size, COMPRESSED.chunkCount);
  bytes.writeUInt32LE(crc32c(table, 0, table.length, 0), COMPRESSED.tableCrc);
  contents.segmentPages.forEach((pages, i) => {
    bytes.writeUInt32LE(pages, COMPRESSED.segmentPages + 4 * i);
  });
  bytes.writeUInt32LE(crc32c(bytes, 0, COMPRESSED.crc, 0), COMPRESSED.crc);
  return bytes;
}

export function corrupt(disk: Pick<Disk, 'path'>, problem: string, cause?: unknown): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${disk.path}: ${problem}; restore it from a backup; it was not changed`, cause);
}
