/**
 * Reads allocation traces: the calls one program made, with slots instead of addresses. A file is
 * judged whole before anything of it is returned: every rule of the format holds for what
 * `readTrace` gives out, and the counts in its header are those of its records.
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { RegionError } from '../errors.ts';
import { TRACE, TRACE_MAGIC, TRACE_RECORD } from '../layout.ts';

const { operation: OPERATION, slotShift: SLOT, zero: ZERO, words: RECORD } = TRACE_RECORD;
const { free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;
/** A trace of 2^28 records is 2 GiB; what is larger is a mistake or an attack. */
const MOST_BYTES = 2 ** 31;
const GZIP = [0x1f, 0x8b];

export interface Trace {
  /** Two words a record: slot × 8 + zero × 4 + operation; size, alignment or 0. */
  readonly records: Uint32Array;
  readonly slots: number;
  /** Records less align records. */
  readonly operations: number;
  readonly peakBytes: number;
  readonly peakBlocks: number;
  readonly leftBlocks: number;
  readonly leftBytes: number;
  /** Only the beginning of the program was recorded. */
  readonly cutOff: boolean;
}

/** The trace in a `.vmt` or `.vmt.gz` file. Throws ERR_IO, ERR_CORRUPT. */
export function readTrace(path: string): Trace {
  const words = readWords(path);
  const at = words[TRACE.headerWords] as number;
  const count = words[TRACE.records] as number;
  if (words[TRACE.magic] !== TRACE_MAGIC) throw corrupt(path, 'it does not begin with VMT1');
  if (at < TRACE.words || at + count * RECORD !== words.length) {
    throw corrupt(path, `its header speaks of ${count} records, its length does not`);
  }
  const flags = words[TRACE.flags] as number;
  const trace: Trace = {
    records: words.subarray(at),
    slots: words[TRACE.slots] as number,
    operations: words[TRACE.operations] as number,
    peakBytes: wide(words, TRACE.peakBytes),
    peakBlocks: words[TRACE.peakBlocks] as number,
    leftBlocks: words[TRACE.leftBlocks] as number,
    leftBytes: wide(words, TRACE.leftBytes),
    cutOff: (flags & 2) !== 0,
  };
  if (trace.slots > count) throw corrupt(path, `${trace.slots} slots, but ${count} records`);
  judge(path, trace);
  return trace;
}

function corrupt(path: string, why: string): RegionError {
  return new RegionError('ERR_CORRUPT', `${path} is not a sound allocation trace: ${why}`);
}

function wide(words: Uint32Array, at: number): number {
  return (words[at] as number) + (words[at + 1] as number) * 2 ** 32;
}

function readWords(path: string): Uint32Array {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new RegionError('ERR_IO', `the trace ${path} cannot be read`, cause);
  }
  if (GZIP.every((byte, i) => bytes[i] === byte)) {
    try {
      bytes = gunzipSync(bytes, { maxOutputLength: MOST_BYTES });
    } catch (cause) {
      const message = `the trace ${path} cannot be decompressed; copy it again`;
      throw new RegionError('ERR_CORRUPT', message, cause);
    }
  }
  if (bytes.length % 4 !== 0 || bytes.length < TRACE.words * 4) {
    throw corrupt(path, `it has ${bytes.length} bytes`);
  }
  if (endianness() === 'BE') bytes.swap32();
  const own = new Uint8Array(bytes);
  return new Uint32Array(own.buffer);
}

interface Live {
  /** Bytes of the block in each slot; -1 = empty. */
  readonly sizes: Float64Array;
  blocks: number;
  bytes: number;
  peakBlocks: number;
  peakBytes: number;
  operations: number;
  /** Slot an align record spoke of, until its alloc; -1 = none. */
  aligned: number;
}

function judge(path: string, trace: Trace): void {
  const live: Live = {
    sizes: new Float64Array(trace.slots).fill(-1),
    blocks: 0,
    bytes: 0,
    peakBlocks: 0,
    peakBytes: 0,
    operations: 0,
    aligned: -1,
  };
  const { records } = trace;
  for (let i = 0; i < records.length; i += RECORD) {
    const wrong = step(live, records[i] as number, records[i + 1] as number);
    if (wrong !== '') throw corrupt(path, `record ${i / RECORD}: ${wrong}`);
  }
  if (live.aligned >= 0) throw corrupt(path, 'it ends with an align record');
  const pairs: [string, number, number][] = [
    ['operations', trace.operations, live.operations],
    ['blocks at the peak', trace.peakBlocks, live.peakBlocks],
    ['bytes at the peak', trace.peakBytes, live.peakBytes],
    ['blocks left over', trace.leftBlocks, live.blocks],
    ['bytes left over', trace.leftBytes, live.bytes],
  ];
  for (const [what, said, found] of pairs) {
    if (said !== found) throw corrupt(path, `the header says ${said} ${what}, there are ${found}`);
  }
}

/** Takes one record; the rule it breaks, or ''. */
function step(live: Live, word: number, value: number): string {
  const operation = word & OPERATION;
  const slot = word >>> SLOT;
  if (slot >= live.sizes.length) return `slot ${slot} is not below the number of slots`;
  const size = live.sizes[slot] as number;
  if ((operation === FREE || operation === RESIZE) !== size >= 0) {
    return `slot ${slot} is ${size < 0 ? 'empty' : 'taken'}`;
  }
  if ((word & ZERO) !== 0 && operation !== TRACE_RECORD.alloc) return 'the zero bit is for alloc';
  if (live.aligned >= 0 && (operation !== TRACE_RECORD.alloc || slot !== live.aligned)) {
    return 'no alloc of its slot follows an align';
  }
  if (operation === ALIGN) return align(live, slot, value);
  if (operation === FREE && value !== 0) return 'a free with a size';
  account(live, operation, slot, size, value);
  return '';
}

function align(live: Live, slot: number, alignment: number): string {
  if (alignment === 0 || (alignment & (alignment - 1)) !== 0) {
    return `the alignment ${alignment} is no power of two`;
  }
  live.aligned = slot;
  return '';
}

function account(live: Live, operation: number, slot: number, old: number, size: number): void {
  live.aligned = -1;
  live.operations += 1;
  if (operation === FREE) {
    live.sizes[slot] = -1;
    live.blocks -= 1;
    live.bytes -= old;
    return;
  }
  live.sizes[slot] = size;
  if (old < 0) live.blocks += 1;
  live.bytes += old < 0 ? size : size - old;
  live.peakBlocks = Math.max(live.peakBlocks, live.blocks);
  live.peakBytes = Math.max(live.peakBytes, live.bytes);
}
