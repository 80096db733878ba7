/** Roots of a region that threads share: each call is one step, under the lock of the roots. */
import type { Roots } from '../types.ts';
import type { RootTable } from './roots.ts';
import type { Shards } from './shards.ts';

/** `table` is asked under the lock only; it must not keep anything from one call to the next. */
export function sharedRoots(table: RootTable, shards: Shards, assertUsable: () => void): Roots {
  const locked = <T>(work: () => T): T => {
    assertUsable();
    return shards.withRoots(work);
  };
  return {
    get: (name) => locked(() => table.get(name)),
    set: (name, address) => locked(() => table.set(name, address)),
    add: (name, n) => locked(() => table.add(name, n)),
    delete: (name) => locked(() => table.delete(name)),
    [Symbol.iterator]: () => locked(() => table[Symbol.iterator]()),
  };
}
