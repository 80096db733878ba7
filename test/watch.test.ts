/**
 * What a region does besides its work: flags, the watch list, checks at operations, events of
 * growing and shrinking, of missing memory, of bad addresses, and vetoes.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { RegionEvents, RegionFlags, TraceEvent } from '../src/events.ts';
import type { Discipline, Finding, Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { temporaryDirectory } from './support/temp.ts';

function fresh(on: RegionEvents = {}, flags: Partial<RegionFlags> = {}, capacity = '1MiB'): Region {
  return createRegion(heap({ capacity }), best, { on, ...flags });
}

/** One byte behind a block is written over. */
function overrun(region: Region, address: number): void {
  const view = region.bytes(address);
  new Uint8Array(view.buffer, view.byteOffset, view.length + 1)[view.length] ^= 1;
}

describe('flags', () => {
  test('configure returns what was, and changes only what is given', () => {
    using region = fresh({ trace: () => {} });
    const off = { trace: false, check: false, period: 1, start: 0, abort: false, shared: false,
      watch: [] };
    expect(region.configure({})).toEqual(off);
    expect(region.configure({ trace: true, period: 3 })).toEqual(off);
    expect(region.configure({ watch: [5] })).toEqual({ ...off, trace: true, period: 3 });
    const before = region.configure({ ...off });
    expect(before).toEqual({ ...off, trace: true, period: 3, watch: [5] });
    expect(region.configure({})).toEqual(off);
  });

  test('what is returned is a copy', () => {
    using region = fresh();
    region.configure({ watch: [5] });
    (region.configure({}).watch as number[]).push(6);
    expect(region.configure({}).watch).toEqual([5]);
  });

  test('misuse is refused and changes nothing', () => {
    using region = fresh();
    const wrong: unknown[] = [null, 5, 'check', [], { chek: true }, { check: 1 }, { period: 0 },
      { period: 1.5 }, { period: Number.NaN }, { start: -1 }, { abort: 'yes' }, { trace: 5 },
      { trace: {} }, { trace: true }, { watch: 5 }, { watch: [-1] }, { watch: [0.5] },
      { watch: [2 ** 53] }, { shared: true }];
    for (const flags of wrong) {
      expectCode('ERR_BAD_OPTION', () => region.configure(flags as RegionFlags));
    }
    expect(region.configure({})).toMatchObject({ trace: false, check: false, watch: [] });
    expectCode('ERR_BAD_OPTION', () => fresh({}, { period: -1 }));
    expectCode('ERR_BAD_OPTION', () => fresh({ warnin: () => {} } as RegionEvents));
    expectCode('ERR_BAD_OPTION', () => fresh({ warning: 5 } as unknown as RegionEvents));
    region.close();
    expectCode('ERR_CLOSED', () => region.configure({}));
  });
});

describe('the watch list', () => {
  const watching = (flags: Partial<RegionFlags> = {}) => {
    const told: Finding[] = [];
    const region = fresh({ warning: (finding) => told.push(finding) }, flags);
    return { region, told };
  };

  test('W1: whatever happens to the block that holds an address, every time', () => {
    const { region, told } = watching();
    const a = region.alloc(100);
    region.configure({ watch: [a + 50] });
    const b = region.alloc(100);
    expect(told).toEqual([]);
    region.resize(a, 110);
    region.free(a);
    const again = region.alloc(100);
    expect(again).toBe(a);
    region.free(b);
    const said = told.map(({ id, address, detail }) => [id, address, detail.split(' by ')[0]]);
    const held = `the block that holds ${a + 50} was`;
    expect(said).toEqual(['resized', 'freed', 'allocated']
      .map((what) => ['W1', a + 50, `${held} ${what}`]));
    for (const { detectedAt } of told) expect(detectedAt).toMatch(/watch\.test\.ts:\d+:/);
  });

  test('W1 of a block that moves away, and of one that moves there', () => {
    const { region, told } = watching();
    const a = region.alloc(100);
    region.alloc(100);
    region.configure({ watch: [a + 99] });
    const moved = region.resize(a, 5000);
    expect(moved).not.toBe(a);
    expect(told).toHaveLength(1);
    region.configure({ watch: [moved + 4000] });
    region.resize(moved, 10, { move: false });
    expect(told).toHaveLength(2);
  });

  test('with abort it throws when the work is done', () => {
    const { region } = watching({ abort: true });
    const a = region.alloc(100);
    region.configure({ watch: [a] });
    expect(expectCode('ERR_CORRUPT', () => region.free(a)).message).toContain('W1');
    expectCode('ERR_BAD_ADDRESS', () => region.free(a));
  });
});

