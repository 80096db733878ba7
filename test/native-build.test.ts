/** The build of native-shim, what the loader says where there is none, and the sanitizer run. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync, cpSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
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

afterEach(() => {
  vi.doUnmock('node:fs');
  vi.doUnmock('node:os');
  vi.resetModules();
});

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

test('the loader keeps the reason when the shim is not there', async () => {
  vi.resetModules();
  vi.doMock('node:fs', async (load) => ({
    ...(await load<typeof import('node:fs')>()),
    existsSync: (path: string) => path !== SHIM_BINARY && existsSync(path),
  }));
  const { loadShim, shimProblem } = await import('../src/native/load.ts');
  expect(loadShim()).toBeNull();
  expect(shimProblem()).toMatch(/was not built: node native-shim\/build\.mjs/);
});

test('the loader refuses a big-endian machine', async () => {
  vi.resetModules();
  vi.doMock('node:os', async (load) => ({
    ...(await load<typeof import('node:os')>()),
    endianness: () => 'BE',
  }));
  const { loadShim, shimProblem } = await import('../src/native/load.ts');
  expect(loadShim()).toBeNull();
  expect(shimProblem()).toMatch(/big-endian/);
});

/** A package of the loader alone, compiled as the project is; returns where the loader is. */
function compiledPackage(home: string): string {
  for (const name of ['src/native/load.ts', 'src/native/shim.ts', 'src/layout.ts']) {
    cpSync(join(SHIM_FOLDER, '..', name), join(home, name));
  }
  cpSync(join(SHIM_FOLDER, '..', 'tsconfig.json'), join(home, 'tsconfig.json'));
  writeFileSync(join(home, 'package.json'), '{"name":"regionstore","type":"module"}');
  symlinkSync(scratch.path('node_modules'), join(home, 'node_modules'));
  const tsc = scratch.path('node_modules/typescript/bin/tsc');
  const built = spawnSync(process.execPath, [tsc, '-p', home], { encoding: 'utf8' });
  expect(built.stdout + built.stderr).toBe('');
  return join(home, 'dist', 'src', 'native', 'load.js');
}

test('the loader works from a compiled tree, and reports a shim that does not load', () => {
  const home = scratch.path('home');
  mkdirSync(join(home, 'native-shim', 'build'), { recursive: true });
  const loader = compiledPackage(home);
  const ask = `import { loadShim, shimProblem } from ${JSON.stringify(loader)};
    console.log(loadShim() === null ? shimProblem() : loadShim().pageBytes);`;
  const run = () => {
    const words = ['--input-type=module', '-e', ask];
    return spawnSync(process.execPath, words, { encoding: 'utf8' }).stdout;
  };
  const binary = join(home, 'native-shim', 'build', 'shim.node');
  expect(run()).toMatch(/was not built/);
  writeFileSync(binary, 'damaged');
  expect(run()).toMatch(/does not load: .*shim\.node/);
  cpSync(SHIM_BINARY, binary);
  expect(run()).toBe('4096\n');
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
