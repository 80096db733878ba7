/**
 * The file a trace goes to: text or bytes, buffered, compressed where wanted. A compressed file is
 * a sequence of gzip members, one a flush, so that what was flushed can be read after a crash.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { systemError } from '../files.ts';

/** Bytes or characters that are written at once. */
const PLAIN_BUFFER = 64 * 1024;
/** What is compressed at once: smaller members cost ratio. */
const PACKED_BUFFER = 2 ** 20;

export class TraceOutput {
  readonly path: string;
  readonly #fd: number;
  readonly #isPacked: boolean;
  #parts: Uint8Array[] = [];
  /** Behind the parts. */
  #text = '';
  #held = 0;
  #isOpen = true;
  #hasHead = false;

  /** An existing file is replaced. ERR_IO. */
  constructor(path: string, isPacked: boolean) {
    this.path = path;
    this.#isPacked = isPacked;
    try {
      this.#fd = openSync(path, 'w');
    } catch (error) {
      throw systemError(`creating the trace ${path}`, error);
    }
  }

  /** Keeps the piece, not a copy of it. */
  write(piece: Uint8Array | string): void {
    if (typeof piece === 'string') this.#text += piece;
    else {
      this.#settleText();
      this.#parts.push(piece);
    }
    this.#held += piece.length;
    if (this.#held >= (this.#isPacked ? PACKED_BUFFER : PLAIN_BUFFER)) this.flush();
  }

  flush(): void {
    if (this.#held === 0) return;
    this.#settleText();
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    this.#put(this.#isPacked ? gzipSync(bytes) : bytes, null);
  }

  #settleText(): void {
    if (this.#text !== '') this.#parts.push(Buffer.from(this.#text, 'utf8'));
    this.#text = '';
  }

  /**
   * Bytes at the start of the file, always as many; written at once. Compressed, they are a member
   * of their own that is stored, not deflated, so that it has always the same length.
   */
  writeHead(bytes: Uint8Array): void {
    this.#put(this.#isPacked ? gzipSync(bytes, { level: 0 }) : bytes, this.#hasHead ? 0 : null);
    this.#hasHead = true;
  }

  close(): void {
    if (!this.#isOpen) return;
    try {
      this.flush();
    } finally {
      this.abandon();
    }
  }

  /** Closes the file without what is in the buffer. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }

  #put(bytes: Uint8Array, at: number | null): void {
    let done = 0;
    try {
      while (done < bytes.length) {
        const place = at === null ? null : at + done;
        done += writeSync(this.#fd, bytes, done, bytes.length - done, place);
      }
    } catch (error) {
      throw systemError(`writing the trace ${this.path}`, error);
    }
  }
}
