/** `regionstore bench`, as a process. No time is judged. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { cli, json, MAIN } from './support/cli.ts';
import { temporaryDirectory } from './support/temp.ts';

interface Spread {
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
}

interface Measured {
  readonly path: string;
  readonly node: string;
  readonly sync: Spread;
  readonly reopen: Spread;
  readonly alloc: readonly { method: string; nanoseconds: number }[];
  readonly commit: readonly (Spread & { pages: number; bytesPerSecond: number })[];
  readonly append: { bytes: number; nanoseconds: number };
}

test('measures every part, and leaves nothing', () => {
  const dir = temporaryDirectory();
  const found = json<Measured>(['bench', dir]);
  expect([found.path, found.node]).toEqual([realpathSync(dir), process.versions.node]);
  expect(found.alloc.map(({ method }) => method)).toEqual(['best', 'slab', 'pool', 'last']);
  expect(found.commit.map(({ pages }) => pages)).toEqual([1, 64, 4096]);
  for (const spread of [found.sync, found.reopen, ...found.commit]) {
    expect(spread.samples).toBeGreaterThan(0);
    expect(spread.p50).toBeGreaterThan(0);
    expect(spread.p99).toBeGreaterThanOrEqual(spread.p50);
  }
  for (const { nanoseconds } of [...found.alloc, found.append]) {
    expect(nanoseconds).toBeGreaterThan(0);
  }
  for (const { pages, p50, bytesPerSecond } of found.commit) {
    expect(bytesPerSecond).toBeCloseTo(pages * 4096 * 1000 / p50);
  }
  expect(readdirSync(dir)).toEqual([]);
});

test('interrupted, it leaves nothing either', async () => {
  const dir = temporaryDirectory();
  const child = spawn(process.execPath, [MAIN, 'bench', dir], { stdio: 'ignore' });
  while (readdirSync(dir).length === 0) await setTimeout(5);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([null, 'SIGINT']);
  expect(readdirSync(dir)).toEqual([]);
});

test('where there is no directory', () => {
  const dir = join(temporaryDirectory(), 'none');
  const { status, stderr } = cli(['bench', dir]);
  expect(status).toBe(3);
  expect(stderr).toContain(`ERR_NOT_FOUND: there is no directory ${dir}`);
});
