/** Runs programs under `node --import regionstore/register`, and without it. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ended } from './malloc-program.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A program of test/fixtures/preload. */
export function fixture(name: string): string {
  return join(root, 'test', 'fixtures', 'preload', name);
}

/** `options` null = without the preload. */
export function runNode(
  args: readonly string[], options: string | null, cwd = root,
): Ended {
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1' };
  delete env.FORCE_COLOR;
  if (options !== null) env.REGIONSTORE_OPTIONS = options;
  const preload = join(root, 'dist', 'src', 'malloc', 'register.js');
  const all = options === null ? args : ['--import', preload, ...args];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, all,
    { cwd, encoding: 'utf8', env, timeout: 120_000, maxBuffer: 64 * 2 ** 20 });
  return { status, signal, stdout, stderr };
}
