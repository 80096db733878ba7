/** Sorted maps in a heap whose parts a test can reach. */
import { heap } from '../../src/disciplines/heap.ts';
import { HEAD, NODE, ROLE, ROLE_MASK, TREE } from '../../src/layout-objects.ts';
import { slab } from '../../src/methods/slab.ts';
import { anyCodec } from '../../src/objects/any.ts';
import { codecs } from '../../src/objects/codecs.ts';
import { type Bound, Core, type Type } from '../../src/objects/core.ts';
import { refOf } from '../../src/objects/handles.ts';
import { type Kind, sorted } from '../../src/objects/kinds.ts';
import { refAt } from '../../src/objects/memory.ts';
import { optionalCodec } from '../../src/objects/optional.ts';
import type { PersistentSorted } from '../../src/objects/persistent.ts';
import { records } from '../../src/objects/records.ts';
import { sortedMaps } from '../../src/objects/tree/sorted.ts';
import { checkTree } from '../../src/objects/tree/tree-check.ts';
import { nodesOf } from '../../src/objects/tree/tree-nodes.ts';
import { TypeTable } from '../../src/objects/type-table.ts';
import { createRegion } from '../../src/region/region.ts';
import type { Region } from '../../src/types.ts';

/** A core over a new region; `spoil` may put something between the two. */
export function newCore(
  capacity: number | string = '256MiB', spoil: (region: Region) => Region = (region) => region,
): Core {
  const region = spoil(createRegion(heap({ capacity }), slab, { name: 'app' }));
  const core = new Core(region, () => 0, [records, sortedMaps],
    (made) => codecs(made, anyCodec, optionalCodec));
  const head = region.alloc(HEAD.words * 4);
  region.array(Int32Array, head, HEAD.words).fill(0)[HEAD.tag] = ROLE.head;
  core.types = new TypeTable(core, refAt(head));
  return core;
}

/** A new map; `given` as for a field of that kind. */
export function newSorted<K, V>(
  core: Core, key: Kind, value: Kind, given?: unknown,
): PersistentSorted<K, V> {
  return core.handleOf(core.create(sorted(key, value), given)) as unknown as PersistentSorted<K, V>;
}

/** Reference of a map's header. */
export function headOf(map: PersistentSorted<unknown, unknown>): number {
  return refOf(map as unknown as Parameters<typeof refOf>[0]);
}

/** What the checker says: `id at reference: what`. */
export function findings(core: Core, map: PersistentSorted<unknown, unknown>): string[] {
  const found: string[] = [];
  checkTree(core, headOf(map), (id, ref, what) => found.push(`${id} at ${ref}: ${what}`));
  return found;
}

/** Entries of each leaf, in order. */
export function leavesOf(core: Core, map: PersistentSorted<unknown, unknown>): number[] {
  const sizes: number[] = [];
  for (const ref of nodesIn(core, map)) {
    if ((core.memory.tag(ref) & ROLE_MASK) !== ROLE.leaf) continue;
    sizes.push(core.memory.views(ref).i32[core.memory.word(ref) + NODE.count]);
  }
  return sizes;
}

export function typeOf(map: PersistentSorted<unknown, unknown>): Type {
  return (map as unknown as { $bound: Bound }).$bound.type;
}

/** Every node, branches before what is below them. */
export function nodesIn(core: Core, map: PersistentSorted<unknown, unknown>): number[] {
  const root = core.memory.views(headOf(map)).i32[core.memory.word(headOf(map)) + TREE.root];
  const all = root === 0 ? [] : [root];
  const nodes = nodesOf(core, typeOf(map));
  for (let i = 0; i < all.length; i++) {
    if (core.memory.tag(all[i]) !== nodes.branchTag) continue;
    for (let k = 0; k <= nodes.countOf(all[i]); k++) all.push(nodes.child(all[i], k));
  }
  return all;
}
