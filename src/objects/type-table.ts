/**
 * The types of a heap, which describes itself: each type is a text in JSON, kept in the region
 * under its number. Structs have a text with their fields and where they lie, collections one with
 * their kind. A type never changes; a struct whose fields changed gets a new number, and the newest
 * one of a name is current.
 */
import { RegionError } from '../errors.ts';
import { DIRECTORY, HEAD, MAX_DETAIL, ROLE } from '../layout-objects.ts';
import { type Core, tagOf, type Type, type Types } from './core.ts';
import { isTypeName, type Kind, map, parseKind, any, str, textOf } from './kinds.ts';
import { describe, type Field, inlineBytes, isInline, type Layout } from './record-layout.ts';
import { loadText, newText } from './text.ts';

const ROLE_OF: Readonly<Record<string, number>> = { list: ROLE.list, map: ROLE.hash,
  set: ROLE.hash, sorted: ROLE.tree };
/** Stands for the maps that are plain objects. */
const PLAIN = 'object';
/** What they are called here: a struct may be called `object`. */
const PLAIN_NAME = '(object)';
const FIRST_ROOM = 15;
const WORD_BYTES = 4;

export class TypeTable implements Types {
  readonly #core: Core;
  /** By number of an old type: how its objects become current ones. */
  readonly #upgrades: (((ref: number) => number) | undefined)[] = [];
  readonly #head: number;
  readonly #all: (Type | null)[] = [null];
  /** By what describes them: the text of a kind, or, of structs, their name. */
  readonly #named = new Map<string, Type>();

  /** `head` = reference of the heap's head. */
  constructor(core: Core, head: number) {
    this.#core = core;
    this.#head = head;
    this.reload();
  }

  /** Takes the types as the region holds them now. ERR_CORRUPT. */
  reload(): void {
    this.#all.length = 1;
    this.#named.clear();
    const { memory } = this.#core;
    const count = this.#headWord(HEAD.typeCount);
    const directory = this.#headWord(HEAD.types);
    if (directory === 0 || count === 0) return;
    if (count < 0 || (DIRECTORY.entries + count) * WORD_BYTES > memory.room(directory)) {
      throw this.#core.corrupt(directory, `${count} types`);
    }
    const word = memory.word(directory) + DIRECTORY.entries;
    for (let id = 1; id <= count; id++) {
      const ref = memory.views(directory).i32[word + id - 1];
      this.#learn(readType(this.#core, ref, id));
    }
  }

  at(id: number): Type {
    const type = this.#all[id];
    if (type !== undefined && type !== null) return type;
    throw this.#core.corrupt(this.#head, `there is no type ${id}`);
  }

  ofKind(kind: Kind): Type {
    const text = textOf(kind);
    return this.#named.get(text) ?? this.#add({ kind: text });
  }

  plain(): Type {
    return this.#named.get(PLAIN_NAME) ?? this.#add({ kind: PLAIN });
  }

  /** The current type of a struct's name, or null. */
  ofStruct(name: string): Type | null {
    return this.#named.get(name) ?? null;
  }

  /** From now on objects of an old type are changed when a handle is made. */
  outdate(type: Type, upgrade: (ref: number) => number): void {
    this.#upgrades[type.id] = upgrade;
  }

  /** The object as one of the current type; where it is none of an old one, itself. */
  upgraded(ref: number, type: Type): number {
    return this.#upgrades[type.id]?.(ref) ?? ref;
  }

  /** Are objects of the type changed? */
  isOutdated({ id }: Type): boolean {
    return this.#upgrades[id] !== undefined;
  }

