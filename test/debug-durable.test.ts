/**
 * What debug found is found again by whoever opens the region: after it was closed, after its
 * process was killed, in a store, and by the command line as a process of its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { shimProblem } from '../src/native/load.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { openStore } from '../src/store/store.ts';
import type { Finding, Region } from '../src/types.ts';
import { cli, json } from './support/cli.ts';
import { expectCode } from './support/expect-code.ts';
import { often } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

const CHILD = fileURLToPath(new URL('../dist/test/support/debug-child.js', import.meta.url));

/** An overrun of one block and a write to another that was freed. */
function provoke(region: Region): { over: number; freed: number } {
  const over = region.alloc(100);
  const view = region.bytes(over);
  new Uint8Array(view.buffer, view.byteOffset, 101)[100] = 0;
  const freed = region.alloc(60);
  const stale = region.bytes(freed);
  region.free(freed);
  stale[3] = 0;
  return { over, freed };
}

const whatHolds = (found: readonly Finding[]) =>
  found.map(({ detectedAt: _, ...rest }) => rest);

function expectBoth(found: readonly Finding[], over: number, freed: number, called: string): void {
  const here = expect.stringMatching(new RegExp(`^/.*:[0-9]+:${called}$`));
  expect(whatHolds(found)).toEqual([
    { id: 'D1', address: over, byProgram: true, allocatedAt: here,
      detail: '1 byte from offset 100 written behind the block of 100 bytes (number 1)' },
    { id: 'D3', address: freed, byProgram: true, allocatedAt: here, freedAt: here,
      detail: '1 byte from offset 3 written to the freed block of 60 bytes (number 2)' },
  ]);
}

describe('a region that is opened again', () => {
  test('has the same findings, and finds the double free of a block freed before', () => {
    const path = join(temporaryDirectory(), 'a.region');
    const region = createRegion(file(path), debug(best));
    const { over, freed } = provoke(region);
    const before = region.check();
    region.close();
    const told: Finding[] = [];
    const again = openRegion(file(path), { on: { warning: (finding) => told.push(finding) } });
    expect(again.method).toBe('debug(best)');
    expectBoth(again.check(), over, freed, 'provoke');
    expect(whatHolds(again.check())).toEqual(whatHolds(before));
    expectCode('ERR_BAD_ADDRESS', () => again.free(freed));
    expect(told).toMatchObject([{ id: 'D4', address: freed,
      allocatedAt: before[1].allocatedAt, freedAt: before[1].freedAt }]);
    again.free(over);
    expect(told[1]).toMatchObject({ id: 'D1', address: over, allocatedAt: before[0].allocatedAt });
    again.close();
    expect(told).toHaveLength(2);
  });

  test('keeps its options', () => {
    const path = join(temporaryDirectory(), 'a.region');
    const options = { fresh: 0x11, freed: 0x22, sites: false, quarantineBlocks: 1 };
    createRegion(file(path), debug(best, options)).close();
    using region = openRegion(file(path));
    const a = region.alloc(3);
    const view = region.bytes(a);
    expect([...view]).toEqual([0x11, 0x11, 0x11]);
    region.free(a);
    expect([...view]).toEqual([0x22, 0x22, 0x22]);
    view[0] = 0;
    expect(whatHolds(region.check())).toEqual([{ id: 'D3', address: a, byProgram: true,
      detail: '1 byte from offset 0 written to the freed block of 3 bytes (number 1)' }]);
    region.free(region.alloc(3));
    expect(region.check()).toEqual([]);
  });

  test('a store: found after a checkpoint, gone after a rollback', () => {
    const dir = temporaryDirectory();
    const store = openStore(dir);
    const region = store.region('a', { method: debug(best) });
    region.roots.set('kept', region.alloc(10));
    store.checkpoint();
    provoke(region);
    expect(region.check().map(({ id }) => id)).toEqual(['D1', 'D3']);
    store.rollback();
    expect(region.check()).toEqual([]);
    const { over, freed } = provoke(region);
    store.close();
    const again = openStore(dir);
    const found = again.region('a').check();
    expect(found.map(({ address }) => address)).toEqual([over, freed]);
    expect(found[1].freedAt).toMatch(/debug-durable\.test\.ts:\d+:provoke$/);
    again.close();
    const { findings } = json<{ findings: object[] }>(['check', dir], 1);
    expect(findings).toMatchObject([{ id: 'D1', region: 'a' }, { id: 'D3', region: 'a' }]);
  });
});

describe('the command line, which never saw the program', () => {
  test('check finds it, with the call sites, and exits with 1', () => {
    const path = join(temporaryDirectory(), 'a.region');
    const region = createRegion(file(path), debug(best));
    const { over, freed } = provoke(region);
    const found = region.check();
    region.close();
    const { findings } = json<{ findings: Finding[] }>(['check', path], 1);
    expect(findings).toEqual(whatHolds(found).map(({ byProgram: _, ...rest }) =>
      ({ ...rest, region: 'a.region' })));
    const { status, stdout } = cli(['check', path]);
    expect(status).toBe(1);
    for (const part of ['D1', 'D3', String(over), String(freed),
      `allocated at ${found[0].allocatedAt}`, `freed at ${found[1].freedAt}`]) {
      expect(stdout).toContain(part);
    }
  });
});

const noShim = shimProblem();
if (noShim !== null) process.stderr.write(`no kill under debug is tried: ${noShim}\n`);

describe.skipIf(noShim !== null)('a process that is killed', () => {
  test('leaves its faults to be found', () => {
    const path = join(temporaryDirectory(), 'a.region');
    expect(spawnSync(process.execPath, [CHILD, 'faults', path]).signal).toBe('SIGKILL');
    const copy = `${path}.copy`;
    copyFileSync(path, copy);
    const { findings } = json<{ findings: Finding[] }>(['check', copy], 1);
    using region = openRegion(mmap(path));
    const over = region.roots.get('overrun');
    expectBoth(region.check(), over, region.roots.get('freed'), 'makeFaults');
    expect(findings.map(({ id, address }) => [id, address])).toEqual([['D1', over],
      ['D3', region.roots.get('freed')]]);
  });

  test('in the middle of its work leaves a sound region', async () => {
    for (let round = 0; round < often(2, 6); round++) {
      const path = join(temporaryDirectory(), 'a.region');
      await killedAfter(path, 30 + round * 41);
      using region = openRegion(mmap(path));
      expect(region.check()).toEqual([]);
      for (const { address, busy } of [...region.blocks()]) if (busy) region.free(address);
      expect(region.stat().busyBlocks).toBe(0);
      expect(region.check()).toEqual([]);
    }
  });
});

function killedAfter(path: string, ms: number): Promise<void> {
  const child = spawn(process.execPath, [CHILD, 'work', path],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), ms));
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve();
      else reject(new Error(`the writer ended with ${code}`));
    });
  });
}
