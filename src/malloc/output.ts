/**
 * Where traces, profiles and warnings go: a file, or a descriptor that is open already. Written
 * with plain synchronous calls, so that nothing is left behind by a process that ends, and nothing
 * keeps one running. What cannot be written is given up with one message: an allocation never
 * fails for the sake of its trace.
 *
 * Threads and forked processes must not write over each other's files: in a worker thread a file
 * gets `.THREAD` behind its name, in a process made by `child_process.fork` `.PID`, unless the name
 * holds `%p`, which stands for the process (and thread) already.
 */
import { fstatSync, openSync, writeSync } from 'node:fs';
import { isMainThread, threadId } from 'node:worker_threads';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';

// The program may replace functions of node:fs later on.
const fs = { fstatSync, openSync, writeSync };
// Not Buffer.from, whose calls the preload may be recording.
const encoder = new TextEncoder();
const STDERR = 2;
const PIECE_CHARACTERS = 64 * 1024;
const isForked = isMainThread && process.send !== undefined;

export interface Output {
  /** Gathers text, and writes it when there is a good deal of it. */
  add(text: string): void;
  /** Writes what was gathered; from now on everything is written at once. */
  flush(): void;
}

/** Process and thread, as `%p` says it: `4711`, in worker thread 3 `4711.3`. */
function processName(): string {
  return isMainThread ? `${process.pid}` : `${process.pid}.${threadId}`;
}

/** `%p` replaced. */
export function expanded(file: string): string {
  return file.replaceAll('%p', processName());
}

/** The name of the file this thread of this process writes. */
export function ownFile(file: string): string {
  if (file.includes('%p')) return expanded(file);
  if (!isMainThread) return `${file}.${threadId}`;
  return isForked ? `${file}.${process.pid}` : file;
}

const DESCRIPTOR = /^&(\d+)$/;

export function isDescriptor(target: string): boolean {
  return DESCRIPTOR.test(target);
}

/**
 * Opens `FILE` or `&n`. A file is made anew. ERR_BAD_OPTION when the descriptor is not open, ERR_IO
 * when the file cannot be made. `what` is the option that asks for it.
 */
export function outputTo(target: string, what: string): Output {
  const [, digits] = DESCRIPTOR.exec(target) ?? [];
  return new OpenOutput(digits === undefined ? openNew(target, what) : openOne(digits, what));
}

/** Standard error. */
export function standardError(): Output {
  return new OpenOutput(STDERR);
}

function openNew(target: string, what: string): number {
  const file = ownFile(target);
  try {
    return fs.openSync(file, 'w', 0o666);
  } catch (error) {
    throw systemError(`opening ${file} for ${what}=`, error);
  }
}

function openOne(digits: string, what: string): number {
  const fd = Number(digits);
  try {
    fs.fstatSync(fd);
    return fd;
  } catch (error) {
    throw new RegionError('ERR_BAD_OPTION',
      `${what}=&${digits}: descriptor ${digits} is not open; give &2, a file, or open it first`,
      error);
  }
}

class OpenOutput implements Output {
  readonly #fd: number;
  #gathered = '';
  #isDirect = false;
  #isBroken = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  add(text: string): void {
    this.#gathered += text;
    if (this.#isDirect || this.#gathered.length >= PIECE_CHARACTERS) this.#write();
  }

  flush(): void {
    this.#isDirect = true;
    this.#write();
  }

  #write(): void {
    const bytes = encoder.encode(this.#gathered);
    this.#gathered = '';
    if (this.#isBroken || bytes.length === 0) return;
    try {
      writeAll(this.#fd, bytes);
    } catch (error) {
      this.#isBroken = true;
      if (this.#fd !== STDERR) say(`writing descriptor ${this.#fd}: ${(error as Error).message}`);
    }
  }
}

/** One line on standard error, whatever becomes of it. */
export function say(text: string): void {
  try {
    writeAll(STDERR, encoder.encode(`regionstore: ${text}\n`));
  } catch {
    // Standard error is closed, or its reader is gone: there is nobody left to tell.
  }
}

const PAUSE_MS = 1;
const clock = new Int32Array(new SharedArrayBuffer(4));

/** A pipe may be full for the moment. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += fs.writeSync(fd, bytes, done, bytes.length - done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(clock, 0, 0, PAUSE_MS);
    }
  }
}
