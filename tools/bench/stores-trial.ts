/**
 * What memory of a region costs a program, one process:
 *
 *   node stores-trial.js DIR MIB → { buffer, region, firstTouch, untouched, scan }
 *
 * nanoseconds per 32-bit store to an ArrayBuffer and to a region (all pages touched before);
 * nanoseconds of the first store to a page after a checkpoint; milliseconds of a checkpoint without
 * change, when nothing was touched since the store was opened and when all of it was read.
 */
import { openStore } from 'regionstore';
import { median } from './report.ts';

const PAGE = 4096;
const PASSES = 7;
const CALLS = 101;

function fill(words: Int32Array, value: number): void {
  for (let i = 0; i < words.length; i += 1) words[i] = value + i;
}

function touch(words: Int32Array, value: number): void {
  for (let i = 0; i < words.length; i += PAGE / 4) words[i] = value;
}

function read(words: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < words.length; i += PAGE / 4) sum += words[i] as number;
  return sum;
}

function nanoseconds(work: () => void, steps: number): number {
  const started = performance.now();
  work();
  return ((performance.now() - started) * 1e6) / steps;
}

/** Passes over both, in turns. */
function storeTimes(buffer: Int32Array, region: Int32Array): { buffer: number; region: number } {
  const times = { buffer: [] as number[], region: [] as number[] };
  for (let pass = 0; pass < PASSES; pass += 1) {
    times.buffer.push(nanoseconds(() => fill(buffer, pass), buffer.length));
    times.region.push(nanoseconds(() => fill(region, pass), region.length));
  }
  return { buffer: median(times.buffer), region: median(times.region) };
}

function unchanged(checkpoint: () => { id: number }): number {
  const { id } = checkpoint();
  const times = Array.from({ length: CALLS }, () => {
    const started = performance.now();
    if (checkpoint().id !== id) throw new Error('a checkpoint of nothing');
    return performance.now() - started;
  });
  return median(times);
}

function main(): void {
  const [dir = '', mib = ''] = process.argv.slice(2);
  const bytes = Number(mib) * 2 ** 20;
  const first = openStore(dir);
  const made = first.region('data');
  const address = made.align(bytes, PAGE);
  made.roots.set('data', address);
  fill(made.array(Int32Array, address, bytes / 4), 1);
  first.close();

  using store = openStore(dir);
  const region = store.region('data');
  const words = region.array(Int32Array, region.roots.get('data'), bytes / 4);
  const untouched = unchanged(() => store.checkpoint());
  if (read(words) === 0) throw new Error('nothing was read');
  const scan = unchanged(() => store.checkpoint());
  const pages = bytes / PAGE;
  const cold = nanoseconds(() => touch(words, 5), pages);
  const warm = nanoseconds(() => touch(words, 6), pages);
  const buffer = new Int32Array(bytes / 4);
  fill(buffer, 0);
  const times = storeTimes(buffer, words);
  const result = { ...times, firstTouch: cold - warm, untouched, scan };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main();
