/** Recording: what sinks make of the calls of real regions, and how a recording ends. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  best,
  createRegion,
  heap,
  lineTrace,
  openStore,
  type Region,
  readTrace,
  type Trace,
  traceFile,
  traceRecorder,
} from '../src/index.ts';
import { TRACE_RECORD } from '../src/layout.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, Oracle, randomFrom, randomStep } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

const NAMES = ['a.trace', 'a.trace.gz', 'a.vmt', 'a.vmt.gz', 'a.rep', 'a.rep.gz'] as const;
const CHILD = fileURLToPath(new URL('../dist/test/support/trace-child.js', import.meta.url));
const seed = newSeed();

function newRegion(name = 'r'): Region {
  return createRegion(heap({ capacity: '64MiB' }), best, { name });
}

/** Blocks that are live at the end of a trace: as many, and as large. */
function sizesAtEnd({ records, slots }: Trace): number[] {
  const sizes = new Map<number, number>();
  for (let i = 0; i < records.length; i += TRACE_RECORD.words) {
    const operation = records[i] & TRACE_RECORD.operation;
    const slot = records[i] >>> TRACE_RECORD.slotShift;
    expect(slot).toBeLessThan(slots);
    if (operation === TRACE_RECORD.free) sizes.delete(slot);
    else if (operation !== TRACE_RECORD.align) sizes.set(slot, records[i + 1]);
  }
  return [...sizes.values()].sort((a, b) => a - b);
}

describe.each(NAMES)('%s', (name) => {
  test(`holds what an oracle did to a region (seed ${seed})`, () => {
    const path = join(temporaryDirectory(), name);
    const region = newRegion();
    const trace = traceFile(path);
    region.configure({ trace });
    const oracle = new Oracle(region, 'any');
    const random = randomFrom(seed);
    for (let i = 0; i < 12_000; i += 1) randomStep(oracle, random, 2000);
    trace.close();
    const read = readTrace(path);
    const sizes = oracle.blocks.map(({ size }) => size).sort((a, b) => a - b);
    expect(sizesAtEnd(read)).toEqual(sizes);
    expect(read).toMatchObject({ leftBlocks: sizes.length, cutOff: false, strangers: 0 });
    expect(read.slots).toBe(read.peakBlocks);
    expect(read.operations).toBeGreaterThan(8000);
  });

  test('is the same as what a recorder in memory keeps', () => {
    const path = join(temporaryDirectory(), name);
    const recorder = traceRecorder();
    const file = traceFile(path);
    const region = newRegion();
    region.configure({ trace: { record: (event) => {
      recorder.record(event);
      file.record(event);
    } } });
    const oracle = new Oracle(region, 'any');
    const random = randomFrom(seed + 1);
    for (let i = 0; i < 500; i += 1) randomStep(oracle, random, 500);
    file.close();
    expect([...readTrace(path).records]).toEqual([...recorder.finish().records]);
  });

  test.each(['close', 'exit', 'kill'] as const)('a process that ends by %s', (how) => {
    const path = join(temporaryDirectory(), name);
    const operations = 100_000;
    const { status, signal, stderr } = spawnSync(process.execPath,
      [CHILD, path, String(operations), how], { encoding: 'utf8' });
    expect([status, signal], stderr).toEqual(how === 'kill' ? [null, 'SIGKILL'] : [0, null]);
    if (how === 'kill' && name.includes('.rep')) {
      expectCode('ERR_CORRUPT', () => readTrace(path));
      return;
    }
    const trace = readTrace(path);
    expect(trace.cutOff).toBe(how === 'kill');
    if (how !== 'kill') expect(trace.operations).toBe(operations);
    expect(trace.operations).toBeGreaterThan(operations / 3);
    expect(trace.operations).toBe(trace.leftBlocks);
    expect(trace.records[9 * 2 + 1]).toBe(9);
  });
});

