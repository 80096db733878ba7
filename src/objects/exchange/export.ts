/**
 * A heap as text, readable without the program that wrote it: one JSON object a line.
 *
 *   {"$format":"regionstore heap","version":1}
 *   {"$type":"Task","fields":{"id":"u32","title":"str","parent":"ref(Task)"}}     types of structs
 *   {"$id":1,"$type":"Task","fields":{"id":1,"title":"write","parent":null}}      an object
 *   {"$id":2,"$type":"list(str)","items":["a","b"]}                               also sets
 *   {"$id":3,"$type":"map(str,u32)","entries":[["a",1]]}      also sorted maps; {} = plain
 *   {"$root":[["inbox",{"$ref":1,"$type":"Task"}]],"objects":3,"names":1}         the last line
 *
 * What is long takes several lines: all but the last end in `"more":true`, all but the first begin
 * with `"$more":3`, and the last says how many elements there were: `"size":2500`. Lines of the
 * root have no `objects` but the last. So nothing can be left out without a trace.
 *
 * Objects are numbered as they are found from the root, breadth first, so that the text does not
 * depend on where anything lies. A field that is left out is undefined, or a collection nobody
 * asked for yet. Former types of a struct are called `Task@1`, `Task@2`, oldest first; `previous`
 * and `was` say what the type and its fields were called before.
 *
 * Memory: 15 to 27 bytes an object, in a file where they are many (scratch.ts), and a line.
 */
import { RegionError } from '../../errors.ts';
import { type Core, isHandle, type Type } from '../core.ts';
import { expectedType, MAX_ID, textOfValue } from './export-values.ts';
import { type Handle, refOf } from '../handles.ts';
import { type Kind, textOf } from '../kinds.ts';
import { NumberList, NumberMap } from './number-map.ts';
import { isUnset } from '../plain.ts';
import type { Layout } from '../record-layout.ts';

export const FORMAT = 'regionstore heap';
export const FORMAT_VERSION = 1;
/** Elements of a line at most, and characters, but for the last element. */
const ELEMENTS = 1000;
const CHARACTERS = 2 ** 16;
/** A collection with more elements gets a handle. */
const STEADY = 100;

/** The lines of a heap whose root is the block `root`, 0 = it has none. See ObjectHeap. */
export function exportLines(
  core: Core, types: Iterable<Type>, root: number,
): IterableIterator<string> {
  return linesOf(new Walk(core, types, root), types);
}

function* linesOf(walk: Walk, types: Iterable<Type>): IterableIterator<string> {
  yield JSON.stringify({ $format: FORMAT, version: FORMAT_VERSION });
  for (const type of types) if (type.layout !== null) yield walk.lineOfType(type, type.layout);
  walk.findFromRoot();
  for (let id = 1; id <= walk.count; id++) yield* walk.linesOf(id);
  yield* walk.rootLines();
}

/** The type of plain objects in the text form; a struct may be called `object`. */
export const PLAIN = '{}';

/** Names of types in the text form: old types of a struct have a number. */
function namesOfTypes(types: Iterable<Type>): Map<Type, string> {
  const all = [...types];
  return new Map(all.map((type) => {
    if (type.layout === null) return [type, nameOfCollection(type)];
    const versions = all.filter((one) => one.layout !== null && one.text === type.text);
    const place = versions.indexOf(type) + 1;
    return [type, place === versions.length ? type.text : `${type.text}@${place}`];
  }));
}

function nameOfCollection({ isPlain, text }: Type): string {
  return isPlain ? PLAIN : text;
}

class Walk {
  readonly #core: Core;
  readonly #root: number;
  readonly #epoch: number;
  readonly #names: ReadonlyMap<Type, string>;
  /** Numbers by reference, references by number. */
  readonly #ids = new NumberMap();
  readonly #refs = new NumberList();

  constructor(core: Core, types: Iterable<Type>, root: number) {
    this.#core = core;
    this.#names = namesOfTypes(types);
    this.#root = root;
    this.#epoch = core.epoch;
    // Number 0 is the root's.
    this.#refs.push(root);
    if (root !== 0) this.#ids.add(root, 0);
  }

  get count(): number {
    return this.#refs.length - 1;
  }

