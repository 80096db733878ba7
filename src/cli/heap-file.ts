/**
 * Exports of heaps as files: a line each (ndjson), or the same lines as one JSON array. Both are
 * written and read in pieces, but for an array that is read, which JSON.parse takes as a whole.
 */
import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { RegionError } from '../errors.ts';
import { syncDirectory, syncFile, systemError } from '../files.ts';

export type Format = 'ndjson' | 'json';

const PIECE = 2 ** 20;
const STDIN = 0;

/** The text of an export in a format, line by line. */
export function* formatted(lines: Iterable<string>, format: Format): IterableIterator<string> {
  if (format === 'ndjson') return yield* lines;
  let before: string | null = null;
  yield '[';
  for (const line of lines) {
    if (before !== null) yield `${before},`;
    before = line;
  }
  if (before !== null) yield before;
  yield ']';
}

/**
 * Writes a file, durably, under a name of its own until it is whole: what was there before is
 * replaced then. Returns its bytes. ERR_IO, ERR_NO_SPACE.
 */
export function writeLines(path: string, lines: Iterable<string>): number {
  const part = `${path}.${process.pid}.part`;
  try {
    const bytes = writePart(part, lines);
    renameSync(part, path);
    syncDirectory(dirname(path));
    return bytes;
  } catch (error) {
    rmSync(part, { force: true });
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error
      : systemError(`writing ${path}`, error);
  }
}

function writePart(part: string, lines: Iterable<string>): number {
  const fd = openSync(part, 'wx', 0o666);
  let bytes = 0;
  try {
    let text = '';
    for (const line of lines) {
      text += `${line}\n`;
      if (text.length < PIECE) continue;
      bytes += writeText(fd, text);
      text = '';
    }
    bytes += writeText(fd, text);
    syncFile(fd);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

function writeText(fd: number, text: string): number {
  const bytes = Buffer.from(text, 'utf8');
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  return bytes.length;
}

/**
 * The lines of an export in a file, `-` = standard input; of one in an array, its elements. `watch`
 * is told how many bytes were read. ERR_IO, ERR_CORRUPT for what is no UTF-8, ERR_BAD_SIZE.
 */
export function* readLines(path: string, watch: (bytes: number) => void): IterableIterator<string> {
  const fd = opened(path);
  try {
    const texts = textsOf(fd, path, watch);
    const first = firstOf(texts);
    if (/^\s*\[/.test(first)) yield* elementsOf(path, first, texts);
    else yield* linesOf(first, texts);
  } finally {
    if (fd !== STDIN) closeSync(fd);
  }
}

function opened(path: string): number {
  if (path === '-') return STDIN;
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw systemError(`the export ${path} cannot be read`, error);
  }
}

/** The first text that says what follows. */
function firstOf(texts: Iterator<string>): string {
  let first = '';
  while (first.trim() === '') {
    const step = texts.next();
    if (step.done === true) break;
    first += step.value;
  }
  return first;
}

function* linesOf(first: string, texts: Iterable<string>): IterableIterator<string> {
  let rest = yield* wholeLines(first);
  for (const text of texts) rest = yield* wholeLines(rest + text);
  if (rest !== '') yield rest;
}

/** Returns what is behind the last end of a line. */
function* wholeLines(text: string): Generator<string, string> {
  let from = 0;
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
    yield text.slice(from, end);
    from = end + 1;
  }
  return text.slice(from);
}

function* elementsOf(
  path: string, first: string, texts: Iterable<string>,
): IterableIterator<string> {
  let found: unknown;
  try {
    found = JSON.parse(first + [...texts].join(''));
  } catch (error) {
    if (error instanceof RegionError) throw error;
    if (error instanceof RangeError) {
      throw new RegionError('ERR_BAD_SIZE',
        `${path} is too long for one JSON document; use ndjson`);
    }
    throw new RegionError('ERR_CORRUPT', `${path} is no JSON: ${(error as Error).message}`, error);
  }
  for (const element of found as unknown[]) yield JSON.stringify(element);
}

function* textsOf(
  fd: number, path: string, watch: (bytes: number) => void,
): IterableIterator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const bytes = new Uint8Array(PIECE);
  for (let total = 0; ;) {
    const count = readPiece(fd, path, bytes);
    total += count;
    watch(total);
    try {
      const text = decoder.decode(bytes.subarray(0, count), { stream: count > 0 });
      if (text !== '') yield text;
    } catch (error) {
      throw new RegionError('ERR_CORRUPT', `${path} is no text in UTF-8`, error);
    }
    if (count === 0) return;
  }
}

function readPiece(fd: number, path: string, bytes: Uint8Array): number {
  try {
    return readSync(fd, bytes, 0, bytes.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EOF') return 0;
    throw systemError(`the export ${path} cannot be read`, error);
  }
}
