/**
 * The bytes of a trace file, decompressed where they are compressed: in pieces, so that a text of
 * gigabytes is never held as a whole, or whole, for the binary format.
 *
 * Node has no synchronous inflating in pieces, so a compressed file is inflated whole, at most 1
 * GiB; its beginning is looked at first, so that what is no trace is refused before that.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';

const PIECE = 2 ** 20;
/** Enough of a compressed file to see what is in it. */
const PEEK = 4096;
const MOST_BYTES = 2 ** 31;
const MOST_INFLATED = 2 ** 30;
const GZIP = [0x1f, 0x8b];

/** Bytes read so far, and all of them; 0 = not known. */
export type Watcher = (done: number, total: number) => void;

export interface Source {
  readonly path: string;
  /** The first bytes, at most 1 MiB. */
  readonly head: Uint8Array;
  /** Compressed, and the end is missing: what there is was inflated. */
  readonly isTorn: boolean;
  /** All bytes from the first; once. A piece is valid until the next is asked for. */
  pieces(): Iterable<Uint8Array>;
  /** All bytes; once. */
  whole(): Uint8Array<ArrayBuffer>;
}

/** Opens `path` while `work` runs. ERR_IO, ERR_CORRUPT. */
export function withSource<T>(path: string, watch: Watcher, work: (source: Source) => T): T {
  const fd = opened(path);
  try {
    const total = fstatSync(fd).size;
    // One byte more than there should be shows that there is no more.
    const most = total > 0 ? Math.min(PIECE, total + 1) : PIECE;
    const plain = plainSource(path, () => readPiece(fd, path, most), total, watch);
    const { head } = plain;
    return work(isGzip(head) ? inflated(plain) : plain);
  } finally {
    closeSync(fd);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw systemError(`the trace ${path} cannot be read`, error);
  }
}

/** `most` bytes, fewer only at the end. */
function readPiece(fd: number, path: string, most: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(most);
  let done = 0;
  try {
    while (done < most) {
      const count = readSync(fd, bytes, done, most - done, null);
      if (count === 0) break;
      done += count;
    }
  } catch (error) {
    throw systemError(`the trace ${path} cannot be read`, error);
  }
  return bytes.subarray(0, done);
}

function plainSource(
  path: string, next: () => Uint8Array<ArrayBuffer>, total: number, watch: Watcher,
): Source {
  const head = next();
  function* pieces(): Generator<Uint8Array<ArrayBuffer>> {
    let done = 0;
    for (let piece = head; piece.length > 0; piece = next()) {
      done += piece.length;
      watch(done, total);
      yield piece;
    }
  }
  return { path, head, isTorn: false, pieces, whole: () => joined(path, pieces()) };
}

function joined(path: string, pieces: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const piece of pieces) {
    parts.push(piece);
    length += piece.length;
    if (length <= MOST_BYTES) continue;
    throw new RegionError('ERR_CORRUPT',
      `${path} is no allocation trace: it has more than ${MOST_BYTES} bytes`);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function isGzip(bytes: Uint8Array): boolean {
  return GZIP.every((byte, i) => bytes[i] === byte);
}

function inflated({ path, head, whole }: Source): Source {
  const finishFlush = constants.Z_SYNC_FLUSH;
  const start = inflate(path, head.subarray(0, PEEK), { finishFlush });
  let bytes: Uint8Array<ArrayBuffer> | null = null;
  let isTorn = false;
  const all = (): Uint8Array<ArrayBuffer> => {
    if (bytes !== null) return bytes;
    const packed = whole();
    try {
      bytes = inflate(path, packed, {});
    } catch (error) {
      if ((error as { cause?: { code?: string } }).cause?.code !== 'Z_BUF_ERROR') throw error;
      isTorn = true;
      bytes = inflate(path, packed, { finishFlush });
    }
    return bytes;
  };
  return {
    path,
    head: start.subarray(0, PIECE),
    get isTorn() {
      return isTorn;
    },
    *pieces() {
      for (let at = 0; at < all().length; at += PIECE) yield all().subarray(at, at + PIECE);
    },
    whole: all,
  };
}

function inflate(
  path: string, packed: Uint8Array, how: { finishFlush?: number },
): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(gunzipSync(packed, { ...how, maxOutputLength: MOST_INFLATED }));
  } catch (cause) {
    const isLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    const message = isLarge
      ? `the trace ${path} has more than ${MOST_INFLATED} bytes inside; decompress it with gunzip`
      : `the trace ${path} cannot be decompressed; copy it again`;
    throw new RegionError('ERR_CORRUPT', message, cause);
  }
}
