/** `regionstore top`, beside a process that writes, and the counters it reads. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { dirtyOf } from '../src/cli/top-sample.ts';
import { COUNTERS, PAGE } from '../src/layout.ts';
import type { Store } from '../src/store/api.ts';
import { isWritten, readCounters } from '../src/store/counters.ts';
import { openStore } from '../src/store/store.ts';
import { expectCode } from './support/expect-code.ts';
import { cli, MAIN } from './support/cli.ts';
import { cliHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

interface Look {
  readonly writer: { pid: number; open: boolean; openedAt: string; updatedAt: string } | null;
  readonly checkpoint: number;
  readonly seconds: number | null;
  readonly rates: Record<string, number> | null;
  readonly counters: Record<string, number> | null;
  readonly dirtyBytes: number | null;
  readonly regions: readonly { name: string; kind: string; extent: number;
    busyBlocks: number | null; busyBytes: number | null; dirtyBytes: number | null;
    records: number | null }[];
}

const PAGES = 32;
let dir = '';

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
});

function looks(stdout: string): Look[] {
  return stdout.trim().split('\n').map((line) => JSON.parse(line) as Look);
}

function filled(store: Store): void {
  const region = store.region('app');
  region.roots.set('block', region.alloc(PAGES * PAGE));
  store.ring('events', { size: '64KiB' }).append('one');
}

describe.each(['shim', 'file'] as const)('counters, mapper %s', (mapper) => {
  test('say what the writer did, as it does it', async () => {
    const store = openStore(dir, { mapper });
    const read = () => readCounters(dir, store.stat().id);
    expect(read()).toMatchObject({ pid: process.pid, closedAt: 0, sequence: 0, checkpoints: 0,
      rollbacks: 0 });
    filled(store);
    expect(read()?.grownBytes).toBeGreaterThanOrEqual(PAGES * PAGE / 2);
    const first = store.checkpoint();
    expect(read()).toMatchObject({ sequence: 1, checkpoints: 1, pages: first.pages,
      imageBytes: first.bytes });
    expect(read()?.lastMs).toBeGreaterThan(0);
    store.region('app').alloc(10);
    const second = await store.checkpointAsync();
    expect(read()).toMatchObject({ sequence: 2, checkpoints: 2, lastMs: 0,
      pages: first.pages + second.pages, imageBytes: first.bytes + second.bytes });
    store.region('app').alloc(10);
    store.rollback();
    expect(read()).toMatchObject({ sequence: 2, checkpoints: 2, rollbacks: 1 });
    expect(isWritten(dir)).toBe(true);
    const { id } = store.stat();
    store.close();
    expect(isWritten(dir)).toBe(false);
    expect(readCounters(dir, id)?.closedAt).toBeGreaterThan(0);
    expect(readCounters(dir, '0'.repeat(32))).toBeNull();
  });

  test('growth that is refused is not counted', () => {
    const store = openStore(dir, { mapper, dirtyLimit: '1MiB' });
    const region = store.region('app');
    region.bytes(region.alloc(600_000)).fill(1);
    const { id } = store.stat();
    const before = readCounters(dir, id)?.grownBytes ?? 0;
    expect(before).toBeGreaterThan(0);
    expectCode('ERR_NO_SPACE', () => region.alloc(5_000_000));
    expect(readCounters(dir, id)?.grownBytes).toBe(before);
    store.abandon();
  });

  test('a store is as good without them', () => {
    mkdirSync(join(dir, 'counters'), { recursive: true });
    writeFileSync(join(dir, 'counters', 'mine'), '');
    const store = openStore(dir, { mapper });
    filled(store);
    expect(store.checkpoint().id).toBe(1);
    expect(store.check()).toEqual([]);
    expect(readCounters(dir, store.stat().id)).toBeNull();
    store.close();
    expect(readFileSync(join(dir, 'counters', 'mine'), 'utf8')).toBe('');
  });

  test('what had their name is not written to', () => {
    openStore(dir, { mapper }).close();
    const mine = join(dir, '..', 'mine');
    writeFileSync(join(dir, 'counters'), 'other');
    linkSync(join(dir, 'counters'), mine);
    const store = openStore(dir, { mapper });
    store.region('a');
    store.checkpoint();
    store.close();
    expect(readFileSync(mine, 'utf8')).toBe('other');
  });

  test('cut off or damaged under the writer, they are gone, and nothing else', () => {
    const store = openStore(dir, { mapper });
    const { id } = store.stat();
    truncateSync(join(dir, 'counters'), 0);
    filled(store);
    expect(store.checkpoint().id).toBe(1);
    expect(() => readCounters(dir, id)).not.toThrow();
    const page = new Uint8Array(PAGE).fill(0xff);
    for (const bytes of [page, page.subarray(0, 10), page.subarray(0, 0)]) {
      writeFileSync(join(dir, 'counters'), bytes);
      expect(readCounters(dir, id)).toBeNull();
    }
    store.region('app').alloc(100);
    expect(store.checkpoint().id).toBe(2);
    expect(store.check()).toEqual([]);
    store.close();
  });
});

test('a number that cannot be makes none of them count', () => {
  const store = openStore(dir);
  const { id } = store.stat();
  store.close();
  const path = join(dir, 'counters');
  const bytes = readFileSync(path);
  for (const bad of [-1, Number.NaN, 2 ** 60]) {
    const changed = Buffer.from(bytes);
    changed.writeDoubleLE(bad, COUNTERS.pages);
    writeFileSync(path, changed);
    expect(readCounters(dir, id)).toBeNull();
  }
  writeFileSync(path, bytes);
  expect(readCounters(dir, id)?.pid).toBe(process.pid);
});

test('beside a writer: rates, what changed, and that it died', async () => {
  const script = `
    import { openStore } from 'regionstore';
    const store = openStore(${JSON.stringify(dir)});
    const region = store.region('app');
    const ring = store.ring('events', { size: '64KiB' });
    const block = region.alloc(${PAGES * PAGE});
    store.checkpoint('first');
    let step = 0;
    setInterval(() => {
      step += 1;
      region.alloc(100);
      ring.append('step ' + step);
      store.checkpoint();
      region.bytes(block).fill(step);
      if (step === 3) console.log('ready');
    }, 10);`;
  const root = new URL('..', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const { stdout, status, stderr } = cli(['top', dir, '-n', '3', '-i', '0.3', '--json']);
  expect([status, stderr]).toEqual([0, '']);
  const [first, second, third] = looks(stdout) as [Look, Look, Look];
  expect(first).toMatchObject({ writer: { pid: child.pid, open: true }, seconds: null,
    rates: null });
  for (const [before, now] of [[first, second], [second, third]] as const) {
    expect(now.checkpoint).toBeGreaterThan(before.checkpoint);
    const taken = Number(now.counters?.checkpoints) - Number(before.counters?.checkpoints);
    expect(taken).toBeGreaterThan(0);
    expect(now.rates?.checkpoints).toBeCloseTo(taken / Number(now.seconds));
    expect(now.rates?.busy).toBeGreaterThan(0);
    const [app, events] = [now.regions[0], now.regions[1]];
    expect([app?.name, events?.name]).toEqual(['app', 'events']);
    // One block a step, from a look of its own that may be a step away.
    expect(app?.busyBlocks).toBeGreaterThan(before.regions[0]?.busyBlocks ?? Infinity);
    expect(events?.records).toBeGreaterThan(before.regions[1]?.records ?? Infinity);
  }
  if (process.platform === 'linux') {
    expect(Math.max(...[first, second, third].map((look) => look.dirtyBytes ?? -1)))
      .toBeGreaterThanOrEqual(PAGES * PAGE);
  } else process.stderr.write('what a process changed is seen on Linux only: not tried\n');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const [after] = looks((await cliHere(['top', dir, '-n', '1', '--json'])).stdout) as [Look];
  expect(after).toMatchObject({ writer: { pid: child.pid, open: false }, dirtyBytes: null });
  const text = await cliHere(['top', dir, '-n', '1', '--no-blocks']);
  expect(text).toMatchObject({ status: 0, stderr: '' });
  expect(text.stdout).toMatch(new RegExp(`none; process ${child.pid} died, it was last heard of `));
  expect(text.stdout).toMatch(/\napp +region +\S+ \S+ +- +- +- +- +- +- +-\n/);
});

test('without a writer, and until it is interrupted', async () => {
  const store = openStore(dir);
  filled(store);
  store.close();
  const child = spawn(process.execPath, [MAIN, 'top', dir, '-i', '0.05'],
    { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += String(chunk);
    if (text.split('REGION').length > 2) child.kill('SIGINT');
  });
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(text).toContain(`store ${dir}, `);
  expect(text).toMatch(new RegExp(`none; process ${process.pid} closed it 20`));
  expect(text).not.toContain('\x1b');
});

const BAD = [['-i', '0'], ['-i', 'x'], ['-n', '0'], ['-n', '1.5']];

test.each(BAD)('%s %s: usage', async (...bad) => {
  openStore(dir).close();
  expect(await cliHere(['top', dir, ...bad])).toMatchObject({ status: 2, stdout: '' });
});

test('a single region file has no writer to watch', async () => {
  expect((await cliHere(['top', MAIN])).status).toBe(2);
  openStore(dir).close();
  expect((await cliHere(['top', join(dir, 'none')])).status).toBe(3);
});

test('private pages are told from those of files, by region', () => {
  const id = '0123456789abcdef0123456789abcdef';
  const maps = [
    `7f0000000000-7f0000001000 rw-p 00000000 fd:00 12 /a b/regions/${id}.region`,
    'Rss:     8 kB', 'Anonymous:            12 kB',
    `7f0000001000-7f0000002000 r--s 00000000 fd:00 12 /a b/regions/${id}.region`,
    'Anonymous:             0 kB',
    '7f0000002000-7f0000003000 rw-p 00000000 00:00 0 ', 'Anonymous:          4000 kB',
    `7f0000003000-7f0000004000 rw-p 00000000 fd:00 12 /other/regions/${id}.region`,
    'Anonymous:           400 kB',
    `7f0000004000-7f0000005000 rw-p 00001000 fd:00 12 /a b/regions/${id}.region`,
    'Anonymous:             4 kB',
  ].join('\n');
  expect([...dirtyOf(maps, '/a b/regions') ?? []]).toEqual([[id, 16 * 1024]]);
  expect(dirtyOf(maps, '/nowhere/regions')).toBeNull();
});
