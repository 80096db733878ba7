/**
 * What the parts of an open heap share: memory, handles, types, and how slots of each kind are read
 * and written. Families (records, lists, hashes, trees) join through an interface, so that this
 * file knows none of them.
 */
import { assert, RegionError } from '../errors.ts';
import { FORWARD, HEAP_SEGMENTS, ROLE, ROLE_MASK, ROLE_SHIFT, SEGMENT_SHIFT }
  from '../layout-objects.ts';
import { isAsking } from '../region/calls.ts';
import type { Region } from '../types.ts';
import type { Codec } from './codec.ts';
import { type Handle, type HandleClass, Handles, refOf, STALE } from './handles.ts';
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
  slots(
    core: Core, type: Type, views: Views, word: number, from: number, visit: SlotVisitor,
  ): number;
  /**
   * References in the structure of this header were rewritten, because blocks moved: what was
   * worked out from them is worked out again. Allocates nothing.
   */
  moved?(core: Core, type: Type, ref: number): void;
}

/** Slots that are visited in one go. */
export const SLOTS = 4096;

/** Signposts that lead to one another, one for each change of a struct that was not collected. */
const MAX_MOVES = 1000;

/** The types of a heap, see type-table.ts. */
export interface Types {
  /** The type with this number; ERR_CORRUPT. */
  at(id: number): Type;
  /** The type of a collection, recorded where it is new. */
  ofKind(kind: Kind): Type;
  /** The type of the maps that stand for plain objects, recorded where it is new. */
  plain(): Type;
  /** The object in the form its struct has now: another block where it was changed. */
  upgraded(ref: number, type: Type): number;
}

export class Core {
  readonly memory: Memory;
  readonly handles = new Handles();
  readonly pins = new Pins();
  /** What scans show just now; no handles, since they are not found again. */
  readonly cursors = new Set<Handle>();
  /** Changes when references that JavaScript holds may lead elsewhere: blocks moved, or may go. */
  epoch = 0;
  /** The same where they moved, or all went. */
  moves = 0;
  /** Has a struct of the heap had other fields? Only then are there signposts. */
  evolved = false;
  /** Calls under way in which code of the program may run while what is new has no place yet. */
  building = 0;
  /** Milliseconds from anywhere on. */
  readonly now: () => number;
  /** Set once, while the heap is opened: they are read through the codecs. */
  declare types: Types;
  /** How slots of a kind are read and written. */
  readonly codecOf: (kind: Kind) => Codec;
  readonly #families: ReadonlyMap<number, Family>;
  /** Per type and segment. */
  #classes: (HandleClass | undefined)[] = [];
  #gone: RegionError | null = null;
  #isPeeking = false;

  constructor(region: Region, now: () => number, families: readonly Family[],
              codecs: (core: Core) => (kind: Kind) => Codec) {
    this.now = now;
    this.memory = new Memory(region);
    this.#families = new Map(families.flatMap((one) => one.roles.map((role) => [role, one])));
    this.codecOf = codecs(this);
  }

  get name(): string {
    return this.memory.region.name;
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
    const now = this.types.upgraded(ref, type);
    if (now !== ref) return this.handleOf(now);
    const made = this.classOf(type, ref);
    return this.#isPeeking ? new made(this.memory.word(ref), null) : this.handles.add(ref, made);
  }

  /**
   * What `work` reads makes no handles that are found again and pins no bytes, so that nothing is
   * left of it: for those who copy at once. It runs no code of the program.
   */
  peek<T>(work: () => T): T {
    const before = this.#isPeeking;
    this.#isPeeking = true;
    this.pins.isOff = true;
    try {
      return work();
    } finally {
      this.#isPeeking = before;
      this.pins.isOff = before;
    }
  }

  /** The class of handles of a type, for the segment a reference is in. */
  classOf(type: Type, ref: number): HandleClass {
    const segment = ref >>> SEGMENT_SHIFT;
    const key = type.id * HEAP_SEGMENTS + segment;
    return this.#classes[key] ?? this.#bind(type, segment, key);
  }

