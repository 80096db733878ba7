/**
 * Programs over `regionstore/malloc`, each a process of its own, since REGIONSTORE_OPTIONS is read
 * once. They import the built package by its name, as its users do.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const ALL = `import { bytes, calloc, defaultRegion, free, mallinfo, malloc, memalign, posixMemalign,
  realloc, strdup, string, valloc } from 'regionstore/malloc';`;

/** Runs the text of a module with all of malloc imported. */
export function program(text: string, options?: string, args: readonly string[] = []): Ended {
  const env: NodeJS.ProcessEnv = { ...process.env, REGIONSTORE_OPTIONS: options };
  if (options === undefined) delete env.REGIONSTORE_OPTIONS;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath,
    [...args, '--input-type=module', '--eval', `${ALL}\n${text}`],
    { cwd: root, encoding: 'utf8', env, timeout: 120_000 });
  return { status, signal, stdout, stderr };
}

/** What a program printed; throws unless it ended well and quietly. */
export function printed(text: string, options?: string): string {
  const { status, signal, stdout, stderr } = program(text, options);
  if (status === 0 && stderr === '') return stdout.trimEnd();
  throw new Error(`exit ${status ?? signal}: ${stderr}`);
}
