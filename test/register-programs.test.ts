/**
 * The preload under well-known programs: they do what they do without it, and trace and profile
 * name places in their files. TypeScript is the compiler that is written in JavaScript, which attw
 * brings along; the project's own one is a native program.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readTrace } from '../src/trace/trace-file.ts';
import type { Ended } from './support/malloc-program.ts';
import { fixture, runNode } from './support/preload.ts';
import { temporaryDirectory } from './support/temp.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (...parts: string[]) => join(root, 'node_modules', ...parts);
const { resolve } = createRequire(bin('@arethetypeswrong', 'core', 'package.json'));
const tsc = resolve('typescript/bin/tsc');

/** Times of day and how long things took are different every time. */
function timeless({ stdout, stderr, ...rest }: Ended) {
  const still = (text: string) => text.replaceAll(/\d+(\.\d+)?m?s\b/g, '…')
    .replace(/(Start at +).*/, '$1…');
  return { stdout: still(stdout), stderr: still(stderr), ...rest };
}

const MAJOR = Number(process.versions.node.split('.')[0]);

/** A project with one mistake. */
function project(): string {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'a.ts'), 'export const size: number = "large";\n');
  return folder;
}

describe.each<[string, () => string[], RegExp, number]>([
  ['tsc', () => [tsc, '--noEmit', '--pretty', 'false', '--lib', 'es5', '--skipLibCheck',
    join(project(), 'a.ts')],
    /typescript\/lib\/_?tsc\.js:\d+:readFile/, 2],
  ['publint', () => [bin('publint', 'src', 'cli.js'), 'run', root,
    '--pack', 'false'], /publint\/src\/.*:\d+:/, 0],
  ['vitest', () => [bin('vitest', 'vitest.mjs'), 'run', '--root', fixture('')],
    /(vitest|vite)\/dist\/.*:\d+:/, 1],
])('%s', (name, command, place, status) => {
  test('does the same; trace and profile name places in its files', () => {
    const args = command();
    const plain = timeless(runNode(args, null));
    expect(plain.status, plain.stderr).toBe(status);
    expect(plain.stdout.length).toBeGreaterThan(20);
    const folder = temporaryDirectory();
    const options = `trace=${folder}/trace sites profile=${folder}/profile.json`;
    expect(timeless(runNode(args, options))).toEqual(plain);
    const trace = readTrace(join(folder, 'trace'));
    expect(trace).toMatchObject({ cutOff: false, strangers: 0 });
    const profile = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8'));
    expect(profile.total.peak).toBe(trace.peakBytes);
    if (name === 'publint' && MAJOR >= 26) {
      console.warn('publint on Node 26 reads files without buffers that JavaScript sees: ' +
        'what it prints is compared, not places');
      return;
    }
    expect(trace.operations).toBeGreaterThan(10);
    expect(trace.origins.map(({ site }) => site).join('\n')).toMatch(place);
    const sites = profile.sites.map(({ stack }: { stack: string[] }) => stack[0]);
    expect(sites.join('\n')).toMatch(place);
    if (name === 'vitest') expectProcessesSeen(args, plain);
  });
});

/** The processes that vitest makes are seen by way of NODE_OPTIONS. */
function expectProcessesSeen(args: readonly string[], plain: Ended): void {
  const folder = temporaryDirectory();
  const preload = `--import ${join(root, 'dist', 'bundle', 'register.js')}`;
  const seen = runNode(args, `trace=${folder}/t sites signals`, root, preload);
  expect(timeless(seen)).toEqual(plain);
  const lines = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  expect(lines.length).toBe(2);
  expect(lines.join('')).toMatch(/:12345z?:0:buffers:Buffer\.alloc:\S*tiny\.spec\.mjs:5:/);
}
