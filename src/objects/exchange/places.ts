/**
 * Objects of a text by the order in which it first mentions them: places from 0 on, each with the
 * number the text calls it by. Every export numbers in that order, from 1 on, and takes no memory.
 */
import { NumberList, NumberMap } from './number-map.ts';

export class Places {
  /** Numbers up to this one have the place before them. */
  #inOrder = 0;
  /** The others: places by number, numbers by place. */
  readonly #places = new NumberMap();
  readonly #ids = new NumberList();

  /** The place of a number, or -1. */
  find(id: number): number {
    return id <= this.#inOrder ? id - 1 : this.#places.get(id);
  }

  /** The number of a place. */
  idAt(place: number): number {
    return place < this.#inOrder ? place + 1 : this.#ids.at(place - this.#inOrder);
  }

  /** The next place is that of a number, above 0, that has none. */
  add(id: number): void {
    if (this.#ids.length === 0 && id === this.#inOrder + 1) this.#inOrder = id;
    else {
      this.#places.add(id, this.#inOrder + this.#ids.length);
      this.#ids.push(id);
    }
  }
}
