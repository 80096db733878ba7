/**
 * The binary format `.vmt` (FORMAT.md): sixteen words of header, then records of two words. It is
 * judged whole before anything of it is given out; the rules are those of account.ts.
 */
import { endianness } from 'node:os';
import { RegionError } from '../errors.ts';
import {
  TRACE,
  TRACE_FAMILY,
  TRACE_FAMILY_MASK,
  TRACE_FLAGS,
  TRACE_MAGIC,
  TRACE_RECORD,
} from '../layout.ts';
import { Account } from './account.ts';
import type { Watcher } from './source.ts';
import type { Trace } from './trace.ts';

const { words: RECORD } = TRACE_RECORD;
const WORD = Uint32Array.BYTES_PER_ELEMENT;
const HIGH = 2 ** 32;
/** Words that are written at once. */
const STRIDE = 2 ** 20;

/** The first word of a file, or 0. */
function firstWord(bytes: Uint8Array): number {
  return bytes.length < WORD ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** Is it a binary trace, of whatever version? */
export function isVmt(head: Uint8Array): boolean {
  return (firstWord(head) & TRACE_FAMILY_MASK) === TRACE_FAMILY;
}

/** The trace in the bytes of a file. ERR_CORRUPT, ERR_VERSION. */
export function readVmt(path: string, bytes: Uint8Array<ArrayBuffer>): Trace {
  if (firstWord(bytes) !== TRACE_MAGIC) throw foreign(path, bytes);
  if (bytes.length < TRACE.words * WORD) {
    throw corrupt(path, `T8: its header has ${TRACE.words * WORD} bytes, the file ${bytes.length}`);
  }
  const words = wordsIn(bytes);
  const at = words[TRACE.headerWords];
  const count = words[TRACE.records];
  const cutOff = (words[TRACE.flags] & TRACE_FLAGS.cutOff) !== 0;
  // A recording that was cut off may have records behind those its header knows of.
  const end = at + count * RECORD;
  const fits = cutOff ? bytes.length >= end * WORD : bytes.length === end * WORD;
  if (at < TRACE.words || !fits) {
    throw corrupt(path, `T8: its header speaks of ${count} records, its length does not`);
  }
  if (words[TRACE.slots] > count) {
    throw corrupt(path, `T1: ${words[TRACE.slots]} slots, but ${count} records`);
  }
  const trace = traceIn(words, words.subarray(at, end), cutOff);
  judge(path, trace, words[TRACE.flags]);
  return trace;
}

function foreign(path: string, bytes: Uint8Array): RegionError {
  const name = String.fromCharCode(...bytes.subarray(0, WORD));
  return new RegionError('ERR_VERSION',
    `${path} is an allocation trace of version ${JSON.stringify(name)}, not VMT1; ` +
      'read it with a newer regionstore');
}

function corrupt(path: string, why: string): RegionError {
  return new RegionError('ERR_CORRUPT', `${path} is not a sound allocation trace: ${why}`);
}

function wordsIn(bytes: Uint8Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const isAligned = bytes.byteOffset % WORD === 0;
  const own = isAligned && endianness() === 'LE' ? bytes : bytes.slice();
  const words = new Uint32Array(own.buffer, own.byteOffset, Math.floor(own.length / WORD));
  if (endianness() === 'BE') Buffer.from(own.buffer, own.byteOffset, words.length * WORD).swap32();
  return words;
}

function traceIn(words: Uint32Array, records: Uint32Array, cutOff: boolean): Trace {
  return {
    records,
    slots: words[TRACE.slots],
    operations: words[TRACE.operations],
    peakBytes: wide(words, TRACE.peakBytes),
    peakBlocks: words[TRACE.peakBlocks],
    leftBlocks: words[TRACE.leftBlocks],
    leftBytes: wide(words, TRACE.leftBytes),
    cutOff,
    strangers: 0,
    origins: [],
    originOf: null,
  };
}

function wide(words: Uint32Array, at: number): number {
  return words[at] + words[at + 1] * HIGH;
}

function judge(path: string, trace: Trace, flags: number): void {
  const { records } = trace;
  const account = new Account(trace.slots);
  for (let i = 0; i < records.length; i += RECORD) {
    const broken = account.take(records[i], records[i + 1]);
    if (broken !== '') throw corrupt(path, `record ${i / RECORD}: ${broken}`);
  }
  if (account.isAligning) throw corrupt(path, 'T3: it ends with an align record');
  const left = (flags & TRACE_FLAGS.nothingLeft) === 0 ? account.blocks : 0;
  const pairs: [string, number, number][] = [
    ['operations', trace.operations, account.operations],
    ['blocks at the peak', trace.peakBlocks, account.peakBlocks],
    ['bytes at the peak', trace.peakBytes, account.peakBytes],
    ['blocks left over', trace.leftBlocks, account.blocks],
    ['bytes left over', trace.leftBytes, account.bytes],
    ['blocks left over by its flags', left, account.blocks],
  ];
  for (const [what, said, found] of pairs) {
    if (said === found) continue;
    throw corrupt(path, `T7: the header says ${said} ${what}, there are ${found}`);
  }
}

/** What a header says. */
export type Counts = Pick<Trace,
  'slots' | 'operations' | 'peakBytes' | 'peakBlocks' | 'leftBlocks' | 'leftBytes' | 'cutOff'>;

export function vmtHeader(recordCount: number, counts: Counts): Uint8Array {
  const words = new Uint32Array(TRACE.words);
  words[TRACE.magic] = TRACE_MAGIC;
  words[TRACE.headerWords] = TRACE.words;
  words[TRACE.records] = recordCount;
  words[TRACE.slots] = counts.slots;
  words[TRACE.operations] = counts.operations;
  words[TRACE.peakBytes] = counts.peakBytes;
  words[TRACE.peakBytes + 1] = counts.peakBytes / HIGH;
  words[TRACE.peakBlocks] = counts.peakBlocks;
  words[TRACE.flags] = (counts.leftBlocks === 0 ? TRACE_FLAGS.nothingLeft : 0)
    + (counts.cutOff ? TRACE_FLAGS.cutOff : 0);
  words[TRACE.leftBlocks] = counts.leftBlocks;
  words[TRACE.leftBytes] = counts.leftBytes;
  words[TRACE.leftBytes + 1] = counts.leftBytes / HIGH;
  return bytesOf(words);
}

/** Little-endian. */
export function bytesOf(words: Uint32Array): Uint8Array {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.length * WORD);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}

/** The file, in pieces. */
export function* vmtOf(trace: Trace, watch: Watcher): Generator<Uint8Array> {
  const { records } = trace;
  yield vmtHeader(records.length / RECORD, trace);
  for (let at = 0; at < records.length; at += STRIDE) {
    watch(at, records.length);
    yield bytesOf(records.subarray(at, at + STRIDE));
  }
}