  /** A new collection of a kind that holds what a program gave. */
  create(kind: Kind, value: unknown): number {
    const type = this.types.ofKind(kind);
    this.building += 1;
    try {
      return this.familyOf(type).create(this, type, value);
    } finally {
      this.building -= 1;
    }
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
        `the object belongs to heap '${handle.$bound.core.name}', not to '${this.name}'; ` +
          'copy it with toJS()');
    }
    if (handle.$at < 0) throw this.stale();
    const ref = refOf(handle);
    this.memory.kept(ref);
    return ref;
  }

  assertUsable(): void {
    if (this.#gone !== null) throw this.#gone;
  }

  /** ERR_BUSY in the middle of a call, where a block may be new and not referred to yet. */
  assertIdle(what: string): void {
    this.assertUsable();
    if (this.building === 0 && !isAsking(this.memory.region)) return;
    throw new RegionError('ERR_BUSY',
      `heap '${this.name}' is in the middle of a call, of which a getter, an iterator or the ` +
        `handler 'noMemory' is a part; ${what} when it has returned`);
  }

  /** What is thrown where a handle is stale. */
  stale(): RegionError {
    return new RegionError('ERR_STALE',
      `the object is gone from heap '${this.name}': it was collected, or the heap was ` +
        'rolled back, cleared or closed; get it again from heap.root', this.#gone ?? undefined);
  }

  corrupt(ref: number, what: string): RegionError {
    return new RegionError('ERR_CORRUPT',
      `heap '${this.name}' is damaged at ${(ref >>> 0) * 16}: ${what}; run check`);
  }

  /** Blocks are about to move, and handles with them; what scans show does not. */
  moving(): void {
    for (const cursor of this.cursors) cursor.$at = STALE;
    this.epoch += 1;
    this.moves += 1;
  }

  /** Every handle is stale; with an error, the heap is closed as well. */
  expire(error: RegionError | null): void {
    this.moving();
    this.handles.expireAll();
    this.pins.clear();
    this.#gone = error;
  }

  /** Segments at the end may be gone: so is what was made for them. */
  trim(): void {
    const count = this.memory.trim();
    this.#classes = this.#classes.map((made, key) =>
      key % HEAP_SEGMENTS >= count ? undefined : made);
  }

  /** Classes are made again: types changed. */
  forgetClasses(): void {
    this.#classes = [];
  }

  /** Does a reference lead to this object, over signposts as well? */
  leadsTo(stored: number, ref: number): boolean {
    return stored === ref || (this.evolved && stored !== 0 && this.endOf(stored) === ref);
  }

  /** The object a reference leads to. ERR_CORRUPT where signposts lead to nowhere. */
  endOf(ref: number): number {
    return (this.memory.tag(ref) & ROLE_MASK) === ROLE.forward ? this.#next(ref) : ref;
  }

  /** Where an object is now that moved, perhaps more than once. */
  #next(from: number): number {
    let ref = from;
    for (let steps = 0; steps < MAX_MOVES; steps++) {
      ref = this.memory.views(ref).i32[this.memory.word(ref) + FORWARD.to];
      if (ref === 0) break;
      if ((this.memory.tag(ref) & ROLE_MASK) !== ROLE.forward) return ref;
    }
    throw this.corrupt(from, 'it was moved to nowhere');
  }

  #bind(type: Type, segment: number, key: number): HandleClass {
    const base = segment << SEGMENT_SHIFT;
    const bound: Bound = { core: this, type, views: this.memory.views(base), base };
    const made = this.familyOf(type).bind(bound);
    this.#classes[key] = made;
    return made;
  }
}

/** Is it a handle of whatever heap? A program's object may have a property of that name. */
export function isHandle(value: unknown): value is Handle {
  return typeof value === 'object' && value !== null
    && (value as Partial<Handle>).$bound?.core instanceof Core;
}

/** The tag of a block of a type. */
export function tagOf(role: number, detail: number): number {
  return role | (detail << ROLE_SHIFT);
}

/** ERR_SCHEMA: a value does not fit where it is put. */
export function misfit(kind: Kind, value: unknown): RegionError {
  return new RegionError('ERR_SCHEMA', `${shown(value)} does not fit kind ${textOf(kind)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'bigint') return `${value}n`;
  if (isHandle(value)) return `a ${value.$bound.type.text}`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `an object (${value.constructor?.name ?? 'without prototype'})`;
}
