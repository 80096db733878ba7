/**
 * Declaring the types of objects, and what the compiler makes of it. A declaration knows no heap:
 * it can be used with any number of them.
 */
import { RegionError } from '../errors.ts';
import { type Reader, readOptions } from '../options.ts';
import type { arrayOf, elements, looseTarget, mapKeys, maybe, plain, setKeys, sortedKeys, target }
  from './kinds.ts';
import { assertKind, isTypeName, type Kind, parseKind, textOf } from './kinds.ts';
import type { LooseObject, PersistentList, PersistentMap, PersistentObject, PersistentSet,
  PersistentSorted } from './persistent.ts';

/** What is known about a struct besides its fields. */
export interface StructOptions {
  /** Former names of fields: `{ title: 'name' }` = what is stored as `name` is `title` now. */
  aliases?: Readonly<Record<string, string>>;
  /** Values of fields that are not given to `create`, or that objects from before do not have. */
  defaults?: Readonly<Record<string, unknown>>;
}

/** The declared type of objects. */
export interface Struct<F> {
  readonly name: string;
  readonly fields: F;
  readonly aliases: Readonly<Record<string, string>>;
  readonly defaults: Readonly<Record<string, unknown>>;
}

type Sure<K, S extends symbol> = S extends keyof K ? NonNullable<K[S]> : never;
type ListOf<E> = PersistentList<ValueOf<E>, GivenOf<E>>;
type Mapped<E, Shape extends 'map' | 'sorted'> = E extends [infer K, infer V]
  ? (Shape extends 'map' ? PersistentMap<ValueOf<K>, ValueOf<V>>
    : PersistentSorted<ValueOf<K>, ValueOf<V>>)
  : never;
/** Views of numbers inside an object. */
type NumbersOf<K> = K extends { readonly [plain]?: bigint } ? BigInt64Array | BigUint64Array
  : Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array
    | Float64Array;

/** The values of a kind, as they are read. */
export type ValueOf<K> =
  typeof elements extends keyof K ? ListOf<Sure<K, typeof elements>>
  : typeof mapKeys extends keyof K ? Mapped<Sure<K, typeof mapKeys>, 'map'>
  : typeof sortedKeys extends keyof K ? Mapped<Sure<K, typeof sortedKeys>, 'sorted'>
  : typeof setKeys extends keyof K ? PersistentSet<ValueOf<Sure<K, typeof setKeys>>>
  : typeof maybe extends keyof K ? ValueOf<Sure<K, typeof maybe>> | undefined
  : typeof target extends keyof K ? Persistent<Sure<K, typeof target>> | null
  : typeof looseTarget extends keyof K ? LooseObject | null
  : typeof arrayOf extends keyof K ? NumbersOf<Sure<K, typeof arrayOf>>
  : typeof plain extends keyof K ? Exclude<K[typeof plain], undefined>
  : unknown;

/** What may be given for a value of a kind: collections also as arrays, Maps, Sets. */
export type GivenOf<K> =
  typeof elements extends keyof K ? Iterable<GivenOf<Sure<K, typeof elements>>>
  : typeof mapKeys extends keyof K ? PairsOf<Sure<K, typeof mapKeys>>
  : typeof sortedKeys extends keyof K ? PairsOf<Sure<K, typeof sortedKeys>>
  : typeof setKeys extends keyof K ? Iterable<GivenOf<Sure<K, typeof setKeys>>>
  : typeof maybe extends keyof K ? GivenOf<Sure<K, typeof maybe>> | undefined
  : typeof target extends keyof K ? PersistentObject | null
  : typeof looseTarget extends keyof K ? PersistentObject | null
  : typeof arrayOf extends keyof K ? ArrayLike<number> | ArrayLike<bigint>
  : ValueOf<K>;
type PairsOf<E> = E extends [infer K, infer V]
  ? Iterable<readonly [GivenOf<K>, GivenOf<V>]> | Readonly<Record<string, GivenOf<V>>> : never;

/** Objects of a struct, as a program sees them. */
export type Persistent<S> = S extends { readonly name: string; readonly fields: infer F }
  ? ObjectOf<F> : never;
type ObjectOf<F> = { keep(): ObjectOf<F> } & PersistentObject
  & { -readonly [K in keyof F]: ValueOf<F[K]> };

/** Fields of a new object; those left out have their defaults, or 0, '', false, null, undefined. */
export type Initial<F> = { readonly [K in keyof F]?: GivenOf<F[K]> };

/** Properties of handles, which fields cannot be called. */
const TAKEN: ReadonlySet<string> = new Set(['keep', 'toJS', 'toJSON', 'constructor', '__proto__']);
const MAX_FIELDS = 1000;

const record: Reader<Record<string, unknown>> = (value, name) => {
  if (typeof value === 'object' && value !== null) return { ...value };
  throw bad(`${name} is ${String(value)}; give an object`);
};

/**
 * Declares a type of objects. Names and kinds of its fields are stored in every heap that has such
 * objects. ERR_BAD_OPTION for names that cannot be.
 *
 * @example
 * const Task = struct('Task', { id: u32, title: str, done: bool, parent: ref(() => Task) });
 * type Task = Persistent<typeof Task>;
 */
export function struct<F extends object>(
  name: string, fields: F, options: StructOptions = {},
): Struct<F> {
  if (!isTypeName(name)) {
    throw bad(`struct: ${JSON.stringify(name)} is no name; give letters, digits, _ $ . or -`);
  }
  const names = typeof fields === 'object' && fields !== null ? Object.keys(fields) : [];
  if (names.length > MAX_FIELDS) throw bad(`struct ${name} has more than ${MAX_FIELDS} fields`);
  for (const field of names) {
    if (TAKEN.has(field) || field.startsWith('$')) {
      throw bad(`struct ${name}: '${field}' cannot be a field: handles use it; choose another`);
    }
  }
  const { aliases = {}, defaults = {} } = readOptions<{
    aliases: Record<string, unknown>; defaults: Record<string, unknown>;
  }>(options, { aliases: record, defaults: record }, `struct ${name}`);
  for (const field of [...Object.keys(aliases), ...Object.keys(defaults)]) {
    if (!names.includes(field)) throw bad(`struct ${name} has no field '${field}'`);
  }
  return Object.freeze({
    name, fields, aliases: aliases as Record<string, string>, defaults,
  });
}

/** The kinds of a struct's fields. Called when it is used: it may mention what came later. */
export function kindsOf({ name, fields }: Struct<object>): (readonly [string, Kind])[] {
  return Object.entries(fields).map(([field, kind]: [string, Kind]) => {
    const where = `struct ${name}: field '${field}'`;
    if (parseKind(textOf(assertKind(kind, where))) !== null) return [field, kind];
    throw bad(`${where}: ${textOf(kind)} is no kind; give u32, str, list(…) or another`);
  });
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
