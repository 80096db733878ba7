/**
 * A map of 32-bit integers to 32-bit integers in two typed arrays: 16 bytes an entry where a Map
 * takes about 50. Open addressing; 0 is no key. What was put in stays.
 */
const MULTIPLIER = 0x9e3779b1;

export class NumberMap {
  #keys = new Int32Array(1024);
  #values = new Int32Array(1024);
  #shift = 32 - 10;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of a key, or -1. */
  get(key: number): number {
    const at = this.#find(key);
    return this.#keys[at] === 0 ? -1 : this.#values[at];
  }

  /** The key is not 0 and not there yet; values are not negative. */
  add(key: number, value: number): void {
    if (this.#size * 2 >= this.#keys.length) this.#grow();
    const at = this.#find(key);
    this.#keys[at] = key;
    this.#values[at] = value;
    this.#size += 1;
  }

  #find(key: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let at = Math.imul(key, MULTIPLIER) >>> this.#shift;
    while (keys[at] !== key && keys[at] !== 0) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = new Int32Array(keys.length * 2);
    this.#values = new Int32Array(keys.length * 2);
    this.#shift -= 1;
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === 0) continue;
      const at = this.#find(keys[i]);
      this.#keys[at] = keys[i];
      this.#values[at] = values[i];
    }
  }
}

/** Integers by number, as many as there are. */
export class NumberList {
  #all = new Int32Array(1024);
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
      const all = new Int32Array(this.#length * 2);
      all.set(this.#all);
      this.#all = all;
    }
    this.#all[this.#length] = value;
    this.#length += 1;
  }
}