describe('a file that is being recorded', () => {
  test.each(['a.trace', 'a.vmt', 'a.vmt.gz'])('%s can be read up to the last flush', (name) => {
    const path = join(temporaryDirectory(), name);
    const region = newRegion();
    using trace = traceFile(path);
    region.configure({ trace });
    expect(existsSync(path)).toBe(true);
    for (let i = 0; i < 10; i += 1) region.align(i, 64);
    trace.flush();
    region.alloc(5);
    expect(readTrace(path)).toMatchObject({ operations: 10, cutOff: true });
    trace.flush();
    expect(readTrace(path)).toMatchObject({ operations: 11, cutOff: true });
  });

  test('an align is never parted from its alloc', () => {
    const path = join(temporaryDirectory(), 'a.vmt');
    const region = newRegion();
    using trace = traceFile(path);
    region.configure({ trace });
    let length = statSync(path).size;
    let flushes = 0;
    for (let i = 0; i < 40_000; i += 1) {
      if (i === 1) region.alloc(1);
      region.free(region.align(i % 50, 32));
      const now = statSync(path).size;
      if (now === length) continue;
      length = now;
      flushes += 1;
      expect(readTrace(path).cutOff).toBe(true);
    }
    expect(flushes).toBeGreaterThan(10);
  });

  test.each(['a.trace', 'a.trace.gz', 'a.vmt'])('%s: a full disk stops the recording', (name) => {
    const path = join(temporaryDirectory(), name);
    // At most 50 KiB a file, and an error where the signal would be.
    const limited = "trap '' XFSZ; ulimit -f 50; exec \"$@\"";
    const { stdout, stderr } = spawnSync('bash',
      ['-c', limited, 'bash', process.execPath, CHILD, path, '300000', 'full'],
      { encoding: 'utf8' });
    expect(JSON.parse(stdout || 'null'), stderr)
      .toEqual({ code: 'ERR_NO_SPACE', busyBlocks: 300_000, same: true });
    const trace = readTrace(path);
    expect(trace.cutOff).toBe(true);
    expect(trace.operations).toBe(trace.leftBlocks);
  });

  test('a disk that is full at once', () => {
    if (existsSync('/dev/full')) expectCode('ERR_NO_SPACE', () => traceFile('/dev/full'));
  });

  test('two regions of one name contradict each other', () => {
    const path = join(temporaryDirectory(), 'a.vmt');
    const trace = traceFile(path);
    const recorder = traceRecorder();
    for (const region of [newRegion('same'), newRegion('same')]) {
      region.configure({ trace });
      region.alloc(10);
      region.busyTrace(recorder);
    }
    expectCode('ERR_MISMATCH', () => recorder.finish());
    expect(trace.failed?.message).toMatch(/names of their own/);
    expectCode('ERR_MISMATCH', () => trace.close());
  });

  test('regions of different names share one', () => {
    const path = join(temporaryDirectory(), 'a.trace');
    const trace = traceFile(path);
    for (const region of [newRegion('one'), newRegion('two:%\n')]) {
      region.configure({ trace });
      region.free(region.alloc(10));
    }
    trace.close();
    expect(readTrace(path).origins.map(({ region }) => region)).toEqual(['one', 'two:%\n']);
  });

  test('misuse', () => {
    const dir = temporaryDirectory();
    const given = (options: object) => () => traceFile(join(dir, 'a.trace'), options);
    expectCode('ERR_BAD_OPTION', given({ format: 'csv' }));
    expectCode('ERR_BAD_OPTION', given({ format: 3 }));
    expectCode('ERR_BAD_OPTION', given({ sites: 'yes' }));
    expect(expectCode('ERR_BAD_OPTION', given({ site: true })).message).toMatch(/'sites'/);
    expectCode('ERR_BAD_OPTION', () => traceFile(join(dir, 'a.vmt'), { sites: true }));
    expectCode('ERR_BAD_OPTION', () => traceFile(7 as unknown as string));
    expectCode('ERR_IO', () => traceFile(join(dir, 'no', 'a.vmt')));
    expectCode('ERR_BAD_OPTION', () => lineTrace('x' as unknown as () => void));
    expectCode('ERR_BAD_OPTION', () => traceRecorder({ sites: 1 } as unknown as object));
    expect(existsSync(join(dir, 'a.vmt'))).toBe(false);
    const trace = traceFile(join(dir, 'b.trace'));
    const region = newRegion();
    region.configure({ trace });
    trace.close();
    trace.close();
    expectCode('ERR_CLOSED', () => region.alloc(1));
  });
});

