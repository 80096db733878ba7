/**
 * Verbs that change more than memory should hold take checkpoints on the way: every one of them is
 * a whole store, and what is there in the end is the same.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { shimProblem } from '../src/native/load.ts';
import { list, ref, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import { MAIN } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

const Task = struct('Task', { id: u32, title: str, next: ref(() => Task) });
const LIMIT = ['--dirty-limit', '512KiB'];

const noShim = shimProblem();
if (noShim !== null) console.warn(`without the shim there is no private memory: ${noShim}`);

let folder = '';
let dir = '';
let text = '';

/** 1.5 MiB of objects that live and 3 of garbage between them, in two methods; blocks of 3 MiB. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  const made = join(folder, 'made');
  const store = openStore(made);
  for (const method of [slab, best]) {
    const heap = store.heap(method.name, { method });
    const tasks = heap.create(list(ref(Task)));
    for (let i = 0; i < 30_000; i++) {
      const task = heap.create(Task, { id: i, title: `${i} ${'-'.repeat(i % 70)}` });
      if (i % 3 !== 0) continue;
      task.next = i < 4500 ? task : tasks.at((i * 7919) % tasks.length) ?? null;
      tasks.push(task);
    }
    heap.root.set('tasks', tasks);
  }
  const raw = store.region('raw');
  for (let i = 0; i < 3000; i++) raw.bytes(raw.alloc(1000 + (i % 50))).fill(i);
  store.close();
  text = join(folder, 'tasks.ndjson');
  expect((await cliHere(['export', made, 'slab', '-o', text])).status).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  cpSync(join(folder, 'made'), dir, { recursive: true });
});

function sequence(): number {
  const store = openStore(dir, { readOnly: true });
  try {
    return store.stat().sequence;
  } finally {
    store.close();
  }
}

function extentOf(name: string): number {
  const store = openStore(dir, { readOnly: true });
  try {
    return store.regions().find((region) => region.name === name)?.extent ?? NaN;
  } finally {
    store.close();
  }
}

async function exported(name: string): Promise<string> {
  expect(await jsonHere(['check', dir])).toMatchObject({ findings: [] });
  return (await cliHere(['export', dir, name])).stdout;
}

/** Of an export of blocks: their bytes, wherever they lie. */
function contentOf(lines: string): string[] {
  return lines.split('\n').map((line) => line.replace(/"(at|more)":\d+,/, '')).sort();
}

interface Compacted {
  readonly givenBack: number;
  readonly regions: readonly { readonly isWhole: boolean }[];
}

describe.runIf(noShim === null)('compact and gc', () => {
  test.each(['slab', 'best'])('%s: compacted in rounds, as small as at once', async (name) => {
    const before = await exported(name);
    const dry = await jsonHere<Compacted>(['compact', dir, name, '--dry-run']);
    const start = sequence();
    const done = await jsonHere<Compacted>(['compact', dir, name, '--dirty-limit', '1MiB']);
    expect(done.regions).toEqual([expect.objectContaining({ isWhole: true })]);
    expect(sequence() - start).toBeGreaterThan(1);
    expect(Math.abs(done.givenBack - dry.givenBack)).toBeLessThan(dry.givenBack / 20);
    expect(await exported(name)).toBe(before);
    expect((await jsonHere<Compacted>(['compact', dir, name])).givenBack).toBeLessThan(2 ** 17);
  });

  test('a dry run stops at the limit, and says so', async () => {
    const found = await jsonHere<Compacted>(['compact', dir, 'best', '--dry-run', ...LIMIT]);
    expect(found.regions).toEqual([expect.objectContaining({ isWhole: false })]);
    const { stdout } = await cliHere(['compact', dir, 'best', '--dry-run', ...LIMIT]);
    expect(stdout).toMatch(/^would give back at least /m);
  });

  test('garbage is freed in several checkpoints', async () => {
    const before = await exported('best');
    const dry = await jsonHere<{ heaps: object[] }>(['gc', dir, 'best', '--dry-run']);
    const start = sequence();
    const done = await jsonHere<{ heaps: object[] }>(['gc', dir, 'best', ...LIMIT]);
    const same = ({ heaps: [heap] }: { heaps: object[] }) => ({ ...heap, ms: 0 });
    expect(same(done)).toEqual(same(dry));
    expect(sequence() - start).toBeGreaterThan(1);
    expect(await exported('best')).toBe(before);
  });
});

test.each(['0', '4KiB', 'much', '-1'])('a limit of %s is refused', async (limit) => {
  for (const args of [['gc', dir], ['compact', dir], ['import', dir, 'again', text]]) {
    const { status, stderr } = await cliHere([...args, `--dirty-limit=${limit}`]);
    expect([status, stderr]).toEqual([2, expect.stringContaining('BAD_OPTION: --dirty-limit is')]);
  }
});

