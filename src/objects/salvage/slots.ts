/** Slots of a damaged heap: is what one refers to there, and what does one hold that lost it? */
import { ANY, ENTRIES, NODE, NO_VALUE, ROLE, ROLE_MASK } from '../../layout-objects.ts';
import { leastBytes } from '../block-sizes.ts';
import type { Core, Type } from '../core.ts';
import { type Demand, demandOf, endOf, satisfies } from '../demand.ts';
import { tableOf } from '../hash/hash.ts';
import { addressAt, type Views } from '../memory.ts';
import { nodesOf } from '../tree/tree-nodes.ts';

const MOST_SIGNPOSTS = 1000;
const ANY_DEMAND = demandOf({ name: 'any' });
const STRUCTURE: ReadonlySet<number> = new Set([ROLE.elements, ROLE.entries, ROLE.buckets,
  ROLE.directory, ROLE.leaf, ROLE.branch]);

/** What a slot refers to, or why that cannot be. `ref` 0 = it refers to nothing. */
export interface Target {
  readonly ref: number;
  readonly problem: string | null;
}

const NOTHING: Target = { ref: 0, problem: null };

/** Looks at the slot at word `index`; `isAny` = one of two words. */
export function targetOf(
  core: Core, { i32, u32 }: Views, index: number, isAny: boolean, demand: Demand,
): Target {
  if (!isAny) return lead(core, i32[index], demand);
  const code = u32[index + 1];
  if (code === ANY.ref) {
    return lead(core, i32[index], demand.roles.length === 1 ? demand : ANY_DEMAND);
  }
  if (code <= ANY.ref || code >>> 31 === 1) return NOTHING;
  return { ref: 0, problem: `it holds no value (${code.toString(16)})` };
}

function lead(core: Core, target: number, demand: Demand): Target {
  const { memory } = core;
  if (target === 0 || (target === NO_VALUE.ref && demand.isOptional)) return NOTHING;
  const bad = (why: string): Target =>
    ({ ref: 0, problem: `it led to ${addressAt(target)}, ${why}` });
  if (memory.held(target) < 0) return bad('where no block starts');
  const ref = endOf(core, target, MOST_SIGNPOSTS);
  if (ref === 0) return bad('and from there to nothing');
  if (!satisfies(core, memory.tag(ref), demand)) return bad(`which is no ${demand.text}`);
  return leastBytes(core, ref) > memory.held(ref) ? bad('a block that is cut short')
    : { ref, problem: null };
}

/** The slot holds nothing from now on: null, an empty text, an empty collection, undefined. */
export function emptySlot(
  { i32, u32 }: Views, index: number, isAny: boolean, { isOptional }: Demand,
): void {
  i32[index] = isOptional && !isAny ? NO_VALUE.ref : 0;
  if (isAny) u32[index + 1] = ANY.undefined;
}

/** Is it the blocks a collection is made of that the slot names? */
export function isStructural({ roles }: Demand): boolean {
  return roles.every((role) => STRUCTURE.has(role));
}

/** Does the slot hold a key, by which the others are found? */
export function isKey(core: Core, type: Type, views: Views, word: number, index: number): boolean {
  switch (views.i32[word] & ROLE_MASK) {
    case ROLE.entries: {
      const { stride, keyAt } = tableOf(core, type).shape;
      return (index - word - ENTRIES.data) % stride === keyAt;
    }
    case ROLE.leaf:
      return index !== word + NODE.next && index < nodesOf(core, type).valuesAt(views, word);
    default: return (views.i32[word] & ROLE_MASK) === ROLE.branch;
  }
}
