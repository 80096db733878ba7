/** The build of native-shim, what the loader says where there is none, and the sanitizer run. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync, cpSync, mkdirSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { builtShim, Scratch, SHIM_BINARY, SHIM_FOLDER } from './support/native.ts';

const scratch = new Scratch();
const copy = scratch.path('native-shim');

beforeAll(() => {
  builtShim();
  cpSync(SHIM_FOLDER, copy, { recursive: true, filter: (from) => !/\/build$/.test(from) });
  const modules = fileURLToPath(new URL('../node_modules', import.meta.url));
  symlinkSync(modules, scratch.path('node_modules'));
});

afterAll(() => scratch.remove());

function build(words: string[], env: Record<string, string> = {}) {
  const script = join(copy, 'build.mjs');
  return spawnSync(process.execPath, [script, ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

test('it builds without a warning, once, and again when a source changes', () => {
  const output = join(copy, 'build', 'shim.node');
  const first = build(['--strict', '--required']);
  expect(first.stderr).toMatch(/^native-shim: building build\/shim\.node with .*\n$/);
  expect(first.status).toBe(0);
  const made = statSync(output).mtimeMs;
  expect(build(['--strict', '--required'])).toMatchObject({ status: 0, stderr: '' });
  expect(statSync(output).mtimeMs).toBe(made);
  appendFileSync(join(copy, 'file.c'), '\n');
  expect(build(['--strict']).stderr).toMatch(/building/);
  expect(statSync(output).mtimeMs).toBeGreaterThan(made);
});

test('a build for another machine is built again', () => {
  const output = join(copy, 'build', 'shim.node');
  build([]);
  writeFileSync(output, 'not for here');
  expect(build([]).stderr).toMatch(/building/);
  expect(statSync(output).size).toBeGreaterThan(10_000);
});

test('without a compiler it says so; only --required makes that an error', () => {
  const env = { CC: '', PATH: scratch.folder };
  appendFileSync(join(copy, 'file.c'), '\n');
  const gently = build([], env);
  expect(gently.status).toBe(0);
  expect(gently.stderr).toMatch(/not built: no C compiler.*'file' discipline/);
  const firmly = build(['--required'], env);
  expect([firmly.status, firmly.stderr]).toEqual([1, expect.stringMatching(/no C compiler/)]);
});

test('a failing compiler and unknown options are told', () => {
  appendFileSync(join(copy, 'file.c'), 'this is not C\n');
  const failed = build(['--required']);
  expect(failed.status).toBe(1);
  expect(failed.stderr).toMatch(/error:[\s\S]*not built: /);
  expect(build(['--fast'])).toMatchObject({ status: 2, stderr: expect.stringMatching(/--fast/) });
});

/** A package of the loader alone; returns where the loader is. */
function packageOfLoader(home: string): string {
  for (const file of ['native/load.js', 'layout.js', 'package.js']) {
    const name = join('dist', 'src', file);
    cpSync(join(SHIM_FOLDER, '..', name), join(home, name));
  }
  writeFileSync(join(home, 'package.json'), '{"name":"regionstore","type":"module"}');
  return join(home, 'dist', 'src', 'native', 'load.js');
}

test('the loader says why there is no shim: none, one that does not load, another machine', () => {
  const home = scratch.path('home');
  mkdirSync(join(home, 'native-shim', 'build'), { recursive: true });
  const loader = packageOfLoader(home);
  const run = (before = '') => {
    const ask = `${before}
      const { loadShim, shimProblem } = await import(${JSON.stringify(loader)});
      console.log(loadShim() === null ? shimProblem() : loadShim().pageBytes);`;
    const words = ['--input-type=module', '-e', ask];
    const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout;
  };
  const binary = join(home, 'native-shim', 'build', 'shim.node');
  expect(run()).toMatch(/was not built: node native-shim\/build\.mjs/);
  writeFileSync(binary, 'damaged');
  expect(run()).toMatch(/does not load: .*shim\.node/);
  cpSync(SHIM_BINARY, binary);
  expect(run()).toBe('4096\n');
  const bigEndian = `import os from 'node:os';
    import { syncBuiltinESMExports } from 'node:module';
    os.endianness = () => 'BE';
    syncBuiltinESMExports();`;
  expect(run(bigEndian)).toMatch(/big-endian/);
});

test('nothing is found by the sanitizers, in random use and misuse', ({ skip }) => {
  const script = join(SHIM_FOLDER, 'sanitize.mjs');
  const ran = spawnSync(process.execPath, [script, '11', '4000'], { encoding: 'utf8' });
  if (ran.status === 77) {
    process.stderr.write(ran.stderr);
    skip(ran.stderr.trim());
  }
  expect(ran.stderr).not.toMatch(/Sanitizer|runtime error/);
  expect(ran.stdout).toMatch(/exercise: ok, seed 11, 4000 calls/);
  expect(ran.status).toBe(0);
});
