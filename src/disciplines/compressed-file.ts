/**
 * Writing a compressed region file: never over what the file holds.
 *
 * Order of a commit: chunks and table into free space, sync, the first slot, sync; that is the new
 * state. Then the second slot, with no sync of its own: the sync before the first slot is written
 * again makes it durable. So while one slot is written the other is whole and names what is there.
 * A failure before the first slot is written changes nothing; one after it leaves the old or the
 * new state, and only reading the file again tells which.
 *
 * Waste: free space is used again and cut off at the end. When clearly more of the file is free
 * than used, its chunks are gathered into one run, by commits of their own: at the end first where
 * there is no gap long enough, then at the front. A disk too full for that leaves it for later.
 */
import { hash } from 'node:crypto';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';
import { CHUNK, COMPRESSED_CHUNK, COMPRESSED_SLOTS, COMPRESSED_START } from '../layout.ts';
import type { Codec } from './compressed-codec.ts';
import { type Chunk, type Contents, corrupt, type Disk, encodeSlot, encodeTable, type Summary }
  from './compressed-contents.ts';
import { FreeSpace, inOrder, lowestPlace, taken } from './compressed-space.ts';

const ZEROS = Buffer.alloc(CHUNK);
const DIGEST_BYTES = COMPRESSED_CHUNK.bytes - COMPRESSED_CHUNK.digest;
/** Free space beyond what is used that is not worth the trouble: an eighth of that, or so much. */
const SLACK_PART = 8;
const SLACK = 64 * 1024;

/** 128 bits of SHA-256: tells whether a chunk is whole, and whether it changed. */
export function digestOf(chunk: Uint8Array): Buffer {
  return hash('sha256', chunk, 'buffer').subarray(0, DIGEST_BYTES);
}

export function isZero(chunk: Buffer): boolean {
  return chunk.equals(ZEROS);
}

/** The bytes of a chunk; ERR_CORRUPT where they are not what they were. */
export function readChunk(disk: Disk, number: number, chunk: Chunk, codec: Codec): Uint8Array {
  const packed = Buffer.alloc(chunk.length);
  disk.read(packed, chunk.place);
  let bytes: Uint8Array;
  try {
    bytes = codec.unpack(packed);
  } catch (error) {
    throw corrupt(disk, `chunk ${number} does not unpack`, error);
  }
  if (bytes.length === CHUNK && digestOf(bytes).equals(chunk.digest)) return bytes;
  throw corrupt(disk, `chunk ${number} is damaged`);
}

/** A new state of the file in the making. */
export class Draft {
  readonly chunks: Map<number, Chunk>;
  /** Where nothing is that the file holds. */
  readonly space: FreeSpace;
  readonly #disk: Disk;

  constructor(disk: Disk, before: Contents) {
    this.#disk = disk;
    this.chunks = new Map(before.chunks);
    this.space = new FreeSpace(inUseOf(before));
  }

  put(number: number, packed: Uint8Array, digest: Buffer): void {
    const place = this.space.take(packed.length);
    this.#disk.write(packed, place);
    this.chunks.set(number, { place, length: packed.length, digest });
  }

  drop(number: number): void {
    this.chunks.delete(number);
  }
}

export class CompressedFile {
  readonly #disk: Disk;
  #contents: Contents;
  #isMirrored: boolean;
  #failure: RegionError | null = null;

  constructor(disk: Disk, contents: Contents, isMirrored: boolean) {
    this.#disk = disk;
    this.#contents = contents;
    this.#isMirrored = isMirrored;
  }

  get contents(): Contents {
    return this.#contents;
  }

