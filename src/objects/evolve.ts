/**
 * Evolution of structs: a program declares fields, the heap has objects with others. Fields may be
 * added, removed, reordered, widened (widening.ts) and, by an alias, renamed; then a new type is
 * recorded, which says what each field was before, and objects of the old ones are changed when
 * they are next looked at. Anything else is ERR_SCHEMA.
 *
 * An object that changes moves to a new block. The old one becomes a signpost (ROLE.forward) until
 * the collector has led every reference past it.
 */
import { RegionError } from '../errors.ts';
import { ANY, FORWARD, ROLE, ROLE_MASK, ROLE_SHIFT } from '../layout-objects.ts';
import { placeOf } from './accessors.ts';
import { type Core, type SlotVisitor, tagOf, type Type } from './core.ts';
import { inlineView, setInline } from './inline.ts';
import { refOf } from './handles.ts';
import { type Kind, textOf } from './kinds.ts';
import { refAt } from './memory.ts';
import { type Field, isInline, type Layout, layOut } from './record-layout.ts';
import { giveUp, newObject, type Plan, planOf } from './records.ts';
import { kindsOf, type Struct } from './struct.ts';
import type { TypeTable } from './type-table.ts';
import { isWidening, makeValue, moveValue, type Slot } from './widening.ts';

/**
 * The type of a declaration: the one that is recorded, or a new one it can become. From then on
 * objects of older types are changed when a handle is made. ERR_SCHEMA names type, field and kinds.
 */
export function planFor(core: Core, table: TypeTable, struct: Struct<object>): Plan {
  const kinds = kindsOf(struct);
  const layout = layOut(struct.name, kinds, (kind) => core.codecOf(kind).width);
  const stored = table.ofStruct(struct.name);
  if (stored?.layout && !isSame(stored.layout, kinds)) assertEvolves(stored.layout, kinds, struct);
  const type = stored === null ? table.addStruct(layout)
    : isSame(stored.layout as Layout, kinds) ? stored
      : table.addStruct(successor(layout, stored, struct));
  const plan = planOf(core, type, struct.defaults);
  for (const old of ancestors(table, type)) {
    const step = stepOf(core, table, type, old, struct.defaults);
    table.outdate(old, (ref) => change(core, step, ref));
  }
  return plan;
}

/** Earlier types of the same struct, newest first. */
function ancestors(table: TypeTable, type: Type): Type[] {
  const found: Type[] = [];
  let { previous } = type.layout as Layout;
  while (previous !== undefined && previous < (found.at(-1) ?? type).id) {
    const old = table.at(previous);
    found.push(old);
    previous = old.layout?.previous;
  }
  return found;
}

/** The same fields of the same kinds, in whatever order. */
function isSame({ fields }: Layout, kinds: readonly (readonly [string, Kind])[]): boolean {
  const stored = new Map(fields.map(({ name, kind }) => [name, textOf(kind)]));
  return stored.size === kinds.length
    && kinds.every(([name, kind]) => stored.get(name) === textOf(kind));
}

/** Name a field had in the stored type. */
function formerName(stored: Layout, { aliases }: Struct<object>, name: string): string {
  const isStored = stored.fields.some((field) => field.name === name);
  return isStored ? name : aliases[name] ?? name;
}

function assertEvolves(
  stored: Layout, kinds: readonly (readonly [string, Kind])[], struct: Struct<object>,
): void {
  for (const [name, kind] of kinds) {
    const former = formerName(stored, struct, name);
    const field = stored.fields.find((one) => one.name === former);
    if (field === undefined || isWidening(field.kind, kind)) continue;
    throw new RegionError('ERR_SCHEMA',
      `${struct.name}.${name} is stored as ${textOf(field.kind)} and declared as ` +
        `${textOf(kind)}, which does not hold every such value; give the new field another name`);
  }
}

function successor(layout: Layout, stored: Type, struct: Struct<object>): Layout {
  const { fields: old } = stored.layout as Layout;
  const fields = layout.fields.map((field): Field => {
    const was = formerName(stored.layout as Layout, struct, field.name);
    return old.some(({ name }) => name === was) ? { ...field, was } : field;
  });
  return { ...layout, fields, previous: stored.id };
}

/** What each field of `type` was called in `old`; fields that did not exist are missing. */
function origins(table: TypeTable, type: Type, old: Type): ReadonlyMap<string, string> {
  const names = new Map((type.layout as Layout).fields.map(({ name }) => [name, name]));
  for (const step of [type, ...ancestors(table, type)]) {
    if (step === old) break;
    const was = new Map(step.layout?.fields.map((field) => [field.name, field.was]));
    for (const [name, current] of names) {
      const before = was.get(current);
      if (before === undefined) names.delete(name);
      else names.set(name, before);
    }
  }
  return names;
}

/** How objects of an old type become objects of the current one. */
interface Step {
  /** Without defaults for what is kept. */
  readonly plan: Plan;
  /** Fields that go on, with what they were; those of `old` that do not; both with a slot. */
  readonly kept: readonly { readonly source: Field; readonly field: Field }[];
  readonly removed: readonly Field[];
}

