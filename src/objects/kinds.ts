/**
 * Kinds of fields, elements, keys and values: how a program declares them, and their text, which is
 * what a heap stores: `list(ref(Task))`. A kind has no idea of memory.
 *
 * The types are made so that a struct may mention itself: what `ref` and the collections are about
 * is resolved when a field is used, not when it is declared.
 */
import { RegionError } from '../errors.ts';

export type ScalarName = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64' | 'i64' | 'u64'
  | 'bool' | 'date' | 'str' | 'any';
export type KindName = ScalarName | 'bytes' | 'ref' | 'optional' | 'list' | 'map' | 'set' | 'sorted'
  | 'array';

/** What a field, an element, a key or a value is. */
export interface Kind {
  readonly name: KindName;
  /** What is optional, the elements, or the values. */
  readonly of?: Kind;
  /** Keys of a map, values of a set. */
  readonly key?: Kind;
  /** Bytes of `bytes(n)`, elements of `array(f64, n)`. */
  readonly length?: number;
  /** Name of the struct a reference is to; a function where it was not declared yet. */
  readonly target?: string | (() => string);
}

export declare const plain: unique symbol;
export declare const target: unique symbol;
export declare const looseTarget: unique symbol;
export declare const maybe: unique symbol;
export declare const elements: unique symbol;
export declare const mapKeys: unique symbol;
export declare const setKeys: unique symbol;
export declare const sortedKeys: unique symbol;
export declare const arrayOf: unique symbol;

/** A kind whose values are T. */
export interface PlainKind<T> extends Kind { readonly [plain]?: T }
/** A reference to an object of struct S. */
export interface RefKind<S> extends Kind { readonly [target]?: S }
/** A reference to a struct that is named by a function: its fields are unknown to the compiler. */
export interface LooseRefKind extends Kind { readonly [looseTarget]?: true }
export interface OptionalKind<K> extends Kind { readonly [maybe]?: K }
export interface ListKind<K> extends Kind { readonly [elements]?: K }
export interface MapKind<K, V> extends Kind { readonly [mapKeys]?: [K, V] }
export interface SetKind<K> extends Kind { readonly [setKeys]?: K }
export interface SortedKind<K, V> extends Kind { readonly [sortedKeys]?: [K, V] }
export interface ArrayKind<K> extends Kind { readonly [arrayOf]?: K }

const scalar = <T>(name: ScalarName): PlainKind<T> => Object.freeze({ name });

/** Whole numbers of 8 to 32 bits, floats of 32 and 64; other numbers are ERR_SCHEMA. */
export const u8 = scalar<number>('u8');
export const i8 = scalar<number>('i8');
export const u16 = scalar<number>('u16');
export const i16 = scalar<number>('i16');
export const u32 = scalar<number>('u32');
export const i32 = scalar<number>('i32');
export const f32 = scalar<number>('f32');
export const f64 = scalar<number>('f64');
/** Whole numbers of 64 bits, as bigint. */
export const i64 = scalar<bigint>('i64');
export const u64 = scalar<bigint>('u64');
export const bool = scalar<boolean>('bool');
/** A `Date`, with its milliseconds; an invalid one too. */
export const date = scalar<Date>('date');
/** Any string, lone surrogates included; at most 128 MiB stored. */
export const str = scalar<string>('str');
/**
 * null, undefined, booleans, numbers, bigints, strings, dates, bytes, typed arrays, plain objects,
 * arrays, Map, Set and references.
 */
export const any = scalar<unknown>('any');

/** Bytes of any length, or exactly `length` of them inside the object. */
export function bytes(length?: number): PlainKind<Uint8Array> {
  if (length === undefined) return Object.freeze({ name: 'bytes' });
  return Object.freeze({ name: 'bytes', length: assertCount(length, 'bytes') });
}

/**
 * A reference to an object, or null. Give the struct, or, where it is not declared yet, a function:
 * `ref(() => Task)`, or, so that its fields have types, a getter: `get parent() { return ref(Task);
 * }`.
 */
export function ref<F>(struct: { readonly name: string; readonly fields: F }):
  RefKind<{ readonly name: string; readonly fields: F }>;
