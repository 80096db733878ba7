/** Traces: the fixtures are sound, and each rule of the format is noticed when it is broken. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { TRACE, TRACE_MAGIC } from '../src/layout.ts';
import { readTrace } from '../src/trace/trace-file.ts';
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
    ['header length', TRACE.headerWords, 4, /5 records/],
    ['number of records', TRACE.records, 6, /6 records/],
    ['number of slots', TRACE.slots, 6, /6 slots/],
    ['operations', TRACE.operations, 5, /5 operations/],
    ['peak', TRACE.peakBytes + 1, 1, /bytes at the peak/],
    ['blocks left', TRACE.leftBlocks, 2, /blocks left over/],
    ['a slot beyond', 16, 16, /slot 2/],
    ['an empty slot freed', 16, 1, /record 0.*empty/],
    ['a taken slot allocated', 20, 0, /record 2/],
    ['zeros on resize', 22, 6, /zero bit/],
    ['alignment of 3', 19, 3, /power of two/],
    ['free with a size', 25, 1, /free with a size/],
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
});
