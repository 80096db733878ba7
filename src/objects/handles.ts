/**
 * Handles: the JavaScript objects a program holds, one per block while one is alive, so that `===`
 * says whether two are the same. What is here grows with the handles that live, not with the heap.
 *
 * A WeakRef costs 0.4 µs and a table of them more than the objects; so handles are made in groups
 * that hold one another, and only the group is held weakly. A handle keeps at most GROUP - 1 others
 * alive. The newest groups are held strongly, since what is asked for twice is asked for soon.
 *
 * The two fields have names, not symbols and not private ones: V8 infers the map of a receiver for
 * a named load where many types share a getter, and for the others it does not (1.6 against 12.8 ns
 * a field with twelve types).
 */
import { GRANULE_MASK, WORD_SHIFT } from '../layout-objects.ts';
import type { Bound } from './core.ts';

const GROUP_SHIFT = 5;
const GROUP = 2 ** GROUP_SHIFT;
/** Groups that are held strongly. */
const NURSERY = 64;
/** References that stay near one another in the table, as a shift. */
const NEAR_SHIFT = 5;
const NEAR = 2 ** NEAR_SHIFT;
const MULTIPLIER = 0x9e3779b1;

/** `$at` of a handle whose object is gone. */
export const STALE = -1;

/** A handle. `$at` = first word of its block in the segment of its class, or STALE. */
export interface Handle {
  $at: number;
  readonly $group: Group | null;
  /** On the prototype: which heap, type and segment. */
  readonly $bound: Bound;
}

/** Handles that were made one after the other. */
export interface Group {
  /** GROUP places, the first of them filled. */
  readonly members: (Handle | undefined)[];
}

const NO_GROUP: Group = { members: [] };

export type HandleClass = new (at: number, group: Group | null) => Handle;

/**
 * Where a reference belongs in the table. References near one another stay near: who makes objects
 * one after the other, or reads them so, needs few lines of the table (240 instead of 310 ns for a
 * new object when there are 400,000).
 */
function homeOf(ref: number, shift: number): number {
  return ((Math.imul(ref >>> NEAR_SHIFT, MULTIPLIER) >>> shift) + (ref & (NEAR - 1))) * 2;
}

/** The block a handle stands for. The caller knows that it is not stale. */
export function refOf({ $at, $bound }: Handle): number {
  return ($at >>> WORD_SHIFT) | $bound.base;
}

export class Handles {
  /** Pairs of reference and slot, open addressing; reference 0 = empty. */
  #table = new Int32Array(2 * 1024);
  #shift = 32 - 10;
  #count = 0;
  /** Per slot = group << GROUP_SHIFT | place: the reference that was put there. */
  #refs = new Int32Array(GROUP);
  readonly #strong: (Group | null)[] = [];
  readonly #weak: (WeakRef<Group> | null)[] = [];
  readonly #spare: number[] = [];
  readonly #nursery: number[] = [];
  /** The newest group, and its next place. */
  #group: Group = NO_GROUP;
  #index = -1;
  #place = GROUP;
  /** Groups of an earlier epoch were forgotten at once; their finalizers have nothing to do. */
  #epoch = 0;
  readonly #registry = new FinalizationRegistry<{ index: number; epoch: number }>(
    ({ index, epoch }) => epoch === this.#epoch && this.#forget(index));

  /** The handle of a block, made where there is none. */
  obtain(ref: number, make: HandleClass): Handle {
    return this.find(ref) ?? this.add(ref, make);
  }

