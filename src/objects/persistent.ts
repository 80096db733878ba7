/**
 * What a program sees of a heap's objects and collections. All of them are handles: small objects
 * of JavaScript whose contents are in the region. A stale one throws ERR_STALE on every use.
 */

/**
 * An object of a struct type; its fields are properties. A type, not an interface: only then does
 * the compiler take it for a LooseObject.
 */
export type PersistentObject = {
  /**
   * The handle of the object: what `scan` gives is valid for one step, this stays. The same one for
   * handles that were got in another way.
   */
  keep(): PersistentObject;
  /** A copy of the fields as a plain object, deep; shared references and cycles are kept. */
  toJS(): Record<string, unknown>;
};

/** An object whose struct is not known to the compiler. */
export type LooseObject = {
  keep(): LooseObject;
  toJS(): Record<string, unknown>;
  [field: string]: unknown;
};

/** Views of numbers. */
export type NumberArray = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array
  | Int32Array | Float32Array | Float64Array;
export type BigIntArray = BigInt64Array | BigUint64Array;
/** The typed array of a list's elements, where they are numbers. */
export type ViewOf<T> = T extends number ? NumberArray : T extends bigint ? BigIntArray : never;

/**
 * A growable list with the habits of an Array. Elements are read by `at` and written by `set`;
 * iteration goes by position, so elements added behind it are visited.
 *
 * What is added (of type G: for lists of lists, arrays too) must fit the kind of the elements:
 * ERR_SCHEMA; ERR_NO_SPACE where there is no room,
 * ERR_BAD_SIZE from 4 GiB or 2^31 elements on. The list is as it was then.
 */
export interface PersistentList<T, G = T> extends Iterable<T> {
  readonly length: number;
  /** From the end where `index` is negative; undefined outside. */
  at(index: number): T | undefined;
  /** Replaces an element, or, at `length`, adds one; negative: from the end. ERR_BAD_OPTION. */
  set(index: number, value: G): void;
  push(...values: G[]): number;
  /** Adds what an iterable gives, typed arrays in one go. @example samples.pushAll(float64s); */
  pushAll(values: Iterable<G>): number;
  pop(): T | undefined;
  /** Moves all elements, as `unshift` and `splice` do those behind the place. */
  shift(): T | undefined;
  unshift(...values: G[]): number;
  splice(start: number, deleteCount?: number, ...values: G[]): T[];
  slice(start?: number, end?: number): T[];
  /** By `===`; dates by their time. Bytes are never found: each read gives another view. */
  indexOf(value: G, from?: number): number;
  /** The same, but NaN is found. */
  includes(value: G, from?: number): boolean;
  find(test: (value: T, index: number) => unknown): T | undefined;
  findIndex(test: (value: T, index: number) => unknown): number;
  some(test: (value: T, index: number) => unknown): boolean;
  every(test: (value: T, index: number) => unknown): boolean;
  forEach(visit: (value: T, index: number) => void): void;
  map<U>(change: (value: T, index: number) => U): U[];
  filter(test: (value: T, index: number) => unknown): T[];
  reduce(add: (sum: T, value: T, index: number) => T): T;
  reduce<A>(add: (sum: A, value: T, index: number) => A, start: A): A;
  join(separator?: string): string;
  /**
   * Stable, undefined last. Without `compare` in the order of the elements as strings, numbers too,
   * as Array does it; for numbers `view().sort()` goes by value and is faster. ERR_BUSY where
   * `compare` changed the length.
   */
  sort(compare?: (a: T, b: T) => number): this;
  reverse(): this;
  fill(value: G, start?: number, end?: number): this;
  keys(): IterableIterator<number>;
  values(): IterableIterator<T>;
  entries(): IterableIterator<[number, T]>;
  clear(): void;
  /**
   * The elements of a list of numbers as a typed array, not a copy; as long as it lives they are
   * neither freed nor moved. It has the length the list has now; when the list needs another block
   * to grow, it goes on alone and the view keeps the old elements. ERR_BAD_OPTION for other lists.
   *
   * @example heap.root.get('samples').view().fill(0);
   */
  view(): ViewOf<T>;
  /** A copy as an array, deep. */
  toJS(): unknown[];
}

/**
 * A hash map with the habits of Map: insertion order, SameValueZero, and iteration that visits what
 * is added meanwhile and not what is deleted.
 */
export interface PersistentMap<K, V> extends Iterable<[K, V]> {
  readonly size: number;
  get(key: K): V | undefined;
  set(key: K, value: V): this;
  has(key: K): boolean;
  delete(key: K): boolean;
  clear(): void;
  forEach(visit: (value: V, key: K, map: this) => void, receiver?: unknown): void;
  keys(): IterableIterator<K>;
  values(): IterableIterator<V>;
  entries(): IterableIterator<[K, V]>;
  /** A copy as a Map, or, where it stands for one, as a plain object; deep. */
  toJS(): unknown;
}

/** A hash set with the habits of Set. */
export interface PersistentSet<T> extends Iterable<T> {
  readonly size: number;
  has(value: T): boolean;
  add(value: T): this;
  delete(value: T): boolean;
  clear(): void;
  forEach(visit: (value: T, again: T, set: this) => void, receiver?: unknown): void;
  keys(): IterableIterator<T>;
  values(): IterableIterator<T>;
  entries(): IterableIterator<[T, T]>;
  /** A copy as a Set, deep. */
  toJS(): unknown;
}

/** Bounds of a range of keys: at most one lower, one upper. */
export interface Range<K> {
  /** Keys above, or from, here. */
  readonly gt?: K;
  readonly gte?: K;
  /** Keys below, or up to, here. */
  readonly lt?: K;
  readonly lte?: K;
  readonly reverse?: boolean;
  /** At most so many. */
  readonly limit?: number;
}

/**
 * A map in the order of its keys: numbers and dates by value, NaN last, texts by UTF-16 units. An
 * iteration goes on behind the last key it gave, whatever was added or deleted meanwhile.
 */
export interface PersistentSorted<K, V> extends Iterable<[K, V]> {
  readonly size: number;
  get(key: K): V | undefined;
  set(key: K, value: V): this;
  has(key: K): boolean;
  delete(key: K): boolean;
  clear(): void;
  /** Entry with the least, the greatest key. */
  first(): [K, V] | undefined;
  last(): [K, V] | undefined;
  forEach(visit: (value: V, key: K, map: this) => void): void;
  keys(range?: Range<K>): IterableIterator<K>;
  values(range?: Range<K>): IterableIterator<V>;
  entries(range?: Range<K>): IterableIterator<[K, V]>;
  /** A copy as a Map, deep. */
  toJS(): unknown;
}
