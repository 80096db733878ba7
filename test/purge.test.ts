/**
 * `purge`: free memory inside the regions of a store is cleared, and its disk given back once that
 * is committed and applied. What lives, and every checkpoint, stays as it is.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { poolOf } from '../src/methods/pool.ts';
import { profile } from '../src/methods/profile.ts';
import { slab } from '../src/methods/slab.ts';
import { shimProblem } from '../src/native/load.ts';
import { createRegion } from '../src/region/region.ts';
import { coreOf } from '../src/store/store.ts';
import type { Store } from '../src/store/api.ts';
import type { Address, Method, Region } from '../src/types.ts';
import { split } from '../tools/torture/random.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { often } from './support/oracle.ts';
import { codeOf, MAPPERS, open, regionFile, reopen, temporaryFolder } from './support/stores.ts';

const KIB = 1024;
const MIB = KIB * KIB;
/** A block that is worth some holes. */
const UNIT = 256 * KIB;
const noShim = shimProblem();
if (noShim !== null) console.warn(`without the shim no disk is given back: ${noShim}`);

const METHODS: readonly (readonly [string, Method])[] = [['best', best], ['slab', slab],
  ['pool', poolOf('192KiB')], ['profile(best)', profile(best)]];

/** Bytes of disk under the region's file. */
function diskOf(dir: string): number {
  return statSync(regionFile(dir)).blocks * 512;
}

/** Of 32 blocks, all but every eighth freed, in two checkpoints. */
function sparse(store: Store): { region: Region; kept: Address[] } {
  const region = store.region('a', { method: best });
  const blocks = Array.from({ length: 32 }, (_, i) => {
    const address = region.alloc(UNIT);
    region.bytes(address).fill(i + 1);
    return address;
  });
  region.roots.set('first', blocks[0]);
  store.checkpoint('full');
  for (const [i, address] of blocks.entries()) if (i % 8 !== 0) region.free(address);
  store.checkpoint('sparse');
  return { region, kept: blocks.filter((_, i) => i % 8 === 0) };
}

/** The value of all bytes, or -1. */
function fillOf(bytes: Uint8Array): number {
  const [first = -1] = bytes;
  return Buffer.compare(bytes, Buffer.alloc(bytes.length, first)) === 0 ? first : -1;
}

function contents(region: Region): Map<number, string> {
  const found = new Map<number, string>();
  for (const { address, busy, size } of region.blocks()) {
    if (!busy) continue;
    found.set(address, `${size} × ${fillOf(region.bytes(address))}`);
  }
  return found;
}

