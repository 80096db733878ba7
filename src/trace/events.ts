/**
 * Turns events, which have addresses, into records, which have slots. Each region is an address
 * space of its own. The rules of events:
 *
 *   L1  a new block is not where a live one is
 *   L2  what is freed or resized was not freed before
 *   L3  a size is below 4 GiB, an alignment 0 or a power of two
 *
 * A block that was never seen is from before the recording: its free is left out, its resize counts
 * as an alloc. Old and new address 0 mean that every block of the region is gone: it was cleared.
 */
import { TRACE_RECORD } from '../layout.ts';
import { FREED, SlotPool, SlotTable, UNKNOWN } from './slots.ts';

const { slotShift: SLOT, zero: ZERO } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;
const SIZES = 2 ** 32;

/** Takes a record and the origin of its event; the rule it breaks, or ''. */
export type TakeRecord = (word: number, value: number, origin: number) => string;

/** The blocks of one region. */
export class AddressSpace {
  readonly table = new SlotTable();
  /** Every live block was seen. */
  isWhole = false;
}

export class EventReader {
  strangers = 0;
  readonly #take: TakeRecord;
  readonly #pool = new SlotPool();

  constructor(take: TakeRecord) {
    this.#take = take;
  }

  /** One event; the rule it breaks, or ''. */
  read(
    space: AddressSpace, old: number, now: number, size: number, align: number, zero: boolean,
    origin: number,
  ): string {
    if (now === 0) return old === 0 ? this.#clear(space, origin) : this.#free(space, old, origin);
    if (size >= SIZES) return `L3: a size of ${size} bytes; a block is smaller than 4 GiB`;
    if (align >= SIZES || (align & (align - 1)) !== 0) {
      return `L3: the alignment ${align} is no power of two`;
    }
    if (old === 0) return this.#alloc(space, now, size, align, zero, origin);
    return this.#resize(space, old, now, size, origin);
  }

  #alloc(
    space: AddressSpace, at: number, size: number, align: number, zero: boolean, origin: number,
  ): string {
    if (space.table.find(at) >= 0) return liveAlready(at);
    const slot = this.#pool.take();
    space.table.set(at, slot);
    const word = slot * 2 ** SLOT;
    const broken = align === 0 ? '' : this.#take(word + ALIGN, align, origin);
    return broken === '' ? this.#take(word + (zero ? ZERO : 0) + ALLOC, size, origin) : broken;
  }

  #free({ table, isWhole }: AddressSpace, at: number, origin: number): string {
    const slot = table.find(at);
    if (slot === FREED || (slot === UNKNOWN && isWhole)) return goneAlready(at);
    table.set(at, FREED);
    if (slot === UNKNOWN) {
      this.strangers += 1;
      return '';
    }
    this.#pool.give(slot);
    return this.#take(slot * 2 ** SLOT + FREE, 0, origin);
  }

  #resize(space: AddressSpace, old: number, now: number, size: number, origin: number): string {
    const { table, isWhole } = space;
    const slot = table.find(old);
    if (slot === FREED || (slot === UNKNOWN && isWhole)) return goneAlready(old);
    if (now !== old && table.find(now) >= 0) return liveAlready(now);
    if (now !== old) table.set(old, FREED);
    if (slot === UNKNOWN) {
      this.strangers += 1;
      return this.#alloc(space, now, size, 0, false, origin);
    }
    table.set(now, slot);
    return this.#take(slot * 2 ** SLOT + RESIZE, size, origin);
  }

  #clear(space: AddressSpace, origin: number): string {
    for (const slot of space.table.live()) {
      this.#pool.give(slot);
      const broken = this.#take(slot * 2 ** SLOT + FREE, 0, origin);
      if (broken !== '') return broken;
    }
    space.table.clear();
    space.isWhole = true;
    return '';
  }
}

function liveAlready(at: number): string {
  return `L1: a block at ${at}, where one is live; regions in one trace need names of their own`;
}

function goneAlready(at: number): string {
  return `L2: the block at ${at} is not live`;
}
