/**
 * Objects of struct types: how they are made and given up, and their handles, which have one
 * accessor a field on the prototype; no Proxy, no generated code. There is a class for each type
 * and segment, so that the typed arrays are constants of its accessors.
 */
import { RegionError } from '../errors.ts';
import { GRANULE_MASK, ROLE, WORD_SHIFT } from '../layout-objects.ts';
import { accessorOf, placeOf } from './accessors.ts';
import type { Codec } from './codec.ts';
import { type Bound, type Core, type Family, tagOf, type Type } from './core.ts';
import { type Group, type Handle, type HandleClass, refOf, STALE } from './handles.ts';
import { setInline } from './inline.ts';
import { fieldsOf, toPlain } from './plain.ts';
import { type Field, isInline, type Layout } from './record-layout.ts';
import { type Inspect, show } from './show.ts';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** What all handles of objects have in common. */
class ObjectHandle {
  // Declared, not defined: defining them first would cost 90 ns a handle.
  declare $at: number;
  declare readonly $group: Group | null;
  declare readonly $bound: Bound;

  constructor(at: number, group: Group | null) {
    this.$at = at;
    this.$group = group;
  }

  keep(): Handle {
    const { core } = this.$bound;
    if (this.$at === STALE) throw core.stale();
    return this.$group === null ? core.handleOf(refOf(this)) : this;
  }

  toJS(): unknown {
    return toPlain(this);
  }

  toJSON(): unknown {
    return toPlain(this);
  }

  [INSPECT](depth: number | null, options: object, inspect: Inspect): string {
    const { text } = this.$bound.type;
    if (this.$at === STALE) return `${text} (stale)`;
    return show(this, text, () => fieldsOf(this), depth, options, inspect);
  }
}

function bind(bound: Bound): HandleClass {
  const made = class extends ObjectHandle {};
  Object.defineProperty(made.prototype, '$bound', { value: bound });
  for (const field of bound.type.layout?.fields ?? []) {
    const accessor = { ...accessorOf(bound, field), enumerable: true, configurable: true };
    Object.defineProperty(made.prototype, field.name, accessor);
  }
  return made;
}

/** A field, and how its slot is written; null = it lies inside the object. */
interface Slot {
  readonly field: Field;
  readonly codec: Codec | null;
  readonly word: number;
  readonly i: number;
  /** Given in the struct, for what is left out; undefined = none. */
  readonly byDefault: unknown;
}

/** How objects of a type are filled. */
export interface Plan {
  readonly type: Type;
  readonly slots: readonly Slot[];
  readonly named: ReadonlyMap<string, Slot>;
  /** Slots that are not zeros when they are left out. */
  readonly special: readonly Slot[];
}

export function planOf(core: Core, type: Type, defaults: Readonly<Record<string, unknown>>): Plan {
  const slots = (type.layout as Layout).fields.map((field): Slot => {
    const byDefault = defaults[field.name];
    if (isInline(field.kind)) return { field, codec: null, word: 0, i: 0, byDefault };
    const codec = core.codecOf(field.kind);
    return { field, codec, ...placeOf(field, codec.width), byDefault };
  });
  const named = new Map(slots.map((slot) => [slot.field.name, slot]));
  const special = slots.filter(({ codec, byDefault }) =>
    byDefault !== undefined || codec?.blank !== undefined);
  return { type, slots, named, special };
}

/** A new object. ERR_SCHEMA names the field that does not fit; then there is no object. */
export function newObject(core: Core, plan: Plan, given: Record<string, unknown>): number {
  const { memory } = core;
  const { type, slots, named, special } = plan;
  const { bytes } = type.layout as Layout;
  const ref = memory.alloc(bytes);
  const views = memory.views(ref);
  const { i32 } = views;
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  for (let i = word + ((bytes - 1) >> 2); i > word; i--) i32[i] = 0;
  i32[word] = tagOf(ROLE.object, type.id);
  const { epoch } = core;
  let slot: Slot | undefined;
  core.building += 1;
  try {
    for (slot of special) fillSpecial(core, slot, ref, given);
    // Fields are mostly given in the order of the struct: no need to look up their names then.
    let next = 0;
    for (const name in given) {
      const value = given[name];
      if (value === undefined) continue;
      slot = slots[next++];
      if (slot === undefined || slot.field.name !== name) slot = named.get(name);
      if (slot === undefined) throw unknownField(type, name);
      if (slot.codec === null) setInline(memory, ref, slot.field, value);
      else slot.codec.init(views, word + slot.word, slot.i, value);
    }
    return ref;
  } catch (error) {
    if (core.epoch === epoch) giveUp(core, type, ref);
    throw nameField(type, slot, error);
  } finally {
    core.building -= 1;
  }
}

/** What is not zeros where it is left out, before what is given. */
function fillSpecial(core: Core, slot: Slot, ref: number, given: Record<string, unknown>): void {
  const { memory } = core;
  const { codec, field, word, i, byDefault } = slot;
  const base = memory.word(ref) + word;
  if (byDefault === undefined || given[field.name] !== undefined) {
    codec?.blank?.(memory.views(ref), base, i);
  } else if (codec === null) setInline(memory, ref, field, byDefault);
  else codec.init(memory.views(ref), base, i, byDefault);
}

/** ERR_SCHEMA names the field, others go on as they are. */
function nameField({ text }: Type, slot: Slot | undefined, error: unknown): unknown {
  const isMisfit = error instanceof RegionError && error.code === 'ERR_SCHEMA';
  if (!isMisfit || slot === undefined) return error;
  return new RegionError('ERR_SCHEMA', `${text}.${slot.field.name}: ${error.message}`, error);
}

function unknownField({ text, layout }: Type, name: string): RegionError {
  const names = layout?.fields.map((field) => field.name).join(', ');
  return new RegionError('ERR_SCHEMA', `${text} has no field '${name}'; it has: ${names}`);
}

/** An object that nobody refers to is freed, with what belongs to it. */
export function giveUp(core: Core, type: Type, ref: number): void {
  dropFields(core, type, ref);
  core.memory.free(ref);
}

/** What belongs to an object is freed. */
export function dropFields(core: Core, type: Type, ref: number): void {
  const { memory } = core;
  for (const field of (type.layout as Layout).fields) {
    if (isInline(field.kind)) continue;
    const codec = core.codecOf(field.kind);
    const { word, i } = placeOf(field, codec.width);
    codec.drop(memory.views(ref), memory.word(ref) + word, i);
  }
}

/** Words of an object that hold references. */
export interface Place {
  readonly word: number;
  readonly isAny: boolean;
}

const places = new WeakMap<Layout, readonly Place[]>();

/** Where objects of a layout hold references. */
export function placesOf(core: Core, layout: Layout): readonly Place[] {
  const known = places.get(layout);
  if (known !== undefined) return known;
  const found = layout.fields.filter(({ kind }) => !isInline(kind))
    .map((field) => ({ word: field.at >>> 2, holds: core.codecOf(field.kind).holds }))
    .filter(({ holds }) => holds !== 'nothing')
    .map(({ word, holds }) => ({ word, isAny: holds === 'any' }));
  places.set(layout, found);
  return found;
}

export const records: Family = {
  roles: [ROLE.object],
  bind,
  create: (_, type) => {
    throw new RegionError('ERR_SCHEMA', `${type.text} is a struct; make one by heap.create()`);
  },
  slots(core, type, views, word, _from, visit) {
    const all = placesOf(core, type.layout as Layout);
    for (const place of all) visit(views, word + place.word, place.isAny);
    return 0;
  },
};
