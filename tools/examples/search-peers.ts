/** The same inverted index in other forms, for comparison: a JSON file, and lmdb. */
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'lmdb';
import { openStore } from '../../src/index.ts';
import { InvertedIndex, wordsOf } from './inverted-index.ts';

type Postings = Record<string, number[]>;


/** Writes the index in every form; beside the store, whose folder holds nothing else. */
export function save(index: InvertedIndex, dir: string): void {
  const all: Postings = {};
  for (const word of index.words()) all[word] = index.postings(word);
  writeFileSync(`${dir}.json`, JSON.stringify(all));
  const db = open<number[], string>({ path: `${dir}.lmdb` });
  db.transactionSync(() => {
    for (const [word, postings] of Object.entries(all)) db.putSync(word, postings);
  });
  void db.close();
}

/** By name: opens the index and looks the words up; how many postings there are. */
export const PEERS: Readonly<Record<string, (dir: string, text: string) => number>> = {
  regionstore(dir, text) {
    const store = openStore(dir, { readOnly: true });
    const index = new InvertedIndex(store.heap('search'));
    const found = count(text, (word) => index.postings(word));
    store.close();
    return found;
  },
  JSON(dir, text) {
    const all = JSON.parse(readFileSync(`${dir}.json`, 'utf8')) as Postings;
    return count(text, (word) => all[word] ?? []);
  },
  lmdb(dir, text) {
    const db = open<number[], string>({ path: `${dir}.lmdb` });
    const found = count(text, (word) => db.get(word) ?? []);
    void db.close();
    return found;
  },
};

function count(text: string, postings: (word: string) => readonly number[]): number {
  return wordsOf(text).reduce((sum, word) => sum + postings(word).length / 2, 0);
}
