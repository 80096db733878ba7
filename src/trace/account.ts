/**
 * The rules of a trace, and its counts. Every reader and recorder hands its records through an
 * account, so that one place says what a sound trace is:
 *
 *   T1  a slot is below the number of slots
 *   T2  an alloc takes an empty slot, a free or resize a taken one
 *   T3  an align stands directly before the alloc of its slot
 *   T4  an alignment is a power of two
 *   T5  a free has size 0
 *   T6  the zero bit is for alloc
 *   T7  the counts of the header are those of the records
 *   T8  the length of the file is the one its header speaks of
 *
 * The format is described in FORMAT.md.
 */
import { TRACE_RECORD } from '../layout.ts';

const { operation: OPERATION, slotShift: SLOT, zero: ZERO, slots: MOST_SLOTS } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;

const FIRST_SLOTS = 1024;

export class Account {
  /** Records less align records. */
  operations = 0;
  /** Live now. */
  blocks = 0;
  bytes = 0;
  peakBlocks = 0;
  peakBytes = 0;
  /** One past the largest slot that was used. */
  slots = 0;
  /** Bytes of the block in each slot, plus 1; 0 = empty. */
  #sizes = new Float64Array(FIRST_SLOTS);
  readonly #limit: number;
  /** Slot an align record spoke of, until its alloc; -1 = none. */
  #aligned = -1;

  /** `limit` is the number of slots, where it is known beforehand. */
  constructor(limit = MOST_SLOTS) {
    this.#limit = limit;
  }

  /** An align record waits for its alloc. */
  get isAligning(): boolean {
    return this.#aligned >= 0;
  }

  /** Takes one record. Returns the rule it breaks, or ''; then it counts. */
  take(word: number, value: number): string {
    const operation = word & OPERATION;
    const slot = word >>> SLOT;
    if (slot >= this.slots) {
      if (slot >= this.#limit) return `T1: slot ${slot} is not below the number of slots`;
      this.#reach(slot);
    }
    const held = this.#sizes[slot];
    if ((operation === FREE || operation === RESIZE) !== held > 0) {
      return `T2: slot ${slot} is ${held > 0 ? 'taken' : 'empty'}`;
    }
    if ((word & ZERO) !== 0 && operation !== ALLOC) return 'T6: the zero bit is for alloc';
    if (this.#aligned >= 0 && (operation !== ALLOC || slot !== this.#aligned)) {
      return 'T3: no alloc of its slot follows an align';
    }
    if (operation === ALIGN) return this.#align(slot, value);
    if (operation === FREE && value !== 0) return 'T5: a free with a size';
    this.#count(operation, slot, held, value);
    return '';
  }

  #align(slot: number, alignment: number): string {
    if (alignment === 0 || (alignment & (alignment - 1)) !== 0) {
      return `T4: the alignment ${alignment} is no power of two`;
    }
    this.#aligned = slot;
    return '';
  }

  #count(operation: number, slot: number, held: number, size: number): void {
    this.#aligned = -1;
    this.operations += 1;
    if (operation === FREE) {
      this.#sizes[slot] = 0;
      this.blocks -= 1;
      this.bytes -= held - 1;
      return;
    }
    this.#sizes[slot] = size + 1;
    if (held === 0) this.blocks += 1;
    this.bytes += held === 0 ? size : size - held + 1;
    if (this.blocks > this.peakBlocks) this.peakBlocks = this.blocks;
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes;
  }

  #reach(slot: number): void {
    this.slots = slot + 1;
    if (slot < this.#sizes.length) return;
    const more = new Float64Array(Math.min(this.#limit, 2 * (slot + 1)));
    more.set(this.#sizes);
    this.#sizes = more;
  }
}
