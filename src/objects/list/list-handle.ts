/**
 * The handle of a list: what Array has, over slots in the region. What is given is tested, and room
 * made, before anything changes; code of the program that runs meanwhile finds a list in order.
 */
import { RegionError } from '../../errors.ts';
import { ELEMENTS, GRANULE_MASK, LIST, WORD_SHIFT } from '../../layout-objects.ts';
import { type Bound, isHandle } from '../core.ts';
import { type Group, STALE } from '../handles.ts';
import { NUMBERS } from '../inline.ts';
import { assertFunction, placeIn, valuesOf, whole } from './list-arguments.ts';
import { append, dataOf, discard, dropSlots, isQuiet, type ListShape, locate, moveSlots, relax,
  replace, reserve, stage, vacate, viewOf } from './list-elements.ts';
import { ListIterator } from './list-iterator.ts';
import { type Equality, orderOf, permute, reverse, search } from './list-order.ts';
import type { PersistentList } from '../persistent.ts';
import { toPlain } from '../plain.ts';
import { type Inspect, show } from '../show.ts';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');
/** Elements that are shown. */
const SHOWN = 100;

type Callback<R> = (value: unknown, index: number) => R;
type Adding<A> = (sum: A, value: unknown, index: number) => A;

export class ListHandle implements PersistentList<unknown> {
  declare $at: number;
  declare readonly $group: Group | null;
  declare readonly $bound: Bound;
  /** On the prototype, as `$bound`. */
  declare readonly $shape: ListShape;

  constructor(at: number, group: Group | null) {
    this.$at = at;
    this.$group = group;
  }

  get length(): number {
    const at = this.$at;
    if (at < 0) throw this.$shape.core.stale();
    return this.$bound.views.i32[at + LIST.length];
  }

  at(index: number): unknown {
    const at = this.$at;
    const { core, memory, tag, codec } = this.$shape;
    if (at < 0) throw core.stale();
    const { i32 } = this.$bound.views;
    const length = i32[at + LIST.length];
    let i = (index | 0) === index ? index : whole(index);
    if (i < 0) i += length;
    if (i < 0 || i >= length) return undefined;
    const ref = i32[at + LIST.elements];
    const views = memory.views(ref);
    const word = (ref & GRANULE_MASK) << WORD_SHIFT;
    if (views.i32[word] !== tag) throw core.corrupt(ref, 'it does not hold elements of a list');
    return codec.load(views, word + ELEMENTS.data, i);
  }

  set(index: number, value: unknown): void {
    const { memory, codec } = this.$shape;
    const ref = elementsOf(this);
    const i = placeToSet(this, index);
    if (i === this.length) this.push(value);
    else if (!isQuiet(this.$shape, value)) exchange(this, i, 1, [value]);
    else codec.store(memory.views(ref), dataOf(memory, ref), i, value);
  }

  push(...values: unknown[]): number {
    if (values.length === 1 && isQuiet(this.$shape, values[0])) pushOne(this, values[0]);
    else pushThese(this, values);
    return this.length;
  }

  pushAll(values: Iterable<unknown>): number {
    elementsOf(this);
    pushThese(this, valuesOf(this.$shape, values));
    return this.length;
  }

  pop(): unknown {
    return removeAt(this, this.length - 1);
  }

  shift(): unknown {
    return removeAt(this, 0);
  }

  unshift(...values: unknown[]): number {
    exchange(this, 0, 0, values);
    return this.length;
  }

  splice(...args: [start?: number, deleteCount?: number, ...values: unknown[]]): unknown[] {
    const [start, deleteCount, ...values] = args;
    if (args.length === 0) return exchange(this, 0, 0, values);
    return exchange(this, start, args.length === 1 ? Infinity : deleteCount, values);
  }

  slice(start?: number, end?: number): unknown[] {
    const { memory, codec } = this.$shape;
    const ref = elementsOf(this);
    const { length } = this;
    const views = memory.views(ref);
    const data = dataOf(memory, ref);
    const values: unknown[] = [];
    const to = placeIn(length, end, length);
    for (let i = placeIn(length, start, 0); i < to; i++) values.push(codec.load(views, data, i));
    return values;
  }

  indexOf(value: unknown, from?: number): number {
    return find(this, value, from, '===');
  }

  includes(value: unknown, from?: number): boolean {
    return find(this, value, from, 'SameValueZero') >= 0;
  }

