/** What is in a heap, counted block by block. */
import { OBJECT, ROLE, ROLE_MASK, ROLE_SHIFT, SEGMENT_SHIFT } from '../layout-objects.ts';
import { spaceOf } from '../region/calls.ts';
import { type Sampler, sampleOf } from '../region/sample.ts';
import type { Region } from '../types.ts';
import type { Core, Type } from './core.ts';
import { refAt } from './memory.ts';

/** Blocks of one kind. */
export interface HeapCount {
  readonly count: number;
  /** Usable bytes. */
  readonly bytes: number;
}

/** Garbage that was not collected yet counts as what it was: only a collection tells. */
export interface HeapStat {
  /**
   * Objects by struct, `Task`, and collections by kind, `list(str)`, in the order in which the
   * types were made. Bytes are those of the blocks that handles stand for, and of the parts of
   * collections, but not of what either refers to.
   */
  readonly types: ReadonlyMap<string, HeapCount>;
  /** Strings that are not empty, bytes and typed arrays, big integers, dates in fields `any`. */
  readonly texts: HeapCount;
  readonly bytes: HeapCount;
  readonly bigints: HeapCount;
  readonly moments: HeapCount;
  /** Every block, those that are none of these included. */
  readonly blocks: HeapCount;
  /** Objects and collections that the program holds just now, as far as JavaScript knows. */
  readonly handles: number;
}

interface Sum {
  count: number;
  bytes: number;
}

const HEADERS: ReadonlySet<number> = new Set([ROLE.object, ROLE.list, ROLE.hash, ROLE.tree]);
const PARTS: ReadonlySet<number> = new Set([ROLE.elements, ROLE.entries, ROLE.leaf, ROLE.branch]);
const NAMES: Readonly<Record<number, 'texts' | 'bytes' | 'bigints' | 'moments'>> = {
  [ROLE.latin1]: 'texts', [ROLE.utf8]: 'texts', [ROLE.utf16]: 'texts', [ROLE.bytes]: 'bytes',
  [ROLE.bigint]: 'bigints', [ROLE.moment]: 'moments',
};

/** `types` = all of the heap's; `isEstimate` = from a sample of its blocks, whatever its size. */
export function statOfHeap(core: Core, types: Iterable<Type>, isEstimate = false): HeapStat {
  const { memory, handles } = core;
  memory.settle();
  const named = new Map<string, Sum>();
  const byId: (Sum | undefined)[] = [];
  for (const { id, text } of types) {
    byId[id] = named.get(text) ?? { count: 0, bytes: 0 };
    named.set(text, byId[id]);
  }
  const sums = { texts: none(), bytes: none(), bigints: none(), moments: none(), blocks: none() };
  const count: Sampler = ({ index }, granule, bytes, weight) => {
    const { i32 } = memory.views(index << SEGMENT_SHIFT);
    add(sums.blocks, bytes, weight);
    const tag = i32[memory.word(granule) + OBJECT.tag];
    const role = tag & ROLE_MASK;
    const name = NAMES[role];
    if (name !== undefined) add(sums[name], bytes, weight);
    const isHeader = HEADERS.has(role);
    const sum = isHeader || PARTS.has(role) ? byId[tag >>> ROLE_SHIFT] : undefined;
    if (sum !== undefined) add(sum, bytes, weight, isHeader);
  };
  if (isEstimate) sampleOf(memory.region, count);
  else countAll(memory.region, count);
  for (const sum of [...named.values(), ...Object.values(sums)]) {
    sum.count = Math.round(sum.count);
    sum.bytes = Math.round(sum.bytes);
  }
  for (const [text, { count: n }] of named) if (n === 0) named.delete(text);
  return { types: named, ...sums, handles: countOf(handles) };
}

/**
 * What the block at an address is: a struct's name, a collection's kind, `parts of` one, `texts`,
 * `bytes`, `bigints`, `moments`; `other` for what the heap needs itself.
 */
export function blockNamer(core: Core, types: Iterable<Type>): (address: number) => string {
  const texts = new Map([...types].map(({ id, text }) => [id, text]));
  return (address) => {
    const ref = refAt(address);
    const tag = core.memory.views(ref).i32[core.memory.word(ref) + OBJECT.tag];
    const role = tag & ROLE_MASK;
    const type = texts.get(tag >>> ROLE_SHIFT) ?? 'unknown';
    if (HEADERS.has(role)) return type;
    return PARTS.has(role) ? `parts of ${type}` : NAMES[role] ?? 'other';
  };
}

function countAll(region: Region, count: Sampler): void {
  for (const part of spaceOf(region)?.parts ?? []) {
    part.blocks.walk((granule, bytes, busy) => {
      if (busy) count(part, granule, bytes, 1);
      return false;
    });
  }
}

function none(): Sum {
  return { count: 0, bytes: 0 };
}

function add(sum: Sum, bytes: number, weight: number, isCounted = true): void {
  if (isCounted) sum.count += weight;
  sum.bytes += bytes * weight;
}

function countOf(all: Iterable<unknown>): number {
  let count = 0;
  for (const _ of all) count += 1;
  return count;
}
