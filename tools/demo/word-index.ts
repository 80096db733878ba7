/**
 * A word index in a region's own memory: a hash table of words, each with its occurrences as linked
 * runs of (document, position). No serialization: what the links are is what is found after a
 * restart. Numbers are 32-bit words, links are addresses, 0 = none; the region is below 4 GiB.
 *
 *   table     one link per bucket
 *   word      next in the bucket | hash | occurrences | newest run | bytes of text | text
 *   run       older run | pairs used | room for pairs | pairs
 *   names     one link per document, to its path (strdup)
 */
import type { Address, Region } from '../../src/index.ts';
import { hashOf } from '../torture/random.ts';

const WORD = { next: 0, hash: 1, count: 2, run: 3, textBytes: 4, text: 5 } as const;
const RUN = { next: 0, used: 1, room: 2, pairs: 3 } as const;
const WIDTH = 4;
const FIRST_BUCKETS = 1024;
const MOST_ROOM = 128;

export interface Word {
  readonly address: number;
  readonly text: string;
  /** Bucket it was found in. */
  readonly bucket: number;
  readonly count: number;
}

export class WordIndex {
  readonly region: Region;

  constructor(region: Region, documents: number) {
    this.region = region;
    const { roots } = region;
    if (roots.get('table') !== 0) return;
    roots.set('table', this.#blank(FIRST_BUCKETS));
    roots.set('buckets', FIRST_BUCKETS);
    roots.set('names', this.#blank(documents));
  }

  /** Documents done. */
  get documents(): number {
    return this.region.roots.get('documents');
  }

  get words(): number {
    return this.region.roots.get('words');
  }

  get buckets(): number {
    return this.region.roots.get('buckets');
  }

  add(path: string, words: readonly string[]): void {
    const { roots } = this.region;
    const document = this.documents;
    words.forEach((word, position) => this.#occur(word, document, position));
    this.#names()[document] = this.region.strdup(path);
    roots.set('documents', document + 1);
  }

  nameOf(document: number): string {
    return this.region.string(this.#names()[document] as number);
  }

  bucketOf(text: string): number {
    return hashOf(text) & (this.buckets - 1);
  }

  find(text: string): Word | undefined {
    const bytes = Buffer.from(text);
    const bucket = this.bucketOf(text);
    const address = this.#search(this.#table()[bucket] as number, hashOf(text), bytes);
    return address === 0 ? undefined : this.#read(address, bucket);
  }

  /** Every word, bucket by bucket. */
  *[Symbol.iterator](): Generator<Word> {
    const table = this.#table();
    for (let bucket = 0; bucket < table.length; bucket += 1) {
      for (let at = table[bucket] as number; at !== 0; at = this.#at(at)[WORD.next] as number) {
        yield this.#read(at, bucket);
      }
    }
  }

  /** Documents and positions of a word, oldest first, and how many blocks hold them. */
  occurrences(word: Word): { pairs: number[]; runs: number } {
    const parts: Uint32Array[] = [];
    for (let at = this.#at(word.address)[WORD.run] as number; at !== 0; ) {
      const run = this.#at(at);
      parts.push(run.subarray(RUN.pairs, RUN.pairs + 2 * (run[RUN.used] as number)));
      at = run[RUN.next] as number;
    }
    return { pairs: parts.reverse().flatMap((part) => [...part]), runs: parts.length };
  }

  #occur(text: string, document: number, position: number): void {
    const word = this.#at(this.#search(this.#bucketHead(text), hashOf(text), Buffer.from(text))
      || this.#insert(text));
    let run = word[WORD.run] === 0 ? null : this.#at(word[WORD.run] as number);
    if (run === null || run[RUN.used] === run[RUN.room]) {
      const room = run === null ? 1 : Math.min(MOST_ROOM, 2 * (run[RUN.room] as number));
      const address = this.#blank(RUN.pairs + 2 * room);
      run = this.#at(address);
      run[RUN.next] = word[WORD.run] as number;
      run[RUN.room] = room;
      word[WORD.run] = address;
    }
    const at = RUN.pairs + 2 * (run[RUN.used] as number);
    run[at] = document;
    run[at + 1] = position;
    run[RUN.used]! += 1;
    word[WORD.count]! += 1;
  }

  #insert(text: string): Address {
    const { region } = this;
    const bytes = Buffer.from(text);
    const address = region.alloc(WORD.text * WIDTH + bytes.length);
    region.bytes(address).set(bytes, WORD.text * WIDTH);
    const word = this.#at(address);
    const table = this.#table();
    const bucket = this.bucketOf(text);
    word[WORD.next] = table[bucket] as number;
    word[WORD.hash] = hashOf(text);
    word[WORD.count] = 0;
    word[WORD.run] = 0;
    word[WORD.textBytes] = bytes.length;
    table[bucket] = address;
    if (region.roots.add('words', 1) > this.buckets) this.#widen();
    return address;
  }

  /** Twice the buckets; every word is linked again. */
  #widen(): void {
    const { roots } = this.region;
    const old = this.#table();
    const buckets = 2 * old.length;
    const address = this.#blank(buckets);
    const table = this.region.array(Uint32Array, address, buckets);
    for (const head of old) {
      for (let at = head; at !== 0; ) {
        const word = this.#at(at);
        const next = word[WORD.next] as number;
        const bucket = (word[WORD.hash] as number) & (buckets - 1);
        word[WORD.next] = table[bucket] as number;
        table[bucket] = at;
        at = next;
      }
    }
    this.region.free(roots.get('table'));
    roots.set('table', address);
    roots.set('buckets', buckets);
  }

  #search(head: number, hash: number, bytes: Buffer): number {
    for (let at = head; at !== 0; ) {
      const word = this.#at(at);
      if (word[WORD.hash] === hash && this.#textOf(at, word).equals(bytes)) return at;
      at = word[WORD.next] as number;
    }
    return 0;
  }

  #read(address: number, bucket: number): Word {
    const word = this.#at(address);
    const text = this.#textOf(address, word).toString('utf8');
    return { address, text, bucket, count: word[WORD.count] as number };
  }

  #textOf(address: number, word: Uint32Array): Buffer {
    const { buffer, byteOffset } = this.region.bytes(address);
    const at = byteOffset + WORD.text * WIDTH;
    return Buffer.from(buffer as ArrayBuffer, at, word[WORD.textBytes]);
  }

  #bucketHead(text: string): number {
    return this.#table()[this.bucketOf(text)] as number;
  }

  #table(): Uint32Array {
    const { roots } = this.region;
    return this.region.array(Uint32Array, roots.get('table'), roots.get('buckets'));
  }

  #names(): Uint32Array {
    return this.region.array(Uint32Array, this.region.roots.get('names'));
  }

  #at(address: number): Uint32Array {
    return this.region.array(Uint32Array, address);
  }

  #blank(words: number): Address {
    const address = this.region.alloc(words * WIDTH);
    this.region.bytes(address).fill(0);
    return address;
  }
}
