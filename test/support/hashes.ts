/** What tests of maps and sets share: what is inside handles, keys whose hashes are equal. */
import { expect } from 'vitest';
import type { Core, Type } from '../../src/objects/core.ts';
import { type Handle, refOf } from '../../src/objects/handles.ts';
import { checkHash } from '../../src/objects/hash/hash-check.ts';
import type { Kind } from '../../src/objects/kinds.ts';
import type { PersistentMap, PersistentSet } from '../../src/objects/persistent.ts';
import { struct } from '../../src/objects/struct.ts';
import type { Finding } from '../../src/types.ts';
import type { NewHeap } from './heaps.ts';

export type AnyMap = PersistentMap<unknown, unknown>;
export type AnySet = PersistentSet<unknown>;

/** The core of a heap, and where a handle's block is. */
export function insideOf(handle: unknown): { core: Core; type: Type; ref: number } {
  const { $bound: { core, type } } = handle as Handle;
  return { core, type, ref: refOf(handle as Handle) };
}

let boxes = 0;

/** A map or a set of this kind, empty unless a value is given. */
export function newHash({ heap }: NewHeap, kind: Kind, value?: unknown): AnyMap & AnySet {
  boxes += 1;
  const box = heap.create(struct(`Box${boxes}`, { hash: kind }),
    value === undefined ? {} : { hash: value } as never);
  return (box as unknown as { hash: AnyMap & AnySet }).hash;
}

export function findings(hash: unknown): Finding[] {
  const { core, type, ref } = insideOf(hash);
  const found: Finding[] = [];
  checkHash(core, type, ref, (one) => found.push(one));
  return found;
}

export function expectSound(hash: unknown): void {
  expect(findings(hash)).toEqual([]);
}

const PRIME = 0x01000193;
const step = (hash: number, unit: number) => Math.imul(hash ^ unit, PRIME);

/** 2^doublings texts of one length whose FNV-1a hashes are equal. */
export function collidingTexts(doublings: number): string[] {
  let state = 0x811c9dc5 | 0;
  let texts = [''];
  for (let i = 0; i < doublings; i++) {
    const [one, other] = collidingPair(state);
    texts = texts.flatMap((text) => [text + one, text + other]);
    for (let k = 0; k < one.length; k++) state = step(state, one.charCodeAt(k));
  }
  return texts;
}

/** Two units each that lead from a state to the same one. */
function collidingPair(state: number): [string, string] {
  const byHigh = new Map<number, number>();
  for (let unit = 0x100; unit < 0xd000; unit++) {
    const mixed = step(state, unit);
    const before = byHigh.get(mixed >>> 16);
    if (before !== undefined) {
      const low = (step(state, before) ^ mixed) & 0xffff;
      const second = [0x100, 0x300, 0x1100].find((b) => (b ^ low) < 0xd800) ?? 0;
      return [String.fromCharCode(before, second), String.fromCharCode(unit, second ^ low)];
    }
    byHigh.set(mixed >>> 16, unit);
  }
  throw new Error('no pair');
}
