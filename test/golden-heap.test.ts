/** The golden heap: what was put in comes out, and every way a struct may change works on it. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { heapIn, type ObjectHeap } from '../src/objects/heap.ts';
import { any, bool, f64, i32, type Kind, list, optional, str, u32, u64, u8 } from
  '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openRegion } from '../src/region/region.ts';
import { GOLDEN, STORED } from '../tools/golden-heap.ts';
import { expectCode } from './support/expect-code.ts';
import { temporaryFolder } from './support/stores.ts';

const golden = fileURLToPath(new URL('fixtures/golden', import.meta.url));

function within(version: string, look: (heap: ObjectHeap) => void): void {
  const copy = join(temporaryFolder(), 'heap.region');
  cpSync(join(golden, version, 'heap.region'), copy);
  const region = openRegion(compressed(copy));
  const heap = heapIn(region, { now: () => 0 });
  expect(heap.check()).toEqual([]);
  look(heap);
  expect(heap.check()).toEqual([]);
  heap.collect({ handles: false });
  expect(heap.check()).toEqual([]);
  expect(region.check()).toEqual([]);
  region.close();
}

type Loose = { toJS(): Record<string, unknown> } & Record<string, unknown>;
const CHANGES: Record<string, [Record<string, Kind>, Record<string, unknown>, object?]> = {
  Added: [{ id: u32, more: str, tags: list(u8), flag: optional(bool), x: any },
    { id: 1, more: 'default', tags: [], flag: undefined, x: undefined },
    { defaults: { more: 'default' } }],
  Removed: [{ id: u32 }, { id: 2 }],
  Reordered: [{ c: f64, a: u8, b: str }, { c: 3, a: 1, b: 'two' }],
  Renamed: [{ title: str }, { title: 'kept' }, { aliases: { title: 'name' } }],
  Widened: [{ a: u64, b: i32, c: optional(f64), d: f64, e: optional(str), f: any, g: any },
    { a: 255n, b: -32768, c: 2 ** 32 - 1, d: 0.5, e: 'text', f: new Uint8Array([1, 2]),
      g: GOLDEN.date }],
};

const versions = readdirSync(golden).filter((name) => name.startsWith('v')).sort();

describe.each(versions)('%s', (version) => {
  test('every kind', () => within(version, (heap) => {
    const all = heap.root.get('all') as Loose;
    const { self, ...rest } = all.toJS();
    expect(rest).toEqual(GOLDEN);
    expect(all.self).toBe(all);
    expect(Object.is((self as { f64: number }).f64, GOLDEN.f64)).toBe(true);
    expect(heap.root.size).toBe(STORED.length + 3);
  }));

  test('as it was declared', () => within(version, (heap) => {
    for (const { name, fields, values } of STORED) {
      heap.create(struct(name, fields));
      expect((heap.root.get(name) as Loose).toJS()).toEqual(values);
    }
    expect(heap.upgrade()).toBe(0);
  }));

  test.each(Object.entries(CHANGES))('%s', (name, [fields, expected, options = {}]) => {
    within(version, (heap) => {
      heap.create(struct(name, fields, options));
      expect((heap.root.get(name) as Loose).toJS()).toEqual(expected);
    });
  });

  test('Refused', () => within(version, (heap) => {
    const error = expectCode('ERR_SCHEMA', () => heap.create(struct('Refused', { id: u32 })));
    expect(error.message).toMatch(/Refused\.id is stored as str and declared as u32/);
  }));

  test('a struct that had changed before', () => within(version, (heap) => {
    heap.create(struct('Twice', { n: f64, more: str }, { defaults: { more: 'other' } }));
    expect((heap.root.get('first') as Loose).toJS()).toMatchObject({ n: 1 });
    expect((heap.root.get('second') as Loose).toJS()).toEqual({ n: 2, more: 'own' });
  }));
});
