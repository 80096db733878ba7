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
  readonly words: readonly string[];
}

/** One piece of work, its input at hand. */
export interface Job {
  /** What is measured. */
  readonly work: (region: Region) => void;
  /** Of what the work left behind; throws when that is wrong. */
  readonly checksum: () => number;
}

export interface Workload {
  readonly name: string;
  /** `passes`: how large the work is. */
  readonly prepare: (documents: readonly Document[], passes: number) => Job;
}

/** Variants of each word, so that a text of some pages has the vocabulary of a library. */
const VARIANTS = 8;

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function mix(sum: number, value: number): number {
  return Math.imul(sum ^ value, 0x9e3779b1) ^ (sum >>> 15);
}

/** Each pass has the same documents in other words. */
function library(documents: readonly Document[], passes: number): Document[][] {
  const variants = Array.from({ length: Math.min(passes, VARIANTS) }, (_, n) =>
    documents.map(({ path, words }) => ({ path, words: words.map((word) => `${word}${n}`) })));
  return Array.from({ length: passes }, (_, pass) => variants[pass % VARIANTS] as Document[]);
}

/** Builds the index of a text; every posting of it is read again. */
function indexWords(documents: readonly Document[], passes: number): Job {
  const all = library(documents, passes).flat();
  let index: WordIndex | null = null;
  return {
    work: (region) => {
      index = new WordIndex(region, all.length);
      for (const { path, words } of all) index.add(path, words);
    },
    checksum: () => {
      const found = index === null ? 0 : digestOf(index);
      if (found !== expectedDigest(all)) throw new Error('the index is not what the text says');
      return found;
    },
  };
}

function digestOf(index: WordIndex): number {
  let sum = 0;
  for (const word of index) {
    const { pairs } = index.occurrences(word);
    for (let i = 0; i < pairs.length; i += 2) {
      const document = mix(hashOf(word.text), pairs[i] as number);
      sum = (sum + mix(document, pairs[i + 1] as number)) | 0;
    }
  }
  return sum >>> 0;
}

function expectedDigest(documents: readonly Document[]): number {
  let sum = 0;
  documents.forEach(({ words }, document) => words.forEach((word, position) => {
    sum = (sum + mix(mix(hashOf(word), document), position)) | 0;
  }));
  return sum >>> 0;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'words', prepare: indexWords },
  { name: 'tiles', prepare: (_documents, passes) => recordTiles(60 * passes) },
  {
    name: 'sort',
    prepare: (documents, passes) =>
      sortWords(library(documents, passes).flat().map(({ words }) => words)),
  },
];
