/**
 * Slots for blocks that are known by an address or an id. The last slot freed is the first reused,
 * so that the number of slots is the peak number of live blocks.
 *
 * The table is open addressing in typed arrays: a Map ends at 2^24 entries and takes five times as
 * long. A key stays when its block is freed, so that a second free is told from a stranger.
 */

/** What `SlotTable.find` says of a key without a live block. */
export const FREED = -1;
export const UNKNOWN = -2;

const FIRST_PLACES = 1024;
/** Spreads neighbouring keys: 2^32 divided by the golden ratio. */
const SPREAD = 0x9e3779b1;

export class SlotPool {
  readonly #freed: number[] = [];
  #next = 0;

  take(): number {
    return this.#freed.pop() ?? this.#next++;
  }

  give(slot: number): void {
    this.#freed.push(slot);
  }
}

/** Keys are whole numbers from 1 to 2^53. */
export class SlotTable {
  #keys = new Float64Array(FIRST_PLACES);
  #slots = new Int32Array(FIRST_PLACES);
  #used = 0;

  /** Its slot, FREED or UNKNOWN. */
  find(key: number): number {
    const place = this.#placeOf(key);
    return this.#keys[place] === 0 ? UNKNOWN : this.#slots[place];
  }

  /** `slot` may be FREED. */
  set(key: number, slot: number): void {
    let place = this.#placeOf(key);
    if (this.#keys[place] === 0) {
      if (2 * this.#used >= this.#keys.length) {
        this.#grow();
        place = this.#placeOf(key);
      }
      this.#keys[place] = key;
      this.#used += 1;
    }
    this.#slots[place] = slot;
  }

  /** Slots in use, in no order. */
  *live(): Generator<number> {
    for (let i = 0; i < this.#keys.length; i += 1) {
      if (this.#keys[i] !== 0 && this.#slots[i] >= 0) yield this.#slots[i];
    }
  }

  clear(): void {
    this.#keys = new Float64Array(FIRST_PLACES);
    this.#slots = new Int32Array(FIRST_PLACES);
    this.#used = 0;
  }

  #placeOf(key: number): number {
    const last = this.#keys.length - 1;
    const mixed = Math.imul(key ^ Math.floor(key / 2 ** 31), SPREAD);
    let place = (mixed ^ (mixed >>> 15)) & last;
    while (this.#keys[place] !== 0 && this.#keys[place] !== key) place = (place + 1) & last;
    return place;
  }

  #grow(): void {
    const [keys, slots] = [this.#keys, this.#slots];
    this.#keys = new Float64Array(keys.length * 2);
    this.#slots = new Int32Array(keys.length * 2);
    for (let i = 0; i < keys.length; i += 1) {
      if (keys[i] === 0) continue;
      const place = this.#placeOf(keys[i]);
      this.#keys[place] = keys[i];
      this.#slots[place] = slots[i];
    }
  }
}
