/** A study's arithmetic, what perf and trials write, and its chart. */
import { describe, expect, test } from 'vitest';
import { loadPool, type Pool, poolHeap, PoolRefused, reallocFault } from '../src/study/pool.ts';
import { judged } from '../src/study/direct.ts';
import { outcomeOf, runTrial } from '../src/study/process.ts';
import { gridsOf, markdown, notesOf } from '../src/cli/study-text.ts';
import { chartOf } from '../src/study/chart.ts';
import {
  cellsOf, type Contender, geometricMean, median, meansOf, type Sample, type Study, type TraceFacts,
} from '../src/study/study.ts';
import { lessIdle, readPerfStat } from '../src/study/perf.ts';
import { elementsOf } from './support/xml.ts';

const traces: TraceFacts[] = [
  { name: 'large', operations: 1000, peakBytes: 8_000_000, peakBlocks: 10 },
  { name: 'small <&">', operations: 1000, peakBytes: 1000, peakBlocks: 10 },
];
const contenders: Contender[] = [
  { name: 'glibc', family: 'c', note: '' },
  { name: 'best', family: 'region', note: '' },
  { name: 'slow', family: 'js', note: 'it is slow' },
  { name: 'last', family: 'region', note: '' },
  { name: 'loop', family: 'loop', note: '' },
];

function sample(trace: string, contender: string, given: Partial<Sample>): Sample {
  return { trace, contender, state: 'measured', footprint: null, rounds: [], atLeast: null, why: '',
    ...given };
}

const samples: Sample[] = [
  sample('large', 'glibc', { rounds: [30, 10, 20], footprint: 10_000_000 }),
  sample('large', 'best', { rounds: [10], footprint: 8_000_000 }),
  sample('large', 'slow', { state: 'limit', atLeast: 5000 }),
  sample('large', 'last', { state: 'refused', why: 'it cannot; so there' }),
  sample('large', 'loop', { rounds: [2] }),
  sample('small <&">', 'glibc', { rounds: [10], footprint: 1_000_000 }),
  sample('small <&">', 'best', { rounds: [20], footprint: 2000 }),
  sample('small <&">', 'slow', { rounds: [160], footprint: 5000 }),
  sample('small <&">', 'last', { rounds: [5], footprint: 1000 }),
  sample('small <&">', 'loop', { rounds: [2] }),
];

function studyOf(): Study {
  const cells = cellsOf(samples, traces, contenders, 'glibc');
  return {
    setting: { date: '2026-01-02T03:04:05.000Z', command: 'regionstore study', node: 'v0',
      system: 's', cpu: '1 × c', memoryBytes: 2 ** 30, peers: {}, isQuick: false, touch: 'ends',
      rounds: 3, limitSeconds: 5 },
    base: 'glibc', traces, contenders, cells, means: meansOf(cells, traces, contenders),
    missing: ['jemalloc: not here'],
    direct: {
      workloads: [{ name: 'words', what: 'an index' }],
      contenders: [contenders[1] as Contender],
      rows: [{ workload: 'words', contender: 'best', state: 'measured', ms: 12, minorFaults: 1234,
        majorFaults: 1, peakResident: 2 ** 26, addedResident: 2 ** 20, extent: 2 ** 19,
        checksum: '00000001', counters: { instructions: 5_000_000 }, why: '' }],
      perf: '',
    },
  };
}