  /** Does the heap have maps or sets that may find by reference? */
  hasReferenceKeys(): boolean {
    return this.#all.some((type) => type?.kind?.key?.name === 'ref'
      || type?.kind?.key?.name === 'any');
  }

  /** A new type of a struct, current from now on. */
  addStruct(layout: Layout): Type {
    return this.#add(JSON.parse(describe(layout)) as object);
  }

  /** Every type, by number. */
  *[Symbol.iterator](): IterableIterator<Type> {
    for (const type of this.#all) if (type !== null) yield type;
  }

  #learn(type: Type): void {
    this.#all[type.id] = type;
    if (type.layout?.previous !== undefined) this.#core.evolved = true;
    this.#named.set(type.isPlain ? PLAIN_NAME : type.text, type);
  }

  /** The text first, then the count: a type that was not finished has no number. */
  #add(description: object): Type {
    const { memory } = this.#core;
    const id = this.#all.length;
    if (id > MAX_DETAIL) {
      throw new RegionError('ERR_NO_SPACE', `heap '${this.#core.name}' has too many types`);
    }
    const text = JSON.stringify(description);
    const type = toType(this.#core, text, id);
    if (type === null) throw new RegionError('ERR_BAD_OPTION', `${text} is no type`);
    const ref = newText(memory, text);
    const directory = this.#roomFor(id);
    memory.views(directory).i32[memory.word(directory) + DIRECTORY.entries + id - 1] = ref;
    memory.views(this.#head).i32[memory.word(this.#head) + HEAD.typeCount] = id;
    this.#learn(type);
    return type;
  }

  /** The directory, where it has room for `count` types; else a larger one. */
  #roomFor(count: number): number {
    const { memory } = this.#core;
    const old = this.#headWord(HEAD.types);
    const room = old === 0 ? 0 : memory.room(old) / WORD_BYTES - DIRECTORY.entries;
    if (old !== 0 && count <= room) return old;
    const fresh = memory.alloc((DIRECTORY.entries + Math.max(FIRST_ROOM, room * 2)) * WORD_BYTES);
    const words = Math.floor(memory.room(fresh) / WORD_BYTES);
    const { i32 } = memory.views(fresh);
    i32.fill(0, memory.word(fresh), memory.word(fresh) + words);
    if (old !== 0) {
      const from = memory.word(old);
      i32.set(memory.views(old).i32.subarray(from, from + DIRECTORY.entries + room),
        memory.word(fresh));
    }
    i32[memory.word(fresh)] = tagOf(ROLE.directory, words - DIRECTORY.entries);
    memory.views(this.#head).i32[memory.word(this.#head) + HEAD.types] = fresh;
    memory.dropped(old);
    memory.free(old);
    return fresh;
  }

  #headWord(field: number): number {
    const { memory } = this.#core;
    return memory.views(this.#head).i32[memory.word(this.#head) + field];
  }
}

function readType(core: Core, ref: number, id: number): Type {
  const text = ref === 0 ? null : loadText(core.memory, ref);
  const type = text === null ? null : toType(core, text, id);
  if (type === null) throw core.corrupt(ref, `type ${id} has no description`);
  return type;
}

/** Does a text describe a type? */
export function isDescription(core: Core, text: string): boolean {
  return toType(core, text, 1) !== null;
}

/** The type a text describes, or null. */
function toType(core: Core, text: string, id: number): Type | null {
  const found = parseJson(text);
  if (typeof found.kind === 'string') return collection(found.kind, id);
  const layout = layoutFrom(core, found);
  if (layout === null) return null;
  return { id, role: ROLE.object, text: layout.name, kind: null, isPlain: false, layout };
}

function collection(text: string, id: number): Type | null {
  const isPlain = text === PLAIN;
  const kind = isPlain ? map(str, any) : parseKind(text);
  const role = ROLE_OF[kind?.name ?? ''];
  if (kind === null || role === undefined) return null;
  return { id, role, text, kind, isPlain, layout: null };
}

/** What a text may say, none of it believed yet. */
interface Description {
  readonly kind?: unknown;
  readonly struct?: unknown;
  readonly bytes?: unknown;
  readonly fields?: unknown;
  readonly previous?: unknown;
}

interface FieldDescription {
  readonly name?: unknown;
  readonly kind?: unknown;
  readonly at?: unknown;
  readonly was?: unknown;
}

function parseJson(text: string): Description {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** A layout from a stored text, or null where it would lead out of an object. */
function layoutFrom(core: Core, found: Description): Layout | null {
  const { struct: name, bytes, fields, previous } = found;
  if (!isTypeName(name) || !Number.isSafeInteger(bytes) || !Array.isArray(fields)) return null;
  const read: Field[] = [];
  for (const field of fields as (FieldDescription | null)[]) {
    const kind = typeof field?.kind === 'string' ? parseKind(field.kind) : null;
    const at = field?.at;
    if (kind === null || typeof field?.name !== 'string') return null;
    const size = inlineBytes(kind, (one) => core.codecOf(one).width);
    const align = isInline(kind) ? 8 : size;
    const fits = typeof at === 'number' && at >= WORD_BYTES && at % align === 0
      && at + size <= (bytes as number);
    if (!fits) return null;
    const was = typeof field.was === 'string' ? { was: field.was } : {};
    read.push({ name: field.name, kind, at, ...was });
  }
  const before = Number.isSafeInteger(previous) ? { previous: previous as number } : {};
  return { name, bytes: bytes as number, fields: read, ...before };
}
