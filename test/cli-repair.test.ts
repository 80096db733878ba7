/**
 * Repairing: a store is damaged in every way of the table, and then put in order. What was not
 * damaged is there afterwards, to the byte; what is lost is said; the damaged store is as it was.
 */
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync,
  writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mmap } from '../src/disciplines/mmap.ts';
import { BEST, METHOD_START, PAGE, STATE } from '../src/layout.ts';
import { HASH } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { loadShim } from '../src/native/load.ts';
import { type Handle, refOf } from '../src/objects/handles.ts';
import { map, str, u32 } from '../src/objects/kinds.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { putInPlace, renameTwice } from '../src/repair/repair.ts';
import { openSqlite, prepared } from '../src/store/sqlite.ts';
import { openStore } from '../src/store/store.ts';
import { cli, endHolder, holder, makeKilled } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { type Case, CASES, change, contentsOf, flip, made, makeStores, printOf, UNSAFE,
  UNSAFE_READER, zero } from './support/damaged-store.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { memoryDirectory, temporaryDirectory } from './support/temp.ts';

const REPAIR = ['repair', '--unsafe-file-system'];

interface Repair {
  readonly sound: boolean;
  readonly to: string | null;
  readonly backup: string | null;
  readonly damage: readonly string[];
  readonly regions: readonly { name: string; kind: string; state: string; changes: string[];
    lossCount: number; losses: { address: number; detail: string }[];
    suspects: { address: number; size: number }[]; findings: { id: string }[]; }[];
  readonly lost: readonly { name: string; why: string; file: string | null }[];
}

let folder = '';
/** Everything in the store before it is damaged. */
let before: Record<string, unknown> = {};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  makeStores(folder);
  before = contentsOf(made.store);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of the store with one damage. */
function damaged({ damage }: Case, parent = memoryDirectory()): string {
  const dir = join(parent, 'store');
  cpSync(made.store, dir, { recursive: true });
  damage(dir);
  return dir;
}

describe('damage', () => {
  test.each(Object.keys(CASES).filter((_, i) => i % often(5, 1) === 0))(
    'what is only tried says what will be done: %s', async (name) => {
      const dir = damaged(CASES[name]);
      const print = printOf(dir);
      const trial = await jsonHere<Repair>(['repair', dir], 1);
      expect(printOf(dir)).toBe(print);
      expect(readdirSync(join(dir, '..'))).toEqual(['store']);
      const ran = await cliHere([...REPAIR, dir, '--to', `${dir}.mended`, '--json']);
      const done = JSON.parse(ran.stdout) as Repair;
      expect({ ...done, dryRun: true, to: null }).toEqual(trial);
    });

  test.each(Object.entries(CASES))('%s', async (_, one) => {
    const dir = damaged(one);
    const print = printOf(dir);
    const to = join(dir, '..', 'mended');
    const ran = await cliHere([...REPAIR, dir, '--to', to, '--json']);
    const done = JSON.parse(ran.stdout) as Repair;
    expect(printOf(dir)).toBe(print);
    const states = Object.fromEntries(done.regions.filter(({ state }) => state !== 'sound')
      .map(({ name, state }) => [name, state]));
    const after = contentsOf(to);
    const isPartly = Object.values(states).includes('partly') || done.lost.length > 0;
    expect(ran.status).toBe(one.exit ?? (isPartly ? 1 : 0));
    expect(states).toEqual(one.states ?? {});
    const lost = done.lost.map(({ name }) => name);
    if (one.lost?.[0] === '*') expect(lost).toHaveLength(1);
    else expect(lost).toEqual(one.lost ?? []);
    const kept = done.lost.flatMap(({ file }) => file ?? []);
    expect(kept.filter((file) => !existsSync(join(to, file)))).toEqual([]);
    if (one.differ?.[0] === '*') {
      expect(Object.values(after)).toEqual(expect.arrayContaining(Object.values(before)));
      return;
    }
    for (const name of Object.keys(before)) {
      if (lost.includes(name)) continue;
      if (one.differ?.includes(name)) expect(after[name]).not.toEqual(before[name]);
      else expect(after[name]).toEqual(before[name]);
    }
    one.seen?.(after, before);
  });
});