describe('figures', () => {
  test('medians and geometric means', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
    expect(geometricMean([])).toBeNull();
    expect(geometricMean([1, 4, 16])).toBeCloseTo(4, 12);
  });

  test('ratios to the base, utilization where it means something', () => {
    const { cells } = studyOf();
    const of = (trace: string, contender: string) => {
      const cell = cells.find((c) => c.trace === trace && c.contender === contender);
      return [cell?.ns, cell?.ratio, cell?.utilization];
    };
    expect(of('large', 'glibc')).toEqual([20, 1, 0.8]);
    expect(of('large', 'best')).toEqual([10, 0.5, 1]);
    expect(of('large', 'slow')).toEqual([5000, 250, null]);
    expect(of('large', 'last')).toEqual([null, null, null]);
    // Of a process nothing is known below 4 MB; of a region everything is.
    expect(of('small <&">', 'glibc')).toEqual([10, 1, null]);
    expect(of('small <&">', 'best')).toEqual([20, 2, 0.5]);
    expect(of('small <&">', 'loop')).toEqual([2, 0.2, null]);
  });

  test('means are over the traces that were served', () => {
    const { means } = studyOf();
    expect(means.map(({ ratio }) => ratio === null ? null : Math.round(ratio * 1e9) / 1e9))
      .toEqual([1, 1, Math.round(Math.sqrt(250 * 16) * 1e9) / 1e9, 0.5, 0.141421356]);
    expect(means.map(({ isAtLeast }) => isAtLeast)).toEqual([false, false, true, false, false]);
    expect(means.map(({ traces: n }) => n)).toEqual([2, 2, 2, 1, 2]);
    expect(means.map(({ utilization }) => utilization)).toEqual([0.8, 1, null, null, null]);
  });

  test('without a base there are times and no ratios', () => {
    const cells = cellsOf(samples, traces, contenders, 'nobody');
    expect(cells.every(({ ratio }) => ratio === null)).toBe(true);
    expect(meansOf(cells, traces, contenders)[0]?.ratio).toBeNull();
  });
});

describe('text', () => {
  test('limits, refusals and what is left out are said', () => {
    const study = studyOf();
    const times = gridsOf(study, 120).find(({ title }) => title.startsWith('Time per operation'));
    expect(times?.rows).toEqual([
      ['glibc', '20.0 ns', '10.0 ns'], ['best', '0.500 ×', '2.00 ×'], ['slow', '> 5 s', '16.0 ×'],
      ['last', '–', '0.500 ×'], ['loop', '0.100 ×', '0.200 ×'],
    ]);
    expect(notesOf(study)).toEqual([
      'last serves not large: it cannot.',
      'slow: it is slow.',
      '> 5 s: stopped there; the means take it as that long.',
      expect.stringContaining('4 MB live'),
      'Left out: jemalloc: not here.',
    ]);
  });

  test('many traces go into several tables, each no wider than the terminal', () => {
    const many = Array.from({ length: 9 }, (_, i) =>
      ({ ...traces[0] as TraceFacts, name: `t${i}` }));
    const all = many.flatMap(({ name }) => contenders.map((contender) =>
      sample(name, contender.name, { rounds: [7] })));
    const study = { ...studyOf(), traces: many, cells: cellsOf(all, many, contenders, 'glibc') };
    const times = gridsOf(study, 60).filter(({ title }) => title.startsWith('Time per operation'));
    expect(times.flatMap(({ head }) => head.slice(1))).toEqual(many.map(({ name }) => name));
    expect(times.map(({ head }) => head.length - 1)).toEqual([3, 3, 3]);
  });

  test('markdown has every table and the chart', () => {
    const text = markdown(studyOf(), 'study.svg');
    expect(text).toContain('](study.svg)');
    expect(text).toMatch(/^\| best +\| +0\.500 × \| +2\.00 × \|$/m);
    expect(text).toContain('## Run directly: words, an index');
    expect(text).toMatch(/instructions \|\n.*\n\| best .* 5,000,000 \|/);
  });
});

describe('perf stat', () => {
  // Recorded with `perf stat -x, -e instructions,cache-misses,page-faults true`.
  test('an event that is not supported is missing, not zero', () => {
    const text = '# started on Thu Nov 26 00:50:00 2026\n\n'
      + '<not supported>,,instructions,0,100.00,,\n<not supported>,,cache-misses,0,100.00,,\n'
      + '51,,page-faults,891265,100.00,,\n';
    expect(readPerfStat(text)).toEqual({ counts: { 'page-faults': 51 },
      missing: ['instructions', 'cache-misses'] });
  });

  // What perf-stat(1) says, and what it wrote elsewhere: not every machine can count.
  test('counts, modifiers, and events that share a counter', () => {
    const text = '1234567,,instructions:u,401234,100.00,1.20,insn per cycle\n'
      + '<not counted>,,cache-misses,0,0.00,,\n'
      + '8912,,dTLB-load-misses:uk,401234,49.12,,\n';
    expect(readPerfStat(text)).toEqual({
      counts: { instructions: 1234567, 'dTLB-load-misses': 8912 }, missing: ['cache-misses'] });
  });

  test('the two kinds of core of a hybrid processor are added', () => {
    const text = '1000,,cpu_core/instructions/,500,60.00,,\n'
      + '200,,cpu_atom/instructions/u,500,40.00,,\n'
      + '<not counted>,,cpu_atom/cache-misses/,0,0.00,,\n70,,cpu_core/cache-misses/,5,9.00,,\n';
    expect(readPerfStat(text)).toEqual({
      counts: { instructions: 1200, 'cache-misses': 70 }, missing: [] });
  });

  test('a run less an idle one', () => {
    expect(lessIdle({ a: 10, b: 3 }, { a: 4, b: 5 })).toEqual({ a: 6, b: 0 });
  });
});

