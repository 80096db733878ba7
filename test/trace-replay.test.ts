/** The replay core and the summary, beside slow models of both. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { best, createRegion, heap, last, type Region, readTrace } from '../src/index.ts';
import { TRACE_RECORD } from '../src/layout.ts';
import { heapOf, measure, refusal, replay, TOUCHES, utilization, verify }
  from '../src/trace/replay.ts';
import { summarize } from '../src/trace/summary.ts';
import type { Trace } from '../src/trace/trace.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, randomFrom } from './support/oracle.ts';
import { fileWith, randomTrace } from './support/traces.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures/traces', import.meta.url));
const seed = newSeed();

function newRegion(): Region {
  return createRegion(heap({ capacity: '1GiB' }), best);
}

describe('replay', () => {
  test.each(['lua', 'convert', 'make'])('%s leaves what the trace leaves', (name) => {
    const trace = readTrace(join(FIXTURES, `${name}.vmt.gz`));
    const region = newRegion();
    const live = new Uint32Array(trace.slots);
    replay(trace, heapOf(region), live);
    expect(region.stat().busyBlocks).toBe(trace.leftBlocks);
    expect(region.stat().busyBytes).toBeGreaterThanOrEqual(trace.leftBytes);
    expect(region.check()).toEqual([]);
  });

  test.each(TOUCHES)('touching %s', (touch) => {
    const trace = readTrace(fileWith(
      '0:16:5:0:r:b\n0:32:40z:64:r:b\n0:48:0:0:r:b\n16:16:20:0:r:b\n'));
    const region = newRegion();
    const heapped = heapOf(region);
    heapped.memory.fill(9, region.alloc(1), 100_000);
    region.clear();
    const live = new Uint32Array(trace.slots);
    replay(trace, heapped, live, touch);
    const first = [...region.bytes(live[0], 20)];
    const second = [...region.bytes(live[1], 40)];
    expect(live[1] % 64).toBe(0);
    const zeros = new Array(38).fill(0);
    if (touch === 'none') expect([...new Set(second)]).toEqual([0]);
    if (touch === 'ends') {
      expect(second).toEqual([1, ...zeros, 2]);
      expect([first[0], first[19]]).toEqual([1, 2]);
    }
    if (touch === 'all') expect([...new Set([...first, ...second])]).toEqual([1]);
  });

  test('measure: time by the clock that is given, footprint, utilization', () => {
    const trace = randomTrace(randomFrom(seed), 2000);
    const region = newRegion();
    let now = 0;
    const measured = measure(trace, region, 'ends', () => {
      now += 25;
      return now;
    });
    expect(measured).toEqual({ ms: 25, footprint: region.stat().extent });
    expect(utilization(trace, measured.footprint)).toBe(trace.peakBytes / region.stat().extent);
    expect(utilization(trace, 0)).toBe(0);
  });

  test('a method that cannot serve the order of a trace', () => {
    const trace = readTrace(fileWith('0:16:5:0:r:b\n0:32:5:0:r:b\n16:0:0:0:r:b\n'));
    const region = createRegion(heap(), last);
    const error = expectCode('ERR_MISMATCH', () => measure(trace, region, 'ends', () => 0));
    expect(refusal(error)).toMatch(/last cannot free/);
    const inOrder = readTrace(fileWith('0:16:5:0:r:b\n0:32:5:0:r:b\n32:0:0:0:r:b\n'));
    expect(measure(inOrder, createRegion(heap(), last), 'ends', () => 0).footprint)
      .toBeGreaterThan(0);
  });

  test('no room is a refusal, a lost block is not', () => {
    const trace = readTrace(fileWith('0:16:5000000:0:r:b\n16:0:0:0:r:b\n'));
    const small = createRegion(heap({ capacity: '1MiB' }), best);
    const error = expectCode('ERR_NO_SPACE', () => measure(trace, small, 'ends', () => 0));
    expect(refusal(error)).not.toBeNull();
    const losing = changed(newRegion(), { alloc: (region, size) => {
      const at = region.alloc(size);
      region.free(at);
      return at;
    } });
    const lost = expectCode('ERR_BAD_ADDRESS', () => measure(trace, losing, 'none', () => 0));
    expect(refusal(lost)).toBeNull();
    expect(refusal(new Error('x'))).toBeNull();
  });
});

interface Changes {
  alloc?(region: Region, size: number): number;
  align?(region: Region, size: number): number;
  resize?(region: Region, address: number, size: number): number;
  sizeOf?(region: Region, address: number): number;
}

/** A region that does some calls wrongly. */
function changed(region: Region, changes: Changes): Region {
  return new Proxy(region, {
    get(target, name) {
      const change = Object.hasOwn(changes, name) ? changes[name as keyof Changes] : undefined;
      if (change !== undefined) {
        return (...given: [number, number]) =>
          (change as (region: Region, ...given: number[]) => number)(target, ...given);
      }
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('verify', () => {
  test(`finds nothing in a sound method (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let i = 0; i < 10; i += 1) {
      expect(verify(randomTrace(random, 1500), newRegion())).toEqual([]);
    }
  });

  const trace = (text: string): Trace => readTrace(fileWith(text));

  test('V1: blocks that overlap', () => {
    const region = newRegion();
    let first = 0;
    const overlapping = changed(region, { alloc: (real, size) => {
      first ||= real.alloc(size);
      return first;
    } });
    const found = verify(trace('0:16:40:0:r:b\n0:64:40:0:r:b\n16:0:0:0:r:b\n'), overlapping);
    expect(found.map(({ id }) => id)).toEqual(['V1', 'V4']);
    expect(found[0]).toMatchObject({ id: 'V1', address: first });
    expect(found[0].detail).toMatch(/byte 0 of 40 .*before the free of record 2/);
  });

  test('V1: a resize that loses contents', () => {
    const losing = changed(newRegion(), { resize: (real, address, size) =>
      real.resize(address, size, { copy: false }) });
    const text = '0:16:40:0:r:b\n0:64:40:0:r:b\n16:128:4000:0:r:b\n';
    const [finding] = verify(trace(text), losing);
    expect(finding.id).toBe('V1');
    expect(finding.detail).toMatch(/after the resize of record 2/);
  });

  test('V4: a block that is lost', () => {
    const losing = changed(newRegion(), { alloc: (real, size) => {
      const at = real.alloc(size);
      if (size === 7) real.free(at);
      return at;
    } });
    const [finding] = verify(trace('0:16:5:0:r:b\n0:32:7:0:r:b\n'), losing);
    expect(finding.id).toBe('V4');
    expect(finding.detail).toMatch(/^record 1: .*not the start of a live block/);
    const stack = createRegion(heap(), last);
    expectCode('ERR_MISMATCH',
      () => verify(trace('0:16:5:0:r:b\n0:32:5:0:r:b\n16:0:0:0:r:b\n'), stack));
  });

  test('V2: an alignment that was not kept', () => {
    const region = newRegion();
    const crooked = changed(region, { align: (real, size) => {
      const at = real.align(size + 256, 256);
      const other = real.alloc(16);
      return at % 4096 === 0 ? other : at;
    } });
    const [finding] = verify(trace('0:16:40:4096:r:b\n'), crooked);
    expect(finding).toMatchObject({ id: 'V2' });
    expect(finding.detail).toBe('record 1 asked for alignment 4096');
  });

  test('V3: a block that is too small', () => {
    const meagre = changed(newRegion(), { alloc: (real) => real.alloc(1) });
    const [finding] = verify(trace('0:16:4000:0:r:b\n'), meagre);
    expect(finding).toMatchObject({ id: 'V3', detail: 'record 0: 16 bytes of 4000' });
  });

  test('at most a hundred findings', () => {
    const meagre = changed(newRegion(), { alloc: (real) => real.alloc(1) });
    const lines = Array.from({ length: 500 }, (_, i) => `0:${16 * (i + 1)}:4000:0:r:b\n`);
    expect(verify(trace(lines.join('')), meagre)).toHaveLength(100);
  });
});

/** The slow way: lifetimes and live bytes by walking objects. */
function modelOf({ records }: Trace) {
  const live = new Map<number, { born: number; size: number; resized: number }>();
  const [sizes, lifetimes]: number[][] = [[], []];
  let [time, bytes, peak, peakAt] = [0, 0, 0, 0];
  for (let i = 0; i < records.length; i += 2) {
    const slot = records[i] >>> 3;
    const operation = records[i] & 3;
    if (operation === TRACE_RECORD.align) continue;
    time += 1;
    const block = live.get(slot);
    if (operation === TRACE_RECORD.free && block !== undefined) {
      lifetimes.push(time - block.born);
      bytes -= block.size;
      live.delete(slot);
    } else if (block !== undefined) {
      bytes += records[i + 1] - block.size;
      block.size = records[i + 1];
      block.resized += 1;
    } else {
      live.set(slot, { born: time, size: records[i + 1], resized: 0 });
      sizes.push(records[i + 1]);
      bytes += records[i + 1];
    }
    if (bytes > peak) [peak, peakAt] = [bytes, time];
  }
  const ascending = (a: number, b: number) => a - b;
  return { sizes: sizes.sort(ascending), lifetimes: lifetimes.sort(ascending), peakAt };
}

describe('summary', () => {
  test(`agrees with the slow way (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 20; round += 1) {
      const trace = randomTrace(random, 1 + random(800));
      const { sizes, lifetimes, peakAt } = modelOf(trace);
      const summary = summarize(trace);
      const { median, p90, least, most, sum, count } = summary.sizes;
      expect([least, most, count]).toEqual([sizes[0], sizes.at(-1), sizes.length]);
      expect(median).toBe(sizes[Math.ceil(sizes.length / 2) - 1]);
      expect(p90).toBe(sizes[Math.ceil(sizes.length * 0.9) - 1]);
      expect(sum).toBe(sizes.reduce((a, b) => a + b));
      expect(summary.lifetimes.count).toBe(lifetimes.length);
      expect(summary.lifetimes.median).toBe(lifetimes[Math.ceil(lifetimes.length / 2) - 1] ?? 0);
      expect(summary.freedAtOnce).toBe(lifetimes.filter((age) => age === 1).length);
      expect(summary.peakAt).toBe(peakAt);
      expect(summary.distinctSizes).toBe(new Set(sizes).size);
      for (const { size, count: times } of summary.frequentSizes) {
        expect(times).toBe(sizes.filter((one) => one === size).length);
      }
      for (const [i, { to, count: blocks }] of summary.sizes.histogram.entries()) {
        const from = i === 0 ? -1 : summary.sizes.histogram[i - 1].to;
        expect(blocks).toBe(sizes.filter((size) => size > from && size <= to).length);
      }
      const { allocs, frees, resizes, operations } = summary;
      expect(allocs + frees + resizes).toBe(operations);
    }
  });

  test('resizing, alignment, zeros, sites', () => {
    const summary = summarize(readTrace(fileWith(
      '0:16:10z:0:r:best:a:1:f\n0:64:20:64:r:best:b:2:g\n16:16:30:0:r:best:c:3:h\n' +
      '16:32:5:0:r:best:c:3:h\n32:32:5:0:r:best:c:3:h\n64:0:0:0:r:best:c:3:h\n')));
    expect(summary.resizing)
      .toEqual({ grown: 1, shrunk: 1, same: 1, grownBytes: 20, blocks: 1, longest: 3 });
    expect(summary.alignments).toEqual([{ alignment: 64, count: 1 }]);
    expect(summary.zeroed).toEqual({ count: 1, bytes: 10 });
    expect(summary.sites).toEqual([
      { region: 'r', method: 'best', site: 'b:2:g', allocs: 1, bytes: 20, leftBlocks: 0,
        leftBytes: 0 },
      { region: 'r', method: 'best', site: 'a:1:f', allocs: 1, bytes: 10, leftBlocks: 1,
        leftBytes: 5 },
    ]);
    expect(summary.distinctSites).toBe(2);
    expect(summary.lifetimes).toMatchObject({ count: 1, median: 4 });
  });

  test('an empty trace', () => {
    const summary = summarize(randomTrace(randomFrom(1), 0));
    expect(summary).toMatchObject({ operations: 0, peakAt: 0, frequentSizes: [], sites: [] });
    expect(summary.sizes).toEqual(
      { count: 0, sum: 0, least: 0, median: 0, p90: 0, most: 0, histogram: [] });
  });
});
