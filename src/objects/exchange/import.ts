/**
 * A heap read from text; see export.ts for its form. Nothing the text says is believed: what does
 * not fit is ERR_SCHEMA, what contradicts itself ERR_CORRUPT, both naming the line. An import is
 * done whole or not at all: objects are made beside what is there, names come last, and after an
 * error all that was made is freed. Types stay recorded.
 *
 * An object is made empty where it is first mentioned, and filled by its own line; so lines may
 * come in any order, but for types, which come first, and the root, which comes last.
 *
 * Memory: 8 to 12 bytes an object where numbers are in the order of their first mention, as in
 * every export, else up to 50; in a file where they are many (scratch.ts). And a line.
 */
import { RegionError } from '../../errors.ts';
import { ELEMENT, ROLE_SHIFT } from '../../layout-objects.ts';
import { elementOf } from '../any-blocks.ts';
import { type Core, isHandle, misfit, type Type } from '../core.ts';
import { FORMAT, FORMAT_VERSION, partOf } from './export.ts';
import { expectedType, MAX_ID, readValue, type Reference } from './export-values.ts';
import { discardAll } from '../discard.ts';
import type { Handle } from '../handles.ts';
import { ImportedRoot } from './import-root.ts';
import { ImportedTypes, isRecord, show, type TypeLine } from './import-types.ts';
import { any, type Kind, map, str, textOf } from '../kinds.ts';
import { NumberList } from './number-map.ts';
import { Places } from './places.ts';
import type { PersistentList, PersistentMap, PersistentSet } from '../persistent.ts';
import { isInline } from '../record-layout.ts';
import { newObject } from '../records.ts';
import type { TypeTable } from '../type-table.ts';

const ROOT_KIND = map(str, any);
/** Elements that are added in one call. */
const CHUNK = 256;

/** Reads an export; see ObjectHeap. `replace` = names that are there are given new values. */
export function importLines(
  core: Core, table: TypeTable, root: PersistentMap<string, unknown>, lines: Iterable<string>,
  replace: boolean,
): { objects: number; names: number } {
  const work = new Import(core, table, root, replace);
  try {
    for (const line of lines) work.take(line);
    return work.finish();
  } catch (error) {
    work.undo();
    throw error;
  }
}

/** A parsed line, none of it believed yet. */
interface Line extends TypeLine {
  readonly $format?: unknown;
  readonly version?: unknown;
  readonly $id?: unknown;
  readonly $more?: unknown;
  readonly more?: unknown;
  readonly size?: unknown;
  readonly $root?: unknown;
  readonly objects?: unknown;
  readonly names?: unknown;
  readonly items?: unknown;
  readonly entries?: unknown;
}

class Import {
  readonly #core: Core;
  readonly #types: ImportedTypes;
  readonly #root: ImportedRoot;
  readonly #rootMap: PersistentMap<string, unknown>;
  readonly #epoch: number;
  /** By place: the number, the reference, the line of its first mention; 0 = it was defined. */
  readonly #places = new Places();
  readonly #refs = new NumberList();
  readonly #mentions = new NumberList();
  /** Places of collections of which more is to come. */
  readonly #open = new Set<number>();
  #line = 0;
  #defined = 0;
  #isWhole = false;

  constructor(
    core: Core, table: TypeTable, root: PersistentMap<string, unknown>, replace: boolean,
  ) {
    this.#core = core;
    this.#types = new ImportedTypes(core, table);
    this.#rootMap = root;
    this.#root = new ImportedRoot(core, root, replace);
    this.#epoch = core.epoch;
  }

