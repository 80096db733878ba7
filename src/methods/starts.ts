/**
 * The start bitmap: one bit per granule of an arena, set exactly where the payload of a live block
 * starts. With it an address that is not the start of a live block is always recognised. The bits
 * live inside the arena itself, in a block of the method's choice: `map` is the index of their
 * first word and bit g % 32 of word map + g / 32 stands for granule g of the arena's window.
 *
 * Single words are written, so a bitmap is whole at every instant of a shared mapping.
 */

const WORD_BITS = 32;
const WORD_SHIFT = 5;
const ALL = -1;

export function hasStart(words: Int32Array, map: number, granule: number): boolean {
  return ((words[map + (granule >>> WORD_SHIFT)] as number) & (1 << granule)) !== 0;
}

export function setStart(words: Int32Array, map: number, granule: number): void {
  words[map + (granule >>> WORD_SHIFT)]! |= 1 << granule;
}

export function dropStart(words: Int32Array, map: number, granule: number): void {
  words[map + (granule >>> WORD_SHIFT)]! &= ~(1 << granule);
}

/** The nearest start at or below `granule` and not below `from`; -1 = none. */
export function startAtOrBelow(
  words: Int32Array,
  map: number,
  granule: number,
  from: number,
): number {
  const first = from >>> WORD_SHIFT;
  let at = granule >>> WORD_SHIFT;
  let bits = (words[map + at] as number) & (ALL >>> (WORD_BITS - 1 - (granule & (WORD_BITS - 1))));
  while (bits === 0) {
    at -= 1;
    if (at < first) return -1;
    bits = words[map + at] as number;
  }
  const found = at * WORD_BITS + (WORD_BITS - 1 - Math.clz32(bits));
  return found < from ? -1 : found;
}

/** The nearest start at or above `granule` and below `end`; -1 = none. */
export function startAtOrAbove(
  words: Int32Array,
  map: number,
  granule: number,
  end: number,
): number {
  const last = (end - 1) >>> WORD_SHIFT;
  let at = granule >>> WORD_SHIFT;
  if (granule >= end) return -1;
  let bits = (words[map + at] as number) & (ALL << granule);
  while (bits === 0) {
    at += 1;
    if (at > last) return -1;
    bits = words[map + at] as number;
  }
  const found = at * WORD_BITS + (WORD_BITS - 1 - Math.clz32(bits & -bits));
  return found < end ? found : -1;
}
