/**
 * One bit a granule of a heap, over all its segments, in memory aside: looking through a heap must
 * not change its pages. A bit stands for the block that starts there.
 */
import { GRANULE_MASK, SEGMENT_SHIFT } from '../../layout-objects.ts';
import { scratchWords } from '../../native/scratch.ts';
import { spaceOf } from '../../region/calls.ts';
import type { Region } from '../../types.ts';

export class Marks {
  /** Per segment; what begins behind its end has no bit. */
  readonly bits: Int32Array[] = [];

  /** Room for what the region is now. */
  constructor(region: Region) {
    for (const { arena } of spaceOf(region)?.parts ?? []) {
      this.bits.push(scratchWords((arena.end() + 31) >>> 5));
    }
  }

  /** Is the bit set? Never where there is none. */
  has(ref: number): boolean {
    const granule = ref & GRANULE_MASK;
    return ((this.bits[ref >>> SEGMENT_SHIFT]?.[granule >>> 5] ?? 0) & (1 << granule)) !== 0;
  }

  /** Is there a bit for it? */
  covers(ref: number): boolean {
    return (ref & GRANULE_MASK) >>> 5 < (this.bits[ref >>> SEGMENT_SHIFT]?.length ?? 0);
  }

  /** Sets the bit, where need be in a longer map: the region has grown. */
  set(ref: number): void {
    if (!this.covers(ref)) this.#lengthen(ref);
    const granule = ref & GRANULE_MASK;
    this.bits[ref >>> SEGMENT_SHIFT][granule >>> 5] |= 1 << granule;
  }

  /** Visits what is set from the highest down, until `visit` returns true. */
  eachDown(visit: (ref: number) => boolean): void {
    for (let segment = this.bits.length - 1; segment >= 0; segment--) {
      const bits = this.bits[segment];
      for (let w = bits.length - 1; w >= 0; w--) {
        for (let left = bits[w]; left !== 0;) {
          const bit = 31 - Math.clz32(left);
          left ^= 1 << bit;
          if (visit((segment << SEGMENT_SHIFT) | (w << 5) | bit)) return;
        }
      }
    }
  }

  #lengthen(ref: number): void {
    const segment = ref >>> SEGMENT_SHIFT;
    while (this.bits.length <= segment) this.bits.push(new Int32Array(0));
    const old = this.bits[segment];
    const least = ((ref & GRANULE_MASK) >>> 5) + 1;
    this.bits[segment] = scratchWords(Math.max(least, old.length + (old.length >>> 3)));
    this.bits[segment].set(old);
  }
}

