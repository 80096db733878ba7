/** Heaps of a store: opened, named, closed, rolled back; handles that go stale; misuse. */
import { describe, expect, test } from 'vitest';
import { heap as heapMemory } from '../src/disciplines/heap.ts';
import { HEAD, HEAD_ROOT } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { profile } from '../src/methods/profile.ts';
import { slab } from '../src/methods/slab.ts';
import { heapIn, type ObjectHeap } from '../src/objects/heap.ts';
import { any, list, map, ref, sorted, str, u32 } from '../src/objects/kinds.ts';
import { type Struct, struct } from '../src/objects/struct.ts';
import { createRegion } from '../src/region/region.ts';
import type { Store } from '../src/store/api.ts';
import { openStore, regionIn } from '../src/store/store.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { temporaryDirectory } from './support/temp.ts';

const SMALL = { capacity: '4MiB' };
const Task = struct('Task', { id: u32, title: str, extra: any, tags: list(str) });
const ties = { now: () => 0 };

function withStore(work: (store: Store, dir: string) => void): void {
  const dir = temporaryDirectory();
  const store = openStore(dir);
  try {
    work(store, dir);
  } finally {
    store.abandon();
  }
}

/** Every use of a handle throws ERR_STALE. */
function expectStale(handle: object): void {
  const loose = handle as { title: string; toJS(): unknown; keep(): unknown };
  expectCode('ERR_STALE', () => loose.title);
  expectCode('ERR_STALE', () => { loose.title = 'x'; });
  expectCode('ERR_STALE', () => loose.toJS());
  expectCode('ERR_STALE', () => loose.keep());
}

describe('a heap of a store', () => {
  test('is the same one while it is open, and there again afterwards', () => {
    const dir = temporaryDirectory();
    const store = openStore(dir);
    const heap = store.heap('app', SMALL);
    expect(store.heap('app')).toBe(heap);
    expect(heap.name).toBe('app');
    expect(heap.closed).toBe(false);
    const task = heap.create(Task, { id: 1, title: 'one' });
    heap.root.set('task', task);
    expect(heap.root.get('task')).toBe(task);
    expect(store.regions()).toMatchObject([{ name: 'app', kind: 'heap', method: 'slab' }]);
    store.close();
    expect(heap.closed).toBe(true);
    expectStale(task);
    expectCode('ERR_CLOSED', () => heap.root);
    expectCode('ERR_CLOSED', () => heap.create(Task));
    const again = openStore(dir, { readOnly: true });
    const found = again.heap('app').root.get('task') as typeof task;
    expect(found.toJS()).toEqual({ id: 1, title: 'one', extra: undefined, tags: [] });
    expect(found).not.toBe(task);
    again.close();
  });

  test('shares the namespace of regions', () => withStore((store) => {
    store.heap('app', SMALL);
    store.region('raw', SMALL);
    expectCode('ERR_MISMATCH', () => store.region('app'));
    expectCode('ERR_MISMATCH', () => store.heap('raw'));
    expectCode('ERR_MISMATCH', () => store.heap('app', { method: best }));
    expectCode('ERR_MISMATCH', () => store.heap('app', { capacity: '8MiB' }));
    expectCode('ERR_EXISTS', () => store.rename('app', 'raw'));
    expectCode('ERR_BAD_OPTION', () => store.heap('a/b'));
    expectCode('ERR_BAD_OPTION', () => store.heap('x', { size: 1 } as never));
  }));

  test.each([['best', best], ['slab', slab], ['debug(best)', debug(best)],
    ['profile(slab)', profile(slab)]])('may be of method %s', (name, method) => {
    withStore((store) => {
      const heap = store.heap('app', { ...SMALL, method });
      heap.root.set('task', heap.create(Task, { title: 'x', extra: { a: [1, 'b'] } }));
      heap.collect({ handles: false });
      expect(store.regions()[0]?.method).toBe(name);
      expect(store.check()).toEqual([]);
    });
  });

  test.each([['last', last], ['pool', pool], ['debug(last)', debug(last)]])(
    'not of method %s, which cannot free every block', (name, method) => withStore((store) => {
      const error = expectCode('ERR_MISMATCH', () => store.heap('app', { ...SMALL, method }));
      expect(error.message).toContain(name);
      expect(store.has('app')).toBe(false);
    }));

  test('dropped, renamed, rolled back, never kept', () => withStore((store) => {
    const heap = store.heap('app', SMALL);
    const task = heap.create(Task, { title: 'kept' });
    heap.root.set('task', task);
    store.checkpoint();
    store.rename('app', 'other');
    expect(heap.name).toBe('other');
    expect(expectCode('ERR_BUSY', () => heap.create(Task, { extra: { get now() {
      return heap.collect();
    } } })).message).toContain("heap 'other'");
    expect(task.title).toBe('kept');
    task.title = 'changed';
    store.rollback();
    expectStale(task);
    expect(heap.name).toBe('app');
    const found = heap.root.get('task') as typeof task;
    expect(found.title).toBe('kept');
    store.drop('app');
    expectStale(found);
    expectCode('ERR_STALE', () => heap.root);
    store.rollback();
    expect((store.heap('app').root.get('task') as typeof task).title).toBe('kept');
    const fresh = store.heap('born', SMALL);
    const born = fresh.create(Task);
    store.rollback();
    expectStale(born);
    expect(store.has('born')).toBe(false);
  }));

  test('read only: nothing is made, everything is read', () => {
    const dir = temporaryDirectory();
    const store = openStore(dir);
    store.heap('app', SMALL).root.set('list', [1, 2, 3]);
    store.close();
    const reader = openStore(dir, { readOnly: true });
    expectCode('ERR_READ_ONLY', () => reader.heap('none', SMALL));
    expect((reader.heap('app').root.get('list') as { toJS(): unknown }).toJS()).toEqual([1, 2, 3]);
    reader.close();
  });

  test('of a newer version, or without a head', () => {
    const dir = temporaryDirectory();
    const spoil = (change: (store: Store) => void) => {
      const store = openStore(dir);
      store.heap('app', SMALL);
      change(store);
      store.close();
      return openStore(dir);
    };
    const newer = spoil((store) => {
      const region = regionIn(store, 'app');
      region.array(Uint32Array, region.roots.get(HEAD_ROOT))[HEAD.version] = 99;
    });
    expect(expectCode('ERR_VERSION', () => newer.heap('app')).message).toContain('99');
    expect(newer.check()).toMatchObject([{ id: 'O1', region: 'app' }]);
    regionIn(newer, 'app').roots.delete(HEAD_ROOT);
    expectCode('ERR_MISMATCH', () => newer.heap('app'));
    newer.abandon();
  });
});

