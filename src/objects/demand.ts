/**
 * What a slot may refer to, by where it lies: which roles, of which type, and whether what is there
 * belongs to that slot alone.
 */
import { ENTRIES, FORWARD, HASH, NODE, ROLE, ROLE_MASK, ROLE_SHIFT } from '../layout-objects.ts';
import type { Core, Type } from './core.ts';
import { tableOf } from './hash/hash.ts';
import { type Kind, targetOf, textOf } from './kinds.ts';
import type { Views } from './memory.ts';
import type { Layout } from './record-layout.ts';
import { nodesOf } from './tree/tree-nodes.ts';

export interface Demand {
  /** What messages call it. */
  readonly text: string;
  readonly roles: readonly number[];
  /** Text of the type that blocks of a type must have; null = whichever there is. */
  readonly type: string | null;
  /** May the slot hold the reference that stands for `undefined`? */
  readonly isOptional: boolean;
  /** Is the block another slot's, and this one a second way to it? */
  readonly isLink: boolean;
}

const TEXTS = [ROLE.latin1, ROLE.utf8, ROLE.utf16];
const COLLECTIONS: Readonly<Record<string, number>> = { list: ROLE.list, map: ROLE.hash,
  set: ROLE.hash, sorted: ROLE.tree };
const HEADERS = [ROLE.object, ROLE.list, ROLE.hash, ROLE.tree];

/** Blocks that belong to the slot that names them; the others may be named by many. */
export const OWNED: ReadonlySet<number> = new Set([...TEXTS, ROLE.bytes, ROLE.bigint, ROLE.moment,
  ROLE.elements, ROLE.entries, ROLE.buckets, ROLE.directory, ROLE.leaf, ROLE.branch]);
/** Blocks whose detail is a type. */
export const TYPED: ReadonlySet<number> = new Set([...HEADERS, ROLE.elements, ROLE.entries,
  ROLE.leaf, ROLE.branch]);

function demand(text: string, roles: readonly number[], type: string | null = null): Demand {
  return { text, roles, type, isOptional: false, isLink: false };
}

/** A text that describes a type; the map of named values. */
export const DESCRIPTION = demand('the description of a type', TEXTS);
export const ROOT = demand('map(str,any)', [ROLE.hash], 'map(str,any)');
export const TYPES = demand('the directory of types', [ROLE.directory]);

/** What values of a kind refer to. */
export function demandOf(kind: Kind): Demand {
  const { name, of } = kind;
  const text = textOf(kind);
  if (name === 'optional') return { ...demandOf(of as Kind), isOptional: true };
  if (name === 'str') return demand(text, TEXTS);
  if (name === 'bytes') return demand(text, [ROLE.bytes]);
  if (name === 'ref') return demand(text, [ROLE.object], targetOf(kind));
  if (name === 'i64' || name === 'u64') return demand(text, [ROLE.bigint]);
  if (name !== 'any') return demand(text, [COLLECTIONS[name] ?? 0], text);
  return demand(text, [...TEXTS, ...HEADERS, ROLE.bytes, ROLE.bigint, ROLE.moment]);
}

/** Slots of the blocks of one role of a type: what the one at a word may refer to. */
export type Place = (views: Views, word: number, index: number) => Demand;

const places = new WeakMap<Type, Map<number, Place>>();

export function placeIn(core: Core, type: Type, role: number): Place {
  const known = places.get(type) ?? new Map<number, Place>();
  places.set(type, known);
  const made = known.get(role) ?? makePlace(core, type, role);
  known.set(role, made);
  return made;
}

function makePlace(core: Core, type: Type, role: number): Place {
  if (type.layout !== null) return placeInObject(type.layout);
  const { key, of } = type.kind as Kind;
  const keys = demandOf(key ?? { name: 'any' });
  const values = demandOf(of ?? { name: 'any' });
  const inner = (text: string, ...roles: number[]) => demand(`${text} of a ${type.text}`, roles,
    type.text);
  const nodes = inner('a node', ROLE.leaf, ROLE.branch);
  const next = { ...inner('a leaf', ROLE.leaf), isLink: true };
  switch (role) {
    case ROLE.list: return always(inner('elements', ROLE.elements));
    case ROLE.elements: return always(values);
    case ROLE.tree: return always(nodes);
    case ROLE.hash: {
      const entries = inner('entries', ROLE.entries, ROLE.directory);
      const heads = inner('chains', ROLE.buckets, ROLE.directory);
      return (_, word, index) => index === word + HASH.entries ? entries : heads;
    }
    case ROLE.entries: {
      const { stride, keyAt } = tableOf(core, type).shape;
      return (_, word, index) => (index - word - ENTRIES.data) % stride === keyAt ? keys : values;
    }
    case ROLE.leaf: return (views, word, index) => index === word + NODE.next ? next
      : index < nodesOf(core, type).valuesAt(views, word) ? keys : values;
    default: return (_, word, index) =>
      index < nodesOf(core, type).childrenAt(word) ? keys : nodes;
  }
}

function always(one: Demand): Place {
  return () => one;
}

function placeInObject({ fields }: Layout): Place {
  const demands = new Map(fields.map(({ at, kind }) => [at >>> 2, { kind, at }]));
  const found = new Map<number, Demand>();
  return (_, word, index) => {
    const known = found.get(index - word);
    if (known !== undefined) return known;
    const made = demandOf(demands.get(index - word)?.kind ?? { name: 'any' });
    found.set(index - word, made);
    return made;
  };
}

/** Blocks of a directory that a hash names: what its entries name, as a demand. */
export function inDirectory(of: Demand): Demand {
  return { ...of, roles: of.roles.filter((role) => role !== ROLE.directory) };
}

/** Where an object is now that moved; 0 = the signposts lead in a circle or nowhere. */
export function endOf(core: Core, from: number, most: number): number {
  const { memory } = core;
  let ref = from;
  for (let i = 0; i < most; i++) {
    if (memory.held(ref) < 0) return 0;
    if ((memory.tag(ref) & ROLE_MASK) !== ROLE.forward) return ref;
    ref = memory.views(ref).i32[memory.word(ref) + FORWARD.to];
  }
  return 0;
}

/** Does a block of this tag satisfy the demand? */
export function satisfies(core: Core, tag: number, { roles, type }: Demand): boolean {
  const role = tag & ROLE_MASK;
  if (!roles.includes(role)) return false;
  if (!TYPED.has(role)) return true;
  const found = typeAt(core, tag >>> ROLE_SHIFT);
  if (found === null || core.family(found.role) !== core.family(role)) return false;
  return type === null || found.text === type;
}

/** The type with this number, or null. */
export function typeAt(core: Core, id: number): Type | null {
  try {
    return core.types.at(id);
  } catch {
    return null;
  }
}