  find(test: Callback<unknown>): unknown {
    assertFunction(test);
    const { length } = this;
    for (let i = 0; i < length; i++) {
      const value = this.at(i);
      if (test(value, i)) return value;
    }
    return undefined;
  }

  findIndex(test: Callback<unknown>): number {
    assertFunction(test);
    const { length } = this;
    for (let i = 0; i < length; i++) if (test(this.at(i), i)) return i;
    return -1;
  }

  some(test: Callback<unknown>): boolean {
    assertFunction(test);
    for (let i = 0, n = this.length; i < n && i < this.length; i++) {
      if (test(this.at(i), i)) return true;
    }
    return false;
  }

  every(test: Callback<unknown>): boolean {
    assertFunction(test);
    return !this.some((value, i) => !test(value, i));
  }

  forEach(visit: Callback<unknown>): void {
    assertFunction(visit);
    for (let i = 0, n = this.length; i < n && i < this.length; i++) visit(this.at(i), i);
  }

  map<U>(change: Callback<U>): U[] {
    assertFunction(change);
    const changed: U[] = [];
    this.forEach((value, i) => changed.push(change(value, i)));
    return changed;
  }

  filter(test: Callback<unknown>): unknown[] {
    assertFunction(test);
    const found: unknown[] = [];
    this.forEach((value, i) => {
      if (test(value, i)) found.push(value);
    });
    return found;
  }

  reduce(add: Adding<unknown>): unknown;
  reduce<A>(add: Adding<A>, start: A): A;
  reduce(add: Adding<unknown>, ...start: unknown[]): unknown {
    assertFunction(add);
    const first = start.length === 0 ? 1 : 0;
    if (first > this.length) throw new TypeError('Reduce of empty list with no initial value');
    let sum = first === 1 ? this.at(0) : start[0];
    for (let i = first, n = this.length; i < n && i < this.length; i++) {
      sum = add(sum, this.at(i), i);
    }
    return sum;
  }

  join(separator?: string): string {
    if (joining.has(this)) return '';
    joining.add(this);
    try {
      return this.slice().join(separator);
    } finally {
      joining.delete(this);
    }
  }

  toString(): string {
    return this.join();
  }

  sort(compare?: (a: unknown, b: unknown) => number): this {
    if (compare !== undefined) assertFunction(compare);
    const values = this.slice();
    const order = orderOf(values, compare);
    const ref = elementsOf(this);
    if (this.length !== values.length) {
      throw new RegionError('ERR_BUSY', 'sort: the comparison changed the length of the list');
    }
    permute(this.$shape, ref, order);
    return this;
  }

  reverse(): this {
    reverse(this.$shape, elementsOf(this), this.length);
    return this;
  }

  fill(value: unknown, start?: number, end?: number): this {
    const shape = this.$shape;
    elementsOf(this);
    if (isQuiet(shape, value)) fillWith(this, value, start, end);
    else {
      const staged = stage(shape, [value]);
      try {
        const made = shape.codec.load(shape.memory.views(staged), dataOf(shape.memory, staged), 0);
        fillWith(this, isHandle(made) ? made : value, start, end);
      } finally {
        discard(shape, staged, 1);
      }
    }
    return this;
  }

  keys(): IterableIterator<number> {
    elementsOf(this);
    return new ListIterator(this, position);
  }

  values(): IterableIterator<unknown> {
    elementsOf(this);
    return new ListIterator(this, element);
  }

  entries(): IterableIterator<[number, unknown]> {
    elementsOf(this);
    return new ListIterator(this, entry);
  }

  [Symbol.iterator](): IterableIterator<unknown> {
    return this.values();
  }

  clear(): void {
    elementsOf(this);
    vacate(this.$shape, this.$bound.views, this.$at);
  }

  view(): never {
    const { core, kind, type } = this.$shape;
    const ref = elementsOf(this);
    if (!(kind.name in NUMBERS)) {
      throw new RegionError('ERR_BAD_OPTION', `view: ${type.text} has no numbers; use slice()`);
    }
    const view = ref === 0 ? new NUMBERS[kind.name](new ArrayBuffer(0), 0, 0)
      : core.pins.add(ref, viewOf(this.$shape, ref, 0, this.length));
    return view as never;
  }

  toJS(): unknown[] {
    return toPlain(this) as unknown[];
  }

  toJSON(): unknown {
    return toPlain(this);
  }