describe('images that wait', () => {
  /** A writer died: its last checkpoint is in the catalog, and not in the files. */
  function killed(): string {
    const dir = join(temporaryDirectory(), 'store');
    makeKilled('store', dir);
    return dir;
  }

  test('are taken along where only a file is damaged', async () => {
    const dir = killed();
    const before = contentsOf(dir);
    const [name] = readdirSync(join(dir, 'regions')).filter((one) => one.endsWith('.region'));
    change(join(dir, 'regions', name), STATE.at, flip);
    const to = `${dir}.mended`;
    const done = await jsonHere<Repair>([...REPAIR, dir, '--to', to]);
    expect(done.damage.join()).toContain('its durable state was damaged');
    expect(contentsOf(to)).toEqual(before);
  });

  test('are given up where they are damaged', async () => {
    const dir = killed();
    const db = openSqlite(join(dir, 'catalog.db'), {});
    prepared(db, "UPDATE checkpoints SET image = x'00' WHERE image IS NOT NULL").run();
    db.close();
    const to = `${dir}.mended`;
    const ran = await cliHere([...REPAIR, dir, '--to', to, '--json']);
    const done = JSON.parse(ran.stdout) as Repair;
    expect(ran.status).toBe(1);
    expect(done.lost).toMatchObject([1, 2].map((id) =>
      ({ name: `images of checkpoint ${id}`, file: null })));
    contentsOf(to);
  });
});

describe('what cannot be mended', () => {
  test('is kept as it is, under a name of its own, and can be adopted elsewhere', async () => {
    const dir = join(memoryDirectory(), 'store');
    const store = openStore(dir, UNSAFE);
    const names = ['a b', 'a_b', 'ä b'];
    for (const name of names) store.region(name, { capacity: '1MiB' }).alloc(100);
    store.checkpoint();
    const ids = store.regions().map(({ name, id }) => [name, id]);
    store.close();
    for (const [, id] of ids) {
      change(join(dir, 'regions', `${id}.region`), METHOD_START + 4 * BEST.map, zero, 4);
    }
    const to = `${dir}.mended`;
    const { stdout } = await cliHere([...REPAIR, dir, '--to', to, '--json']);
    const done = JSON.parse(stdout) as Repair;
    expect(done.lost.map(({ name }) => name).sort()).toEqual([...names].sort());
    const files = done.lost.map(({ file }) => file as string);
    expect(new Set(files).size).toBe(3);
    for (const { name, file } of done.lost) {
      const [, id] = ids.find(([one]) => one === name) as [string, string];
      const [kept, original] = [join(to, file as string), join(dir, 'regions', `${id}.region`)]
        .map((path) => readFileSync(path).subarray(METHOD_START));
      expect(kept?.equals(original as Buffer)).toBe(true);
    }
  });

  test('another store\'s file is kept with its checksums', async () => {
    const dir = damaged(CASES['a file of a store that is not this one']);
    const [stranger] = readdirSync(join(made.other, 'regions'))
      .filter((name) => name.endsWith('.region'));
    cpSync(join(made.other, 'regions', stranger.replace('.region', '.sums')),
      join(dir, 'regions', stranger.replace('.region', '.sums')));
    const to = `${dir}.mended`;
    const { stdout } = await cliHere([...REPAIR, dir, '--to', to, '--json']);
    const done = JSON.parse(stdout) as Repair;
    using store = openStore(to, UNSAFE);
    store.adopt(join(to, done.lost[0]?.file as string), 'stranger');
    expect(store.region('stranger').roots.get('foreign')).toBe(1);
  });

  test('a heap that is full is mended in a larger one', async () => {
    const dir = join(memoryDirectory(), 'store');
    const store = openStore(dir, UNSAFE);
    const heap = store.heap('full', { capacity: '1MiB' });
    const names = heap.create(map(str, u32));
    heap.root.set('names', names);
    let count = 0;
    try {
      for (; ; count++) names.set(`name ${count}`, count);
    } catch (error) {
      expect((error as { code: string }).code).toBe('ERR_NO_SPACE');
    }
    const at = refOf(names as unknown as Handle) * 16;
    const [{ id }] = store.regions();
    store.close();
    change(join(dir, 'regions', `${id}.region`), at + 4 * HASH.heads, zero, 4);
    const to = `${dir}.mended`;
    const ran = await cliHere([...REPAIR, dir, '--to', to, '--json']);
    const { lost, regions } = JSON.parse(ran.stdout) as Repair;
    expect([lost, regions[0]?.lossCount]).toEqual([[], 0]);
    expect(regions[0]?.changes.join()).toContain('it was full: its capacity is 2097152 bytes now');
    using mended = openStore(to, UNSAFE_READER);
    expect((mended.heap('full').root.get('names') as { size: number }).size).toBe(count);
  });
});