describe('import', () => {
  test('a region that only looks like one under way is left alone', async () => {
    const store = openStore(dir);
    store.region('importing copy');
    store.close();
    const file = join(dir, '..', 'raw.ndjson');
    await cliHere(['export', dir, 'raw', '-o', file]);
    expect(await jsonHere(['import', dir, 'copy', file])).toMatchObject({ blocks: 3000 });
    expect((await cliHere(['ls', dir, '--csv'])).stdout).toMatch(/^importing copy,/m);
  });

  test('a trial leaves no file', async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = temporaryDirectory();
    try {
      expect((await cliHere(['import', dir, 'again', text, '--dry-run'])).status).toBe(0);
      expect(readdirSync(process.env.TMPDIR)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  test('a heap', async () => {
    const start = sequence();
    const found = await jsonHere(['import', dir, 'again', text, ...LIMIT]);
    expect(found).toMatchObject({ isNew: true, objects: 10_001, names: 1, checkpoint: sequence() });
    if (noShim === null) expect(sequence() - start).toBeGreaterThan(2);
    expect(await exported('again')).toBe(readFileSync(text, 'utf8'));
  });

  test('blocks', async () => {
    const file = join(dir, '..', 'raw.ndjson');
    await cliHere(['export', dir, 'raw', '-o', file]);
    const start = sequence();
    expect(await jsonHere(['import', dir, 'copy', file, ...LIMIT]))
      .toMatchObject({ blocks: 3000 });
    if (noShim === null) expect(sequence() - start).toBeGreaterThan(2);
    expect(contentOf(await exported('copy'))).toEqual(contentOf(await exported('raw')));
  });

  test('after an error nothing is left, also of what was checkpointed', async () => {
    const file = join(dir, '..', 'half');
    const whole = readFileSync(text, 'utf8');
    writeFileSync(file, whole.slice(0, whole.length - 30));
    const before = (await cliHere(['ls', dir])).stdout;
    expect((await cliHere(['gc', dir])).status).toBe(0);
    const { busy } = await live('best');
    for (const name of ['again', 'best']) {
      const { status, stderr } = await cliHere(['import', dir, name, file, ...LIMIT, '--replace']);
      expect([status, stderr]).toEqual([3, expect.stringMatching(/ERR_CORRUPT: line \d+: it/)]);
    }
    expect((await live('best')).busy).toBeLessThanOrEqual(busy + 4096);
    const names = (listing: string) => listing.split('\n').map((line) => line.split(' ')[0]);
    expect(names((await cliHere(['ls', dir])).stdout)).toEqual(names(before));
    expect(await exported('best')).toBe(await exported('slab'));
  });
});

async function live(name: string): Promise<{ busy: number }> {
  const { regions } = await jsonHere<{ regions: { busyBytes: number }[] }>(['inspect', dir, name]);
  return { busy: regions[0].busyBytes };
}

/** The half of a text goes to an import, which is killed when it has taken checkpoints. */
async function killed(name: string, whole: string): Promise<void> {
  const start = sequence();
  const child = spawn(process.execPath, [MAIN, 'import', dir, name, '-', ...LIMIT],
    { stdio: ['pipe', 'ignore', 'inherit'] });
  const gone = once(child, 'exit');
  child.stdin.on('error', () => {});
  child.stdin.write(whole.slice(0, Math.floor(whole.length * 0.8)));
  const end = Date.now() + 20_000;
  while (sequence() < start + 2 && Date.now() < end) await sleep(20);
  child.kill('SIGKILL');
  expect(await gone).toEqual([null, 'SIGKILL']);
  expect(sequence()).toBeGreaterThanOrEqual(start + 2);
}

describe.runIf(noShim === null)('an import that is killed', () => {
  test('a heap has no name of it; gc frees what there is', { timeout: 30_000 }, async () => {
    await killed('again', readFileSync(text, 'utf8'));
    expect(await exported('again')).toMatch(/"objects":0,"names":0\}\n$/);
    const { heaps } = await jsonHere<{ heaps: { objects: number }[] }>(['gc', dir, 'again']);
    expect(heaps[0].objects).toBeGreaterThan(1000);
    await cliHere(['import', dir, 'again', text]);
    expect(await exported('again')).toBe(readFileSync(text, 'utf8'));
  });

  test('blocks are not there under the name; the next import takes their place',
    { timeout: 30_000 }, async () => {
      const whole = await exported('raw');
      await killed('copy', whole);
      const names = async () => (await cliHere(['ls', dir, '--csv'])).stdout;
      expect(await names()).toMatch(/^importing copy [0-9a-f]{12},/m);
      const file = join(dir, '..', 'raw.ndjson');
      writeFileSync(file, whole);
      expect(await jsonHere(['import', dir, 'copy', file])).toMatchObject({ blocks: 3000 });
      expect(await names()).not.toContain('importing');
      expect(contentOf(await exported('copy'))).toEqual(contentOf(whole));
      expect(extentOf('copy')).toBe(extentOf('raw'));
    });
});
