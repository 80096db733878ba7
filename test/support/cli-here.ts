/**
 * Runs the command line in this process, from its sources: all of it but what main.ts adds, in a
 * few milliseconds. That a process does the same is tested for every verb and every exit code.
 */
import { run } from '../../src/cli/program.ts';
import type { Ran } from './cli.ts';

export async function cliHere(args: readonly string[]): Promise<Ran> {
  const said = { stdout: '', stderr: '' };
  const status = await run(args, {
    stdout: {
      write(text, done) {
        said.stdout += text;
        done?.();
        return true;
      },
      on: () => {},
    },
    stderr: {
      write(text) {
        said.stderr += text;
      },
    },
    version: '1.2.3',
  });
  return { status, ...said };
}

/** What a verb prints with --json; throws unless it exits with `status`. */
export async function jsonHere<T>(args: readonly string[], status = 0): Promise<T> {
  const ran = await cliHere([...args, '--json']);
  if (ran.status !== status) {
    throw new Error(`${args.join(' ')}: exit ${ran.status}, not ${status}: ${ran.stderr}`);
  }
  return JSON.parse(ran.stdout) as T;
}