describe('in place', () => {
  test.each([putInPlace, renameTwice])('where one cannot be put there, both are where they were',
    (put) => {
      const folder = memoryDirectory();
      const at = (name: string) => join(folder, name);
      writeFileSync(at('store'), 'damaged');
      expect(() => put(at('not there'), at('store'), at('kept'))).toThrow('ENOENT');
      expect(readdirSync(folder)).toEqual(['store']);
      expect(() => put(at('store'), at('not there'), at('kept'))).toThrow('ENOENT');
      expect(readdirSync(folder)).toEqual(['store']);
      expect(readFileSync(at('store'), 'utf8')).toBe('damaged');
    });

  test.runIf(loadShim() !== null)('whoever looks finds the one or the other', async () => {
    const folder = memoryDirectory();
    const at = (name: string) => join(folder, name);
    mkdirSync(at('store'));
    const found = new Int32Array(new SharedArrayBuffer(12));
    const watch = new Worker(`const { existsSync } = require('node:fs');
      const { path, found } = require('node:worker_threads').workerData;
      while (Atomics.load(found, 2) === 0) Atomics.add(found, existsSync(path) ? 1 : 0, 1);`,
      { eval: true, workerData: { path: at('store'), found } });
    while (Atomics.load(found, 1) === 0) await setTimeout(1);
    for (let round = 0; round < 300; round++) {
      mkdirSync(at('made'));
      putInPlace(at('made'), at('store'), at('kept'));
      rmSync(at('kept'), { recursive: true });
    }
    Atomics.store(found, 2, 1);
    await once(watch, 'exit');
    expect([found[0], readdirSync(folder)]).toEqual([0, ['store']]);
    expect(found[1]).toBeGreaterThan(300);
  });

  test('the mended store takes the place of the damaged one, which is kept', async () => {
    const dir = damaged(CASES['the magic number of a region']);
    const print = printOf(dir);
    const done = await jsonHere<Repair>([...REPAIR, dir, '--in-place']);
    expect(done.to).toBe(dir);
    expect(done.backup).toMatch(/store\.damaged-\d{8}T\d{6}$/);
    expect(printOf(done.backup as string)).toBe(print);
    expect(contentsOf(dir)).toEqual(contentsOf(made.store));
    using store = openStore(dir, UNSAFE);
    expect(store.checkpoints().map(({ label }) => label)).toEqual(['repaired']);
    expect(readdirSync(join(dir, '..')).sort()).toHaveLength(2);
  });

  test('under the name that is given; never over anything', async () => {
    const dir = damaged(CASES['the magic number of a region']);
    const backup = `${dir}.before`;
    writeFileSync(backup, '');
    const refused = await cliHere([...REPAIR, dir, '--in-place', '--backup', backup]);
    expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('ERR_EXISTS') });
    rmSync(backup);
    const done = await jsonHere<Repair>([...REPAIR, dir, '--in-place', '--backup', backup]);
    expect(done.backup).toBe(backup);
    expect(existsSync(join(backup, 'catalog.db'))).toBe(true);
  });
});

describe('a region by itself', () => {
  function region(): string {
    const path = join(memoryDirectory(), 'notes.region');
    const made = createRegion(mmap(path, { capacity: '1MiB' }), best);
    for (let i = 0; i < 9; i++) made.roots.set(`r${i}`, made.strdup(`text ${i}`));
    made.close();
    return path;
  }

  test('is sound', async () => {
    const path = region();
    const done = await jsonHere<Repair>([...REPAIR, path, '--to', `${path}.mended`]);
    expect(done).toMatchObject({ type: 'region', sound: true, to: null, regions: [] });
    expect(existsSync(`${path}.mended`)).toBe(false);
  });

  test.each([['--to', ''], ['--in-place', '']])('is mended, %s', async (how) => {
    const path = region();
    change(path, METHOD_START + 4 * BEST.caches, (bytes) => bytes.fill(0xee), 2048);
    const damage = readFileSync(path);
    const mended = how === '--to' ? `${path}.mended` : path;
    const args = how === '--to' ? [how, mended] : [how];
    const done = await jsonHere<Repair>([...REPAIR, path, ...args]);
    expect(done).toMatchObject({ sound: false, to: mended,
      regions: [{ name: 'notes.region', kind: 'region', state: 'mended' }] });
    expect(readFileSync(done.backup ?? path)).toEqual(damage);
    using found = openRegion(mmap(mended, { create: false }));
    expect(found.check()).toEqual([]);
    expect([...found.roots].map(([, address]) => found.string(address)))
      .toEqual(Array.from({ length: 9 }, (_, i) => `text ${i}`));
  });

  test('cannot be mended without a header', async () => {
    const path = region();
    change(path, 0, zero, 64);
    const ran = await cliHere(['repair', path]);
    expect(ran).toMatchObject({ status: 3, stderr: expect.stringContaining('ERR_CORRUPT') });
  });
});