describe('checks at operations', () => {
  const checked = (flags: Partial<RegionFlags>) => {
    const told: Finding[] = [];
    const region = createRegion(heap({ capacity: '1MiB' }), debug(best),
      { check: true, ...flags, on: { warning: (finding) => told.push(finding) } });
    return { region, told };
  };

  test.each([[1, 0, 1], [3, 0, 3], [1, 4, 5], [3, 4, 7]])(
    'every %i-th after the first %i: found by operation %i', (period, start, expected) => {
      const { region, told } = checked({});
      const a = region.alloc(10);
      overrun(region, a);
      region.configure({ period, start });
      let operations = 0;
      for (; told.length === 0 && operations < 20; operations++) region.alloc(10);
      expect(operations).toBe(expected);
      for (let i = 0; i < 10; i++) region.alloc(10);
      region.free(a);
      expect(told).toHaveLength(1);
    });

  test('a watch list does not disturb the count', () => {
    const { region, told } = checked({});
    const a = region.alloc(10);
    overrun(region, a);
    region.configure({ period: 4, start: 0, watch: [a] });
    region.resize(a, 10);
    told.length = 0;
    const b = region.alloc(10);
    overrun(region, b);
    region.alloc(10);
    expect(told).toEqual([]);
    region.alloc(10);
    expect(told.map(({ id, address }) => [id, address])).toEqual([['D1', b]]);
  });

  test('damage of the region itself is found and thrown', () => {
    const { region, told } = checked({ abort: true });
    const a = region.alloc(10);
    overrun(region, a);
    expect(expectCode('ERR_CORRUPT', () => region.alloc(10)).message).toContain(`D1 at ${a}`);
    expect(told).toHaveLength(1);
    region.alloc(10);
    expect(told).toHaveLength(1);
  });

  test('a finding is told again when its memory went back in time', () => {
    const path = join(temporaryDirectory(), 'a.region');
    const told: Finding[] = [];
    const on = { warning: (finding: Finding) => told.push(finding) };
    const region = createRegion(file(path, { capacity: '1MiB' }), debug(best), { check: true, on });
    const a = region.alloc(10);
    overrun(region, a);
    region.alloc(10);
    region.close();
    expect(told).toHaveLength(1);
    using again = openRegion(file(path), { check: true, on });
    again.alloc(10);
    expect(told.map(({ id, address }) => [id, address])).toEqual([['D1', a], ['D1', a]]);
  });
});

