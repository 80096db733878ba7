/**
 * Objects whose struct got other fields move to new blocks. Whoever finds things by reference finds
 * them all the same: lists, maps and sets, before and after a collection.
 */
import { expect, test } from 'vitest';
import type { ObjectHeap } from '../src/objects/heap.ts';
import { any, f64, list, map, ref, set, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { temporaryDirectory } from './support/temp.ts';

const SMALL = { capacity: '4MiB' };
const Before = struct('Item', { n: u32 });
const After = struct('Item', { n: u32, x: f64, note: str });
const Lists = struct('Lists', { exact: list(ref(Before)), loose: list(any) });
const Keys = struct('Keys', { byItem: map(ref(Before), u32), items: set(ref(Before)),
  anything: set(any), byAny: map(any, str) });

interface Found {
  readonly exact: { at(i: number): { n: number }; indexOf(one: unknown): number };
  readonly loose: { indexOf(one: unknown): number; includes(one: unknown): boolean };
  readonly byItem: Map<unknown, number>;
  readonly items: Set<unknown>;
  readonly anything: Set<unknown>;
  readonly byAny: Map<unknown, string>;
}

/** `work` with a heap that was written by a program with the struct as it was before. */
function reopened(withKeys: boolean, work: (heap: ObjectHeap, found: Found) => void): void {
  const dir = temporaryDirectory();
  const first = openStore(dir);
  const heap = first.heap('app', SMALL);
  const items = Array.from({ length: 500 }, (_, n) => heap.create(Before, { n }));
  heap.root.set('lists', heap.create(Lists, { exact: items, loose: items }));
  if (withKeys) {
    heap.root.set('keys', heap.create(Keys, { byItem: items.map((one) => [one, one.n] as const),
      items, anything: [...items, 5, 'x'],
      byAny: items.map((one) => [one, `${one.n}`] as const) }));
  }
  first.close();
  const second = openStore(dir);
  const again = second.heap('app', SMALL);
  again.create(After);
  const lists = again.root.get('lists') as Found;
  const keys = (withKeys ? again.root.get('keys') : lists) as Found;
  work(again, { exact: lists.exact, loose: lists.loose, byItem: keys.byItem, items: keys.items,
    anything: keys.anything, byAny: keys.byAny });
  expect(second.check()).toEqual([]);
  second.close();
}

test('in lists, where each object moves when it is looked at', () => {
  reopened(false, (heap, { exact, loose }) => {
    for (const i of [499, 0, 250]) {
      const one = exact.at(i);
      expect(one.n).toBe(i);
      expect([exact.indexOf(one), loose.indexOf(one), loose.includes(one)]).toEqual([i, i, true]);
    }
    const one = exact.at(250);
    heap.collect();
    expect([exact.indexOf(one), loose.indexOf(one)]).toEqual([250, 250]);
    heap.compact();
    expect([exact.indexOf(one), loose.indexOf(one)]).toEqual([250, 250]);
    expect(exact.indexOf(heap.create(After))).toBe(-1);
  });
});

test('in maps and sets, before and after a collection', () => {
  reopened(true, (heap, { exact, byItem, items, anything, byAny }) => {
    const look = () => {
      for (let i = 0; i < 500; i++) {
        const one = exact.at(i);
        expect([byItem.get(one), items.has(one), anything.has(one), byAny.get(one)])
          .toEqual([i, true, true, `${i}`]);
      }
    };
    look();
    expect([byItem.size, items.size, anything.size, byAny.size]).toEqual([500, 500, 502, 500]);
    byItem.set(exact.at(7), 700);
    expect([byItem.size, byItem.get(exact.at(7))]).toEqual([500, 700]);
    byItem.set(exact.at(7), 7);
    expect(heap.check()).toEqual([]);
    heap.collect();
    look();
    heap.compact();
    look();
    expect(items.delete(exact.at(3))).toBe(true);
    expect(items.has(exact.at(3))).toBe(false);
    expect(items.has(heap.create(After))).toBe(false);
  });
});