describe('refusals', () => {
  test.each([
    [['--to', 'x', '--in-place'], 2, 'not both'],
    [['--backup', 'x'], 2, 'goes with --in-place'],
    [['--dry-run', '--in-place'], 2, 'keeps nothing'],
  ])('%j', async (args, status, text) => {
    const dir = damaged(CASES['a file that is missing']);
    const ran = await cliHere([...REPAIR, dir, ...args]);
    expect(ran.status).toBe(status);
    expect(ran.stderr).toContain(text);
  });

  test('a store that somebody writes, a place that is taken, no store', async () => {
    const dir = damaged(CASES['the chains of a map'], temporaryDirectory());
    const child = await holder('store', dir);
    try {
      expect(await cliHere(['repair', dir])).toMatchObject({ status: 4 });
    } finally {
      await endHolder(child);
    }
    const taken = await cliHere([...REPAIR, dir, '--to', made.store]);
    expect(taken.stderr).toContain('ERR_EXISTS');
    expect(await cliHere(['repair', memoryDirectory()])).toMatchObject({ status: 3 });
  });

  test('a sound store stays as it is, and nothing is made', async () => {
    const dir = damaged({ damage: () => {} });
    const print = printOf(dir);
    const ran = await cliHere([...REPAIR, dir, '--in-place']);
    expect(ran).toEqual({ status: 0, stdout: `${dir}: sound, nothing to repair\n`, stderr: '' });
    expect(printOf(dir)).toBe(print);
    expect(readdirSync(join(dir, '..'))).toEqual(['store']);
  });
});

test('as a process, in words', () => {
  const dir = damaged(CASES['the tag of a text']);
  const ran = cli([...REPAIR, dir, '--to', `${dir}.mended`]);
  expect(ran.status).toBe(1);
  expect(ran.stdout).toMatch(/^app +heap +partly +\d+ +1 +\d+$/m);
  expect(ran.stdout).toContain('app: lost at');
  expect(ran.stdout).toContain(`repaired ${dir} to ${dir}.mended: 5 regions`);
});

test('bytes and pages changed anywhere', { timeout: 600_000 }, async () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const regions = readdirSync(join(made.store, 'regions')).map((name) => join('regions', name));
  const files = ['catalog.db', 'store.lock', 'lock.db', ...regions];
  const ended: Record<string, number> = {};
  for (let round = 0; round < often(10, 2000); round++) {
    const said: string[] = [];
    const dir = damaged({ damage: (store) => {
      for (let n = 1 + random(4); n > 0; n--) {
        const file = join(store, files[random(files.length)]);
        const { size } = statSync(file);
        const at = random(Math.min(size, 80_000) || 1);
        const length = [1, 4, 64, PAGE][random(4)];
        said.push(`${file} ${at} ${length}`);
        change(file, at, (bytes) => {
          for (let i = 0; i < bytes.length; i++) bytes[i] = random(256);
        }, length);
      }
    } });
    const ran = await cliHere([...REPAIR, dir, '--to', `${dir}.mended`, '--json']);
    ended[ran.status as number] = (ended[ran.status as number] ?? 0) + 1;
    const where = `seed ${seed}, round ${round}: ${said.join('; ')}: ${ran.stderr}`;
    expect(ran.status, where).toBeLessThanOrEqual(1);
    try {
      if (existsSync(`${dir}.mended`)) contentsOf(`${dir}.mended`);
    } catch (error) {
      throw new Error(where, { cause: error });
    } finally {
      rmSync(join(dir, '..'), { recursive: true });
    }
  }
  expect(ended[1]).toBeGreaterThan(0);
});
