/**
 * A sorted dictionary, built as a log-structured merge tree does it: words are gathered in growing
 * buffers, sorted into runs, and two runs of a level are merged into one of the next and freed.
 *
 *   run   words | bytes of text | end of each word in the text | text, the words in order
 */
import type { Address, Region } from '../../src/index.ts';
import type { Job } from './workloads.ts';

const COUNT = 0;
const TEXT_BYTES = 1;
const ENDS = 2;
const WIDTH = 4;
const WORDS_PER_RUN = 500;

/** A run as it is read; views of its block. */
interface Run {
  readonly count: number;
  readonly ends: Uint32Array;
  readonly text: Buffer;
}

export function sortWords(texts: readonly (readonly string[])[]): Job {
  let sorted: Run | null = null;
  return {
    work: (region) => {
      const levels: (Address | undefined)[] = [];
      for (const words of texts) {
        for (let i = 0; i < words.length; i += WORDS_PER_RUN) {
          settle(region, levels, makeRun(region, words.slice(i, i + WORDS_PER_RUN)));
        }
      }
      const rest = levels.filter((run) => run !== undefined);
      sorted = readRun(region, rest.reduce((a, b) => merge(region, a, b)));
    },
    checksum: () => {
      if (sorted === null) throw new Error('nothing was sorted');
      return verify(sorted, new Set(texts.flat()));
    },
  };
}

/** Like a carry: an occupied level is merged upwards. */
function settle(region: Region, levels: (Address | undefined)[], run: Address): void {
  let level = 0;
  let carried = run;
  for (let other = levels[0]; other !== undefined; other = levels[level]) {
    carried = merge(region, carried, other);
    levels[level] = undefined;
    level += 1;
  }
  levels[level] = carried;
}

/** Gathers the words in buffers that grow, sorts them there, writes them without repetitions. */
function makeRun(region: Region, words: readonly string[]): Address {
  let room = 256;
  let used = 0;
  let gathered = region.alloc(room);
  const starts = region.newOf(0, Uint32Array, 2 * words.length);
  const spans = region.array(Uint32Array, starts, 2 * words.length);
  words.forEach((word, i) => {
    const bytes = Buffer.from(word);
    while (used + bytes.length > room) {
      room *= 2;
      gathered = region.resize(gathered, room);
    }
    region.bytes(gathered, room).set(bytes, used);
    spans[2 * i] = used;
    used += bytes.length;
    spans[2 * i + 1] = used;
  });
  const text = bufferOf(region, gathered, used);
  const order = region.array(Uint32Array, region.alloc(words.length * WIDTH), words.length);
  order.forEach((_, i) => {
    order[i] = i;
  });
  const word = (i: number) => text.subarray(spans[2 * i], spans[2 * i + 1]);
  order.sort((a, b) => Buffer.compare(word(a), word(b)));
  const run = write(region, words.length, used, (emit) => {
    for (const i of order) emit(text, spans[2 * i] as number, spans[2 * i + 1] as number);
  });
  for (const block of [gathered, starts, region.addressOf(order)]) region.free(block);
  return run;
}

type Emit = (text: Buffer, from: number, to: number) => void;

/** A run of what `fill` emits in order, each word once; the block shrinks to what it needs. */
function write(
  region: Region, mostWords: number, mostBytes: number, fill: (emit: Emit) => void,
): Address {
  const textAt = (ENDS + mostWords) * WIDTH;
  const block = region.alloc(textAt + mostBytes);
  const head = region.array(Uint32Array, block, ENDS + mostWords);
  const text = bufferOf(region, block, textAt + mostBytes).subarray(textAt);
  let count = 0;
  let start = 0;
  let end = 0;
  fill((from, a, b) => {
    if (count > 0 && from.compare(text, start, end, a, b) === 0) return;
    start = end;
    end += from.copy(text, end, a, b);
    head[ENDS + count++] = end;
  });
  head[COUNT] = count;
  head[TEXT_BYTES] = end;
  const at = (ENDS + count) * WIDTH;
  bufferOf(region, block, textAt + mostBytes).copyWithin(at, textAt, textAt + end);
  return region.resize(block, at + end);
}

function merge(region: Region, left: Address, right: Address): Address {
  const a = readRun(region, left);
  const b = readRun(region, right);
  const run = write(region, a.count + b.count, a.text.length + b.text.length, (emit) => {
    let i = 0;
    let j = 0;
    while (i < a.count || j < b.count) {
      const isLeft = j === b.count || (i < a.count && compare(a, i, b, j) <= 0);
      const from = isLeft ? a : b;
      const at = isLeft ? i++ : j++;
      emit(from.text, startOf(from, at), from.ends[at] as number);
    }
  });
  region.free(left);
  region.free(right);
  return run;
}

function compare(a: Run, i: number, b: Run, j: number): number {
  return a.text.compare(b.text, startOf(b, j), b.ends[j], startOf(a, i), a.ends[i]);
}

function startOf(run: Run, i: number): number {
  return i === 0 ? 0 : run.ends[i - 1] as number;
}

function readRun(region: Region, address: Address): Run {
  const [count = 0, bytes = 0] = region.array(Uint32Array, address, ENDS);
  const ends = region.array(Uint32Array, address, ENDS + count).subarray(ENDS);
  const at = (ENDS + count) * WIDTH;
  return { count, ends, text: bufferOf(region, address, at + bytes).subarray(at) };
}

function bufferOf(region: Region, address: Address, length: number): Buffer {
  const { buffer, byteOffset } = region.bytes(address, length);
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length);
}

function verify(run: Run, expected: ReadonlySet<string>): number {
  let sum = 0;
  for (let i = 0; i < run.count; i += 1) {
    const word = run.text.subarray(startOf(run, i), run.ends[i]);
    const isRising = i === 0 || compare(run, i - 1, run, i) < 0;
    if (!isRising || !expected.has(word.toString())) throw new Error('the dictionary is wrong');
    for (const byte of word) sum = (Math.imul(sum, 31) + byte) >>> 0;
  }
  if (run.count !== expected.size) throw new Error('the dictionary lacks words');
  return sum;
}