describe.runIf(noShim === null)('disk', () => {
  test('is given back with the next checkpoint, and not before', () => {
    const dir = temporaryFolder();
    const store = open(dir, { settleBytes: 0 });
    const { region, kept } = sparse(store);
    const before = diskOf(dir);
    const held = contents(region);
    const found = region.purge();
    expect(found.bytes).toBeGreaterThan(27 * UNIT);
    expect(found.cleared).toBeGreaterThan(27 * UNIT);
    expect(found.done).toBe(true);
    expect(diskOf(dir)).toBe(before);
    store.checkpoint();
    expect(diskOf(dir)).toBeLessThan(before - 26 * UNIT);
    expect(contents(region)).toEqual(held);
    expect(region.purge()).toEqual({ ...found, cleared: 0 });
    const again = reopen(store);
    expect(contents(again.region('a'))).toEqual(held);
    expect(kept.map((address) => again.region('a').sizeOf(address))).toHaveLength(4);
    expect(again.check()).toEqual([]);
  });

  test('to count what could be cleared loses nothing of what was', () => {
    const dir = temporaryFolder();
    const store = open(dir, { settleBytes: 0 });
    const { region } = sparse(store);
    const before = diskOf(dir);
    const { bytes } = region.purge();
    expect(region.purge({ clearBytes: 0 })).toEqual({ bytes, cleared: 0, done: true });
    store.checkpoint();
    expect(diskOf(dir)).toBeLessThan(before - 26 * UNIT);
  });

  test('what has its holes is looked at no more; what is not committed is looked at again', () => {
    const store = open(temporaryFolder(), { settleBytes: 0 });
    const { region } = sparse(store);
    const waiting = () => [...coreOf(store).files()].some(({ spare }) => !spare.isEmpty);
    region.purge();
    store.rollback();
    store.region('b').alloc(10);
    store.checkpoint();
    expect(waiting()).toBe(true);
    region.purge();
    store.checkpoint();
    expect(waiting()).toBe(false);
    region.purge();
    expect(waiting()).toBe(true);
    store.region('b').alloc(10);
    store.checkpoint();
    expect(waiting()).toBe(false);
  });

  test('what was there comes back with an earlier checkpoint', () => {
    const store = open(temporaryFolder(), { settleBytes: 0 });
    const { region } = sparse(store);
    region.purge();
    store.checkpoint();
    store.restore('full');
    const restored = store.region('a');
    const values = [...restored.blocks()].filter(({ busy, size }) => busy && size === UNIT)
      .map(({ address }) => fillOf(restored.bytes(address)));
    expect(values).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
    expect(store.check()).toEqual([]);
  });

  test('a rollback takes it back: nothing is given up', () => {
    const dir = temporaryFolder();
    const store = open(dir, { settleBytes: 0 });
    const { region } = sparse(store);
    const before = diskOf(dir);
    region.purge();
    store.rollback();
    region.roots.set('first', 0);
    store.checkpoint();
    expect(diskOf(dir)).toBeGreaterThan(before - 4 * UNIT);
    expect(region.purge().cleared).toBeGreaterThan(27 * UNIT);
    expect(store.check()).toEqual([]);
  });

  test('memory that is used again before the file is looked at keeps what is in it', () => {
    const dir = temporaryFolder();
    const store = open(dir, { settleBytes: 0 });
    const { region } = sparse(store);
    region.purge();
    const used = Array.from({ length: 9 }, (_, i) => {
      const address = region.alloc(UNIT);
      region.bytes(address).fill(100 + i);
      return address;
    });
    store.checkpoint();
    // In a hole, and not committed: the page is private to this process.
    const late = region.alloc(UNIT);
    region.bytes(late).fill(200);
    region.purge();
    store.region('b').alloc(10);
    store.checkpoint();
    for (const [i, address] of [...used, late].entries()) {
      expect(fillOf(region.bytes(address))).toBe(address === late ? 200 : 100 + i);
    }
    expect(reopen(store).check()).toEqual([]);
  });

  test('what a kill left undone is done by the next compact', async () => {
    const store = open(temporaryFolder());
    sparse(store).region.purge();
    store.checkpoint();
    const dir = join(temporaryFolder(), 'as killed');
    cpSync(store.dir, dir, { recursive: true });
    open(dir).close();
    expect(diskOf(dir)).toBeGreaterThan(30 * UNIT);
    const found = await jsonHere<{ holes: number; checkpoint: number }>(['compact', dir]);
    expect(found.holes).toBeGreaterThan(22 * UNIT);
    const { stdout } = await cliHere(['compact', dir]);
    expect(stdout).toMatch(/^gave back 0 B, checkpoint \d+; 5\.\d MiB of free memory inside need/m);
    expect(stdout).toMatch(/^\d+(\.\d)? MiB are kept to go back to earlier checkpoints, /m);
    expect(diskOf(dir)).toBeLessThan(8 * UNIT);
  });

  test('compact says what a dry run said, in rounds as at once', async () => {
    const dir = temporaryFolder();
    const store = open(dir);
    sparse(store);
    store.close();
    const before = diskOf(dir);
    interface Compacted { readonly holes: number; readonly regions: readonly object[] }
    const dry = await jsonHere<Compacted>(['compact', dir, '--dry-run']);
    expect(diskOf(dir)).toBe(before);
    const done = await jsonHere<Compacted>(['compact', dir, '--dirty-limit', '1MiB']);
    expect(done).toMatchObject({ holes: dry.holes, regions: dry.regions });
    expect(diskOf(dir)).toBeLessThan(before - 26 * UNIT);
    expect(await jsonHere(['check', dir])).toMatchObject({ findings: [] });
  });

  test('a process that purges and is killed leaves its last checkpoint', async () => {
    for (let seed = 1; seed <= often(3, 30); seed++) await killed(seed);
  }, 60_000);
});

