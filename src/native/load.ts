/**
 * Loads native-shim, once. Where it cannot be had (not built, another system, a machine it was not
 * made for) the answer is null and the reason is kept: callers then use the `file` discipline.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { PAGE } from '../layout.ts';
import { PACKAGE } from '../package.ts';
import type { Shim } from './shim.ts';

const BINARY = join('native-shim', 'build', 'shim.node');

const CALLS = [
  'reserve',
  'map',
  'unmap',
  'close',
  'sync',
  'drop',
  'expect',
  'dirtyRuns',
  'changedPages',
  'gather',
  'scatter',
  'readPages',
  'faults',
  'lock',
  'unlock',
  'fallocate',
  'punchHole',
  'clone',
  'exchange',
  'sizeOf',
  'crc32c',
] as const satisfies readonly (keyof Shim)[];

let answer: { readonly shim: Shim | null; readonly problem: string | null } | undefined;

/** The shim, or null; the same answer every time. */
export function loadShim(): Shim | null {
  return look().shim;
}

/** Why loadShim() returns null; null when it does not. */
export function shimProblem(): string | null {
  return look().problem;
}

function look(): NonNullable<typeof answer> {
  answer ??= load();
  return answer;
}

function load(): NonNullable<typeof answer> {
  if (endianness() !== 'LE') return missing('this machine is big-endian');
  if (PACKAGE === null) return missing('its package.json is gone');
  const path = join(PACKAGE, BINARY);
  if (!existsSync(path)) return missing(`${BINARY} was not built: node native-shim/build.mjs`);
  try {
    const shim = createRequire(import.meta.url)(path) as Shim;
    const problem = findProblem(shim);
    return problem === null ? { shim, problem } : missing(problem);
  } catch (error) {
    return missing(`${BINARY} does not load: ${error instanceof Error ? error.message : error}`);
  }
}

function missing(problem: string): NonNullable<typeof answer> {
  return { shim: null, problem };
}

/** Pages of another size (16 or 64 KiB on some ARM systems) would not fit the page numbers. */
function findProblem(shim: Shim): string | null {
  if (shim.pageBytes !== PAGE) return `pages of ${shim.pageBytes} bytes, not ${PAGE}`;
  const absent = CALLS.find((name) => typeof shim[name] !== 'function');
  if (absent === undefined) return null;
  return `${BINARY} is of another version (no ${absent}): node native-shim/build.mjs`;
}