describe('lines', () => {
  test('one for each event, with its site', () => {
    const lines: string[] = [];
    const trace = lineTrace((line) => lines.push(line), { sites: true });
    const region = newRegion('a:b');
    const early = region.alloc(20);
    const usable = region.sizeOf(early);
    region.busyTrace(trace);
    region.configure({ trace });
    const block = region.align(10, 64);
    region.resize(block, 12, { zero: true });
    region.resize(0, 30, { zero: true });
    region.free(early);
    region.clear();
    trace.end();
    const [head, busy, aligned, resized, zeroed, freed, cleared, end] = lines;
    expect(head).toBe('# regionstore trace 1\n');
    expect(busy).toBe(`0:${early}:${usable}:0:a%3Ab:best\n`);
    const here = /:\S+trace-record\.test\.ts:\d+:\S.*\n$/;
    for (const line of [aligned, resized, zeroed, freed, cleared]) expect(line).toMatch(here);
    expect(aligned).toMatch(`0:${block}:10:64:a%3Ab:best:`);
    expect(resized).toMatch(`${block}:${block}:12z:0:a%3Ab:best:`);
    expect(zeroed).toMatch(/^0:\d+:30z:0:/);
    expect(freed).toMatch(`${early}:0:0:0:`);
    expect(cleared).toMatch(/^0:0:0:0:a%3Ab:best:/);
    expect(end).toBe('# end 6\n');
  });

  test('a file of them has sites where they are asked for', () => {
    const path = join(temporaryDirectory(), 'a.trace');
    const region = newRegion();
    {
      using trace = traceFile(path, { sites: true });
      region.configure({ trace });
      region.alloc(10);
      region.configure({ trace: false });
    }
    const [origin] = readTrace(path).origins;
    expect(origin.site).toMatch(/trace-record\.test\.ts:\d+:/);
  });
});

describe('regions whose memory goes back in time', () => {
  test('rollback: what is there then is told again', () => {
    const store = openStore(join(temporaryDirectory(), 'store'));
    const region = store.region('r');
    region.alloc(100);
    store.checkpoint();
    const recorder = traceRecorder();
    region.busyTrace(recorder);
    region.configure({ trace: recorder });
    const lost = region.alloc(50);
    store.rollback();
    region.alloc(50);
    region.configure({ trace: false });
    const trace = recorder.finish();
    expect(trace.strangers).toBe(0);
    expect(trace.leftBlocks).toBe(region.stat().busyBlocks);
    expect(lost).toBeGreaterThan(0);
    store.close();
  });

  test('blocks from before the recording are strangers', () => {
    const region = newRegion();
    const before = [region.alloc(10), region.alloc(20)];
    const recorder = traceRecorder();
    region.configure({ trace: recorder });
    region.free(before[0]);
    region.resize(before[1], 30);
    expect(recorder.finish()).toMatchObject({ strangers: 2, operations: 1, leftBytes: 30 });
  });
});

test('what a child recorded is text', () => {
  const path = join(temporaryDirectory(), 'a.trace');
  spawnSync(process.execPath, [CHILD, path, '3', 'exit']);
  expect(readFileSync(path, 'utf8').split('\n').slice(1)).toEqual([
    expect.stringMatching(/^0:\d+:0:0:child:best$/),
    expect.stringMatching(/^0:\d+:1:0:child:best$/),
    expect.stringMatching(/^0:\d+:2:0:child:best$/),
    '# end 3', '']);
});
