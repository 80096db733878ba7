/**
 * Which kinds hold every value of another, so that a field may become one of them, and how a value
 * gets from one slot to the other. What only moves is copied as bits, so that no handle is made.
 */
import { ANY } from '../layout-objects.ts';
import type { Core } from './core.ts';
import { type Kind, textOf } from './kinds.ts';
import type { Views } from './memory.ts';

/** Kinds of numbers that hold all numbers of the first. */
const WIDER: Readonly<Record<string, readonly string[]>> = {
  u8: ['u16', 'i16', 'u32', 'i32', 'f32', 'f64', 'i64', 'u64'],
  i8: ['i16', 'i32', 'f32', 'f64', 'i64'],
  u16: ['u32', 'i32', 'f32', 'f64', 'i64', 'u64'],
  i16: ['i32', 'f32', 'f64', 'i64'],
  u32: ['f64', 'i64', 'u64'],
  i32: ['f64', 'i64'],
  f32: ['f64'],
};
const BIG: ReadonlySet<string> = new Set(['i64', 'u64']);

/** Does `to` hold every value of `from`? */
export function isWidening(from: Kind, to: Kind): boolean {
  if (textOf(from) === textOf(to)) return true;
  if (to.name === 'any') return from.name !== 'array';
  if (to.name === 'optional' && to.of !== undefined) {
    return isWidening(from.name === 'optional' && from.of !== undefined ? from.of : from, to.of);
  }
  if (from.name === 'bytes' && to.name === 'bytes') return to.length === undefined;
  return WIDER[from.name]?.includes(to.name) ?? false;
}

/** A slot: an array of them begins at word `base`. */
export interface Slot {
  readonly views: Views;
  readonly base: number;
  readonly i: number;
}

/**
 * Writes the value of a slot into a fresh slot of a kind that holds it, where that makes something
 * new; false = `moveValue` has to do it. ERR_NO_SPACE.
 */
export function makeValue(core: Core, from: Kind, old: Slot, to: Kind, fresh: Slot): boolean {
  if (isSameSlot(from, to) || isBoxed(core, from, old, to)) return false;
  const value = core.codecOf(from).load(old.views, old.base, old.i);
  const isBig = typeof value === 'number' && BIG.has(withoutOptional(to).name);
  const given = isBig ? BigInt(value) : value;
  core.codecOf(to).init(fresh.views, fresh.base, fresh.i, given);
  return true;
}

/**
 * Moves the value where nothing new is made: what belonged to the old slot belongs to the new one.
 * The old one is not written. A collection under way is told.
 */
export function moveValue(core: Core, from: Kind, old: Slot, to: Kind, fresh: Slot): void {
  const { width, holds } = core.codecOf(from);
  const ref = old.views.i32[old.base + old.i];
  if (holds === 'ref') core.memory.dropped(ref);
  if (holds === 'any' && old.views.i32[old.base + old.i * 2 + 1] === ANY.ref) {
    core.memory.dropped(old.views.i32[old.base + old.i * 2]);
  }
  if (isSameSlot(from, to)) return copyBits(width, old, fresh);
  fresh.views.i32[fresh.base + fresh.i * 2] = ref;
  fresh.views.i32[fresh.base + fresh.i * 2 + 1] = ANY.ref;
}

/** Does the block that a slot names become the value of an `any`? */
function isBoxed(core: Core, from: Kind, { views, base, i }: Slot, to: Kind): boolean {
  if (to.name !== 'any' || from.name === 'optional') return false;
  return core.codecOf(from).holds === 'ref' && views.i32[base + i] !== 0;
}

/** Do the slots of both kinds hold the same bits for the same value? */
function isSameSlot(from: Kind, to: Kind): boolean {
  const inner = withoutOptional(to);
  if (textOf(from) === textOf(to)) return true;
  const isReference = !SCALAR.has(inner.name) && inner.name !== 'any';
  if (to.name === 'optional' && textOf(withoutOptional(from)) === textOf(inner)) return isReference;
  return from.name === 'bytes' && to.name === 'bytes';
}

/** Kinds whose slots hold the value itself. */
const SCALAR: ReadonlySet<string> = new Set(['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'f64',
  'i64', 'u64', 'bool', 'date']);

function withoutOptional(kind: Kind): Kind {
  return kind.name === 'optional' && kind.of !== undefined ? kind.of : kind;
}

function copyBits(width: number, old: Slot, fresh: Slot): void {
  if (width < 4) {
    const mask = 2 ** (width * 8) - 1;
    const shift = (slot: Slot) => (slot.i % (4 / width)) * width * 8;
    const word = (slot: Slot) => slot.base + Math.floor(slot.i / (4 / width));
    const bits = (old.views.i32[word(old)] >>> shift(old)) & mask;
    const at = word(fresh);
    const kept = fresh.views.i32[at] & ~(mask << shift(fresh));
    fresh.views.i32[at] = kept | (bits << shift(fresh));
    return;
  }
  const words = width / 4;
  for (let k = 0; k < words; k++) {
    fresh.views.i32[fresh.base + fresh.i * words + k] = old.views.i32[old.base + old.i * words + k];
  }
}
