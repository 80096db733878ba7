/** Every verb of the command line, compared with what the API says. */
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../src/store/api.ts';
import { openStore } from '../src/store/store.ts';
import { cli, digest, makeKilled } from './support/cli.ts';
import { fillStore, HOSTILE } from './support/cli-content.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';

const scratch = mkdtempSync(join(tmpdir(), 'cli-'));
const closed = join(scratch, 'closed');
const killed = join(scratch, 'killed');

beforeAll(() => {
  const store = openStore(closed);
  fillStore(store);
  store.close();
  makeKilled('store', killed);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let copies = 0;
/** A store of its own for what changes it. */
function copyOf(store: string): string {
  const copy = join(scratch, `copy-${copies++}`);
  cpSync(store, copy, { recursive: true });
  return copy;
}

/** What the API says of a store, without changing it. */
function asked<T>(dir: string, ask: (store: Store) => T): T {
  const store = openStore(copyOf(dir), { readOnly: true });
  try {
    return ask(store);
  } finally {
    store.close();
  }
}

function viaJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

const STORES: readonly [string, string][] = [['closed', closed], ['killed', killed]];

describe.each(STORES)('a %s store', (state, dir) => {
  test('ls', async () => {
    const expected = asked(dir, (store) => store.regions().map(({ name, id, kind, method }) => {
      const region = store.region(name);
      const { extent, capacity, busyBytes } = region.stat();
      const roots = [...region.roots].length;
      return { name, id, kind, method, extent, capacity, busyBytes, estimated: false, roots };
    }));
    expect(expected.map(({ name, roots }) => [name, roots])).toEqual([['alpha', 2], [HOSTILE, 2]]);
    expect(await jsonHere(['ls', dir])).toEqual({ type: 'store', path: dir, regions: expected,
      rings: [], damaged: [] });
  });

  test('ls as a table', () => {
    const { stdout, stderr, status } = cli(['ls', dir]);
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^NAME +KIND +METHOD +EXTENT +CAPACITY +LIVE +ROOTS$/);
    expect(lines[1]).toMatch(/^alpha +region +best +[\d.]+ MiB +4 GiB +[\d.]+ KiB +2$/);
    expect(lines[2]).toMatch(/^beta\\u\{1b\}\[2J\\u\{202e\} +region +best .* 64 MiB /);
    expect(lines.slice(3)).toEqual(['']);
  });

  test('inspect', async () => {
    const expected = asked(dir, (store) => ({
      store: store.stat(),
      last: viaJson(store.checkpoints().at(-1)),
      regions: store.regions().map(({ name }) => {
        const region = store.region(name);
        const roots = [...region.roots].map(([root, address]) => ({ name: root, address }));
        return { name, id: region.id, ...region.stat(), roots };
      }),
    }));
    type Inspected = { recovery: { replayedCheckpoints: number } | null };
    const found = await jsonHere<Inspected>(['inspect', dir]);
    const { dir: _, privatePages: __, dirtyLimit: ___, ...stat } = expected.store;
    expect(found).toMatchObject({ ...expected, path: dir, store: stat });
    expect(found.recovery?.replayedCheckpoints ?? null).toBe(state === 'killed' ? 2 : null);
  });

  test('inspect of one region', async () => {
    type Inspected = { regions: { name: string; fragmentation: number; freeBytes: number;
      largestFree: number; fits: { size: number; count: number }[] }[] };
    const { regions } = await jsonHere<Inspected>(['inspect', dir, 'alpha']);
    expect(regions.map(({ name }) => name)).toEqual(['alpha']);
    const [{ fragmentation, freeBytes, largestFree, fits }] = regions;
    const free = asked(dir, (store) => [...store.region('alpha').blocks()])
      .filter(({ busy }) => !busy);
    expect(fits.length).toBe(Math.floor(Math.log2(largestFree)) - 3);
    for (const { size, count } of fits) {
      expect(count).toBe(free.reduce((n, block) => n + Math.floor(block.size / size), 0));
    }
    const { stdout } = await cliHere(['inspect', dir, 'alpha']);
    expect(stdout).toMatch(/\n +SIZE +STILL FIT\n +16 B +\d+\n/);
    expect(largestFree).toBeLessThan(freeBytes);
    expect(fragmentation).toBeCloseTo(1 - largestFree / freeBytes, 12);
  });

  test('inspect as text', async () => {
    const { stdout, status } = await cliHere(['inspect', dir]);
    expect(status).toBe(0);
    expect(stdout).toContain(`store ${dir}\n`);
    expect(stdout).toMatch(state === 'killed' ? / 2 checkpoints to replay / : / it was closed\n/);
    expect(stdout).toMatch(/\nalpha +first +\d+\n/);
    expect(stdout).not.toContain('\x1b');
    expect(stdout).not.toContain('\u202e');
  });

  test('blocks', async () => {
    const all = asked(dir, (store) => [...store.region('alpha').blocks()]);
    expect(all.length).toBeGreaterThan(1900);
    const found = await jsonHere(['blocks', dir, 'alpha']);
    expect(found).toEqual({ type: 'store', path: dir, region: 'alpha', blocks: all, next: null });
    const busy = await jsonHere<{ blocks: unknown }>(['blocks', dir, 'alpha', '--busy']);
    expect(busy.blocks).toEqual(all.filter((block) => block.busy));
    const free = await jsonHere<{ blocks: unknown }>(['blocks', dir, 'alpha', '--free']);
    expect(free.blocks).toEqual(all.filter((block) => !block.busy));
    const lines = (await cliHere(['blocks', dir, 'alpha'])).stdout.trimEnd().split('\n').slice(1);
    expect(lines.map((line) => line.trim().split(/ +/)).map((c) => [Number(c[0]), Number(c[1]),
      c.at(-1) === 'busy'])).toEqual(all.map((b) => [b.address, b.size, b.busy]));
  });

  test('blocks --hex: what is in the block that holds an address', async () => {
    const block = asked(dir, (store) => {
      const region = store.region('alpha');
      const address = region.roots.get('greeting');
      return { address, size: region.sizeOf(address),
        hex: Buffer.from(region.bytes(address)).toString('hex') };
    });
    const at = String(block.address + 3);
    expect(await jsonHere(['blocks', dir, 'alpha', '--hex', at])).toEqual({ type: 'store',
      path: dir, region: 'alpha', busy: true, ...block });
    const { stdout } = await cliHere(['blocks', dir, 'alpha', '--hex', at]);
    expect(stdout).toMatch(/^block \d+: 16 bytes, busy\n[0-9a-f]{10} {2}.*68 65 6c .*\|.*hello/);
    const none = await cliHere(['blocks', dir, 'alpha', '--hex', '1']);
    expect(none).toMatchObject({ status: 3,
      stderr: expect.stringMatching(/ERR_BAD_ADDRESS: no block of 'alpha' holds the address 1/) });
  });

  test('blocks, piece by piece', async () => {
    const all = asked(dir, (store) => [...store.region(HOSTILE).blocks()]);
    const pieces: unknown[] = [];
    let from: number | null = 0;
    while (from !== null) {
      const piece: { blocks: unknown[]; next: number | null } =
        await jsonHere(['blocks', dir, HOSTILE, '--limit', '20', '--from', String(from)]);
      expect(piece.blocks.length).toBeLessThanOrEqual(20);
      pieces.push(...piece.blocks);
      from = piece.next;
    }
    expect(pieces).toEqual(all);
    const none = await jsonHere(['blocks', dir, HOSTILE, '--limit', '0']);
    expect(none).toMatchObject({ blocks: [], next: all[0].address });
  });

  test('check', async () => {
    expect(await jsonHere(['check', dir]))
      .toEqual({ type: 'store', path: dir, pages: true, blocks: true, findings: [] });
    expect(await jsonHere(['check', dir, 'alpha', '--no-pages']))
      .toMatchObject({ pages: false, blocks: true, findings: [] });
    expect(await jsonHere(['check', dir, '--quick']))
      .toMatchObject({ pages: false, blocks: false, findings: [] });
    const { status, stdout } = cli(['check', dir]);
    expect([status, stdout]).toEqual([0, `${dir}: sound\n`]);
  });

  test('checkpoints', async () => {
    const expected = asked(dir, (store) => viaJson(store.checkpoints()));
    expect(expected.map(({ id, label }) => [id, label]))
      .toEqual([[1, 'filled \x1b[31m'], [2, null]]);
    const { historyBytes } = await jsonHere<{ historyBytes: number }>(['checkpoints', dir]);
    expect(historyBytes).toBeGreaterThan(0);
    expect(await jsonHere(['checkpoints', dir]))
      .toEqual({ path: dir, historyBytes, checkpoints: expected });
    const { stdout } = await cliHere(['checkpoints', dir]);
    expect(stdout).toMatch(/^ 1 +\d{4}-\d\d-\d\dT.* filled \\u\{1b\}\[31m$/m);
  });

  test('a file of the store is the store with that region', async () => {
    const [alpha] = asked(dir, (store) => store.regions());
    const file = join(dir, 'regions', `${alpha.id}.region`);
    type Listed = { path: string; regions: { name: string }[] };
    const { path, regions } = await jsonHere<Listed>(['ls', file]);
    expect([path, regions.map(({ name }) => name)]).toEqual([dir, ['alpha']]);
    expect(await jsonHere(['blocks', file])).toEqual(await jsonHere(['blocks', dir, 'alpha']));
    expect(await cliHere(['inspect', file, HOSTILE])).toMatchObject({ status: 3 });
  });

  test('reading changes nothing', async () => {
    const copy = copyOf(dir);
    const before = digest(copy);
    for (const args of [['ls'], ['inspect'], ['blocks'], ['check'], ['checkpoints'],
      ['compact', '--dry-run'], ['checkpoint', '--dry-run', '--label', 'x']]) {
      const [name, ...rest] = args;
      const region = name === 'blocks' ? ['alpha'] : [];
      expect(await cliHere([name, copy, ...region, ...rest]))
        .toMatchObject({ status: 0, stderr: '' });
    }
    expect(digest(copy)).toBe(before);
    const store = openStore(copy);
    expect(store.recovery?.replayedCheckpoints ?? null).toBe(state === 'killed' ? 2 : null);
    expect(store.checkpoints().map(({ id }) => id)).toEqual([1, 2]);
    store.close();
  });

  test('compact, first dry', async () => {
    const copy = copyOf(dir);
    type Compacted = { regions: { name: string; after: { extent: number }; givenBack: number }[];
      givenBack: number; dryRun: boolean; checkpoint: number | null };
    const dry = await jsonHere<Compacted>(['compact', copy, '--dry-run']);
    expect(dry).toMatchObject({ dryRun: true, checkpoint: null });
    const before = asked(copy, (store) => contentOf(store));
    const done = await jsonHere<Compacted>(['compact', copy]);
    expect(done).toEqual({ ...dry, dryRun: false, checkpoint: 3,
      historyBytes: expect.any(Number) });
    expect(done.givenBack).toBeGreaterThan(2_500_000);
    const { regions, content } = asked(copy, (store) => ({
      regions: store.regions().map(({ name }) => {
        const { extent, busyBytes, freeBytes } = store.region(name).stat();
        return { name, after: { extent, busyBytes, freeBytes } };
      }),
      content: contentOf(store),
    }));
    expect(regions).toEqual(done.regions.map(({ name, after }) => ({ name, after })));
    expect(content).toEqual(before);
    const bytes = readdirSync(join(copy, 'regions')).filter((name) => name.endsWith('.region'))
      .reduce((sum, name) => sum + statSync(join(copy, 'regions', name)).size, 0);
    const extent = done.regions.reduce((sum, { after }) => sum + after.extent, 0);
    expect(bytes).toBe(extent);
  });

  test('compact of one region leaves the others', async () => {
    const copy = copyOf(dir);
    const { regions } = await jsonHere<{ regions: { name: string }[] }>(['compact', copy, HOSTILE]);
    expect(regions.map(({ name }) => name)).toEqual([HOSTILE]);
    const extent = (at: string) => asked(at, (store) => store.region('alpha').stat().extent);
    expect(extent(copy)).toBe(extent(dir));
  });

  test('checkpoint recovers, and labels', async () => {
    const copy = copyOf(dir);
    const recovery = state === 'killed' ? { replayedCheckpoints: 2 } : null;
    const dry = await jsonHere<{ recovery: object | null }>(['checkpoint', copy, '--dry-run']);
    expect(dry).toMatchObject({ dryRun: true, isNew: false, checkpoint: { id: 2 } });
    const first = await jsonHere<{ recovery: object | null }>(['checkpoint', copy]);
    expect(first).toMatchObject({ dryRun: false, isNew: false, checkpoint: { id: 2 } });
    for (const found of [dry, first]) {
      if (recovery === null) expect(found.recovery).toBeNull();
      else expect(found.recovery).toMatchObject(recovery);
    }
    const second = await jsonHere(['checkpoint', copy, '--label', 'now']);
    expect(second)
      .toMatchObject({ isNew: true, checkpoint: { id: 3, label: 'now' }, recovery: null });
    expect(await jsonHere(['checkpoint', copy, '--label', 'now'])).toMatchObject({ isNew: false });
    const { stdout } = await cliHere(['checkpoint', copy]);
    expect(stdout).toMatch(/^last checkpoint 3 'now' of \d{4}-/);
    const last = asked(copy, (store) => store.checkpoints().at(-1));
    expect(last).toMatchObject({ id: 3, label: 'now' });
    expect(asked(copy, (store) => [...store.region('alpha').roots].map(([name]) => name)))
      .toEqual(['first', 'greeting']);
  });
});

/** Every live byte of a store. */
function contentOf(store: Store): unknown {
  return store.regions().map(({ name }) => {
    const region = store.region(name);
    const blocks = [...region.blocks()].filter((block) => block.busy)
      .map(({ address }) => [address, Buffer.from(region.bytes(address)).toString('hex')]);
    return { name, roots: [...region.roots], blocks };
  });
}

test('an empty store', async () => {
  const dir = join(scratch, 'empty');
  openStore(dir).abandon();
  expect(await jsonHere(['ls', dir])).toEqual({ type: 'store', path: dir, regions: [],
    rings: [], damaged: [] });
  expect(await jsonHere(['inspect', dir])).toMatchObject({ last: null, regions: [] });
  expect(await cliHere(['inspect', dir])).toMatchObject({ status: 0, stderr: '' });
  expect(await jsonHere(['checkpoint', dir, '--dry-run']))
    .toMatchObject({ isNew: true, checkpoint: null });
  expect(await jsonHere(['checkpoint', dir]))
    .toMatchObject({ isNew: true, checkpoint: { id: 1, pages: 0 } });
  expect(await cliHere(['blocks', dir])).toMatchObject({ status: 2 });
});
