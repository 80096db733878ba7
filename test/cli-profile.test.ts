/** `regionstore profile`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { best } from '../src/methods/best.ts';
import { profile } from '../src/methods/profile.ts';
import type { Profile } from '../src/profile.ts';
import { createRegion } from '../src/region/region.ts';
import { profileOf } from '../src/region/profile-of.ts';
import { openStore } from '../src/store/store.ts';
import { cli } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

function makeFile(method = profile(best)): { path: string; found: Profile } {
  const path = join(temporaryDirectory(), 'a.region');
  const region = createRegion(file(path, { capacity: '4MiB' }), method);
  for (let i = 0; i < 7; i++) region.alloc(100);
  const found = method === best ? { sites: [], total: {} } as unknown as Profile
    : profileOf(region);
  region.close();
  return { path, found };
}

test('text, JSON and the flame graph say what profileOf says', async () => {
  const { path, found } = makeFile();
  const { stdout, status } = cli(['profile', path]);
  expect(status).toBe(0);
  expect(stdout).toContain('live 700 bytes in 7 blocks');
  expect(stdout).toMatch(/100\.0 +700 +7 .*cli-profile\.test\.ts/);
  expect(await jsonHere(['profile', path]))
    .toEqual({ type: 'region', path, region: 'a.region', by: 'live', ...found });
  const svg = join(temporaryDirectory(), 'out.svg');
  expect((await cliHere(['profile', path, '--svg', svg, '--by', 'count'])).status).toBe(0);
  expect(readFileSync(svg, 'utf8')).toContain('7 allocations; 700 live bytes in 7 blocks');
});

test('a region of a store: named, or the only one that is profiled', async () => {
  const dir = temporaryDirectory();
  const store = openStore(dir);
  store.region('plain').alloc(10);
  store.region('one', { method: profile(best) }).alloc(10);
  store.close();
  expect((await jsonHere<{ region: string }>(['profile', dir])).region).toBe('one');
  expect((await jsonHere<{ region: string }>(['profile', dir, 'one'])).region).toBe('one');
  expect(await cliHere(['profile', dir, 'plain'])).toMatchObject({ status: 3,
    stderr: expect.stringContaining('ERR_MISMATCH') });
  expect((await cliHere(['profile', dir, 'none'])).stderr).toContain('ERR_NOT_FOUND');
});

test('misuse says what to do', async () => {
  const { path } = makeFile(best);
  expect((await cliHere(['profile', path])).stderr).toContain('make one with profile(best)');
  expect((await cliHere(['profile', path, '--by', 'weight'])).status).toBe(2);
  const sound = makeFile().path;
  const { stderr } = await cliHere(['profile', sound, '--svg', '/nowhere/at/all.svg']);
  expect(stderr).toContain('ERR_IO');
});
