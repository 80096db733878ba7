/**
 * Plain JavaScript copied into a heap: objects become maps of str to any, arrays lists, Maps and
 * Sets what they are. Two passes, both without recursion: the first reads all there is, running
 * whatever code of the program that takes (getters, proxies), and finds what cannot be kept; the
 * second makes the collections empty and fills them, so that an object that was there twice is
 * there twice again, and cycles close. When it fails, nothing is left.
 *
 * Kept: own enumerable properties with a name, in their order. A class is not kept: instances are
 * refused, but for those of Date, Map, Set, arrays, typed arrays and their subclasses, which come
 * back as the base class, and objects without prototype, which come back with one.
 */
import { isDate, isMap, isSet } from 'node:util/types';
import { RegionError } from '../errors.ts';
import { elementOf } from './any-blocks.ts';
import { type Core, isHandle, type Type } from './core.ts';
import { discardAll } from './discard.ts';
import { type Handle, refOf } from './handles.ts';
import { any, list, map, set } from './kinds.ts';
import type { PersistentList, PersistentMap, PersistentSet } from './persistent.ts';
import { isPlainObject } from './realms.ts';

type Shape = 'object' | 'list' | 'map' | 'set';

/** How a step of a path looks. */
type Via = 'property' | 'index' | 'value' | 'key' | 'member';

/** Something that is copied: what it holds, values, or keys and values in turn. */
class Container {
  readonly source: object;
  readonly shape: Shape;
  /** Where it was found first; null = it is what was given. */
  readonly parent: Container | null;
  readonly via: Via;
  readonly step: unknown;
  readonly contents: unknown[] = [];
  copy: Handle | null = null;

  constructor(source: object, shape: Shape, parent: Container | null, via: Via, step: unknown) {
    this.source = source;
    this.shape = shape;
    this.parent = parent;
    this.via = via;
    this.step = step;
  }
}

/** The handle a value is, or null: it may be a proxy whose traps throw. */
export function handleIn(value: object): Handle | null {
  try {
    return isHandle(value) ? value : null;
  } catch {
    return null;
  }
}

/** Is it something that `copyIn` copies? */
export function isContainer(value: object): boolean {
  return shapeOf(value) !== null;
}

/** Reference of a new collection that holds a copy. ERR_SCHEMA names what cannot be kept. */
export function copyIn(core: Core, value: unknown): number {
  const { epoch } = core;
  let containers: Container[] = [];
  core.building += 1;
  try {
    containers = read(core, value);
    // A getter may have rolled the store back: then the slot is not where it was.
    if (core.epoch !== epoch) throw core.stale();
    for (const one of containers) one.copy = emptyFor(core, one.shape);
    for (const one of containers) fill(one);
  } catch (error) {
    discardAll(core, containers.flatMap(({ copy }) => copy === null ? [] : [refOf(copy)]));
    throw error;
  } finally {
    core.building -= 1;
  }
  return core.refOf(containers[0].copy as Handle);
}

/** Everything there is to copy, what was given first. */
function read(core: Core, value: unknown): Container[] {
  const reader = new Reader(core);
  reader.take(value, null, 'property', null);
  // The list grows while it is read.
  for (const one of reader.all) reader.readOne(one);
  return reader.all;
}

class Reader {
  readonly all: Container[] = [];
  readonly #core: Core;
  readonly #known = new Map<object, Container>();

  constructor(core: Core) {
    this.#core = core;
  }

  readOne(one: Container): void {
    const { shape, source } = one;
    if (shape === 'list') this.#readList(one, source as unknown[]);
    else if (shape === 'object') this.#readObject(one, source as Record<string, unknown>);
    else if (shape === 'set') this.#readSet(one, source as Set<unknown>);
    else this.#readMap(one, source as Map<unknown, unknown>);
  }

  /** The value as it is kept: itself, or the container it is copied to. */
  take(value: unknown, parent: Container | null, via: Via, step: unknown): unknown {
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw refuse(`a ${typeof value} cannot be stored`, parent, via, step);
    }
    if (typeof value !== 'object' || value === null) return value;
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    let shape: Shape | null;
    try {
      const handle = handleIn(value);
      if (handle !== null) return this.#core.refOf(handle) === 0 ? null : handle;
      if (isDate(value) || elementOf(value) >= 0) return value;
      shape = shapeOf(value);
    } catch (error) {
      if (error instanceof RegionError) throw error;
      throw refuse(`reading it failed: ${String(error)}`, parent, via, step, error);
    }
    if (shape === null) throw refuse(unfit(value), parent, via, step);
    const made = new Container(value, shape, parent, via, step);
    this.#known.set(value, made);
    this.all.push(made);
    return made;
  }

  #readList(one: Container, source: readonly unknown[]): void {
    const length = this.#get(one, 'property', 'length', () => source.length);
    for (let i = 0; i < length; i++) {
      const value = this.#get(one, 'index', i, () => source[i]);
      if (value === undefined && !(i in source)) {
        throw refuse('the array has a hole here; fill it, with undefined for instance', one,
          'index', i);
      }
      one.contents.push(this.take(value, one, 'index', i));
    }
  }

  #readObject(one: Container, source: Record<string | symbol, unknown>): void {
    for (const name of this.#get(one, 'property', '', () => keysOf(source))) {
      if (typeof name === 'symbol') {
        throw refuse('a property with a symbol for its name cannot be stored; use a string', one,
          'property', name);
      }
      const value = this.#get(one, 'property', name, () => source[name]);
      one.contents.push(name, this.take(value, one, 'property', name));
    }
  }

  #readSet(one: Container, source: ReadonlySet<unknown>): void {
    for (const value of Set.prototype.values.call(source)) {
      one.contents.push(this.take(value, one, 'member', one.contents.length));
    }
  }

  #readMap(one: Container, source: ReadonlyMap<unknown, unknown>): void {
    for (const [key, value] of Map.prototype.entries.call(source)) {
      const kept = this.take(key, one, 'key', one.contents.length / 2);
      one.contents.push(kept, this.take(value, one, 'value', key));
    }
  }

  /** Getters and proxies may throw. */
  #get<T>(one: Container, via: Via, step: unknown, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof RegionError) throw error;
      throw refuse(`reading it failed: ${String(error)}`, one, via, step, error);
    }
  }
}

