/** Traces: the fixtures are sound, and each rule of the format is noticed when it is broken. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { TRACE, TRACE_FLAGS, TRACE_MAGIC } from '../src/layout.ts';
import { readTrace } from '../src/trace/trace-file.ts';
import { expectCode } from './support/expect-code.ts';
import { temporaryDirectory } from './support/temp.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures/traces', import.meta.url));

/** alloc 0: 10 bytes, align and alloc 1: 64 bytes, resize 0 to 30, free 1. */
const RECORDS = [0, 10, 11, 32, 8, 64, 2, 30, 9, 0];

function header(): number[] {
  const words: number[] = new Array(TRACE.words).fill(0);
  words[TRACE.magic] = TRACE_MAGIC;
  words[TRACE.headerWords] = TRACE.words;
  words[TRACE.records] = 5;
  words[TRACE.slots] = 2;
  words[TRACE.operations] = 4;
  words[TRACE.peakBytes] = 94;
  words[TRACE.peakBlocks] = 2;
  words[TRACE.leftBlocks] = 1;
  words[TRACE.leftBytes] = 30;
  return words;
}

function stored(words: readonly number[], pack: (bytes: Uint8Array) => Uint8Array = (b) => b) {
  const path = join(temporaryDirectory(), 'some.vmt');
  writeFileSync(path, pack(new Uint8Array(Uint32Array.from(words).buffer)));
  return path;
}

describe('traces', () => {
  const fixtures: [string, number][] = [['lua', 690_277], ['make', 883_229], ['convert', 51_256]];
  test.each(fixtures)('%s', (name, operations) => {
    const trace = readTrace(join(FIXTURES, `${name}.vmt.gz`));
    expect(trace.operations).toBe(operations);
    expect(trace.peakBlocks).toBe(trace.slots);
  });

  test('plain and compressed files say the same', () => {
    const words = [...header(), ...RECORDS];
    const plain = readTrace(stored(words));
    expect(readTrace(stored(words, gzipSync))).toEqual(plain);
    expect([...plain.records]).toEqual(RECORDS);
    expect(plain).toMatchObject({ slots: 2, operations: 4, peakBytes: 94, peakBlocks: 2,
      leftBlocks: 1, leftBytes: 30, cutOff: false });
  });

  /** What to change: a word of the header or, from 16, of the records. */
  test.each<[string, number, number, RegExp]>([
    ['magic', TRACE.magic, 1, /VMT1/],
    ['header length', TRACE.headerWords, 4, /T8.*5 records/],
    ['number of records', TRACE.records, 6, /T8.*6 records/],
    ['number of slots', TRACE.slots, 6, /T1.*6 slots/],
    ['operations', TRACE.operations, 5, /T7.*5 operations/],
    ['peak', TRACE.peakBytes + 1, 1, /T7.*bytes at the peak/],
    ['blocks at the peak', TRACE.peakBlocks, 1, /T7.*blocks at the peak/],
    ['blocks left', TRACE.leftBlocks, 2, /T7.*blocks left over/],
    ['bytes left', TRACE.leftBytes, 31, /T7.*bytes left over/],
    ['flags', TRACE.flags, TRACE_FLAGS.nothingLeft, /T7.*by its flags/],
    ['a slot beyond', 16, 16, /record 0: T1.*slot 2/],
    ['an empty slot freed', 16, 1, /record 0: T2.*empty/],
    ['a taken slot allocated', 20, 0, /record 2: T2/],
    ['another call behind an align', 20, 1, /record 2: T3/],
    ['another slot behind an align', 18, 3, /record 1: T2/],
    ['zeros on resize', 22, 6, /record 3: T6.*zero bit/],
    ['alignment of 3', 19, 3, /record 1: T4.*power of two/],
    ['alignment of 0', 19, 0, /record 1: T4.*power of two/],
    ['free with a size', 25, 1, /record 4: T5.*free with a size/],
    ['align at the end', 24, 11, /record 4.*taken/],
  ])('%s', (_what, at, value, message) => {
    const words = [...header(), ...RECORDS];
    words[at] = value;
    expect(() => readTrace(stored(words))).toThrow(
      expect.objectContaining({ code: 'ERR_CORRUPT', message: expect.stringMatching(message) }));
  });

  test('files that are cut off, not compressed or not there', () => {
    const words = [...header(), ...RECORDS];
    const corrupt = expect.objectContaining({ code: 'ERR_CORRUPT' });
    expect(() => readTrace(stored(words.slice(0, -1)))).toThrow(corrupt);
    expect(() => readTrace(stored(words, (bytes) => bytes.slice(0, 30)))).toThrow(corrupt);
    const short = (bytes: Uint8Array): Uint8Array => gzipSync(bytes).subarray(0, -9);
    expect(() => readTrace(stored(words, short))).toThrow(corrupt);
    expect(() => readTrace(join(temporaryDirectory(), 'nothing.vmt'))).toThrow(
      expect.objectContaining({ code: 'ERR_IO' }));
  });

  test('T3: an align without its alloc', () => {
    // alloc 0, align 1, resize 0: its slot is empty, so only the order is wrong.
    const words = [...header(), 0, 10, 11, 32, 2, 64, 2, 30, 2, 0];
    expect(expectCode('ERR_CORRUPT', () => readTrace(stored(words))).message)
      .toMatch(/record 2: T3/);
    const last = [...header(), 0, 10, 2, 12, 2, 64, 2, 30, 11, 16];
    expect(expectCode('ERR_CORRUPT', () => readTrace(stored(last))).message)
      .toMatch(/T3: it ends with an align/);
  });

  test('a file that is cut at any byte is refused', () => {
    const bytes = new Uint8Array(Uint32Array.from([...header(), ...RECORDS]).buffer);
    for (let end = 0; end < bytes.length; end += 1) {
      const cut = (): Uint8Array => bytes.slice(0, end);
      expectCode('ERR_CORRUPT', () => readTrace(stored([], cut)));
    }
    const packed = gzipSync(bytes);
    for (let end = 0; end < packed.length; end += 1) {
      expectCode('ERR_CORRUPT', () => readTrace(stored([], () => packed.subarray(0, end))));
    }
  });

  test('a recording that was cut off may have more behind what its header counts', () => {
    const words = [...header(), ...RECORDS];
    words[TRACE.flags] = TRACE_FLAGS.cutOff;
    expect(readTrace(stored([...words, 99, 99, 99]))).toEqual(
      { ...readTrace(stored(words)), cutOff: true });
    words[TRACE.flags] = 0;
    expectCode('ERR_CORRUPT', () => readTrace(stored([...words, 99, 99])));
  });

  test('a later version is told from damage', () => {
    const words = [...header(), ...RECORDS];
    words[TRACE.magic] = TRACE_MAGIC + 2 ** 24;
    expect(expectCode('ERR_VERSION', () => readTrace(stored(words))).message).toMatch(/"VMT2"/);
    expectCode('ERR_VERSION', () => readTrace(stored(words, gzipSync)));
  });

  test('a header that promises too much costs nothing', () => {
    const words = header();
    words[TRACE.records] = 2 ** 32 - 1;
    words[TRACE.slots] = 2 ** 29;
    const before = process.memoryUsage().arrayBuffers;
    expectCode('ERR_CORRUPT', () => readTrace(stored([...words, ...RECORDS])));
    expectCode('ERR_CORRUPT', () => readTrace(stored([...words, ...RECORDS], gzipSync)));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
  });
});
