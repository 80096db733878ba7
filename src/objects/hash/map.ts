/** Handles of hash maps: the habits of Map over the entries of hash.ts. */
import { RegionError } from '../../errors.ts';
import type { Bound } from '../core.ts';
import { type Group, refOf } from '../handles.ts';
import type { HashTable } from './hash.ts';
import { type Epoch, type HashHandle, HashIterator, type Pick, removeEntry, removeEvery }
  from './hash-iterator.ts';
import { inspectHash } from './hash-text.ts';
import type { PersistentMap } from '../persistent.ts';
import { toPlain } from '../plain.ts';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

const key: Pick<unknown> = (shape, views, word) => shape.key.load(views, word + shape.keyAt, 0);
const value: Pick<unknown> = (shape, views, word) =>
  shape.value?.load(views, word + shape.valueAt, 0);
const entry: Pick<[unknown, unknown]> = (shape, views, word) =>
  [key(shape, views, word), value(shape, views, word)];

export class MapHandle implements HashHandle, PersistentMap<unknown, unknown> {
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

  get(key: unknown): unknown {
    if (this.$at < 0) throw this.$bound.core.stale();
    const table = this.$table;
    return table.indexOf(refOf(this), key) < 0 ? undefined : table.foundValue();
  }

  has(key: unknown): boolean {
    if (this.$at < 0) throw this.$bound.core.stale();
    return this.$table.indexOf(refOf(this), key) >= 0;
  }

  set(key: unknown, value: unknown): this {
    if (this.$at < 0) throw this.$bound.core.stale();
    const table = this.$table;
    const normal = table.normal(key);
    const hash = table.shape.key.hash(normal);
    const staged = table.stage(value);
    // Staging may have run code of the program.
    if (this.$at < 0) throw this.$bound.core.stale();
    table.put(refOf(this), hash, normal, staged);
    return this;
  }

  delete(key: unknown): boolean {
    if (this.$at < 0) throw this.$bound.core.stale();
    const index = this.$table.indexOf(refOf(this), key);
    if (index < 0) return false;
    removeEntry(this, index);
    return true;
  }

  clear(): void {
    if (this.$at < 0) throw this.$bound.core.stale();
    removeEvery(this);
  }

  forEach(visit: (value: unknown, key: unknown, map: this) => void, receiver?: unknown): void {
    if (typeof visit !== 'function') {
      throw new RegionError('ERR_BAD_OPTION', `forEach: ${String(visit)} is no function`);
    }
    for (const [key, value] of this.entries()) visit.call(receiver, value, key, this);
  }

  keys(): IterableIterator<unknown> {
    return new HashIterator(this, key);
  }

  values(): IterableIterator<unknown> {
    return new HashIterator(this, value);
  }

  entries(): IterableIterator<[unknown, unknown]> {
    return new HashIterator(this, entry);
  }

  [Symbol.iterator](): IterableIterator<[unknown, unknown]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'PersistentMap';
  }

  toJS(): unknown {
    return toPlain(this);
  }

  /** An object where keys are texts, else an array of pairs. */
  toJSON(): unknown {
    const pairs = [...this];
    return this.$table.shape.key.kind.name === 'str' ? Object.fromEntries(pairs) : pairs;
  }

  [INSPECT](depth: number | null, options: object,
            inspect: (value: unknown, options: object) => string): string {
    return inspectHash(this, depth, options, inspect);
  }
}

/** Handles of one type in one segment. */
export function bindMap(bound: Bound, table: HashTable): typeof MapHandle {
  const made = class extends MapHandle {};
  Object.defineProperty(made.prototype, '$bound', { value: bound });
  Object.defineProperty(made.prototype, '$table', { value: table });
  return made;
}
