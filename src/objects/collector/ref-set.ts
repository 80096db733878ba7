/** References to blocks of a heap: few as a Set, many as a map of bits, which has no limit. */
import type { Region } from '../../types.ts';
import { Marks } from './marks.ts';

/** V8's Set ends at 2^24 members, and takes some 40 bytes for each. */
const MOST_LISTED = 2 ** 18;

export class RefSet {
  readonly #region: Region;
  #few = new Set<number>();
  #many: Marks | null = null;

  constructor(region: Region) {
    this.#region = region;
  }

  has(ref: number): boolean {
    return this.#many === null ? this.#few.has(ref) : this.#many.has(ref);
  }

  add(ref: number): void {
    if (this.#many !== null) {
      this.#many.set(ref);
      return;
    }
    this.#few.add(ref);
    if (this.#few.size <= MOST_LISTED) return;
    this.#many = new Marks(this.#region);
    for (const one of this.#few) this.#many.set(one);
    this.#few = new Set();
  }
}