describe('events', () => {
  test('grow and shrink say by how much the extent changed', () => {
    const told: number[] = [];
    const region = fresh({ grow: (bytes, r) => told.push(bytes, r.stat().extent),
      shrink: (bytes, r) => told.push(-bytes, r.stat().extent) });
    const before = region.stat().extent;
    const a = region.alloc(500_000);
    const { extent } = region.stat();
    expect(told).toEqual([extent - before, extent]);
    region.free(a);
    const given = region.compact();
    expect(told.slice(2)).toEqual([-given, extent - given]);
    region.alloc(10);
    expect(told).toHaveLength(4);
  });

  test('noMemory: retried while the handler frees, and only then', () => {
    const held: number[] = [];
    const asked: number[] = [];
    const region = fresh({ noMemory: (bytes, r) => {
      asked.push(bytes);
      const some = held.pop();
      if (some !== undefined) r.free(some);
      return 'retry';
    } });
    for (;;) {
      const a = region.resize(0, 50_000, { move: true });
      held.push(a);
      if (asked.length > 0) break;
    }
    expect(asked).toEqual([50_000]);
    expectCode('ERR_NO_SPACE', () => region.alloc(10_000_000));
    expect(held).toEqual([]);
    expect(region.stat().busyBlocks).toBe(0);
  });

  test('noMemory under debug: what is held back goes first', () => {
    const told: number[] = [];
    using region = createRegion(heap({ capacity: '1MiB' }), debug(best),
      { on: { noMemory: (bytes) => {
        told.push(bytes);
        return 'fail';
      } } });
    for (let i = 0; i < 100; i++) region.free(region.alloc(600_000));
    expect(told).toEqual([]);
    expectCode('ERR_NO_SPACE', () => region.alloc(2_000_000));
    expect(told).toEqual([2_000_000]);
  });

  test('badAddress is called before the error, for every call that takes a block', () => {
    const told: number[] = [];
    const region = fresh({ badAddress: (address) => told.push(address) });
    const a = region.alloc(100);
    expectCode('ERR_BAD_ADDRESS', () => region.free(a + 16));
    expectCode('ERR_BAD_ADDRESS', () => region.resize(a + 32, 5));
    expectCode('ERR_BAD_ADDRESS', () => region.sizeOf(3));
    expectCode('ERR_BAD_ADDRESS', () => region.bytes(-1));
    expect(told).toEqual([a + 16, a + 32, 3, -1]);
    region.free(0);
    region.free(a);
    expect(told).toHaveLength(4);
  });

  test('close may be vetoed; then the region goes on', () => {
    let may = false;
    const region = fresh({ close: () => may });
    const a = region.alloc(10);
    expectCode('ERR_BUSY', () => region.close());
    expect(region.closed).toBe(false);
    region.free(a);
    may = true;
    region.close();
    expect(region.closed).toBe(true);
  });

  test('a change of discipline may be vetoed', () => {
    let may = false;
    const asked: string[] = [];
    const one = heap({ capacity: '1MiB' });
    using region = createRegion(one, best, { on: { discipline: (next) => {
      asked.push(next.name);
      return may;
    } } });
    const { round, capacity, durable } = one;
    const same: Discipline = { name: 'same', round, capacity, durable, open: () => one.open(),
      window: (segment) => one.window(segment), sync: () => one.sync(), close: () => one.close(),
      resize: (segment, bytes) => one.resize(segment, bytes) };
    expectCode('ERR_BUSY', () => region.setDiscipline(same));
    may = true;
    expect(region.setDiscipline(same)).toBe(one);
    expect(asked).toEqual(['same', 'same']);
    region.free(region.alloc(10));
  });

  test('open says how; a trace has what was asked for and where', () => {
    const told: unknown[] = [];
    const events: TraceEvent[] = [];
    const region = fresh({ open: (r, how) => told.push(r.method, how),
      trace: (event) => events.push(event) }, { trace: true });
    expect(told).toEqual(['best', 'created']);
    const a = region.alloc(10);
    const b = region.align(20, 64);
    const c = region.resize(a, 30, { zero: true });
    region.free(b);
    const shared = { region: 'heap', method: 'best' };
    const site = expect.stringMatching(/watch\.test\.ts:\d+:/);
    expect(events).toEqual([
      { old: 0, new: a, size: 10, align: 0, zero: false, site, ...shared },
      { old: 0, new: b, size: 20, align: 64, zero: false, site, ...shared },
      { old: a, new: c, size: 30, align: 0, zero: true, site, ...shared },
      { old: b, new: 0, size: 0, align: 0, zero: false, site, ...shared },
    ]);
  });

  test('a handler that throws ends the call it was made from; the region is whole', () => {
    let isAngry = true;
    const region = fresh({ grow: () => {
      if (isAngry) throw new Error('mine');
    } });
    expect(() => region.alloc(500_000)).toThrow('mine');
    expect(region.check()).toEqual([]);
    isAngry = false;
    region.alloc(10);
  });
});