export function ref(struct: () => void): LooseRefKind;
export function ref(struct: { readonly name: string } | (() => unknown)): Kind {
  if (typeof struct === 'function') {
    return Object.freeze({ name: 'ref', target: () => nameOf(struct()) });
  }
  return Object.freeze({ name: 'ref', target: nameOf(struct) });
}

function nameOf(struct: unknown): string {
  const name = isStruct(struct) ? struct.name : undefined;
  if (isTypeName(name)) return name;
  throw bad('ref: give a struct, or a function that returns one');
}

/** What `struct` makes: it is no kind, but a reference to it is. */
function isStruct(given: unknown): given is { name: unknown; fields: unknown } {
  return typeof given === 'object' && given !== null && 'name' in given && 'fields' in given;
}

/** A value or undefined. */
export function optional<K extends Kind>(of: K): OptionalKind<K> {
  assertValue(of, 'optional');
  if (of.name === 'optional') throw bad('optional(optional(…)): once is enough');
  return Object.freeze({ name: 'optional', of });
}

/** A growable list. */
export function list<K extends Kind>(of: K): ListKind<K> {
  return Object.freeze({ name: 'list', of: assertValue(of, 'list') });
}

/** A map in the order of insertion. Keys: numbers, bigints, bool, date, str, ref, any. */
export function map<K extends Kind, V extends Kind>(key: K, of: V): MapKind<K, V> {
  return Object.freeze({ name: 'map', key: assertKey(key, 'map'), of: assertValue(of, 'map') });
}

/** A set in the order of insertion; values as the keys of `map`. */
export function set<K extends Kind>(key: K): SetKind<K> {
  return Object.freeze({ name: 'set', key: assertKey(key, 'set') });
}

/** A map in the order of its keys, with ranges. Keys: numbers, bigints, bool, date, str. */
export function sorted<K extends Kind, V extends Kind>(key: K, of: V): SortedKind<K, V> {
  const found = assertKey(key, 'sorted');
  if (found.name === 'ref' || found.name === 'any') {
    throw bad(`sorted: keys of kind ${textOf(found)} have no order; give numbers, dates or str`);
  }
  return Object.freeze({ name: 'sorted', key: found, of: assertValue(of, 'sorted') });
}

/** Exactly `length` numbers inside the object, seen as a typed array. */
export function array<K extends Kind>(of: K, length: number): ArrayKind<K> {
  if (!NUMBERS.has(assertKind(of, 'array').name)) {
    throw bad(`array: elements of kind ${textOf(of)}; give a kind of number`);
  }
  return Object.freeze({ name: 'array', of, length: assertCount(length, 'array') });
}

const NUMBERS: ReadonlySet<string> = new Set(['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'f64',
  'i64', 'u64']);
const KEYS: ReadonlySet<string> = new Set([...NUMBERS, 'bool', 'date', 'str', 'ref', 'any']);
const SCALARS: ReadonlySet<string> = new Set([...NUMBERS, 'bool', 'date', 'str', 'any']);
/** Most bytes of what lies inside an object. */
const MAX_INLINE = 2 ** 24;

const NAMES: ReadonlySet<string> = new Set([...SCALARS, 'bytes', 'ref', 'optional', 'list', 'map',
  'set', 'sorted', 'array']);

/** A part of another kind; ERR_BAD_OPTION where it is none, or has too many inside one another. */
function assertPart(kind: Kind, where: string): Kind {
  if (depthOf(assertKind(kind, where)) < MAX_DEPTH) return kind;
  throw bad(`${where}: more than ${MAX_DEPTH} kinds inside one another; use ref(…)`);
}

/** ERR_BAD_OPTION where it is no kind. */
export function assertKind(kind: Kind, where: string): Kind {
  if (isStruct(kind)) throw bad(`${where}: ${String(kind.name)} is a struct; give ref(…) of it`);
  if (typeof kind !== 'object' || kind === null || !NAMES.has(kind.name)) {
    throw bad(`${where}: ${String(kind)} is no kind; give u32, str, list(…) or another`);
  }
  return kind;
}

