/** What the command line shows of rings: ls, inspect, check, tail. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../src/store/store.ts';
import { MAIN } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

const HOSTILE = 'clear\x1b[2J';
let dir = '';

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  const store = openStore(dir);
  store.region('app', { capacity: '1MiB' });
  const ring = store.ring('events', { size: '64KiB' });
  for (let i = 1; i <= 15; i++) ring.append(`event ${i}`);
  ring.append(new Uint8Array([0xff, 0, 1]));
  ring.append(HOSTILE);
  store.ring('empty', { size: 4096 });
  store.close();
});

test('ls and inspect', async () => {
  const { rings } = await jsonHere<{ rings: object[] }>(['ls', dir]);
  expect(rings).toEqual([
    { name: 'empty', id: expect.any(String), size: 4096, first: 0, last: 0, newest: null },
    { name: 'events', id: expect.any(String), size: 65_536, first: 1, last: 17,
      newest: expect.stringMatching(/^20.*Z$/) }]);
  const { stdout } = await cliHere(['ls', dir]);
  expect(stdout).toMatch(/^app +region .*\n\nRING .*\nempty +4 KiB +0 +0 +0 +-\nevents +64 K/m);
  const inspected = await cliHere(['inspect', dir, 'events']);
  expect(inspected.stdout).toMatch(/\n\nRING .*\nevents .*\n$/);
  expect(inspected.stdout).not.toMatch(/^(app|empty)/m);
  expect(await jsonHere(['inspect', dir, 'app', 'empty'])).toMatchObject(
    { regions: [{ name: 'app' }], rings: [{ name: 'empty' }] });
  expect(await jsonHere(['inspect', dir])).toMatchObject({ regions: [{}], rings: [{}, {}] });
  expect((await cliHere(['inspect', dir, 'none'])).stderr).toMatch(/ERR_NOT_FOUND.*'none'/);
});

test('a store of rings only', async () => {
  const only = join(dir, '..', 'rings');
  const store = openStore(only);
  store.ring('r', { size: 4096 }).append('one');
  store.close();
  expect((await cliHere(['ls', only])).stdout).toMatch(/^RING .*\nr .*\n$/);
  expect((await cliHere(['inspect', only])).stdout).toMatch(/\n\nRING .*\nr .*\n$/);
});

test('check: a damaged record is a finding of its ring', async () => {
  const name = readdirSync(join(dir, 'regions')).filter((file) => file.endsWith('.ring'))
    .map((file) => join(dir, 'regions', file))
    .find((file) => readFileSync(file).includes('event 7')) as string;
  const bytes = readFileSync(name);
  bytes[bytes.indexOf('event 7')] ^= 1;
  writeFileSync(name, bytes);
  const { status, stdout } = await cliHere(['check', dir, 'events']);
  expect([status, stdout]).toEqual([1, expect.stringMatching(/G2 +events +0 +1 records/)]);
  expect((await cliHere(['check', dir, 'empty'])).status).toBe(0);
  const { stdout: rest } = await cliHere(['tail', dir, 'events', '-n', '100', '--raw']);
  expect(rest.split('\n').slice(0, 8)).toEqual(
    [1, 2, 3, 4, 5, 6, 8, 9].map((i) => `event ${i}`));
});

describe('tail', () => {
  test('the newest: text, hexadecimal digits, JSON', async () => {
    const { stdout } = await cliHere(['tail', dir, 'events', '-n', '3']);
    expect(stdout).toMatch(
      /^15 {2}20\S+Z {2}event 15\n16 {2}20\S+Z {2}ff0001\n17 {2}20\S+Z {2}clear\\u\{1b\}\[2J\n$/);
    expect((await cliHere(['tail', dir, 'events'])).stdout.split('\n')).toHaveLength(11);
    expect(await jsonHere(['tail', dir, 'events', '-n', '2'])).toEqual({ path: dir,
      ring: 'events', records: [
        { seq: 16, at: expect.any(String), base64: '/wAB' },
        { seq: 17, at: expect.any(String), text: HOSTILE }] });
    expect(await jsonHere(['tail', dir, 'empty'])).toMatchObject({ records: [] });
  });

  test('--follow, beside the process that writes, until it is interrupted', async () => {
    const store = openStore(dir);
    const ring = store.ring('events');
    const child = spawn(process.execPath, [MAIN, 'tail', dir, 'events', '-n', '1', '--follow',
      '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    let text = '';
    let wanted = 18;
    for await (const chunk of child.stdout) {
      text += String(chunk);
      if (!text.includes(`"seq":${wanted - 1},`)) continue;
      if (wanted > 20) child.kill('SIGINT');
      else expect(ring.append(`more ${wanted}`)).toBe(wanted);
      wanted += 1;
    }
    expect(await ended).toEqual([0, null]);
    const lines = text.trim().split('\n').map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([{ seq: 17 }, ...[18, 19, 20].map((seq) =>
      ({ seq, text: `more ${seq}` }))]);
    store.close();
  });

  test('what is no ring, no count, no store', async () => {
    const found = await Promise.all([['tail', dir, 'app'], ['tail', dir, 'none'],
      ['tail', dir, 'events', '-n', 'all'], ['tail', `${dir}-none`, 'events']]
      .map((args) => cliHere(args)));
    expect(found.map(({ status }) => status)).toEqual([3, 3, 2, 3]);
    expect(found.map(({ stderr }) => stderr)).toEqual([
      expect.stringMatching(/ERR_MISMATCH: 'app' is a region, not a ring/),
      expect.stringMatching(/ERR_NOT_FOUND: .*'none'.*there is empty, events/),
      expect.stringMatching(/must be a number of records/),
      expect.stringMatching(/ERR_NOT_FOUND/)]);
  });
});
