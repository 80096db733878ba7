/**
 * The programs that a study runs directly, under one method after the other: what they compute is
 * the same under each, verified by themselves against what the input alone says, and summed up in a
 * checksum. They differ in how they use memory:
 *
 *   words   objects: many small blocks that stay, linked by addresses (tools/demo/word-index.ts)
 *   tiles   buffers: blocks made large and shrunk to what was written, the oldest freed
 *   sort    buffers: growing arrays, runs merged into ever larger ones, the merged ones freed
 */
import type { Region } from '../../src/index.ts';
import { WordIndex } from '../demo/word-index.ts';
import { hashOf } from '../torture/random.ts';
import { sortWords } from './sort.ts';
import { recordTiles } from './tiles.ts';

export interface Document {
  readonly path: string;
  readonly text: string;
}

export interface Workload {
  readonly name: string;
  readonly what: string;
  /** Does the work `passes` times as large; returns its checksum. Throws when it is wrong. */
  readonly run: (region: Region, documents: readonly Document[], passes: number) => number;
}

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function mix(sum: number, value: number): number {
  return Math.imul(sum ^ value, 0x9e3779b1) ^ (sum >>> 15);
}

/** Builds the index of a text and reads every posting of it again. */
function indexWords(region: Region, documents: readonly Document[], passes: number): number {
  const index = new WordIndex(region, documents.length * passes);
  let expected = 0;
  for (let pass = 0; pass < passes; pass += 1) {
    for (const [i, { path, text }] of documents.entries()) {
      const words = wordsOf(text).map((word) => (pass === 0 ? word : `${word}${pass % 5}`));
      words.forEach((word, position) => {
        const document = pass * documents.length + i;
        expected = (expected + mix(mix(hashOf(word), document), position)) | 0;
      });
      index.add(path, words);
    }
  }
  let found = 0;
  for (const word of index) {
    const { pairs } = index.occurrences(word);
    for (let i = 0; i < pairs.length; i += 2) {
      const document = mix(hashOf(word.text), pairs[i] as number);
      found = (found + mix(document, pairs[i + 1] as number)) | 0;
    }
  }
  if (found !== expected) throw new Error('the index does not hold what the text says');
  return found >>> 0;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'words', what: 'an index of words, linked objects', run: indexWords },
  {
    name: 'tiles',
    what: 'a recording of changed image tiles, frames shrunk and freed',
    run: (region, _documents, passes) => recordTiles(region, 100 * passes),
  },
  {
    name: 'sort',
    what: 'a sorted dictionary by merging runs, buffers grown and freed',
    run: (region, documents, passes) =>
      sortWords(region, documents.map(({ text }) => wordsOf(text)), passes),
  },
];