  /** A draft of the next state: what is there now. */
  draft(): Draft {
    if (this.#failure !== null) throw this.#failure;
    return new Draft(this.#disk, this.#contents);
  }

  /** The draft is the state, durable on return; where it throws, nothing has changed. */
  commit(draft: Draft, summary: Omit<Summary, 'sequence'>): void {
    this.#switchTo(draft.chunks, draft.space, summary);
    try {
      for (let pass = 0; pass < 2 && this.#isWasteful(); pass++) this.#gather();
    } catch (error) {
      if (systemError('', error).code !== 'ERR_NO_SPACE' || this.#failure !== null) throw error;
    }
    this.trim();
  }

  /** Cuts off what is not in use at the end; not when it is not known what the file names. */
  trim(): void {
    if (this.#failure !== null) return;
    const end = endOf(this.#contents);
    if (this.#disk.size() > end) this.#disk.truncate(end);
  }

  #switchTo(
    chunks: ReadonlyMap<number, Chunk>, space: FreeSpace, summary: Omit<Summary, 'sequence'>,
  ): void {
    const { codec, capacity, regionId, segmentPages } = summary;
    const sequence = this.#contents.sequence + 1;
    const tableAt = space.take(chunks.size * COMPRESSED_CHUNK.bytes);
    const next = { codec, capacity, regionId, segmentPages, sequence, tableAt, chunks };
    const table = encodeTable(next);
    const slot = encodeSlot(next, table);
    this.#disk.write(table, tableAt);
    if (!this.#isMirrored) this.#writeMirror();
    this.#orFail(() => this.#disk.sync());
    this.#orFail(() => {
      this.#disk.write(slot, COMPRESSED_SLOTS[0]);
      this.#disk.sync();
    });
    this.#contents = next;
    this.#isMirrored = false;
    this.#disk.write(slot, COMPRESSED_SLOTS[1]);
    this.#isMirrored = true;
  }

  /** The second slot names the state that the first one does. */
  #writeMirror(): void {
    const slot = encodeSlot(this.#contents, encodeTable(this.#contents));
    this.#disk.write(slot, COMPRESSED_SLOTS[1]);
  }

  #orFail(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failure = new RegionError('ERR_IO',
        `${this.#disk.path} could not be synced, so it may hold the state before or after; close ` +
          'the region and open it again', error);
      throw this.#failure;
    }
  }

  #isWasteful(): boolean {
    const used = usedBy(this.#contents);
    const slack = Math.max(used / SLACK_PART, SLACK);
    return endOf(this.#contents) - COMPRESSED_START - used > used + slack;
  }

  /** Every chunk and the table, one after the other in one place. */
  #gather(): void {
    const chunks = new Map<number, Chunk>();
    let place = lowestPlace(inUseOf(this.#contents), usedBy(this.#contents));
    for (const [number, chunk] of this.#contents.chunks) {
      const packed = Buffer.alloc(chunk.length);
      this.#disk.read(packed, chunk.place);
      this.#disk.write(packed, place);
      chunks.set(number, { ...chunk, place });
      place += taken(chunk.length);
    }
    this.#switchTo(chunks, spaceAt(place), this.#contents);
  }
}

/** What gives out one place only: where the table of a gathered file goes. */
function spaceAt(place: number): FreeSpace {
  return new FreeSpace([{ place: COMPRESSED_START, length: place - COMPRESSED_START }]);
}

/** Contents of a file that has none yet. */
export const NOTHING: Contents = {
  sequence: 0,
  codec: 0,
  capacity: 0,
  regionId: Buffer.alloc(0),
  segmentPages: [],
  tableAt: COMPRESSED_START,
  chunks: new Map(),
};

function tableBytes({ chunks }: Contents): number {
  return chunks.size * COMPRESSED_CHUNK.bytes;
}

function inUseOf(contents: Contents) {
  const table = { place: contents.tableAt, length: tableBytes(contents) };
  return inOrder([...contents.chunks.values(), table]) ?? [];
}

function usedBy(contents: Contents): number {
  let bytes = taken(tableBytes(contents));
  for (const { length } of contents.chunks.values()) bytes += taken(length);
  return bytes;
}

function endOf(contents: Contents): number {
  let end = contents.tableAt + tableBytes(contents);
  for (const { place, length } of contents.chunks.values()) end = Math.max(end, place + length);
  return end;
}