  /** The handle of a block that has none. */
  add(ref: number, make: HandleClass): Handle {
    if (this.#place === GROUP) this.#begin();
    const group = this.#group;
    const handle = new make((ref & GRANULE_MASK) << WORD_SHIFT, group);
    this.#put(ref, (this.#index << GROUP_SHIFT) | this.#place);
    group.members[this.#place++] = handle;
    return handle;
  }

  /** The handle of a block, or null where none is alive. */
  find(ref: number): Handle | null {
    const at = this.#lookup(ref);
    if (this.#table[at] !== ref) return null;
    const slot = this.#table[at + 1];
    const index = slot >>> GROUP_SHIFT;
    const group = this.#strong[index] ?? this.#weak[index]?.deref();
    return group?.members[slot & (GROUP - 1)] ?? null;
  }

  /** Every handle that may be alive. */
  *[Symbol.iterator](): IterableIterator<Handle> {
    for (let index = 0; index < this.#strong.length; index++) {
      const group = this.#strong[index] ?? this.#weak[index]?.deref();
      for (const handle of group?.members ?? []) {
        if (handle !== undefined && handle.$at !== STALE) yield handle;
      }
    }
  }

  /** The same by a call each: a fifth of the time where there are a million. */
  each(visit: (handle: Handle) => void): void {
    for (let index = 0; index < this.#strong.length; index++) {
      const members = (this.#strong[index] ?? this.#weak[index]?.deref())?.members;
      if (members === undefined) continue;
      for (let i = 0; i < GROUP; i++) {
        const handle = members[i];
        if (handle !== undefined && handle.$at !== STALE) visit(handle);
      }
    }
  }

  /** The block is gone: its handle is stale from now on. */
  expire(ref: number): void {
    const handle = this.find(ref);
    if (handle !== null) handle.$at = STALE;
    this.#remove(ref, -1);
  }

  /** Every handle is stale from now on. */
  expireAll(): void {
    for (const handle of this) handle.$at = STALE;
    this.#table = new Int32Array(2 * 1024);
    this.#shift = 32 - 10;
    this.#count = 0;
    this.#refs = new Int32Array(GROUP);
    for (const all of [this.#strong, this.#weak, this.#spare, this.#nursery]) all.length = 0;
    this.#close();
    this.#epoch += 1;
  }

  /** The block moved: its handle is the handle of the other one. */
  move(from: number, to: number, make: HandleClass): void {
    const handle = this.find(from);
    if (handle === null) return;
    const at = this.#lookup(from);
    const slot = this.#table[at + 1];
    this.#remove(from, slot);
    this.#put(to, slot);
    handle.$at = (to & GRANULE_MASK) << WORD_SHIFT;
    if (Object.getPrototypeOf(handle) !== make.prototype) {
      Object.setPrototypeOf(handle, make.prototype as object);
    }
  }

  /** Nothing is held strongly from now on, so that JavaScript may collect what it can. */
  relax(): void {
    while (this.#nursery.length > 0) this.#loosen();
    this.#close();
  }

  /** The next handle begins a group. */
  #close(): void {
    this.#group = NO_GROUP;
    this.#place = GROUP;
  }

  #begin(): void {
    if (this.#nursery.length === NURSERY) this.#loosen();
    this.#index = this.#spare.pop() ?? this.#strong.length;
    this.#group = { members: new Array<Handle | undefined>(GROUP) };
    this.#place = 0;
    this.#strong[this.#index] = this.#group;
    this.#weak[this.#index] = null;
    this.#nursery.push(this.#index);
    if ((this.#index + 1) << GROUP_SHIFT <= this.#refs.length) return;
    const refs = new Int32Array(this.#refs.length * 2);
    refs.set(this.#refs);
    this.#refs = refs;
  }

  /** The oldest group of the nursery is held weakly from now on. */
  #loosen(): void {
    const index = this.#nursery.shift() as number;
    const group = this.#strong[index] as Group;
    this.#strong[index] = null;
    this.#weak[index] = new WeakRef(group);
    this.#registry.register(group, { index, epoch: this.#epoch });
  }

  /** All handles of a group were collected by JavaScript. */
  #forget(index: number): void {
    const first = index << GROUP_SHIFT;
    for (let slot = first; slot < first + GROUP; slot++) {
      const ref = this.#refs[slot];
      if (ref !== 0) this.#remove(ref, slot);
      this.#refs[slot] = 0;
    }
    this.#weak[index] = null;
    this.#spare.push(index);
  }

  /** Index in the table of a reference, or of the empty place where it would be. */
  #lookup(ref: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let at = homeOf(ref, this.#shift) & mask;
    while (table[at] !== ref && table[at] !== 0) at = (at + 2) & mask;
    return at;
  }

  #put(ref: number, slot: number): void {
    if (this.#count * 4 >= this.#table.length) this.#grow();
    const at = this.#lookup(ref);
    if (this.#table[at] === 0) this.#count += 1;
    this.#table[at] = ref;
    this.#table[at + 1] = slot;
    this.#refs[slot] = ref;
  }

  /** Takes a reference out, where it is in `slot`; -1 = wherever. What follows it moves up. */
  #remove(ref: number, slot: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let hole = this.#lookup(ref);
    if (table[hole] !== ref || (slot !== -1 && table[hole + 1] !== slot)) return;
    this.#count -= 1;
    for (let at = (hole + 2) & mask; table[at] !== 0; at = (at + 2) & mask) {
      const home = homeOf(table[at], this.#shift) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole] = table[at];
      table[hole + 1] = table[at + 1];
      hole = at;
    }
    table[hole] = 0;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Int32Array(old.length * 2);
    this.#shift -= 1;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] === 0) continue;
      const at = this.#lookup(old[i]);
      this.#table[at] = old[i];
      this.#table[at + 1] = old[i + 1];
    }
  }
}
