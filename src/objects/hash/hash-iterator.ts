/**
 * Iteration over a hash, as Map and Set do it: what is added meanwhile is visited, what is deleted
 * is not, and an iteration that was left may be gone on with.
 *
 * An iterator counts entries. When a hash is compacted or cleared, these get other numbers; what
 * became of the old ones is noted for whoever still counts by them, and forgotten with the last
 * iterator (the same as in V8).
 */
import { HASH } from '../../layout-objects.ts';
import { type Group, refOf } from '../handles.ts';
import type { Bound } from '../core.ts';
import type { HashTable } from './hash.ts';
import { eachAlive, nextAlive } from './hash-room.ts';
import type { HashShape } from './hash-shape.ts';
import { compact, isSparse } from './hash-shrink.ts';
import type { Views } from '../memory.ts';

/** A time in which the numbers of entries do not change. */
export interface Epoch {
  /** What came after it. */
  next: Epoch | null;
  /** Old numbers of the entries that are left then, by new number. */
  kept: Int32Array | null;
}

/** A handle of a map or set. */
export interface HashHandle {
  $at: number;
  readonly $group: Group | null;
  readonly $bound: Bound;
  readonly $table: HashTable;
  /** null = nobody iterated yet. */
  $epoch: Epoch | null;
}

/** Removes an entry; where most are dead then, the others get new numbers. */
export function removeEntry(handle: HashHandle, index: number): void {
  const { $table: { shape } } = handle;
  const ref = refOf(handle);
  handle.$table.remove(ref, index);
  if (!isSparse(shape, ref)) return;
  if (handle.$epoch !== null) endEpoch(handle, aliveIn(handle, ref));
  compact(shape, ref);
}

export function removeEvery(handle: HashHandle): void {
  handle.$table.clear(refOf(handle));
  if (handle.$epoch !== null) endEpoch(handle, new Int32Array(0));
}

function aliveIn({ $table: { shape } }: HashHandle, ref: number): Int32Array {
  const { i32 } = shape.memory.views(ref);
  const alive = new Int32Array(i32[shape.memory.word(ref) + HASH.size]);
  let count = 0;
  eachAlive(shape, ref, (_views, _word, index) => {
    alive[count++] = index;
  });
  return alive;
}

function endEpoch(handle: HashHandle, kept: Int32Array): void {
  const epoch = handle.$epoch as Epoch;
  epoch.kept = kept;
  epoch.next = handle.$epoch = { next: null, kept: null };
}

/** How many of these numbers, which ascend, are below `index`. */
function below(numbers: Int32Array, index: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle] < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What an iterator gives of an entry, which lies at a word. */
export type Pick<T> = (shape: HashShape, views: Views, word: number) => T;

export class HashIterator<T> implements IterableIterator<T> {
  #handle: HashHandle | null;
  #epoch: Epoch;
  #index = 0;
  readonly #pick: Pick<T>;

  constructor(handle: HashHandle, pick: Pick<T>) {
    if (handle.$at < 0) throw handle.$bound.core.stale();
    this.#handle = handle;
    this.#epoch = handle.$epoch ??= { next: null, kept: null };
    this.#pick = pick;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this;
  }

  next(): IteratorResult<T> {
    const handle = this.#handle;
    if (handle === null) return { value: undefined, done: true };
    if (handle.$at < 0) throw handle.$bound.core.stale();
    while (this.#epoch.next !== null) {
      this.#index = below(this.#epoch.kept as Int32Array, this.#index);
      this.#epoch = this.#epoch.next;
    }
    const { $table: { shape } } = handle;
    const ref = refOf(handle);
    const index = nextAlive(shape, ref, this.#index);
    if (index < 0) {
      this.#handle = null;
      return { value: undefined, done: true };
    }
    this.#index = index + 1;
    return { value: this.#pick(shape, shape.foundIn, shape.foundAt), done: false };
  }
}

/** So that what every iterator can do, these can: `map`, `filter` … where there are such. */
const ITERATORS: object = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as object;
Object.setPrototypeOf(HashIterator.prototype, ITERATORS);
