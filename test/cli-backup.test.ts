/** What the command line does with copies: backup, clone, adopt. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Store } from '../src/store/api.ts';
import { openStore } from '../src/store/store.ts';
import { cli } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

let dir = '';
let place = '';

beforeEach(() => {
  const folder = temporaryDirectory();
  dir = join(folder, 'store');
  place = join(folder, 'copy');
  const store = openStore(dir);
  store.buffer('b', { size: 20_000 }).bytes.fill(7);
  store.checkpoint('one');
  store.close();
});

function inside<T>(path: string, look: (store: Store) => T): T {
  const store = openStore(path);
  try {
    return look(store);
  } finally {
    store.close();
  }
}

const content = (path: string) => inside(path, (store) => store.buffer('b').bytes[19_999]);
const idOf = (path: string) => inside(path, (store) => store.stat().id);

test('backup: first dry, then for good, as a process beside the one that writes', () => {
  const store = openStore(dir);
  store.buffer('b').bytes.fill(8);
  const dry = cli(['backup', dir, place, '--dry-run']);
  expect(dry).toMatchObject({ status: 0, stderr: '',
    stdout: `would copy 1 region (64 KiB, checkpoint 1) to ${place}\n` });
  const ran = cli(['backup', dir, place]);
  expect(ran).toMatchObject({ status: 0, stderr: '', stdout:
    `copied 1 region (64 KiB, checkpoint 1) to ${place}; every page was verified\n` });
  store.checkpoint();
  store.close();
  expect([content(dir), content(place), idOf(dir) === idOf(place)]).toEqual([8, 7, true]);
  const again = cli(['backup', dir, place]);
  expect(again).toMatchObject({ status: 3, stdout: '',
    stderr: expect.stringMatching(/^regionstore: ERR_EXISTS: .* is not empty; remove it/) });
});

test('clone: another store', async () => {
  const found = await jsonHere<object>(['clone', dir, place]);
  expect(found).toEqual({ path: dir, dryRun: false, clone: true, to: place, checkpoint: 1,
    regions: 1, bytes: 65_536, sharedBytes: expect.any(Number) });
  expect([content(place), idOf(dir) === idOf(place)]).toEqual([7, false]);
  const dry = await jsonHere<object>(['clone', dir, `${place}-2`, '--dry-run']);
  expect(dry).toMatchObject({ dryRun: true, clone: true, sharedBytes: null });
  expect((await cliHere(['clone', dir, place, '--dry-run'])).status).toBe(3);
  expect(readdirSync(join(dir, '..')).sort()).toEqual(['copy', 'store']);
});

test('adopt: first dry, then for good', async () => {
  const file = join(dir, 'regions',
    readdirSync(join(dir, 'regions')).find((name) => name.endsWith('.region')) as string);
  openStore(place).close();
  const dry = await cliHere(['adopt', place, file, 'b', '--dry-run']);
  expect(dry.stdout).toBe(`would adopt ${file} as buffer 'b' (last, 64 KiB)\n`);
  expect(inside(place, (store) => store.regions())).toEqual([]);
  const ran = await cliHere(['adopt', place, file, 'b']);
  expect(ran.stdout).toBe(`adopted ${file} as buffer 'b' (last, 64 KiB)\n`);
  expect(content(place)).toBe(7);
  const found = await jsonHere<object>(['adopt', place, file, 'c']);
  expect(found).toMatchObject({ path: place, dryRun: false, file,
    region: { name: 'c', kind: 'buffer', method: 'last' }, checkpoint: { id: 3 } });
  const taken = await cliHere(['adopt', place, file, 'c']);
  expect([taken.status, taken.stderr]).toEqual([3, expect.stringMatching(/ERR_EXISTS/)]);
});