  lineOfType(type: Type, { fields, previous }: Layout): string {
    const was = fields.filter((field) => field.was !== undefined)
      .map((field) => [field.name, field.was]);
    const before = [...this.#names].find(([one]) => one.id === previous)?.[1];
    return JSON.stringify({
      $type: this.#names.get(type),
      fields: Object.fromEntries(fields.map(({ name, kind }) => [name, textOf(kind)])),
      previous: before,
      was: was.length === 0 ? undefined : Object.fromEntries(was),
    });
  }

  /** Numbers what the root refers to. */
  findFromRoot(): void {
    this.#assertSame();
    if (this.#root !== 0) for (const _ of this.#pieces(this.#handleAt(0)));
  }

  *linesOf(id: number): IterableIterator<string> {
    const handle = this.#handleAt(id);
    const { type } = handle.$bound;
    const start = `{"$id":${id},"$type":${JSON.stringify(this.#nameOf(type))}`;
    const { layout, kind } = type;
    if (layout !== null) {
      yield `${start},"fields":{${this.#look(id, () => this.#fieldsOf(handle, layout))}}}`;
      return;
    }
    const part = partOf(kind as Kind);
    let before = start;
    let waiting = '';
    let size = 0;
    for (const { text, count } of this.#pieces(handle, id)) {
      if (size > 0) {
        yield `${before},"${part}":[${waiting}],"more":true}`;
        before = `{"$more":${id}`;
      }
      waiting = text;
      size += count;
    }
    const end = before === start ? '' : `,"size":${size}`;
    yield `${before},"${part}":[${waiting}]${end}}`;
  }

  *rootLines(): IterableIterator<string> {
    let waiting = '';
    let names = 0;
    for (const { text, count } of this.#root === 0 ? [] : this.#pieces(this.#handleAt(0))) {
      if (names > 0) yield `{"$root":[${waiting}]}`;
      waiting = text;
      names += count;
    }
    yield `{"$root":[${waiting}],"objects":${this.count},"names":${names}}`;
  }

  #handleAt(id: number): Handle {
    return this.#look(id, () => this.#core.handleOf(this.#refs.at(id)));
  }

  /** The elements of a collection, some at a time. */
  *#pieces(handle: Handle, id = 0): IterableIterator<Piece> {
    const { key, of } = handle.$bound.type.kind as Kind;
    const textOfOne = key === undefined || of === undefined
      ? this.#teller((key ?? of) as Kind) : this.#entryTeller(key, of);
    // An iteration of a registered handle goes on where the program changes the collection.
    const { size, length = size } = handle as unknown as { size?: number; length?: number };
    const steady = (length ?? 0) > STEADY ? this.#core.handleOf(refOf(handle)) : handle;
    const elements = (steady as unknown as Iterable<unknown>)[Symbol.iterator]();
    for (;;) {
      const piece = this.#look(id, () => nextPiece(elements, textOfOne));
      if (piece.count === 0) return;
      yield piece;
    }
  }

  #fieldsOf(handle: Handle, { fields }: Layout): string {
    const values = handle as unknown as Record<string, unknown>;
    const parts: string[] = [];
    for (const field of fields) {
      const value = isUnset(handle, field) ? undefined : values[field.name];
      if (value === undefined) continue;
      parts.push(`${JSON.stringify(field.name)}:${this.#teller(field.kind)(value)}`);
    }
    return parts.join(',');
  }

  #entryTeller(key: Kind, of: Kind): (entry: unknown) => string {
    const tellKey = this.#teller(key);
    const tellValue = this.#teller(of);
    return (entry) => {
      const [first, second] = entry as [unknown, unknown];
      return `[${tellKey(first)},${tellValue(second)}]`;
    };
  }

  /** Writes values of slots of a kind. */
  #teller(kind: Kind): (value: unknown) => string {
    const expected = expectedType(kind);
    return (value) => isHandle(value) ? this.#textOfReference(value, expected) : textOfValue(value);
  }

  #textOfReference(handle: Handle, expected: string): string {
    const id = this.#idOf(refOf(handle));
    const name = this.#nameOf(handle.$bound.type);
    return name === expected ? `{"$ref":${id}}` : `{"$ref":${id},"$type":${JSON.stringify(name)}}`;
  }

  /** Its number; a new one where it was not met before. */
  #idOf(ref: number): number {
    const known = this.#ids.get(ref);
    if (known >= 0) return known;
    const id = this.#refs.length;
    if (id > MAX_ID) throw new RegionError('ERR_BAD_SIZE', 'the heap has too many objects');
    this.#ids.add(ref, id);
    this.#refs.push(ref);
    return id;
  }

  /** A type that was recorded meanwhile has no former ones. */
  #nameOf(type: Type): string {
    return this.#names.get(type) ?? nameOfCollection(type);
  }

  /** Reads what is in the heap, if it still is. */
  #look<T>(id: number, work: () => T): T {
    this.#assertSame();
    try {
      return this.#core.peek(work);
    } catch (error) {
      if (!isTooLong(error)) throw error;
      throw new RegionError('ERR_BAD_SIZE',
        `object ${id} holds a value that is too long for a line of text`, error);
    }
  }

  #assertSame(): void {
    const core = this.#core;
    core.assertUsable();
    if (core.epoch === this.#epoch) return;
    throw new RegionError('ERR_STALE',
      `heap '${core.name}' was collected, compacted, cleared or rolled back while it was ` +
        'exported; begin again');
  }
}

/** What the elements of a collection are called. */
export function partOf({ name }: Kind): 'items' | 'entries' {
  return name === 'list' || name === 'set' ? 'items' : 'entries';
}

/** Some elements of a collection. */
interface Piece {
  readonly text: string;
  readonly count: number;
}

function nextPiece(
  elements: Iterator<unknown>, textOfOne: (element: unknown) => string,
): Piece {
  const texts: string[] = [];
  for (let left = CHARACTERS; texts.length < ELEMENTS && left > 0;) {
    const step = elements.next();
    if (step.done === true) break;
    const text = textOfOne(step.value);
    texts.push(text);
    left -= text.length;
  }
  return { text: texts.join(','), count: texts.length };
}

/** V8 has strings of up to 512 MiB. */
function isTooLong(error: unknown): boolean {
  return error instanceof RangeError
    || (error as NodeJS.ErrnoException | null)?.code === 'ERR_STRING_TOO_LONG';
}
