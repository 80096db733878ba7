/**
 * What the parts of an open heap share: memory, handles, types, and how slots of each kind are read
 * and written. Families (records, lists, hashes, trees) join through an interface, so that this
 * file knows none of them.
 */
import { assert, RegionError } from '../errors.ts';
import { ROLE, ROLE_MASK, ROLE_SHIFT, SEGMENT_SHIFT, FORWARD } from '../layout-objects.ts';
import type { Region } from '../types.ts';
import type { Codec } from './codec.ts';
import { type Handle, type HandleClass, Handles, refOf } from './handles.ts';
import { type Kind, textOf } from './kinds.ts';
import { Memory, type Views } from './memory.ts';
import { Pins } from './pins.ts';
import type { Layout } from './record-layout.ts';

/** A type of a heap: of objects, or of a collection. Stored as a text under its number. */
export interface Type {
  readonly id: number;
  /** Role of the block that a handle stands for. */
  readonly role: number;
  /** What messages call it: `Task`, `list(u32)`. */
  readonly text: string;
  /** Of a collection; else null. */
  readonly kind: Kind | null;
  /** A map that stands for a plain object. */
  readonly isPlain: boolean;
  /** Of objects; else null. */
  readonly layout: Layout | null;
}

/** A type in one segment: what the prototype of its handles knows. */
export interface Bound {
  readonly core: Core;
  readonly type: Type;
  readonly views: Views;
  /** Reference of the segment's first granule. */
  readonly base: number;
}

/**
 * Visits one slot that may hold a reference: the word at `index`, or, `isAny`, the two words of a
 * slot of kind `any`.
 */
export type SlotVisitor = (views: Views, index: number, isAny: boolean) => void;

/** How blocks of some roles work. */
export interface Family {
  /** The roles; the first is that of the block a handle stands for. */
  readonly roles: readonly number[];
  /** Handles of a type in a segment. */
  bind(bound: Bound): HandleClass;
  /** A new collection that holds what a program gave: an array, a Map … ERR_SCHEMA. */
  create(core: Core, type: Type, value: unknown): number;
  /**
   * Visits slots of a block from the `from`-th on, at most about SLOTS of them; returns where to go
   * on, or 0 at the end. `word` = first word of the block. Never believes what the block says: what
   * would lead out of it is not visited.
   */
  slots(core: Core, type: Type, views: Views, word: number, from: number, visit: SlotVisitor): number;
  /**
   * References in the structure of this header were rewritten, because blocks moved: what was
   * worked out from them is worked out again. Allocates nothing.
   */
  moved?(core: Core, type: Type, ref: number): void;
}

/** Slots that are visited in one go. */
export const SLOTS = 4096;

/** The types of a heap, see type-table.ts. */
export interface Types {
  /** The type with this number; ERR_CORRUPT. */
  at(id: number): Type;
  /** The type of a collection, recorded where it is new. */
  ofKind(kind: Kind): Type;
  /** The type of the maps that stand for plain objects, recorded where it is new. */
  plain(): Type;
  /** A function that changes an object whose type is an old form of its struct, or null. */
  upgrade: ((ref: number, type: Type) => number) | null;
}

export class Core {
  readonly memory: Memory;
  readonly handles = new Handles();
  readonly pins = new Pins();
  readonly name: string;
  /** Set once, while the heap is opened: they are read through the codecs. */
  declare types: Types;
  /** How slots of a kind are read and written. */
  readonly codecOf: (kind: Kind) => Codec;
  readonly #families: ReadonlyMap<number, Family>;
  /** Per type and segment. */
  readonly #classes = new Map<number, HandleClass>();
  #gone: RegionError | null = null;

  constructor(region: Region, families: readonly Family[],
              codecs: (core: Core) => (kind: Kind) => Codec) {
    this.memory = new Memory(region);
    this.name = region.name;
    this.#families = new Map(families.flatMap((one) => one.roles.map((role) => [role, one])));
    this.codecOf = codecs(this);
  }

  /** How blocks of a role work; undefined for those without references, and for damage. */
  family(role: number): Family | undefined {
    return this.#families.get(role);
  }

