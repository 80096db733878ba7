/**
 * Values in the text form of a heap. What JSON has is written as it is; every other value is an
 * object of one property whose name begins with `$`, so that each comes back exactly:
 *
 *   {"$number":"NaN"}  also Infinity, -Infinity, -0     {"$bigint":"-12"}     {"$undefined":true}
 *   {"$date":"2026-01-31T12:00:00.000Z"}  null = invalid
 *   {"$bytes":"AQI="}  Base64; a typed array: {"$bytes":"…","of":"f64"}, little-endian
 *   {"$ref":7}  the object with that number, 0 = the root; where the slot does not say what it is
 *               of: {"$ref":7,"$type":"Task"}
 *
 * Strings are JSON's, with lone surrogates as escapes.
 */
import { isDate } from 'node:util/types';
import { RegionError } from '../../errors.ts';
import { ELEMENT } from '../../layout-objects.ts';
import { classOfElement, elementOf, type TypedArray } from '../any-blocks.ts';
import type { Kind } from '../kinds.ts';
import { targetOf, textOf } from '../kinds.ts';

/** A reference in the text form. */
export interface Reference {
  readonly id: number;
  /** Absent where the slot says it. */
  readonly type: string | undefined;
}

const ELEMENT_NAMES = Object.keys(ELEMENT) as readonly (keyof typeof ELEMENT)[];

/** What a slot of a kind says about what it refers to: a name of a type, or '' for nothing. */
export function expectedType(kind: Kind): string {
  if (kind.name === 'optional') return expectedType(kind.of as Kind);
  if (kind.name === 'ref') return targetOf(kind);
  return COLLECTIONS.has(kind.name) ? textOf(kind) : '';
}

const COLLECTIONS: ReadonlySet<string> = new Set(['list', 'map', 'set', 'sorted']);

/** The text of a value that is no reference. */
export function textOfValue(value: unknown): string {
  switch (typeof value) {
    case 'number': return Number.isFinite(value) && !Object.is(value, -0) ? String(value)
      : `{"$number":"${Object.is(value, -0) ? '-0' : value}"}`;
    case 'bigint': return `{"$bigint":"${value}"}`;
    case 'undefined': return '{"$undefined":true}';
    case 'object': return value === null ? 'null' : textOfObject(value);
    default: return JSON.stringify(value);
  }
}

function textOfObject(value: object): string {
  if (isDate(value)) {
    return `{"$date":${Number.isNaN(value.getTime()) ? null : `"${value.toISOString()}"`}}`;
  }
  const { buffer, byteOffset, byteLength } = value as TypedArray;
  const base64 = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64');
  const name = ELEMENT_NAMES[elementOf(value)];
  return name === 'u8' ? `{"$bytes":"${base64}"}` : `{"$bytes":"${base64}","of":"${name}"}`;
}

/**
 * The value of a parsed text; `refer` gives what a reference leads to. ERR_SCHEMA for what is no
 * value.
 */
export function readValue(found: unknown, refer: (reference: Reference) => unknown): unknown {
  if (typeof found !== 'object' || found === null) return found;
  const [[name, content] = ['', null], ...others] = Object.entries(found);
  const second = others.length === 1 ? others[0] : ['', undefined];
  const read = READERS[name];
  const extra = EXTRA[name];
  const isWhole = others.length === 0 || (others.length === 1 && second[0] === extra);
  if (read === undefined || !Object.hasOwn(READERS, name) || !isWhole) throw noValue(found);
  if (name === '$ref') {
    const reference = referenceOf(content, second[1]);
    if (reference === null) throw noValue(found);
    return refer(reference);
  }
  const value = read(content, second[1]);
  if (value === NONE) throw noValue(found);
  return value;
}

/** No value is this one. */
const NONE = Symbol('none');

const EXTRA: Readonly<Record<string, string>> = { $bytes: 'of', $ref: '$type' };

const READERS: Readonly<Record<string, (content: unknown, extra: unknown) => unknown>> = {
  $ref: () => NONE,
  $number: (text) => NUMBERS.has(text as string) ? Number(text) : NONE,
  $bigint: (text) => typeof text === 'string' && /^-?\d+$/.test(text) ? BigInt(text) : NONE,
  $undefined: (content) => content === true ? undefined : NONE,
  $date: dateOf,
  $bytes: arrayOf,
};

const NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity', '-0']);

function dateOf(content: unknown): unknown {
  if (content === null) return new Date(Number.NaN);
  const date = new Date(typeof content === 'string' ? content : Number.NaN);
  return Number.isNaN(date.getTime()) ? NONE : date;
}

function arrayOf(content: unknown, of: unknown = 'u8'): unknown {
  const element = ELEMENT_NAMES.indexOf(of as keyof typeof ELEMENT);
  const made = classOfElement(ELEMENT[ELEMENT_NAMES[element]]);
  if (typeof content !== 'string' || made === undefined) return NONE;
  // A copy: a Buffer may begin anywhere.
  const bytes = new Uint8Array(Buffer.from(content, 'base64'));
  const { BYTES_PER_ELEMENT: width } = made as unknown as Uint8ArrayConstructor;
  const isExact = Buffer.from(bytes.buffer).toString('base64') === content;
  if (!isExact || bytes.length % width !== 0) return NONE;
  return new made(bytes.buffer, 0, bytes.length / width);
}

function referenceOf(id: unknown, type: unknown): Reference | null {
  const isNumber = typeof id === 'number' && id >= 0 && id <= MAX_ID && Number.isInteger(id);
  const isType = type === undefined || typeof type === 'string';
  return isNumber && isType ? { id, type } : null;
}

/** Numbers of objects: what fits a signed word. */
export const MAX_ID = 2 ** 31 - 1;

function noValue(found: object): RegionError {
  return new RegionError('ERR_SCHEMA',
    `${JSON.stringify(found).slice(0, 80)} is no value; see the format of exports`);
}
