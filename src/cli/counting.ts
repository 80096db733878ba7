/**
 * Verbs that only look answer at once, however large what they look at is: small regions are
 * counted block by block, large ones estimated from a sample, which is said with each figure.
 */
import { Option } from 'commander';
import type { RegionStat } from '../types.ts';
import { humanSize } from './table.ts';
import type { Subject } from './target.ts';

/** Of all that one command shows: this many bytes are counted. */
const COUNTED_BYTES = 256 * 1024 * 1024;
/** Regions of up to this are always counted: an estimate would take as long. */
const SMALL_BYTES = 1024 * 1024;
/** Up to this, every block is looked at for what it holds. */
const DETAILED_BYTES = 64 * 1024 * 1024;

/** NaN = a sample does not tell; it prints as null in JSON. */
export interface Figures extends RegionStat {
  /** Live blocks and bytes are from a sample. */
  readonly estimated: boolean;
}

export function exactOption(): Option {
  return new Option('--exact', 'count every block of large regions too, however long it takes');
}

export class Counting {
  readonly #isExact: boolean;
  #left = COUNTED_BYTES;
  #detailsLeft = DETAILED_BYTES;

  constructor(isExact: boolean) {
    this.#isExact = isExact;
  }

  figuresOf({ region, estimate }: Subject): Figures {
    const extent = [...region.segments()].reduce((sum, { size }) => sum + size, 0);
    const isCounted = this.#isExact || extent <= SMALL_BYTES || extent <= this.#left;
    if (isCounted) this.#left -= extent;
    return isCounted ? { ...region.stat(), estimated: false }
      : { ...estimate(), estimated: true };
  }

  /** May every block be looked at for more than its size? */
  hasTimeFor({ extent }: RegionStat): boolean {
    const hasTime = this.#isExact || extent <= SMALL_BYTES || extent <= this.#detailsLeft;
    if (hasTime) this.#detailsLeft -= extent;
    return hasTime;
  }
}

/** `isEstimate` = from a sample. */
export function countText(count: number, isEstimate: boolean): string {
  if (Number.isNaN(count)) return '-';
  return isEstimate ? `≈${Number(count.toPrecision(3))}` : String(count);
}

export function sizeText(bytes: number, isEstimate: boolean): string {
  if (Number.isNaN(bytes)) return '-';
  return `${isEstimate ? '≈' : ''}${humanSize(bytes)}`;
}

/** What follows figures some of which are estimates. */
export const ESTIMATED = '≈ from a sample of a large region; --exact counts every block';