/** What may lie in a slot of its own, not only inside an object. */
function assertValue(kind: Kind, where: string): Kind {
  if (assertPart(kind, where).name !== 'array') return kind;
  throw bad(`${where}: an array lies inside an object; give list(…)`);
}

/** Parentheses around the innermost of a kind's text. */
function depthOf({ key, of, length, target }: Kind): number {
  if (key === undefined && of === undefined) return Number((length ?? target) !== undefined);
  return 1 + Math.max(key === undefined ? 0 : depthOf(key), of === undefined ? 0 : depthOf(of));
}

function assertKey(kind: Kind, where: string): Kind {
  if (KEYS.has(assertPart(kind, where).name)) return kind;
  throw bad(`${where}: ${textOf(kind)} cannot be a key; ` +
    'give a number, bool, date, str, ref or any');
}

function assertCount(n: number, where: string): number {
  if (Number.isSafeInteger(n) && n >= 1 && n <= MAX_INLINE) return n;
  throw bad(`${where}: ${String(n)} is no length; give a whole number from 1 to ${MAX_INLINE}`);
}

/** The text that is stored: `map(str,list(u32))`. */
export function textOf(kind: Kind): string {
  const { name, key, of, length } = kind;
  if (name === 'ref') return `ref(${targetOf(kind)})`;
  const parts = [key, of].filter((part) => part !== undefined).map(textOf);
  if (length !== undefined) parts.push(String(length));
  return parts.length === 0 ? name : `${name}(${parts.join(',')})`;
}

/** Name of the struct a reference is to. */
export function targetOf({ target }: Kind): string {
  return typeof target === 'function' ? target() : target ?? '';
}

/** Names of structs: they appear in texts of kinds. */
const NAME = /^[\p{L}_$][\p{L}\p{N}_$.-]{0,200}$/u;

export function isTypeName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name);
}

/** The kind whose text this is, or null. */
export function parseKind(text: string): Kind | null {
  try {
    const [kind, rest] = parse(text, 0);
    return rest === text.length && textOf(kind) === text ? kind : null;
  } catch (error) {
    if (error instanceof RegionError) return null;
    throw error;
  }
}

/** Most kinds inside one another; deeper ones are refused, here and when declared. */
const MAX_DEPTH = 32;

function parse(text: string, from: number, depth = 0): [Kind, number] {
  const name = /^[a-z]\w*/.exec(text.slice(from, from + 16))?.[0] ?? '';
  const after = from + name.length;
  if (SCALARS.has(name)) return [scalar(name as ScalarName), after];
  if (text[after] !== '(' || depth >= MAX_DEPTH) {
    if (name === 'bytes') return [bytes(), after];
    throw bad(`no kind: ${text}`);
  }
  return parseCall(text, name, after + 1, depth + 1);
}

function parseCall(text: string, name: string, from: number, depth: number): [Kind, number] {
  if (name === 'ref' || name === 'bytes') {
    const end = text.indexOf(')', from);
    const inside = text.slice(from, end);
    if (end < 0) throw bad(`no kind: ${text}`);
    return [name === 'bytes' ? bytes(Number(inside)) : refNamed(inside), end + 1];
  }
  const [first, at] = parse(text, from, depth);
  if (text[at] === ')') return [ONE[name]?.(first) ?? refuse(text), at + 1];
  if (text[at] !== ',') return refuse(text);
  if (name === 'array') {
    const end = text.indexOf(')', at);
    return [array(first, Number(text.slice(at + 1, end))), end + 1];
  }
  const [second, end] = parse(text, at + 1, depth);
  if (text[end] !== ')') return refuse(text);
  return [TWO[name]?.(first, second) ?? refuse(text), end + 1];
}

const ONE: Readonly<Record<string, (of: Kind) => Kind>> = { optional, list, set };
const TWO: Readonly<Record<string, (key: Kind, of: Kind) => Kind>> = { map, sorted };

function refNamed(name: string): Kind {
  if (!isTypeName(name)) throw bad(`no name of a struct: ${name}`);
  return Object.freeze({ name: 'ref', target: name });
}

function refuse(text: string): never {
  throw bad(`no kind: ${text}`);
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