/** Blocks of one value each; the last line of its log is the newest checkpoint it was told of. */
const PROGRAM = `
const { openStore } = await import(process.argv[1]);
const { appendFileSync } = await import('node:fs');
const [dir, log] = process.argv.slice(2, 4);
const store = openStore(dir, { unsafeFileSystem: true, settleBytes: 0 });
const region = store.region('a');
const live = [];
for (let i = 1; ; i++) {
  if (live.length > 12) region.free(live.splice((i * 7) % live.length, 1)[0]);
  const address = region.alloc(100_000 + (i * 7919) % 300_000);
  region.bytes(address).fill(i);
  live.push(address);
  if (i % 3 === 0) region.purge();
  const state = live.map((at) => [at, region.bytes(at)[0]]);
  appendFileSync(log, JSON.stringify({ begun: i, state }) + '\\n');
  store.checkpoint();
  appendFileSync(log, JSON.stringify({ done: i }) + '\\n');
}`;

async function killed(seed: number): Promise<void> {
  const dir = temporaryFolder();
  const log = join(temporaryFolder(), 'log');
  const index = pathToFileURL(join(import.meta.dirname, '../dist/src/index.js')).href;
  const child = spawn(process.execPath,
    ['--input-type=module', '-e', PROGRAM, index, dir, log], { stdio: 'inherit' });
  for (const until = Date.now() + 20_000; Date.now() < until && !existsSync(log);) await sleep(5);
  await sleep(60 + seed * 37);
  child.kill('SIGKILL');
  await once(child, 'close');
  const lines = readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as
    { begun?: number; done?: number; state?: [number, number][] });
  const done = lines.findLast((line) => line.done !== undefined)?.done ?? 0;
  const store = open(dir);
  const region = store.region('a');
  const found = [...region.blocks()].filter(({ busy }) => busy)
    .map(({ address }) => [address, region.bytes(address)]);
  const states = lines.filter(({ begun = 0 }) => begun >= done && begun <= done + 1)
    .map(({ state }) => JSON.stringify(state?.sort((a, b) => a[0] - b[0])));
  const state = found.map(([address, bytes]) => [address, (bytes as Uint8Array)[0]]);
  expect([...states, ...(done === 0 ? ['[]'] : [])], `seed ${seed}`)
    .toContain(JSON.stringify(state));
  for (const [, bytes] of found) expect(fillOf(bytes as Uint8Array)).not.toBe(-1);
  expect(store.check()).toEqual([]);
  store.close();
}

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test.each(METHODS)('%s: whatever is done in between', (_name, method) => {
    const seed = 20_261_127;
    for (let round = 0; round < often(1, 40); round++) whatever(mapper, method, seed + round);
  });
});

