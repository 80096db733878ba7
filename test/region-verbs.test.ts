/** The verbs of Vmalloc that programs use less: newof, oldof, walk, segment, trbusy, getmem. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { createRegion, scratch } from '../src/region/region.ts';
import { walkRegions } from '../src/region/windows.ts';
import type { TraceEvent } from '../src/events.ts';
import type { Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';

const large = 3 * 2 ** 30;

describe.each([best, last])('$name', (method) => {
  const fresh = (): Region => createRegion(heap({ capacity: '64MiB' }), method);

  test('newOf makes a zeroed array, and clears what an old one grows by', () => {
    using region = fresh();
    const dirty = region.alloc(4000);
    region.bytes(dirty).fill(9);
    region.free(dirty);
    const made = region.newOf(0, Uint32Array, 10, 3);
    expect(region.sizeOf(made)).toBeGreaterThanOrEqual(43);
    expect([...region.array(Uint32Array, made, 10)]).toEqual(new Array(10).fill(0));
    region.array(Uint32Array, made, 10).fill(7);
    const old = region.sizeOf(made);
    const grown = region.newOf(made, Uint32Array, 1000);
    const bytes = region.bytes(grown);
    expect([...region.array(Uint32Array, grown, 10)]).toEqual(new Array(10).fill(7));
    expect(bytes.subarray(old, 4000).every((byte) => byte === 0)).toBe(true);
    expect(region.check()).toEqual([]);
  });

  test('oldOf makes or resizes one whose contents nobody needs', () => {
    using region = fresh();
    const made = region.oldOf(0, Float64Array, 4);
    region.alloc(100);
    const moved = region.oldOf(made, Float64Array, 5000, 8);
    expect(region.sizeOf(moved)).toBeGreaterThanOrEqual(40_008);
    expect([...region.blocks()].filter(({ busy }) => busy)).toHaveLength(2);
    expect(region.check()).toEqual([]);
  });

  test('who looks at a region sees what it is, not its memory', () => {
    using region = fresh();
    expect(Object.keys(region)).toEqual(['name', 'method', 'id', 'roots', 'recovery']);
  });

  test('newOf and oldOf refuse what is no size, the region unchanged', () => {
    using region = fresh();
    const kept = region.strdup('kept');
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53, 1e300, '8' as never]) {
      expectCode('ERR_BAD_SIZE', () => region.newOf(0, Uint8Array, wrong));
      expectCode('ERR_BAD_SIZE', () => region.oldOf(0, Uint8Array, 1, wrong));
    }
    expectCode('ERR_BAD_SIZE', () => region.newOf(0, Float64Array, 2 ** 50));
    expectCode('ERR_BAD_ADDRESS', () => region.newOf(17, Uint8Array, 1));
    expect(region.string(kept)).toBe('kept');
    expect(region.check()).toEqual([]);
  });

  test('busyTrace tells of every live block once, though free ones lie between', () => {
    using region = fresh();
    const blocks = Array.from({ length: 20 }, (_, i) => region.alloc(100 + i));
    const freed = method.name === 'last' ? blocks.splice(-5).reverse()
      : blocks.splice(3, 5);
    for (const address of freed) region.free(address);
    const events: TraceEvent[] = [];
    region.busyTrace({ record: (event) => events.push(event) });
    expect(events.map((event) => event.new)).toEqual(blocks);
    for (const event of events) {
      expect(event).toEqual({ old: 0, new: event.new, size: region.sizeOf(event.new), align: 0,
        zero: false, region: region.name, method: method.name, site: '' });
    }
  });

  test('scratch is a region of the same method and of its own memory', () => {
    using region = fresh();
    const before = region.stat();
    using work = region.scratch();
    expect(work.method).toBe(method.name);
    work.bytes(work.alloc(1000)).fill(1);
    expect(region.stat()).toEqual(before);
  });
});

test('walk visits segments in order and stops when told; segmentOf finds the one of a byte', () => {
  using region = createRegion(heap({ capacity: '12GiB' }), best);
  for (let i = 0; i < 3; i++) region.alloc(large);
  const all = [...region.segments()];
  expect(all.map(({ address }) => address)).toEqual([0, 2 ** 32, 2 ** 33]);
  const seen: number[] = [];
  region.walk(({ address }) => {
    seen.push(address);
  });
  expect(seen).toEqual(all.map(({ address }) => address));
  seen.length = 0;
  region.walk(({ address }) => seen.push(address) === 2);
  expect(seen).toEqual([0, 2 ** 32]);
  expect(region.segmentOf(2 ** 32 + 5)).toEqual(all[1]);
  for (const nowhere of [-1, all[0].size, 2 ** 40, Number.NaN]) {
    expect(region.segmentOf(nowhere)).toBeNull();
  }
});

test('a walk over all regions can be stopped, and sees open ones only', () => {
  const regions = ['a', 'b', 'c'].map((name) => createRegion(heap({ capacity: '1MiB' }), best,
    { name }));
  regions[1].close();
  const names: string[] = [];
  walkRegions(({ name }) => {
    names.push(name);
  });
  expect(names).toEqual(['a', 'c']);
  names.length = 0;
  walkRegions(({ name }) => names.push(name) === 1);
  expect(names).toEqual(['a']);
  for (const region of regions) region.close();
  names.length = 0;
  walkRegions(({ name }) => {
    names.push(name);
  });
  expect(names).toEqual([]);
});

test('scratch() needs nothing and leaves nothing', () => {
  using work = scratch();
  expect(work.string(work.strdup('thrown away'))).toBe('thrown away');
  using stack = scratch(last);
  expect(stack.method).toBe('last');
});