describe('trials', () => {
  const outcome = (stdout: string, isStopped = false) => outcomeOf({ stdout, isStopped, ms: 7 });

  test('what a trial writes', () => {
    expect(outcome('malloc /lib/libc.so.6\n12.500\n11.000\nfootprint 4096\n')).toEqual({
      state: 'measured', ns: [12.5, 11], footprint: 4096, library: '/lib/libc.so.6', ms: 7,
      why: '' });
    expect(outcome('ready\nrefused only one size\n'))
      .toMatchObject({ state: 'refused', ns: [], footprint: null, why: 'only one size' });
  });

  test('an error of the process is a result with its reason', async () => {
    const args = ['-e', 'console.log("ready\\n1.500"); throw new TypeError("boom")'];
    expect(await runTrial({ program: process.execPath, args }, 20_000)).toMatchObject({
      state: 'failed', ns: [], footprint: null, why: 'its process ended with 1, TypeError: boom' });
    const endless = ['-e', 'console.log("ready"); for (;;);'];
    expect(await runTrial({ program: process.execPath, args: endless }, 50))
      .toMatchObject({ state: 'limit', ns: [] });
  });

  test('another checksum than the first method has failed', () => {
    const [row] = studyOf().direct?.rows ?? [];
    if (row === undefined) throw new Error('no row');
    const other = { ...row, contender: 'odd', checksum: '00000002' };
    const elsewhere = { ...other, workload: 'tiles' };
    expect(judged([row, other, elsewhere])).toEqual([row, { ...other, state: 'failed', ms: null,
      why: 'it computed 00000002, best 00000001' }, elsewhere]);
  });

  test('stopped: what was finished counts, a line that was cut off does not', () => {
    expect(outcome('ready\n', true)).toMatchObject({ state: 'limit', ns: [] });
    expect(outcome('ready\n12.5', true)).toMatchObject({ state: 'limit', ns: [] });
    expect(outcome('ready\n12.500\n1', true)).toMatchObject({ state: 'measured', ns: [12.5] });
  });
});

/** A pool that is right: blocks one after the other, none used twice. */
function soundPool(bytes: number): Pool {
  const buf = new ArrayBuffer(bytes);
  const live = new Map<number, number>();
  let top = 64;
  const malloc = (size: number) => {
    if (top + size > bytes) return 0;
    const at = top;
    top = Math.ceil((top + size + 8) / 16) * 16;
    live.set(at, size);
    return at;
  };
  return {
    buf,
    get top() {
      return top;
    },
    malloc,
    realloc: (address, size) => {
      const at = malloc(size);
      new Uint8Array(buf).copyWithin(at, address, address + (live.get(address) ?? 0));
      live.delete(address);
      return at;
    },
    free: (address) => live.delete(address),
  };
}

