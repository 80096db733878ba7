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

const PRELOAD = join(root, 'dist', 'bundle', 'register.js');

/** `options` null = without the preload; `nodeOptions` instead of an argument. */
export function runNode(
  args: readonly string[], options: string | null, cwd = root, nodeOptions?: string,
): Ended {
  const env: NodeJS.ProcessEnv = { NO_COLOR: '1' };
  for (const [name, value] of Object.entries(process.env)) {
    // What vitest tells its own processes.
    if (!/^(VITEST|VITE_|FORCE_COLOR$|NODE_ENV$|TEST$|MODE$|DEV$|PROD$)/.test(name)) {
      env[name] = value;
    }
  }
  if (options !== null) env.REGIONSTORE_OPTIONS = options;
  if (nodeOptions !== undefined) env.NODE_OPTIONS = nodeOptions;
  const isLoaded = options === null || nodeOptions !== undefined;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath,
    isLoaded ? args : ['--import', PRELOAD, ...args],
    { cwd, encoding: 'utf8', env, timeout: 120_000, maxBuffer: 64 * 2 ** 20 });
  return { status, signal, stdout, stderr };
}
