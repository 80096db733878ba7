/**
 * Integers by integer, for as many objects as a heap has. Both forms grow by half or to twice what
 * they were, and leave memory to a file where they are long (scratchWords).
 */
import { scratchWords } from '../../native/scratch.ts';

const MULTIPLIER = 0x9e3779b1;
const LEAST_BITS = 10;

/**
 * A map of 32-bit integers to 32-bit integers: 11 to 21 bytes an entry where a Map takes about 50,
 * and ends at 2^24 of them. Open addressing; 0 is no key. What was put in stays.
 */
export class NumberMap {
  /** Pairs: a key, its value. */
  #pairs = scratchWords(2 << LEAST_BITS);
  #bits = LEAST_BITS;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of a key, or -1. */
  get(key: number): number {
    const at = this.#find(key);
    return this.#pairs[at] === 0 ? -1 : this.#pairs[at + 1];
  }

  /** The key is not 0 and not there yet; values are not negative. */
  add(key: number, value: number): void {
    // Three quarters of 2^bits.
    if (this.#size >= 3 << (this.#bits - 2)) this.#grow();
    this.#put(key, value);
    this.#size += 1;
  }

  #put(key: number, value: number): void {
    const at = this.#find(key);
    this.#pairs[at] = key;
    this.#pairs[at + 1] = value;
  }

  #find(key: number): number {
    const pairs = this.#pairs;
    const mask = pairs.length - 1;
    let at = (Math.imul(key, MULTIPLIER) >>> (32 - this.#bits)) << 1;
    while (pairs[at] !== key && pairs[at] !== 0) at = (at + 2) & mask;
    return at;
  }

  #grow(): void {
    const pairs = this.#pairs;
    this.#pairs = scratchWords(pairs.length * 2);
    this.#bits += 1;
    for (let i = 0; i < pairs.length; i += 2) {
      if (pairs[i] !== 0) this.#put(pairs[i], pairs[i + 1]);
    }
  }
}

/** Integers by number, as many as there are. */
export class NumberList {
  #all = scratchWords(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(i: number): number {
    return this.#all[i];
  }

  set(i: number, value: number): void {
    this.#all[i] = value;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.#length; i++) yield this.#all[i];
  }

  push(value: number): void {
    if (this.#length === this.#all.length) {
      const all = scratchWords(Math.ceil(this.#length * 1.5));
      all.set(this.#all);
      this.#all = all;
    }
    this.#all[this.#length] = value;
    this.#length += 1;
  }
}