function stepOf(
  core: Core, table: TypeTable, type: Type, old: Type, defaults: Record<string, unknown>,
): Step {
  const from = origins(table, type, old);
  const { fields } = old.layout as Layout;
  const kept = (type.layout as Layout).fields.flatMap((field) => {
    const source = fields.find(({ name }) => name === from.get(field.name));
    return source === undefined ? [] : [{ source, field }];
  });
  const removed = fields.filter((field) =>
    !isInline(field.kind) && !kept.some(({ source }) => source === field));
  const isNew = ([name]: [string, unknown]) => !kept.some(({ field }) => field.name === name);
  const own = Object.fromEntries(Object.entries(defaults).filter(isNew));
  return { plan: planOf(core, type, own), kept, removed };
}

/**
 * The object as one of the current type, in a new block. What may fail, for want of space, comes
 * first; the old object is whole until then.
 */
function change(core: Core, step: Step, ref: number): number {
  const { memory } = core;
  const fresh = newObject(core, step.plan, {});
  let moves: Step['kept'];
  try {
    moves = step.kept.filter(({ source, field }) => !makeField(core, ref, source, fresh, field));
  } catch (error) {
    giveUp(core, step.plan.type, fresh);
    throw error;
  }
  for (const { source, field } of moves) {
    moveValue(core, source.kind, slotIn(core, ref, source), field.kind, slotIn(core, fresh, field));
  }
  const gone = step.kept.filter((pair) => !moves.includes(pair) && !isInline(pair.source.kind));
  for (const field of [...step.removed, ...gone.map(({ source }) => source)]) {
    const { views, base, i } = slotIn(core, ref, field);
    core.codecOf(field.kind).drop(views, base, i);
  }
  const { i32 } = memory.views(ref);
  i32[memory.word(ref) + FORWARD.to] = fresh;
  i32[memory.word(ref)] = tagOf(ROLE.forward, 0);
  return fresh;
}

/** Writes a field that is not merely moved; false = it is. */
function makeField(
  core: Core, ref: number, source: Field, fresh: number, field: Field,
): boolean {
  const { memory } = core;
  if (isInline(field.kind)) {
    setInline(memory, fresh, field, inlineView(memory, ref, source));
    return true;
  }
  const codec = core.codecOf(field.kind);
  const target = slotIn(core, fresh, field);
  if (isInline(source.kind)) {
    codec.init(target.views, target.base, target.i, inlineView(memory, ref, source).slice());
    return true;
  }
  return makeValue(core, source.kind, slotIn(core, ref, source), field.kind, target);
}

function slotIn(core: Core, owner: number, field: Field): Slot {
  const { word, i } = placeOf(field, core.codecOf(field.kind).width);
  return { views: core.memory.views(owner), base: core.memory.word(owner) + word, i };
}

/**
 * Changes every object of an old type, by number of type; returns how many. With a type, those of
 * its struct only. Handles of them go on as handles of the new objects.
 */
export function upgradeAll(core: Core, table: TypeTable, only: Type | null): number {
  const old = new Set([...table].filter((type) => table.isOutdated(type)
    && (only === null || type.text === only.text)).map(({ id }) => id));
  if (old.size === 0) return 0;
  core.memory.settle();
  const found: number[] = [];
  for (const { address, busy } of core.memory.region.blocks()) {
    const tag = busy ? core.memory.tag(refAt(address)) : 0;
    if ((tag & ROLE_MASK) === ROLE.object && old.has(tag >>> ROLE_SHIFT)) {
      found.push(refAt(address));
    }
  }
  for (const ref of found) changeOne(core, table, ref);
  return found.length;
}

/**
 * After types changed: objects that have handles are changed now, since a handle is of one type.
 * Where the heap finds things by reference all are, since an object that moves would not be found.
 */
export function takeOver(core: Core, table: TypeTable): void {
  if (table.hasReferenceKeys() && upgradeAll(core, table, null) > 0) settleKeys(core, table);
  const old = [...core.handles].filter(({ $bound }) => table.isOutdated($bound.type));
  for (const handle of old) changeOne(core, table, refOf(handle));
}

/** Maps and sets find objects that moved by where these are now, not by their signposts. */
function settleKeys(core: Core, table: TypeTable): void {
  const { memory } = core;
  const headers: { ref: number; type: Type }[] = [];
  for (const { address, busy } of memory.region.blocks()) {
    const ref = refAt(address);
    const tag = busy ? memory.tag(ref) : 0;
    const role = tag & ROLE_MASK;
    if (role !== ROLE.hash && role !== ROLE.entries) continue;
    const type = table.at(tag >>> ROLE_SHIFT);
    const key = type.kind?.key?.name;
    if (key !== 'ref' && key !== 'any') continue;
    if (role === ROLE.hash) headers.push({ ref, type });
    else core.familyOf(type).slots(core, type, memory.views(ref), memory.word(ref), 0, lead(core));
  }
  for (const { ref, type } of headers) core.familyOf(type).moved?.(core, type, ref);
}

/** Leads the reference in a slot past its signposts. */
function lead(core: Core): SlotVisitor {
  const { memory } = core;
  return ({ i32 }, index, isAny) => {
    const ref = i32[index];
    if ((isAny && i32[index + 1] !== ANY.ref) || memory.held(ref) < 0) return;
    if ((memory.tag(ref) & ROLE_MASK) !== ROLE.forward) return;
    i32[index] = core.endOf(ref);
    memory.dropped(ref);
  };
}

function changeOne(core: Core, table: TypeTable, ref: number): void {
  const fresh = table.upgraded(ref, table.at(core.memory.tag(ref) >>> ROLE_SHIFT));
  const type = table.at(core.memory.tag(fresh) >>> ROLE_SHIFT);
  core.handles.move(ref, fresh, core.classOf(type, fresh));
}