describe('clear', () => {
  test('drops objects, names and types; the heap goes on', () => {
    const { heap, region } = newHeap('1MiB');
    const task = heap.create(Task, { title: 'gone' });
    heap.root.set('task', task);
    const root = heap.root;
    heap.clear();
    expectStale(task);
    expectCode('ERR_STALE', () => root.size);
    expect(heap.root.size).toBe(0);
    expect(region.check()).toEqual([]);
    expect(heap.check()).toEqual([]);
    // A type that was there before may be another one now.
    expect(heap.create(struct('Task', { id: str }), { id: 'text' }).toJS()).toEqual({ id: 'text' });
  });

  test('not in the middle of a call', () => {
    const { heap } = newHeap('1MiB');
    const given = { get title(): string {
      heap.clear();
      return 'x';
    } };
    expectCode('ERR_BUSY', () => heap.create(Task, { extra: given }));
    expect(heap.check()).toEqual([]);
  });
});

describe('handles of another heap', () => {
  test('are refused where a reference belongs, and copied where anything does', () => {
    const { heap } = newHeap('1MiB');
    const { heap: other } = newHeap('1MiB');
    const Holder = struct('Holder', { task: ref(Task) });
    const foreign = other.create(Task, { id: 7 });
    const holder = heap.create(Holder);
    const error = expectCode('ERR_MISMATCH', () => { holder.task = foreign as never; });
    expect(error.message).toContain('toJS()');
    expect(holder.task).toBeNull();
    expectCode('ERR_MISMATCH', () => heap.root.set('task', foreign));
    heap.root.set('task', foreign.toJS());
    expect((heap.root.get('task') as { get(name: string): unknown }).get('id')).toBe(7);
  });
});

describe('misuse', () => {
  const Parent = struct('Parent', { child: ref(Task) });
  const { heap } = newHeap('1MiB');
  const call = heap as unknown as Record<string, (...values: unknown[]) => unknown>;

  test.each([undefined, null, 5, 'Task', {}, [], () => Task, u32, str, any])(
    'create(%s)', (what) => {
      expectCode('ERR_BAD_OPTION', () => call.create?.(what));
    });

  test('fields that are none, or of another kind', () => {
    expectCode('ERR_SCHEMA', () => heap.create(Task, { nothing: 1 } as never));
    expectCode('ERR_SCHEMA', () => heap.create(Task, { id: '1' } as never));
    expectCode('ERR_SCHEMA', () => heap.create(list(str), [1] as never));
    expectCode('ERR_SCHEMA', () => heap.create(map(str, u32), { a: 'b' } as never));
    expectCode('ERR_SCHEMA', () => heap.create(sorted(u32, str), 5 as never));
    for (const $bound of [null, 1, {}, { core: 1 }, { type: { text: 'Task' } }]) {
      expectCode('ERR_SCHEMA', () => heap.create(Parent, { child: { $bound } } as never));
      expectCode('ERR_SCHEMA', () => heap.create(list(ref(Task)), [{ $bound }] as never));
    }
    expect(heap.check()).toEqual([]);
  });

  test('scan, typeOf', () => {
    expectCode('ERR_BAD_OPTION', () => [...heap.scan(5 as unknown as Struct<object>)]);
    expectCode('ERR_BAD_OPTION', () => [...heap.scan(list(str) as unknown as Struct<object>)]);
    const values = [heap.create(Task), heap.root, null, undefined, 1, 1n, 'a', true, new Date(0),
      new Uint8Array(0), Object.create(null)];
    expect(values.map((value) => heap.typeOf(value))).toEqual(['Task', 'map(str,any)', 'null',
      'undefined', 'number', 'bigint', 'string', 'boolean', 'Date', 'Uint8Array', 'object']);
  });

  test('a region with blocks of its own is no heap', () => {
    const region = createRegion(heapMemory({ capacity: '1MiB' }), slab);
    region.alloc(10);
    expectCode('ERR_MISMATCH', () => heapIn(region, ties));
  });
});

test('the same struct in two heaps, and two structs of one name in one', () => {
  const { heap } = newHeap('1MiB');
  const { heap: other } = newHeap('1MiB');
  const make = (one: ObjectHeap, id: number) => one.create(Task, { id }).id;
  expect([make(heap, 1), make(other, 2)]).toEqual([1, 2]);
  const Twin = struct('Task', { tags: list(str), extra: any, title: str, id: u32 });
  expect(heap.create(Twin, { id: 3 }).toJS()).toEqual(heap.create(Task, { id: 3 }).toJS());
});
