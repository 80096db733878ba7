/** What changed between two checkpoints: regions, pages, blocks, objects. */
import { describe, expect, test } from 'vitest';
import { str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { codeOf, MAPPERS, open, reopen, temporaryFolder } from './support/stores.ts';

const SMALL = { capacity: '4MiB' };
const Task = struct('Task', { id: u32, title: str });
const NONE = { added: 0, removed: 0, changed: 0, addedBytes: 0, removedBytes: 0, changedBytes: 0 };

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test('regions that came, went, were renamed and changed', () => {
    const store = open(temporaryFolder(), { mapper });
    const a = store.region('a', SMALL);
    store.region('b', SMALL);
    const blocks = [100, 5000, 200, 300].map((size) => a.alloc(size));
    store.checkpoint('one');
    a.bytes(blocks[1] as never)[4500] = 1;
    a.free(blocks[2] as never);
    a.alloc(9000);
    store.rename('b', 'c');
    store.region('n', SMALL).alloc(50);
    store.checkpoint('two');
    store.drop('c');
    store.checkpoint();
    const { from, to, regions } = store.diff('one', 'two');
    expect([from, to]).toEqual([1, 2]);
    expect(regions.map(({ name, was, change }) => [name, was, change])).toEqual(
      [['a', 'a', 'changed'], ['c', 'b', 'renamed'], ['n', null, 'created']]);
    expect(regions[0]?.blocks).toMatchObject({ added: 1, removed: 1, changed: 1,
      changedBytes: a.sizeOf(blocks[1] as never) });
    expect(regions[0]?.pages).toBeGreaterThan(1);
    expect(regions[1]).toMatchObject({ pages: 0, blocks: NONE });
    expect(regions[2]?.blocks).toMatchObject({ added: 1, removed: 0, changed: 0 });
    const back = store.diff(2, 'one').regions;
    expect(back.map(({ name, was, change }) => [name, was, change])).toEqual(
      [['a', 'a', 'changed'], ['b', 'c', 'renamed'], ['n', 'n', 'dropped']]);
    expect(back[0]?.blocks).toMatchObject({ added: 1, removed: 1, changed: 1 });
    expect(store.diff('two').regions.map(({ name, change }) => [name, change]))
      .toEqual([['c', 'dropped']]);
    expect(store.diff(3, 3).regions).toEqual([]);
    const again = reopen(store, { mapper });
    expect(again.diff('one', 'two').regions).toEqual(regions);
    again.close();
    using reader = open(store.dir, { mapper, readOnly: true });
    expect(reader.diff('one', 'two').regions).toEqual(regions);
  });

  test('objects by type', () => {
    using store = open(temporaryFolder(), { mapper });
    const heap = store.heap('h', SMALL);
    const [a, b] = [1, 2].map((id) => heap.create(Task, { id, title: `title ${id}` }));
    heap.root.set('list', [a, b, 5n ** 60n]);
    store.checkpoint('one');
    (a as { id: number }).id = 9;
    heap.root.set('list', [a, heap.create(Task, { id: 3, title: 'third' })]);
    heap.collect({ handles: false });
    store.checkpoint('two');
    const [found] = store.diff('one', 'two').regions;
    expect(found?.objects?.Task).toMatchObject({ changed: 1 });
    const { added, removed } = found?.objects?.Task ?? NONE;
    expect([added - removed, found?.objects?.bigints?.removed]).toEqual([0, 1]);
    const { types } = heap.stat();
    expect(types.get('Task')?.count).toBe(2);
    expect(Object.values(found?.objects ?? {}).reduce((n, sum) => n + sum.changedBytes, 0))
      .toBeGreaterThan(0);
  });
});

test('misuse', () => {
  const store = open(temporaryFolder());
  store.region('a', SMALL);
  store.checkpoint('one');
  for (const which of [null, {}, 1.5]) {
    expect(codeOf(() => store.diff(which as never))).toBe('ERR_BAD_OPTION');
    if (which !== null) expect(codeOf(() => store.diff(1, which as never))).toBe('ERR_BAD_OPTION');
  }
  expect(codeOf(() => store.diff('two'))).toBe('ERR_NOT_FOUND');
  expect(codeOf(() => store.diff(1, 9))).toBe('ERR_NOT_FOUND');
  store.close();
  expect(codeOf(() => store.diff(1))).toBe('ERR_CLOSED');
});
