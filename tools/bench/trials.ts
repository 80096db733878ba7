/** Runs trials: a process each, one at a time, their result as JSON on stdout. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a part of the benchmark is given. */
export interface Bench {
  /** Where files go: on a disk, and fdatasync means it. */
  readonly dir: string;
  readonly isQuick: boolean;
  /** What is being done, for whoever waits. */
  readonly tell: (text: string) => void;
}

/** One process of `script` (beside this file); what it printed. */
export function runTrial<T>(script: string, args: readonly (string | number)[]): T {
  const { status, signal, stdout, stderr } = start(script, args);
  if (status !== 0) {
    throw new Error(`bench: ${script} ${args.join(' ')} ended with ${signal ?? status}\n${stderr}`);
  }
  return JSON.parse(stdout) as T;
}

/** A process that ends by killing itself. */
export function runKilled(script: string, args: readonly (string | number)[]): void {
  const { signal, status, stderr } = start(script, args);
  if (signal !== 'SIGKILL') throw new Error(`bench: ${script} ended with ${status}\n${stderr}`);
}

function start(script: string, args: readonly (string | number)[]) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return spawnSync(process.execPath, ['--expose-gc', path, ...args.map(String)],
    { encoding: 'utf8', maxBuffer: 2 ** 26 });
}

/** A directory of its own for one piece of work, gone afterwards. */
export function within<T>(bench: Bench, work: (dir: string) => T): T {
  const dir = mkdtempSync(join(bench.dir, 'trial-'));
  try {
    return work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
