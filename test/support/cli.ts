/** Runs the built command line as a process. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const MAIN = join(root, 'dist', 'bundle', 'cli.js');
const CHILD = join(root, 'dist', 'test', 'support', 'cli-child.js');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function cli(args: readonly string[], env: Record<string, string> = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 256 * 1024 * 1024,
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

/** What a verb prints with --json; throws unless it exits with `status`. */
export function json<T>(args: readonly string[], status = 0): T {
  const ran = cli([...args, '--json']);
  if (ran.status !== status) {
    throw new Error(`${args.join(' ')}: exit ${ran.status}, not ${status}: ${ran.stderr}`);
  }
  return JSON.parse(ran.stdout) as T;
}

/** A store or region whose maker was killed. */
export function makeKilled(what: 'store' | 'region', path: string): void {
  const { signal, stderr } = spawnSync(process.execPath, [CHILD, what, path, 'kill'],
    { encoding: 'utf8' });
  if (signal !== 'SIGKILL') throw new Error(`the child was not killed: ${stderr}`);
}

/** A process that has the store or region open. End it with `endHolder`. */
export async function holder(what: 'store' | 'region', path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, what, path, 'hold'],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (String(first) !== 'ready\n') throw new Error(`the holder did not start: ${first}`);
  return child;
}

export async function endHolder(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Name and contents of every file below a folder that `matches`. */
export function digest(folder: string, matches = /./): string {
  const hash = createHash('sha256');
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((name) => matches.test(name))
    .sort();
  if (names.length === 0) throw new Error(`no files to compare in ${folder}`);
  for (const name of names) hash.update(name).update(readFileSync(name));
  return hash.digest('hex');
}
