/**
 * Free units of a compressed region file: the gaps between what is in use, and the end. Best fit
 * among the gaps shorter than a chunk, which are kept by length; the first long one that fits, then
 * the end.
 */
import { CHUNK, COMPRESSED_START, COMPRESSED_UNIT } from '../layout.ts';

/** A range of the file, bytes. */
export interface Range {
  readonly place: number;
  readonly length: number;
}

const LONG = CHUNK / COMPRESSED_UNIT;

/** Bytes that `length` bytes take. */
export function taken(length: number): number {
  return Math.ceil(length / COMPRESSED_UNIT) * COMPRESSED_UNIT;
}

/** In the order of their places, or null where two overlap or one begins before the first unit. */
export function inOrder(ranges: Iterable<Range>): Range[] | null {
  const all = [...ranges].sort((a, b) => a.place - b.place);
  let end = COMPRESSED_START;
  for (const { place, length } of all) {
    if (place < end || place % COMPRESSED_UNIT !== 0) return null;
    end = place + taken(length);
  }
  return all;
}

/** The lowest place with room for `length` bytes; the end where no gap has it. */
export function lowestPlace(inUse: readonly Range[], length: number): number {
  let end = COMPRESSED_START;
  for (const range of inUse) {
    if (range.place - end >= length) return end;
    end = range.place + taken(range.length);
  }
  return end;
}

export class FreeSpace {
  /** By length in units: places of gaps shorter than a chunk. */
  readonly #short: number[][] = Array.from({ length: LONG }, () => []);
  /** From low to high. */
  #long: Range[] = [];
  #end = COMPRESSED_START;

  /** `inUse` is in order. */
  constructor(inUse: readonly Range[]) {
    for (const { place, length } of inUse) {
      this.#give(this.#end, place - this.#end);
      this.#end = place + taken(length);
    }
  }

  /** A place for `length` bytes, which are in use from now on. */
  take(length: number): number {
    const bytes = taken(length);
    for (let units = bytes / COMPRESSED_UNIT; units < LONG; units++) {
      const place = this.#short[units].pop();
      if (place === undefined) continue;
      this.#give(place + bytes, units * COMPRESSED_UNIT - bytes);
      return place;
    }
    const at = this.#long.findIndex((gap) => gap.length >= bytes);
    if (at < 0) {
      this.#end += bytes;
      return this.#end - bytes;
    }
    const { place, length: held } = this.#long[at];
    const rest = { place: place + bytes, length: held - bytes };
    if (rest.length / COMPRESSED_UNIT >= LONG) this.#long[at] = rest;
    else {
      this.#long.splice(at, 1);
      this.#give(rest.place, rest.length);
    }
    return place;
  }

  #give(place: number, length: number): void {
    const units = length / COMPRESSED_UNIT;
    if (units >= LONG) this.#long.push({ place, length });
    else if (units > 0) this.#short[units].push(place);
  }
}