/** Names and symbols of the enumerable properties. */
function keysOf(source: object): (string | symbol)[] {
  const symbols = Object.getOwnPropertySymbols(source);
  const names: (string | symbol)[] = Object.keys(source);
  if (symbols.length === 0) return names;
  return names.concat(symbols.filter((one) =>
    Object.prototype.propertyIsEnumerable.call(source, one)));
}

/** What a container is copied to, or null where it cannot be. */
function shapeOf(value: object): Shape | null {
  if (Array.isArray(value)) return 'list';
  if (isMap(value)) return 'map';
  if (isSet(value)) return 'set';
  return isPlainObject(value) ? 'object' : null;
}

function unfit(value: object): string {
  const name = (value.constructor as { name?: unknown } | undefined)?.name;
  const what = `an instance of ${typeof name === 'string' && name !== '' ? name : 'a class'}`;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    return `${what} cannot be stored; give a Uint8Array of it`;
  }
  const advice = typeof (value as { toJSON?: unknown }).toJSON === 'function'
    ? 'give what its toJSON() returns' : 'give a plain object, or an object of a struct';
  return `${what} cannot be stored; ${advice}`;
}

function emptyFor(core: Core, shape: Shape): Handle {
  const { types, memory } = core;
  const type: Type = shape === 'object' ? types.plain() : types.ofKind(KINDS[shape]);
  const ref = core.familyOf(type).create(core, type, undefined);
  // Not registered: it is used here only.
  return new (core.classOf(type, ref))(memory.word(ref), null);
}

const KINDS = { list: list(any), map: map(any, any), set: set(any) } as const;
/** Elements that are added in one call. */
const CHUNK = 256;

function fill(one: Container): void {
  const { shape, copy, contents } = one;
  for (let i = 0; i < contents.length; i++) {
    const value = contents[i];
    if (value instanceof Container) contents[i] = value.copy;
  }
  if (shape === 'list') {
    const target = copy as unknown as PersistentList<unknown>;
    for (let i = 0; i < contents.length; i += CHUNK) target.push(...contents.slice(i, i + CHUNK));
    return;
  }
  if (shape === 'set') {
    const target = copy as unknown as PersistentSet<unknown>;
    for (const value of contents) target.add(value);
    return assertAllThere(one, target.size, contents.length);
  }
  const target = copy as unknown as PersistentMap<unknown, unknown>;
  for (let i = 0; i < contents.length; i += 2) target.set(contents[i], contents[i + 1]);
  assertAllThere(one, target.size, contents.length / 2);
}

/** Two dates are two keys of a Map, and one here. */
function assertAllThere(one: Container, size: number, expected: number): void {
  if (size === expected) return;
  throw refuse('keys that were different are equal in a heap: dates by their time, bytes by ' +
    'their contents', one.parent, one.via, one.step);
}

function refuse(
  what: string, parent: Container | null, via: Via, step: unknown, cause?: unknown,
): RegionError {
  const path = parent === null ? '' : `at ${pathOf(parent, via, step)}: `;
  return new RegionError('ERR_SCHEMA', `${path}${what}`, cause);
}

/** `list[3].fn`; of a long path the end. */
function pathOf(parent: Container, via: Via, step: unknown): string {
  const steps = [stepText(via, step)];
  let at: Container = parent;
  while (at.parent !== null && steps.length < MAX_STEPS) {
    steps.push(stepText(at.via, at.step));
    at = at.parent;
  }
  const text = steps.reverse().join('');
  return (at.parent === null ? text : `…${text}`).replace(/^\./, '');
}

const MAX_STEPS = 20;

function stepText(via: Via, step: unknown): string {
  const shown = typeof step === 'string' ? JSON.stringify(step.slice(0, 40))
    : typeof step === 'object' && step !== null ? 'an object' : String(step);
  if (via === 'property' && typeof step === 'string' && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(step)) {
    return `.${step}`;
  }
  if (via === 'value') return `.get(${shown})`;
  if (via === 'key') return `.keys()[${shown}]`;
  return via === 'member' ? `.values()[${shown}]` : `[${shown}]`;
}
