/** What the command line does with heaps of objects: inspect, check, gc, compact. */
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { HEAD_ROOT } from '../src/layout-objects.ts';
import { list, map, ref, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import type { Store } from '../src/store/api.ts';
import { openStore, regionIn } from '../src/store/store.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

const SMALL = { capacity: '8MiB' };
const Task = struct('Task', { id: u32, title: str, tags: list(str) });
const LIVE = 50;
const GARBAGE = 2000;
let dir = '';

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  const store = openStore(dir);
  const heap = store.heap('app', SMALL);
  const tasks = heap.create(map(u32, ref(Task)));
  heap.root.set('tasks', tasks);
  heap.root.set('when', new Date(0));
  for (let id = 0; id < LIVE + GARBAGE; id++) {
    const task = heap.create(Task, { id, title: `task ${id}`, tags: ['a'] });
    // Spread over the heap, so that compaction has to move them.
    if (id % ((LIVE + GARBAGE) / LIVE) === 0) tasks.set(id, task);
  }
  store.region('raw', SMALL).alloc(100);
  store.close();
});

function opened<T>(work: (store: Store) => T): T {
  const store = openStore(dir);
  try {
    return work(store);
  } finally {
    store.close();
  }
}

function titles(store: Store): string[] {
  const tasks = store.heap('app').root.get('tasks') as unknown as Map<number, { title: string }>;
  return [...tasks.values()].map(({ title }) => title);
}

interface View {
  readonly regions: readonly { readonly name: string; readonly kind: string;
    readonly heap: { readonly types: readonly { name: string; count: number }[];
      readonly root: readonly { name: string; type: string }[] } | null }[];
}

test('inspect: types and named values of heaps, null for regions', async () => {
  const { regions } = await jsonHere<View>(['inspect', dir]);
  const [app, raw] = regions;
  expect([app?.kind, raw?.kind, raw?.heap]).toEqual(['heap', 'region', null]);
  const counts = Object.fromEntries(app?.heap?.types.map(({ name, count }) => [name, count]) ?? []);
  expect(counts).toMatchObject({ Task: LIVE + GARBAGE, 'list(str)': LIVE + GARBAGE,
    'map(u32,ref(Task))': 1, dates: 1 });
  expect(app?.heap?.root).toEqual([{ name: 'tasks', type: 'map(u32,ref(Task))' },
    { name: 'when', type: 'Date' }]);
  const { stdout } = await cliHere(['inspect', dir]);
  expect(stdout).toMatch(/Task +2050 /);
  expect(stdout).toMatch(/tasks +map\(u32,ref\(Task\)\)/);
});

describe('gc', () => {
  test('frees what cannot be reached, once; a dry run nothing', async () => {
    type Row = { name: string; objects: number; bytes: number };
    const dry = await jsonHere<{ heaps: Row[]; checkpoint: null }>(['gc', dir, '--dry-run']);
    expect(dry.checkpoint).toBeNull();
    // An object, its title, its list, the list's elements, the text in it.
    expect(dry.heaps).toMatchObject([{ name: 'app', objects: GARBAGE * 5 }]);
    const done = await jsonHere<{ heaps: Row[]; checkpoint: number }>(['gc', dir]);
    expect(done.heaps[0]).toMatchObject({ objects: GARBAGE * 5, bytes: dry.heaps[0]?.bytes });
    const again = await jsonHere<{ heaps: Row[] }>(['gc', dir, 'app']);
    expect(again.heaps).toMatchObject([{ objects: 0, bytes: 0 }]);
    opened((store) => {
      expect(titles(store)).toHaveLength(LIVE);
      expect(store.check()).toEqual([]);
    });
  });

  test('a region is no heap', async () => {
    const { status, stderr } = await cliHere(['gc', dir, 'raw']);
    expect(status).toBe(3);
    expect(stderr).toContain("ERR_MISMATCH: 'raw' is a region");
  });
});

test('compact: objects move together, the file shrinks, everything is there', async () => {
  const before = opened(titles);
  type Row = { before: { extent: number }; after: { extent: number }; givenBack: number };
  const { regions } = await jsonHere<{ regions: Row[] }>(['compact', dir, 'app']);
  const [{ before: was, after, givenBack } = { before: { extent: 0 }, after: { extent: 0 },
    givenBack: 0 }] = regions;
  expect(givenBack).toBe(was.extent - after.extent);
  expect(after.extent).toBeLessThanOrEqual(was.extent / 2);
  opened((store) => {
    expect(titles(store)).toEqual(before);
    expect(store.check()).toEqual([]);
  });
});

describe('check', () => {
  test('what is wrong among the objects', async () => {
    opened((store) => {
      const region = regionIn(store, 'app');
      for (const { address, size, busy } of region.blocks()) {
        if (!busy || size < 9) continue;
        const text = Buffer.from(region.bytes(address, 9)).toString('latin1', 4);
        // The length of a title says more than its block holds.
        if (text === 'task ') region.array(Uint32Array, address, 1)[0] |= 0xffff << 5;
      }
    });
    const { findings } = await jsonHere<{ findings: { id: string; region: string }[] }>(
      ['check', dir], 1);
    expect(new Set(findings.map(({ id, region }) => `${id} ${region}`))).toEqual(
      new Set(['O5 app']));
  });

  test('a heap that has lost its head', async () => {
    opened((store) => regionIn(store, 'app').roots.delete(HEAD_ROOT));
    const { findings } = await jsonHere<{ findings: object[] }>(['check', dir], 1);
    expect(findings).toMatchObject([{ id: 'O1', region: 'app' }]);
  });
});
