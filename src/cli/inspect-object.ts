/**
 * A value of a heap, found from its root by a path such as `users.3.name`, and what is in it, one
 * level deep and no more of it than is shown: so that a value of any size can be looked at.
 */
import { RegionError } from '../errors.ts';
import type { ObjectHeap } from '../objects/heap.ts';
import { type Column, counted, type Paint, printable, someOf, table } from './table.ts';

/** Part of the JSON of `inspect DIR HEAP PATH`. */
export interface ObjectView {
  readonly region: string;
  readonly path: string;
  readonly type: string;
  /** How many there are in a collection, else null. */
  readonly size: number | null;
  /** Of what has no parts; dates, bigints and bytes as text. */
  readonly value?: unknown;
  /** Fields, elements or entries: the first of them. */
  readonly parts?: readonly Part[];
}

interface Part {
  readonly name: string;
  readonly type: string;
  readonly value: unknown;
}

/** Parts that are shown. */
const SHOWN = 100;
const MOST_CHARACTERS = 60;

type Keyed = Iterable<[unknown, unknown]> & { get(key: unknown): unknown;
  has(key: unknown): boolean; readonly size: number };
type Indexed = Iterable<unknown> & { at(index: number): unknown; readonly length: number };

function isKeyed(value: object): value is Keyed {
  return 'get' in value && 'has' in value && typeof value.get === 'function'
    && typeof value.has === 'function';
}

function isIndexed(value: object): value is Indexed {
  return 'at' in value && typeof value.at === 'function' && !ArrayBuffer.isView(value);
}

function isSetLike(value: object): value is Iterable<unknown> & { readonly size: number } {
  return 'has' in value && 'size' in value && !('get' in value);
}

export function objectViewOf(region: string, heap: ObjectHeap, path: string): ObjectView {
  let value: unknown = heap.root;
  const done: string[] = [];
  for (const step of stepsOf(path)) {
    value = next(heap, value, step, done);
    done.push(step);
  }
  const type = heap.typeOf(value);
  if (typeof value !== 'object' || value === null || hasNoParts(value)) {
    return { region, path, type, size: null, value: plain(value) };
  }
  return { region, path, type, size: sizeOf(value), parts: [...partsOf(heap, value)] };
}

/** A dot that belongs to a name has a backslash before it. */
function stepsOf(path: string): string[] {
  return path.split(/(?<!\\)\./).map((step) => step.replaceAll('\\.', '.'));
}

function next(heap: ObjectHeap, value: unknown, step: string, done: readonly string[]): unknown {
  if (typeof value === 'object' && value !== null && !hasNoParts(value)) {
    if (isKeyed(value)) {
      const key = [step, Number(step), /^\d+n?$/.test(step) ? BigInt(step.replace('n', '')) : step]
        .find((one) => hasKey(value, one));
      if (key !== undefined) return value.get(key);
    } else if (isIndexed(value)) {
      const index = Number(step);
      if (Number.isInteger(index) && index < value.length) return value.at(index);
    } else if (fieldsOf(value).includes(step)) return (value as Record<string, unknown>)[step];
  }
  const where = done.length === 0 ? 'the root' : `'${done.join('.')}' (${heap.typeOf(value)})`;
  const names = typeof value === 'object' && value !== null && !hasNoParts(value)
    ? [...partNames(value)] : [];
  throw new RegionError('ERR_NOT_FOUND', `there is no '${step}' in ${where}` +
    (names.length === 0 ? '' : `; there is ${someOf(names)}`));
}

/** A map says so by an error where a key cannot be one of its. */
function hasKey(value: Keyed, key: unknown): boolean {
  try {
    return value.has(key);
  } catch (error) {
    if (error instanceof RegionError) return false;
    throw error;
  }
}

function hasNoParts(value: object): boolean {
  return value instanceof Date || ArrayBuffer.isView(value);
}

function sizeOf(value: object): number | null {
  if (isIndexed(value)) return value.length;
  return 'size' in value && typeof value.size === 'number' && (isKeyed(value) || isSetLike(value))
    ? value.size : null;
}

function fieldsOf(value: object): string[] {
  const names: string[] = [];
  // Fields are accessors of a prototype; what is a handle's own is not one.
  for (const name in value) if (!Object.hasOwn(value, name)) names.push(name);
  return names;
}

function* partNames(value: object): Generator<string> {
  let count = 0;
  if (isIndexed(value)) yield `0 … ${value.length - 1}`;
  else if (isKeyed(value)) {
    for (const [key] of value) {
      yield String(key);
      if (++count === 11) return;
    }
  } else if (!isSetLike(value)) yield* fieldsOf(value);
}

function* partsOf(heap: ObjectHeap, value: object): Generator<Part> {
  const part = (name: unknown, held: unknown): Part =>
    ({ name: String(plain(name)), type: heap.typeOf(held), value: shown(held) });
  let count = 0;
  if (isKeyed(value)) {
    for (const [key, held] of value) {
      yield part(key, held);
      if (++count === SHOWN) return;
    }
  } else if (isIndexed(value)) {
    for (; count < Math.min(SHOWN, value.length); count++) yield part(count, value.at(count));
  } else if (isSetLike(value)) {
    for (const held of value) {
      yield part(count, held);
      if (++count === SHOWN) return;
    }
  } else {
    for (const name of fieldsOf(value)) yield part(name, (value as Record<string, unknown>)[name]);
  }
}

/** What JSON can say; of objects with parts null, for they have a path of their own. */
function shown(value: unknown): unknown {
  return typeof value === 'object' && value !== null && !hasNoParts(value) ? null : plain(value);
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (ArrayBuffer.isView(value)) return Array.from(value as Float64Array, Number);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value ?? null;
}

const COLUMNS: readonly Column<Part>[] = [
  { title: 'NAME', text: (row) => printable(row.name) },
  { title: 'TYPE', text: (row) => printable(row.type) },
  { title: 'VALUE', text: ({ type, value }) =>
    (value === null && type !== 'null' ? '…' : short(value)) },
];

function short(value: unknown): string {
  const text = printable(typeof value === 'string' ? value : JSON.stringify(value));
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

export function* objectText(view: ObjectView, head: Paint): Generator<string> {
  const { region, path, type, size, value, parts } = view;
  yield head(`${printable(region)}: ${printable(path)}`);
  const many = size === null ? '' : `, ${counted(size, 'element')}`;
  if (parts === undefined) {
    yield `${printable(type)}: ${printable(typeof value === 'string' ? value
      : JSON.stringify(value))}`;
    return;
  }
  yield `${printable(type)}${many}`;
  if (parts.length === 0) return;
  yield '';
  yield* table(COLUMNS, parts, head);
  if (size !== null && size > parts.length) yield `and ${size - parts.length} more`;
}
