/** The traces of a study: files or folders of them, each as a plain .vmt file for every trial. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { basename, join } from 'node:path';
import { RegionError } from '../errors.ts';
import { TRACE, TRACE_MAGIC, TRACE_RECORD } from '../layout.ts';
import type { TraceFacts } from '../trace/study.ts';
import { readTrace, type Trace } from '../trace/trace-file.ts';

const ENDING = /\.(vmt|rep|trace)(\.gz)?$/;

export interface StudyTrace extends TraceFacts {
  /** The plain file. */
  readonly path: string;
}

/** Files as they are given, folders as the traces in them. ERR_NOT_FOUND, ERR_IO. */
export function traceFiles(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!isFolder(path)) return [path];
    const names = readdirSync(path).filter((name) => ENDING.test(name)).sort();
    if (names.length > 0) return names.map((name) => join(path, name));
    throw new RegionError('ERR_NOT_FOUND',
      `there is no trace in ${path}; a trace's name ends in .vmt, .rep or .trace, or those with .gz`);
  });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new RegionError('ERR_IO', `${path} cannot be read; is the path right?`, cause);
  }
}

/** Reads a trace of any format and writes it into `dir`. ERR_IO, ERR_CORRUPT. */
export function prepareTrace(file: string, dir: string, taken: readonly string[]): StudyTrace {
  const trace = readTrace(file);
  const plain = basename(file).replace(ENDING, '');
  let name = plain;
  for (let i = 2; taken.includes(name); i += 1) name = `${plain} (${i})`;
  const path = join(dir, `${taken.length}.vmt`);
  writeFileSync(path, plainFile(trace));
  const { operations, peakBytes, peakBlocks } = trace;
  return { name, operations, peakBytes, peakBlocks, path };
}

/** The bytes of a .vmt file; words are little-endian. */
export function plainFile(trace: Trace): Buffer {
  const words = new Uint32Array(TRACE.words + trace.records.length);
  const wide = (at: number, value: number) => {
    words[at] = value;
    words[at + 1] = Math.floor(value / 2 ** 32);
  };
  words[TRACE.magic] = TRACE_MAGIC;
  words[TRACE.headerWords] = TRACE.words;
  words[TRACE.records] = trace.records.length / TRACE_RECORD.words;
  words[TRACE.slots] = trace.slots;
  words[TRACE.operations] = trace.operations;
  wide(TRACE.peakBytes, trace.peakBytes);
  words[TRACE.peakBlocks] = trace.peakBlocks;
  words[TRACE.flags] = (trace.leftBlocks === 0 ? 1 : 0) + (trace.cutOff ? 2 : 0);
  words[TRACE.leftBlocks] = trace.leftBlocks;
  wide(TRACE.leftBytes, trace.leftBytes);
  words.set(trace.records, TRACE.words);
  const bytes = Buffer.from(words.buffer);
  return endianness() === 'BE' ? bytes.swap32() : bytes;
}

/** No calls at all. */
export const EMPTY_TRACE: Trace = {
  records: new Uint32Array(0), slots: 0, operations: 0, peakBytes: 0, peakBlocks: 0,
  leftBlocks: 0, leftBytes: 0, cutOff: false,
};
