/**
 * Builds the recorder on demand and runs a process under it. The recorder is compiled once per
 * content of its sources into the ignored build folder.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Operation, operationsOf } from './log.ts';

/** The project's folder, from this file wherever it was compiled to. */
export function projectRoot(from: string): string {
  let folder = from;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('torture: run it inside the project');
    folder = parent;
  }
  return folder;
}

function compiled(root: string, name: string, flags: readonly string[]): string {
  const source = join(root, 'tools/torture', `${name}.c`);
  const hash = createHash('md5').update(readFileSync(source))
    .update(readFileSync(join(root, 'tools/torture/recorder.h'))).digest('hex').slice(0, 12);
  const out = join(root, 'native-shim/build', `${name}-${hash}`);
  if (existsSync(out)) return out;
  mkdirSync(dirname(out), { recursive: true });
  const partial = `${out}.${process.pid}`;
  execFileSync(process.env.CC ?? 'cc', ['-O2', ...flags, '-o', partial, source, '-ldl',
    '-lpthread'], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(partial, out);
  return out;
}

export function buildRecorder(root: string): string {
  return compiled(root, 'recorder', ['-shared', '-fPIC']);
}

/** A program of this folder that needs no recorder. */
export function buildProgram(root: string, name: string): string {
  return compiled(root, name, []);
}

export interface Recording {
  readonly operations: Operation[];
  /** Exit code, or the signal's name. */
  readonly ended: number | string;
  readonly stderr: string;
}

export interface RecordOptions {
  readonly root: string;
  /** Scratch folder; the workload's disk is `disk` in it, and it is emptied first. */
  readonly folder: string;
  readonly args: readonly string[];
  /** Go on with the disk and the log of an earlier process. */
  readonly again?: boolean;
  readonly timeoutMs?: number;
}

/** What the recorder needs to know, for a process that is started by someone else. */
export function recorderEnv(root: string, folder: string, log: boolean): Record<string, string> {
  const env: Record<string, string> = {
    LD_PRELOAD: buildRecorder(root),
    TORTURE_DIR: join(folder, 'disk'),
    TORTURE_MARK: join(folder, 'marks'),
  };
  if (log) env.TORTURE_LOG = join(folder, 'log');
  return env;
}

/** Runs `node ...args` under the recorder; its disk is the folder TORTURE_DIR. */
export function record(options: RecordOptions): Recording {
  if (options.again !== true) rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(join(options.folder, 'disk'), { recursive: true });
  const env = { ...process.env, ...recorderEnv(options.root, options.folder, true) };
  const run = spawnSync(process.execPath, options.args, { env, encoding: 'utf8',
    timeout: options.timeoutMs ?? 120_000, killSignal: 'SIGKILL',
    stdio: ['ignore', 'ignore', 'pipe'] });
  if (run.error !== undefined) throw run.error;
  const log = readFileSync(join(options.folder, 'log'));
  return { operations: operationsOf(log, join(options.folder, 'disk')),
    ended: run.status ?? run.signal ?? 'unknown', stderr: run.stderr };
}