describe('the pool of JavaScript', () => {
  test('a sound realloc is used, a faulty one is named', async () => {
    expect(reallocFault(soundPool)).toBe('');
    const leaky = (bytes: number): Pool => {
      const pool = soundPool(bytes);
      return { ...pool, realloc: (_address, size) => pool.malloc(size) };
    };
    expect(reallocFault(leaky)).toBe('never frees a block that moves');
    const make = await loadPool();
    if (make !== null) expect(reallocFault(make)).toContain('never frees');
  });

  test.each([true, false])('contents, alignment and the peak, its own realloc %s', (own) => {
    const heap = poolHeap(soundPool(65536), own);
    const at = heap.align(40, 256);
    expect(at % 256).toBe(0);
    heap.memory.fill(9, at, at + 40);
    const moved = heap.resize(at, 400);
    if (!own) expect([...heap.memory.subarray(moved, moved + 40)]).toEqual(Array(40).fill(9));
    heap.free(moved);
    expect(heap.peak()).toBeGreaterThan(440);
    expect(() => heap.free(moved)).toThrow(PoolRefused);
    expect(() => heap.alloc(70000)).toThrow('no room for 70000 bytes');
  });
});

describe('chart', () => {
  const study = studyOf();
  const svg = chartOf(study);
  const elements = elementsOf(svg);

  test('well-formed, accessible, nothing from elsewhere, no scripts', () => {
    const [root] = elements;
    expect(root?.name).toBe('svg');
    expect(root?.attributes).toMatchObject({ role: 'img', 'aria-labelledby': 'title desc' });
    const named = (id: string) => elements.find(({ attributes }) => attributes.id === id);
    expect(named('title')?.name).toBe('title');
    expect(named('desc')?.text).toContain('best 1.00, utilization 1.00');
    expect(svg).not.toMatch(/<script|<foreignObject|<image|href=|url\(|@import|\son\w+=/);
    expect(svg.match(/https?:\/\/[^"]+/g)).toEqual(['http://www.w3.org/2000/svg']);
    expect(svg).toContain('@media (prefers-color-scheme:dark)');
  });

  test('a mark for each figure, with its figure', () => {
    const marks = elements.filter(({ attributes }) => 'data-trace' in attributes);
    const told = marks.map(({ attributes: a }) => [a['data-trace'], a['data-contender'],
      a['data-ratio'] === undefined ? 'utilization' : 'ratio',
      Number(a['data-ratio'] ?? a['data-utilization'])]);
    const expected = study.cells.filter(({ contender }) => contender !== 'loop')
      .flatMap(({ trace, contender, ratio, utilization }) => [
        ...(ratio === null ? [] : [[trace, contender, 'ratio', ratio]]),
        ...(utilization === null ? [] : [[trace, contender, 'utilization', utilization]])]);
    expect(told.toSorted()).toEqual(expected.toSorted());
    const direct = elements.filter(({ attributes }) => 'data-workload' in attributes);
    const shown = ['data-ms', 'data-faults', 'data-resident'];
    expect(direct.map(({ attributes: a }) => a[shown.find((key) => key in a) as string]))
      .toEqual(['12', '1235', '1']);
  });

  test('a faster one stands further left, a tighter one further right', () => {
    const x = (contender: string, key: string) => {
      const mark = elements.find(({ attributes: a }) => a['data-contender'] === contender
        && a['data-trace'] === 'large' && key in a);
      const drawn = elements.find(({ name, parent }) => parent === mark
        && (name === 'circle' || name === 'rect'));
      return Number(drawn?.attributes.cx ?? Number(drawn?.attributes.x)
        + Number(drawn?.attributes.width) / 2);
    };
    expect(x('best', 'data-ratio')).toBeLessThan(x('glibc', 'data-ratio') - 20);
    expect(x('best', 'data-utilization')).toBeGreaterThan(x('glibc', 'data-utilization') + 20);
  });

  test('everything drawn is inside', () => {
    const view = elements[0]?.attributes.viewBox ?? '';
    const [, , width = 0, height = 0] = view.split(' ').map(Number);
    for (const { attributes: { x = '0', y = '0', cx = x, cy = y } } of elements) {
      expect(Number(cx)).toBeGreaterThanOrEqual(0);
      expect(Number(cx)).toBeLessThanOrEqual(width);
      expect(Number(cy)).toBeGreaterThanOrEqual(0);
      expect(Number(cy)).toBeLessThanOrEqual(height);
    }
  });

  test('names from files are text, not markup', () => {
    const bad = { ...study, traces: [{ ...traces[0] as TraceFacts, name: 'a\u0001<b>&"\'' }] };
    expect(elementsOf(chartOf(bad)).some(({ text }) => text === 'a\uFFFD<b>&"\'')).toBe(true);
  });
});