  take(text: string): void {
    this.#line += 1;
    this.#assertSame();
    if (typeof text === 'string' && text.trim() === '') return;
    try {
      this.#read(parsed(text));
    } catch (error) {
      throw atLine(this.#line, error);
    }
  }

  finish(): { objects: number; names: number } {
    this.#assertSame();
    if (!this.#isWhole) {
      throw new RegionError('ERR_CORRUPT', `the text ends after line ${this.#line}, without the ` +
        'last line of an export; it was cut off');
    }
    this.#root.commit();
    return { objects: this.#defined, names: this.#root.count };
  }

  /** Frees what was made, if it is still there. */
  undo(): void {
    const core = this.#core;
    if (core.epoch !== this.#epoch) return;
    this.#root.undo();
    discardAll(core, this.#refs);
  }

  #assertSame(): void {
    const core = this.#core;
    core.assertUsable();
    if (core.epoch === this.#epoch) return;
    throw new RegionError('ERR_STALE', `heap '${core.name}' was collected, compacted, cleared or ` +
      'rolled back during an import; begin again');
  }

  #read(line: Line): void {
    if (this.#isWhole) throw corrupt('there is more behind the last line of an export');
    if (this.#line === 1 || line.$format !== undefined) this.#readFormat(line);
    else if (line.$id !== undefined) this.#readObject(line);
    else if (line.$more !== undefined) this.#readMore(line);
    else if (line.$root !== undefined) this.#readRoot(line);
    else if (line.$type !== undefined) this.#types.declare(line);
    else throw corrupt(`it has none of $id, $more, $type, $root: ${show(line)}`);
  }

  #readFormat({ $format, version }: Line): void {
    if ($format !== FORMAT || this.#line !== 1) {
      throw new RegionError('ERR_MISMATCH', `it does not begin with {"$format":"${FORMAT}"}: ` +
        'this is no export of a heap');
    }
    if (version === FORMAT_VERSION) return;
    throw new RegionError('ERR_VERSION', `the export has version ${show(version)}, this program ` +
      `knows ${FORMAT_VERSION}; use a newer regionstore`);
  }

  #readObject(line: Line): void {
    const { $id: id, $type: name } = line;
    if (!isId(id)) throw corrupt(`$id ${show(id)} is no number from 1 to ${MAX_ID}`);
    if (typeof name !== 'string') throw corrupt(`object ${id} has no $type`);
    const handle = this.#objectOf(id, this.#types.find(name));
    const place = this.#places.find(id);
    if (this.#mentions.at(place) === 0) throw corrupt(`object ${id} was there before`);
    this.#mentions.set(place, 0);
    this.#defined += 1;
    if (handle.$bound.type.layout !== null) return this.#setFields(handle, line.fields);
    this.#addElements(handle, line);
    if (line.more === true) this.#open.add(place);
  }

  #readMore(line: Line): void {
    const { $more: id, more, size } = line;
    const place = isId(id) ? this.#places.find(id) : -1;
    if (!this.#open.has(place)) {
      throw corrupt(`$more ${show(id)}, but no line before says that there is more of it`);
    }
    const handle = this.#handleAt(place);
    this.#addElements(handle, line);
    if (more === true) return;
    this.#open.delete(place);
    const count = sizeOf(handle);
    if (size !== count) throw corrupt(`object ${id} has ${count} elements, not ${show(size)}`);
  }

  #readRoot({ $root: entries, objects, names }: Line): void {
    for (const entry of pairsOf(entries, '$root')) {
      const [name, value] = entry;
      if (typeof name !== 'string') throw corrupt(`${show(name)} is no name`);
      this.#root.set(name, this.#valueOf(any, value));
    }
    if (objects === undefined) return;
    this.#assertAllThere();
    if (objects !== this.#defined || names !== this.#root.count) {
      throw corrupt(`there were ${this.#defined} objects and ${this.#root.count} names, not ` +
        `${show(objects)} and ${show(names)}`);
    }
    this.#isWhole = true;
  }

  #assertAllThere(): void {
    for (const place of this.#open) {
      throw corrupt(`there is more of object ${this.#places.idAt(place)}, which is not there`);
    }
    for (let place = 0; place < this.#mentions.length; place++) {
      const line = this.#mentions.at(place);
      if (line === 0) continue;
      const id = this.#places.idAt(place);
      throw corrupt(`line ${line} refers to object ${id}, which is not there`);
    }
  }

  #setFields(handle: Handle, fields: unknown): void {
    const { type } = handle.$bound;
    if (!isRecord(fields)) throw corrupt(`an object of ${type.text} has no fields`);
    const { named } = this.#types.planOf(type);
    for (const [name, found] of Object.entries(fields)) {
      const field = named.get(name)?.field;
      if (field === undefined) {
        throw new RegionError('ERR_SCHEMA', `${type.text} has no field ${show(name)}`);
      }
      const value = this.#valueOf(field.kind, found);
      if (isInline(field.kind) && elementOf(value) !== elementOfKind(field.kind)) {
        throw misfit(field.kind, value);
      }
      (handle as unknown as Record<string, unknown>)[name] = value;
    }
  }