  [INSPECT](depth: number | null, options: object, inspect: Inspect): string {
    const { text } = this.$shape.type;
    if (this.$at === STALE) return `${text} (stale)`;
    const more = this.length - SHOWN;
    const shown = show(this, `${text}[${this.length}]`, () => this.slice(0, SHOWN), depth, options,
      inspect);
    return more > 0 ? `${shown} and ${more} more` : shown;
  }
}

const position = (_: ListHandle, i: number): number => i;
const element = (list: ListHandle, i: number): unknown => list.at(i);
const entry = (list: ListHandle, i: number): [number, unknown] => [i, list.at(i)];

/** Lists whose text is being made: one inside itself is empty there, as in Array. */
const joining = new Set<ListHandle>();

/** The block of the elements; 0 = there is none. ERR_STALE, ERR_CORRUPT. */
function elementsOf({ $at, $shape, $bound }: ListHandle): number {
  if ($at < 0) throw $shape.core.stale();
  return locate($shape, $bound.views, $at);
}

function find(list: ListHandle, value: unknown, from: number | undefined, how: Equality): number {
  const ref = elementsOf(list);
  const { length } = list;
  return search(list.$shape, ref, placeIn(length, from, 0), length, value, how);
}

function placeToSet(list: ListHandle, index: number): number {
  const { length } = list;
  const i = index < 0 ? index + length : index;
  if (Number.isInteger(i) && i >= 0 && i <= length) return i;
  throw new RegionError('ERR_BAD_OPTION',
    `set: ${String(index)} is no place in a list of ${length}; push adds at the end`);
}

function pushOne(list: ListHandle, value: unknown): void {
  const { $shape: { core, memory, tag, codec }, $bound: { views: { i32 } }, $at: at } = list;
  if (at < 0) throw core.stale();
  const length = i32[at + LIST.length];
  const room = i32[at + LIST.room];
  const ref = i32[at + LIST.elements];
  const views = memory.views(ref);
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  const isReady = length >= 0 && length < room && views.i32[word] === tag
    && views.i32[word + ELEMENTS.room] === room;
  if (!isReady) return pushThese(list, [value]);
  codec.init(views, word + ELEMENTS.data, length, value);
  i32[at + LIST.length] = length + 1;
}

function pushThese(list: ListHandle, values: ArrayLike<unknown>): void {
  elementsOf(list);
  if (list.$shape.runsCode) exchange(list, Infinity, 0, values);
  else append(list.$shape, list.$bound.views, list.$at, values);
}

/**
 * Replaces `gone` elements from `start` on, and returns them. The values are made first, which may
 * run code of the program: where they belong is determined then.
 */
function exchange(
  list: ListHandle, start: number | undefined, gone: number | undefined,
  values: ArrayLike<unknown>,
): unknown[] {
  const { $shape: shape, $bound: { views } } = list;
  elementsOf(list);
  const staged = values.length === 0 ? 0 : stage(shape, values);
  const before = list.length;
  const index = placeIn(before, start, 0);
  let removed: unknown[];
  try {
    const count = Math.min(Math.max(whole(gone), 0), before - index);
    reserve(shape, views, list.$at, before - count + values.length);
    removed = list.slice(index, index + count);
  } catch (error) {
    discard(shape, staged, values.length);
    throw error;
  }
  dropSlots(shape, elementsOf(list), index, index + removed.length);
  replace(shape, views, list.$at, index, removed.length, staged, values.length);
  shape.memory.free(staged);
  relax(shape, views, list.$at, before);
  return removed;
}

function removeAt(list: ListHandle, i: number): unknown {
  const { $shape: shape, $bound: { views } } = list;
  const ref = elementsOf(list);
  const { length } = list;
  if (length === 0) return undefined;
  const { codec, memory } = shape;
  const value = codec.load(memory.views(ref), dataOf(memory, ref), i);
  dropSlots(shape, ref, i, i + 1);
  replace(shape, views, list.$at, i, 1, 0, 0);
  relax(shape, views, list.$at, length);
  return value;
}

/** The value is one that is put in without running code. */
function fillWith(
  list: ListHandle, value: unknown, start: number | undefined, end: number | undefined,
): void {
  const { $shape: shape } = list;
  const ref = elementsOf(list);
  const from = placeIn(list.length, start, 0);
  const count = placeIn(list.length, end, list.length) - from;
  if (count <= 0) return;
  const staged = stage(shape, new Array(count).fill(value));
  dropSlots(shape, ref, from, from + count);
  moveSlots(shape, staged, 0, ref, from, count);
  shape.memory.free(staged);
}
