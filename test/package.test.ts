/** What the package offers, as its users' tools see it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Packing must not compile: other tests are running what is compiled. */
const ENV = { ...process.env, NO_COLOR: '1', npm_config_ignore_scripts: 'true' };

let folder = '';
let packed = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  const { stdout } = spawnSync('npm', ['pack', '--silent', '--pack-destination', folder],
    { cwd: root, encoding: 'utf8', env: ENV });
  packed = join(folder, stdout.trim());
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(name: string, ...args: string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules', '.bin', name), args,
    { cwd: root, encoding: 'utf8', env: ENV });
  return { status, text: stdout + stderr };
}

test('publint finds nothing', () => {
  const { status, text } = run('publint', 'run', packed, '--strict');
  expect(status, text).toBe(0);
  expect(text).toContain('All good');
});

test('the types of every entry are found by every way of importing ESM', () => {
  const { status, text } = run('attw', packed, '--profile', 'esm-only');
  expect(status, text).toBe(0);
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const entry of Object.keys(exports)) {
    expect(text).toContain(`"${join('regionstore', entry)}"`);
  }
});

test('what is packed is all that is needed: a store, a trial of each kind, the preload', () => {
  spawnSync('tar', ['xzf', packed, '-C', folder]);
  const home = join(folder, 'package');
  symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'));
  const inside = (...args: string[]) =>
    spawnSync(process.execPath, args, { cwd: home, encoding: 'utf8', env: ENV });
  const script = `import { openStore } from 'regionstore';
    const store = openStore('data', { unsafeFileSystem: true });
    store.region('r').roots.set('n', 7);
    await store.checkpointAsync();
    store.close();`;
  expect(inside('--input-type=module', '--eval', script).stderr).toBe('');
  const cli = (...args: string[]) => {
    const { status, stdout, stderr } = inside(join('dist', 'bundle', 'cli.js'), ...args, '--json');
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  expect(cli('ls', 'data').regions).toHaveLength(1);
  const trace = join(root, 'test', 'fixtures', 'traces', 'convert.vmt.gz');
  expect(cli('replay', trace).rows[0].crash).toBeNull();
  const { cells, direct } = cli('study', trace, '--quick', '--method', 'best');
  expect([...cells, ...direct.rows].map(({ state }: { state: string }) => state)
    .filter((state) => state !== 'measured' && state !== 'refused')).toEqual([]);
  expect(inside('--import', 'regionstore/register', '--eval', '0')).toMatchObject({ status: 0 });
});

test('malloc is what is imported by its name', () => {
  const names = ['bytes', 'calloc', 'defaultRegion', 'free', 'mallinfo', 'malloc', 'memalign',
    'posixMemalign', 'realloc', 'strdup', 'string', 'valloc'];
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval',
    "console.log(Object.keys(await import('regionstore/malloc')).join())"],
    { cwd: root, encoding: 'utf8' });
  expect(stdout.trim().split(',').sort()).toEqual(names);
});