  #addElements(handle: Handle, line: Line): void {
    const kind = handle.$bound.type.kind as Kind;
    const { key, of } = kind;
    const part = partOf(kind);
    if (part === 'entries') {
      const target = handle as unknown as PersistentMap<unknown, unknown>;
      const pairs = pairsOf(line.entries, part);
      const size = target.size + pairs.length;
      for (const [first, second] of pairs) {
        target.set(this.#valueOf(key as Kind, first), this.#valueOf(of as Kind, second));
      }
      return assertSize(target.size, size);
    }
    if (!Array.isArray(line.items)) throw corrupt(`it has no array of ${part}`);
    if (kind.name === 'list') return this.#push(handle, of as Kind, line.items);
    const target = handle as unknown as PersistentSet<unknown>;
    const size = target.size + line.items.length;
    for (const item of line.items) target.add(this.#valueOf(key as Kind, item));
    assertSize(target.size, size);
  }

  #push(handle: Handle, kind: Kind, items: readonly unknown[]): void {
    const target = handle as unknown as PersistentList<unknown>;
    for (let i = 0; i < items.length; i += CHUNK) {
      target.push(...items.slice(i, i + CHUNK).map((item) => this.#valueOf(kind, item)));
    }
  }

  /** The value for a slot of a kind; what it refers to is a handle. */
  #valueOf(kind: Kind, found: unknown): unknown {
    const value = readValue(found, (reference) => this.#refer(reference, kind));
    const isShared = expectedType(kind) !== '';
    if (isShared && value !== null && value !== undefined && !isHandle(value)) {
      throw misfit(kind, value);
    }
    return value;
  }

  #refer({ id, type }: Reference, kind: Kind): unknown {
    const expected = expectedType(kind);
    const name = type ?? expected;
    if (name === '') {
      throw new RegionError('ERR_SCHEMA',
        `{"$ref":${id}} needs a $type in a slot of ${textOf(kind)}`);
    }
    if (id !== 0) {
      const found = this.#types.find(name);
      // A former type of a struct has the text of the struct, too.
      const fits = expected === '' || (found.text === expected && !found.isPlain);
      if (fits) return this.#objectOf(id, found);
      throw new RegionError('ERR_SCHEMA', `${name} does not fit kind ${textOf(kind)}`);
    }
    if (name === textOf(ROOT_KIND)) return this.#rootMap;
    throw corrupt(`object 0 is the root, of type ${textOf(ROOT_KIND)}, not ${name}`);
  }

  /** The object of a number, made where it is new. ERR_CORRUPT where it is of another type. */
  #objectOf(id: number, type: Type): Handle {
    const place = this.#places.find(id);
    if (place >= 0) {
      const handle = this.#handleAt(place);
      if (handle.$bound.type === type) return handle;
      throw corrupt(`object ${id} is of type ${type.text} here and of ` +
        `${handle.$bound.type.text} elsewhere`);
    }
    const core = this.#core;
    const ref = type.layout === null ? core.familyOf(type).create(core, type, undefined)
      : newObject(core, this.#types.planOf(type), {});
    this.#places.add(id);
    this.#refs.push(ref);
    this.#mentions.push(this.#line);
    return this.#handleAt(this.#refs.length - 1);
  }

  /** Not registered: it is used at once. */
  #handleAt(place: number): Handle {
    const core = this.#core;
    const ref = this.#refs.at(place);
    const type = core.types.at(core.memory.tag(ref) >>> ROLE_SHIFT);
    return new (core.classOf(type, ref))(core.memory.word(ref), null);
  }
}

function parsed(text: string): Line {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new RegionError('ERR_CORRUPT', `it is no JSON: ${(error as Error).message}`, error);
  }
  if (isRecord(found)) return found;
  throw corrupt(`it is no object: ${show(found)}`);
}

function isId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= MAX_ID;
}

function pairsOf(found: unknown, part: string): [unknown, unknown][] {
  const isOne = (pair: unknown) => Array.isArray(pair) && pair.length === 2;
  if (Array.isArray(found) && found.every(isOne)) return found as [unknown, unknown][];
  throw corrupt(`it has no array of pairs as ${part}`);
}

function sizeOf(collection: Handle): number {
  const { size, length } = collection as unknown as { size?: number; length?: number };
  return size ?? length ?? 0;
}

function assertSize(size: number, expected: number): void {
  if (size !== expected) throw corrupt('a key is there twice');
}

/** Kind of the elements of what lies inside an object. */
function elementOfKind({ of }: Kind): number {
  return of === undefined ? ELEMENT.u8 : ELEMENT[of.name as keyof typeof ELEMENT];
}

function corrupt(what: string): RegionError {
  return new RegionError('ERR_CORRUPT', what);
}

/** What the text is to blame for names the line. */
function atLine(line: number, error: unknown): unknown {
  if (!(error instanceof RegionError) || !TEXTUAL.has(error.code)) return error;
  const code = error.code === 'ERR_BAD_OPTION' ? 'ERR_SCHEMA' : error.code;
  return new RegionError(code, `line ${line}: ${error.message}`, error.cause ?? error);
}

const TEXTUAL: ReadonlySet<string> = new Set(['ERR_SCHEMA', 'ERR_CORRUPT', 'ERR_BAD_OPTION',
  'ERR_MISMATCH', 'ERR_VERSION', 'ERR_EXISTS', 'ERR_BAD_SIZE']);