/** A model of what every block holds, and of what it held at the last checkpoint. */
function whatever(mapper: 'shim' | 'file', method: Method, seed: number): void {
  const random = split(seed, 'purge');
  let store = open(temporaryFolder(), { mapper, settleBytes: random.chance(0.5) ? 0 : 8 * MIB });
  let region = store.region('a', { method, capacity: '64MiB' });
  store.checkpoint();
  let live = new Map<Address, number>();
  let committed = new Map(live);
  const isPool = method.name === 'pool';
  const steps: (() => void)[] = [
    () => {
      const address = region.alloc(isPool ? 192 * KIB : 1 + random.int(600 * KIB));
      const value = 1 + random.int(255);
      region.bytes(address).fill(value);
      live.set(address, value);
    },
    () => {
      const [address] = [...live.keys()].slice(random.int(live.size + 1));
      if (address === undefined) return;
      region.free(address);
      live.delete(address);
    },
    () => expect(region.purge(random.chance(0.3) ? { clearBytes: random.int(MIB) } : {}).bytes)
      .toBeLessThanOrEqual(region.stat().freeBytes),
    () => {
      store.checkpoint();
      committed = new Map(live);
    },
    () => {
      store.rollback();
      live = new Map(committed);
    },
    () => {
      store = reopen(store, { mapper });
      region = store.region('a');
      committed = new Map(live);
    },
    () => region.compact(),
  ];
  const likely = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6];
  for (let step = 0; step < 60; step++) {
    steps[likely[random.int(likely.length)] as number]?.();
    if (step % 4 === 0) expect(region.check(), `seed ${seed}, step ${step}`).toEqual([]);
    for (const [address, value] of live) {
      const found = fillOf(region.bytes(address));
      expect(found, `seed ${seed}, step ${step}: the block at ${address}`).toBe(value);
    }
  }
  expect(store.check()).toEqual([]);
  store.close();
}

describe('where there is nothing to purge', () => {
  const nothing = { bytes: 0, cleared: 0, done: true };

  test.each([['last', last], ['debug(best)', debug(best)]])('method %s', (_name, method) => {
    const region = open(temporaryFolder()).region('a', { method });
    const blocks = [region.alloc(MIB), region.alloc(MIB), region.alloc(10)];
    region.free(blocks[2]);
    region.free(blocks[1]);
    expect(region.purge()).toEqual(nothing);
    expect(region.check()).toEqual([]);
  });

  test('memory that no file of a store is under', () => {
    using region = createRegion(heap(), best);
    const [block] = [region.alloc(MIB), region.alloc(10)];
    region.free(block);
    expect(region.purge()).toEqual(nothing);
  });

  test('without native code holes cannot be made', () => {
    const { region } = sparse(open(temporaryFolder(), { mapper: 'file' }));
    expect(region.purge()).toEqual(nothing);
  });
});

test.runIf(noShim === null)('clearBytes limits what is changed; 0 only counts', () => {
  const store = open(temporaryFolder());
  const { region } = sparse(store);
  store.checkpoint();
  const before = store.stat().privatePages;
  const counted = region.purge({ clearBytes: 0 });
  expect(counted).toMatchObject({ cleared: 0, done: false });
  expect(store.stat().privatePages).toBe(before);
  let [rounds, cleared] = [0, 0];
  for (let isDone = false; !isDone; rounds++) {
    const round = region.purge({ clearBytes: 4 * UNIT });
    expect(round.bytes).toBe(counted.bytes);
    expect(round.cleared).toBeLessThanOrEqual(4 * UNIT);
    cleared += round.cleared;
    expect(round.done || round.cleared > 3 * UNIT).toBe(true);
    isDone = round.done;
    store.checkpoint();
  }
  expect(rounds).toBe(Math.ceil(cleared / (4 * UNIT)));
  expect(cleared).toBeGreaterThan(27 * UNIT);
});

test('what is no option is refused, and a closed region', () => {
  const region = open(temporaryFolder()).region('a');
  for (const wrong of [{ clearBytes: -1 }, { clearBytes: 0.5 }, { clearBytes: '1MiB' },
    { clearByte: 1 }, 7]) {
    expect(codeOf(() => region.purge(wrong as object))).toBe('ERR_BAD_OPTION');
  }
  region.close();
  expect(codeOf(() => region.purge())).toBe('ERR_CLOSED');
});
