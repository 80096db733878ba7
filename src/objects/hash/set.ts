/** Handles of hash sets: the habits of Set over the entries of hash.ts. */
import { RegionError } from '../../errors.ts';
import type { Bound } from '../core.ts';
import { type Group, refOf } from '../handles.ts';
import type { HashTable } from './hash.ts';
import { type Epoch, type HashHandle, HashIterator, type Pick, removeEntry, removeEvery }
  from './hash-iterator.ts';
import { inspectHash } from './hash-text.ts';
import type { PersistentSet } from '../persistent.ts';
import { toPlain } from '../plain.ts';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

const single: Pick<unknown> = (shape, views, word) =>
  shape.key.load(views, word + shape.keyAt, 0);
const pair: Pick<[unknown, unknown]> = (shape, views, word) => {
  const value = single(shape, views, word);
  return [value, value];
};

export class SetHandle implements HashHandle, PersistentSet<unknown> {
  declare $at: number;
  declare readonly $group: Group | null;
  $epoch: Epoch | null = null;
  declare readonly $bound: Bound;
  declare readonly $table: HashTable;

  constructor(at: number, group: Group | null) {
    this.$at = at;
    this.$group = group;
  }

  get size(): number {
    if (this.$at < 0) throw this.$bound.core.stale();
    return this.$table.size(refOf(this));
  }

  has(value: unknown): boolean {
    if (this.$at < 0) throw this.$bound.core.stale();
    return this.$table.indexOf(refOf(this), value) >= 0;
  }

  add(value: unknown): this {
    if (this.$at < 0) throw this.$bound.core.stale();
    const table = this.$table;
    const normal = table.normal(value);
    table.put(refOf(this), table.shape.key.hash(normal), normal, table.stage(undefined));
    return this;
  }

  delete(value: unknown): boolean {
    if (this.$at < 0) throw this.$bound.core.stale();
    const index = this.$table.indexOf(refOf(this), value);
    if (index < 0) return false;
    removeEntry(this, index);
    return true;
  }

  clear(): void {
    if (this.$at < 0) throw this.$bound.core.stale();
    removeEvery(this);
  }

  forEach(visit: (value: unknown, again: unknown, set: this) => void, receiver?: unknown): void {
    if (typeof visit !== 'function') {
      throw new RegionError('ERR_BAD_OPTION', `forEach: ${String(visit)} is no function`);
    }
    for (const value of this.values()) visit.call(receiver, value, value, this);
  }

  keys(): IterableIterator<unknown> {
    return this.values();
  }

  values(): IterableIterator<unknown> {
    return new HashIterator(this, single);
  }

  entries(): IterableIterator<[unknown, unknown]> {
    return new HashIterator(this, pair);
  }

  [Symbol.iterator](): IterableIterator<unknown> {
    return this.values();
  }

  get [Symbol.toStringTag](): string {
    return 'PersistentSet';
  }

  toJS(): unknown {
    return toPlain(this);
  }

  toJSON(): unknown {
    return [...this];
  }

  [INSPECT](depth: number | null, options: object,
            inspect: (value: unknown, options: object) => string): string {
    return inspectHash(this, depth, options, inspect);
  }
}

/** Handles of one type in one segment. */
export function bindSet(bound: Bound, table: HashTable): typeof SetHandle {
  const made = class extends SetHandle {};
  Object.defineProperty(made.prototype, '$bound', { value: bound });
  Object.defineProperty(made.prototype, '$table', { value: table });
  return made;
}
