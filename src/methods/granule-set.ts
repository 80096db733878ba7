/** A set of granules as a map of bits: 1/128 of the memory they are of, however many they are. */
import { scratchWords } from '../native/scratch.ts';

export class GranuleSet {
  readonly #bits: Int32Array;

  /** Of granules below `end`. */
  constructor(end: number) {
    this.#bits = scratchWords((end + 31) >>> 5);
  }

  add(granule: number): void {
    this.#bits[granule >>> 5] |= 1 << granule;
  }

  /** Was it there? */
  delete(granule: number): boolean {
    const bit = 1 << granule;
    const had = ((this.#bits[granule >>> 5] ?? 0) & bit) !== 0;
    if (had) this.#bits[granule >>> 5] &= ~bit;
    return had;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (const [i, word] of this.#bits.entries()) {
      for (let left = word; left !== 0;) {
        const bit = 31 - Math.clz32(left & -left);
        left &= left - 1;
        yield i * 32 + bit;
      }
    }
  }
}
