/** The traces of a study: files or folders of them, each as a plain .vmt file for every trial. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { RegionError } from '../errors.ts';
import type { TraceFacts } from './study.ts';
import { formatOfName, readTrace, writeTrace } from '../trace/trace-file.ts';

export interface StudyTrace extends TraceFacts {
  /** The plain file. */
  readonly path: string;
}

/** Files as they are given, folders as the traces in them. ERR_NOT_FOUND, ERR_IO. */
export function traceFiles(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!isFolder(path)) return [path];
    const names = readdirSync(path).filter((name) => formatOfName(name) !== null).sort();
    if (names.length > 0) return names.map((name) => join(path, name));
    throw new RegionError('ERR_NOT_FOUND',
      `there is no trace in ${path}: no name ends in .vmt, .rep or .trace, or those with .gz`);
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
  const plain = basename(file).replace(/\.[a-z]+(\.gz)?$/i, '');
  let name = plain;
  for (let i = 2; taken.includes(name); i += 1) name = `${plain} (${i})`;
  const path = join(dir, `${taken.length}.vmt`);
  writeTrace(path, trace);
  const { operations, peakBytes, peakBlocks } = trace;
  return { name, operations, peakBytes, peakBlocks, path };
}
