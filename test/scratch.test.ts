/** Tables that grow with what is looked at: right at any length, in a file where they are long. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { shimProblem } from '../src/native/load.ts';
import { scratchBytes, scratchWords } from '../src/native/scratch.ts';
import { NumberList, NumberMap } from '../src/objects/exchange/number-map.ts';
import { Places } from '../src/objects/exchange/places.ts';
import { randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

const MIB = 2 ** 20;
let folder: string;
let before: string | undefined;

beforeEach(() => {
  before = process.env.TMPDIR;
  folder = temporaryDirectory();
  process.env.TMPDIR = folder;
});

afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
});

/** Bytes of mapped files without a name that were made in the folder. */
function mapped(): number {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n')
    .filter((line) => line.includes(folder) && line.endsWith('(deleted)'));
  return lines.reduce((sum, line) => {
    const [from, to] = line.split(/[- ]/, 2).map((text) => Number.parseInt(text, 16));
    return sum + to - from;
  }, 0);
}

const noShim = shimProblem();
if (noShim !== null) console.warn(`without the shim tables are plain memory: ${noShim}`);

describe.runIf(noShim === null)('memory in a file', () => {
  test('from 16 MiB on, zeros first, and its name is gone at once', () => {
    const small = scratchWords(4 * MIB - 1024);
    expect([small.length, mapped()]).toEqual([4 * MIB - 1024, 0]);
    const words = scratchWords(4 * MIB + 1);
    expect([words.length, words[0], words[4 * MIB]]).toEqual([4 * MIB + 1, 0, 0]);
    expect(mapped()).toBe(16 * MIB + 4096);
    expect(readdirSync(folder)).toEqual([]);
    words.fill(-7);
    expect([words[0], words[4 * MIB]]).toEqual([-7, -7]);
    const bytes = scratchBytes(17 * MIB);
    expect([bytes.length, bytes[17 * MIB - 1], mapped()]).toEqual([17 * MIB, 0, 33 * MIB + 4096]);
  });

  test('plain memory where there is no folder for temporary files', () => {
    process.env.TMPDIR = `${folder}/absent`;
    const words = scratchWords(5 * MIB);
    words[5 * MIB - 1] = 1;
    expect([words.length, words[5 * MIB - 1], mapped()]).toEqual([5 * MIB, 1, 0]);
  });
});

test('a map of 1,600,000 numbers, of them also the largest and the negative', () => {
  const random = randomFrom(5);
  const numbers = new NumberMap();
  const model = new Map<number, number>([[-1, 0], [2 ** 31 - 1, 1], [-(2 ** 31), 2 ** 31 - 1]]);
  while (model.size < 1_600_000) model.set(random(2 ** 32) | 1, model.size);
  for (const [key, value] of model) numbers.add(key, value);
  expect(numbers.size).toBe(model.size);
  let wrong = 0;
  for (const [key, value] of model) if (numbers.get(key) !== value) wrong += 1;
  for (let i = 0; i < 1000; i++) if (numbers.get(2 + 2 * random(2 ** 30)) !== -1) wrong += 1;
  expect(wrong).toBe(0);
});

test('a list of 5,000,000 numbers', () => {
  const list = new NumberList();
  for (let i = 0; i < 5_000_000; i++) list.push(i ^ 0x55555555);
  list.set(77, -77);
  expect([list.length, list.at(77)]).toEqual([5_000_000, -77]);
  let sum = 0;
  let at = 0;
  for (const value of list) sum += value === (at++ ^ 0x55555555) ? 1 : 0;
  expect(sum).toBe(5_000_000 - 1);
});

test('places: in order, and from the first number on that is not, by a map', () => {
  const places = new Places();
  const ids = [1, 2, 3, 7, 4, 5, 2 ** 31 - 1, 6];
  for (const id of ids) {
    expect(places.find(id)).toBe(-1);
    places.add(id);
  }
  expect(ids.map((id) => places.find(id))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(ids.map((_, place) => places.idAt(place))).toEqual(ids);
  expect([8, 100].map((id) => places.find(id))).toEqual([-1, -1]);
});