  /** The handle of the block; follows one that moved. ERR_CORRUPT where it has none. */
  handleOf(ref: number): Handle {
    const known = this.handles.find(ref);
    if (known !== null) return known;
    const tag = this.memory.tag(ref);
    const role = tag & ROLE_MASK;
    if (role === ROLE.forward) return this.handleOf(this.#next(ref));
    const type = this.types.at(tag >>> ROLE_SHIFT);
    if (type.role !== role) throw this.corrupt(ref, `role ${role} of type ${type.text}`);
    const now = this.types.upgrade === null ? ref : this.types.upgrade(ref, type);
    if (now !== ref) return this.handleOf(now);
    return this.handles.obtain(ref, this.classOf(type, ref));
  }

  /** The class of handles of a type, for the segment a reference is in. */
  classOf(type: Type, ref: number): HandleClass {
    const segment = ref >>> SEGMENT_SHIFT;
    const key = type.id * 2 ** (32 - SEGMENT_SHIFT) + segment;
    return this.#classes.get(key) ?? this.#bind(type, segment, key);
  }

  /** A new collection of a kind that holds what a program gave. */
  create(kind: Kind, value: unknown): number {
    const type = this.types.ofKind(kind);
    return this.familyOf(type).create(this, type, value);
  }

  familyOf(type: Type): Family {
    const family = this.#families.get(type.role);
    assert(family !== undefined, `a family for role ${type.role}`);
    return family;
  }

  /**
   * The block a handle stands for, where it may be put into a slot of this heap. ERR_STALE,
   * ERR_MISMATCH for a handle of another heap.
   */
  refOf(handle: Handle): number {
    if (handle.$bound.core !== this) {
      throw new RegionError('ERR_MISMATCH',
        `the object belongs to heap '${handle.$bound.core.name}', not to '${this.name}'; copy it: ` +
          'toJS()');
    }
    if (handle.$at < 0) throw this.stale();
    return refOf(handle);
  }

  assertUsable(): void {
    if (this.#gone !== null) throw this.#gone;
  }

  /** What is thrown where a handle is stale. */
  stale(): RegionError {
    return this.#gone ?? new RegionError('ERR_STALE',
      `the object is gone from heap '${this.name}': collected, or the heap went back in time or was ` +
        'cleared; get it again from heap.root');
  }

  corrupt(ref: number, what: string): RegionError {
    return new RegionError('ERR_CORRUPT',
      `heap '${this.name}' is damaged at ${(ref >>> 0) * 16}: ${what}; run check`);
  }

  /** Every handle is stale; with an error, the heap is closed as well. */
  expire(error: RegionError | null): void {
    this.handles.expireAll();
    this.pins.clear();
    this.#gone = error;
  }

  /** Classes are made again: types changed. */
  forgetClasses(): void {
    this.#classes.clear();
  }

  #next(ref: number): number {
    const to = this.memory.views(ref).i32[this.memory.word(ref) + FORWARD.to];
    if (to === 0 || (this.memory.tag(to) & ROLE_MASK) === ROLE.forward) {
      throw this.corrupt(ref, 'it was moved to nowhere');
    }
    return to;
  }

  #bind(type: Type, segment: number, key: number): HandleClass {
    const base = segment << SEGMENT_SHIFT;
    const bound: Bound = { core: this, type, views: this.memory.views(base), base };
    const made = this.familyOf(type).bind(bound);
    this.#classes.set(key, made);
    return made;
  }
}

/** Is it a handle of whatever heap? */
export function isHandle(value: unknown): value is Handle {
  return typeof value === 'object' && value !== null && '$bound' in value;
}

/** The tag of a block of a type. */
export function tagOf(role: number, detail: number): number {
  return role | (detail << ROLE_SHIFT);
}

/** ERR_SCHEMA: a value does not fit where it is put. */
export function misfit(kind: Kind, value: unknown): RegionError {
  const given = typeof value === 'string' ? JSON.stringify(value.slice(0, 40))
    : typeof value === 'bigint' ? `${value}n` : typeof value === 'object' && value !== null
      ? `an object (${value.constructor?.name ?? 'without prototype'})` : String(value);
  return new RegionError('ERR_SCHEMA', `${given} does not fit kind ${textOf(kind)}`);
}
