/** What keeps what alive, against a computation that takes objects away one by one. */
import { expect, test } from 'vitest';
import { HEAD, HEAD_ROOT } from '../src/layout-objects.ts';
import { heapIn } from '../src/objects/heap.ts';
import { dominatorsIn } from '../src/objects/inside.ts';
import { any, list, map, ref, str, u32 } from '../src/objects/kinds.ts';
import { refAt } from '../src/objects/memory.ts';
import { struct } from '../src/objects/struct.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const TIES = { now: () => 0 };
const Node = struct('Node', { id: u32, name: str, a: ref(() => Node), b: ref(() => Node),
  all: list(ref(() => Node)), loose: any });

/** Numbers of nodes that can be reached without node `gone`. */
function reached(edges: readonly (readonly number[])[], roots: readonly number[], gone: number) {
  const seen = new Set<number>();
  const stack = roots.filter((n) => n !== gone);
  for (let n = stack.pop(); n !== undefined; n = stack.pop()) {
    if (seen.has(n)) continue;
    seen.add(n);
    for (const to of edges[n]) if (to !== gone) stack.push(to);
  }
  return seen;
}

test('random graphs', () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  for (let round = 0; round < often(30, 500); round++) {
    const { heap, region } = newHeap();
    const count = 1 + random(40);
    const nodes = Array.from({ length: count }, (_, id) => heap.create(Node, { id }));
    const edges: number[][] = nodes.map(() => []);
    const roots: number[] = [];
    const link = (from: number, to: number) => {
      const node = nodes[from];
      const how = random(4);
      if (how === 0 && node.a === null) node.a = nodes[to];
      else if (how === 1 && node.b === null) node.b = nodes[to];
      else if (how === 2) node.all.push(nodes[to]);
      else if (node.loose === undefined) node.loose = nodes[to];
      else return;
      edges[from].push(to);
    };
    for (let i = random(3 * count); i >= 0; i--) link(random(count), random(count));
    for (let i = 0; i <= random(3); i++) {
      const id = random(count);
      heap.root.set(`root ${i}`, nodes[id]);
      roots.push(id);
    }
    const found = dominatorsIn(region, TIES, 1e6);
    if (found === null) throw new Error('too many');
    const idOf = new Map(nodes.map((node, id) => [refOfNode(node), id]));
    const live = reached(edges, roots, -1);
    const numberOf = new Map([...found.refs].map((at, number) => [idOf.get(at), number]));
    expect([...live].filter((id) => !numberOf.has(id)), `seed ${seed}`).toEqual([]);
    for (const id of live) {
      const left = reached(edges, roots, id);
      const kept = [...live].filter((other) => !left.has(other)).sort((x, y) => x - y);
      const dominated = [...live].filter((other) => {
        for (let n = numberOf.get(other) as number; n > 0; n = found.parents[n]) {
          if (n === numberOf.get(id)) return true;
        }
        return false;
      }).sort((x, y) => x - y);
      expect(dominated, `seed ${seed}, round ${round}, node ${id}`).toEqual(kept);
    }
    const all = [...found.own].reduce((sum, bytes) => sum + bytes, 0);
    expect(found.retained[0]).toBe(all);
    region.close();
  }
});

function refOfNode(node: unknown): number {
  const { $at, $bound } = node as { $at: number; $bound: { base: number } };
  return ($at >>> 2) | $bound.base;
}

test('what an object has for itself is its own', () => {
  const { heap, region } = newHeap();
  const node = heap.create(Node, { id: 1, name: 'x'.repeat(10_000) });
  heap.root.set('node', node);
  const before = dominatorsIn(region, TIES, 10);
  expect(before?.count).toBe(2);
  expect(before?.own[1]).toBeGreaterThan(10_000);
  heap.root.set('map', heap.create(map(str, ref(Node))));
  expect(dominatorsIn(region, TIES, 2)).toBeNull();
  expect(dominatorsIn(region, TIES, 3)?.count).toBe(3);
});

test('a chain of a hundred thousand with one object that all of them name', () => {
  const { heap, region } = newHeap('256MiB');
  const shared = heap.create(Node, { id: 0 });
  let next = null;
  for (let id = 1; id <= 100_000; id++) {
    const node = heap.create(Node, { id, b: shared });
    node.a = next as never;
    next = node as never;
  }
  heap.root.set('first', next);
  const found = dominatorsIn(region, TIES, 1e6);
  expect(found?.count).toBe(100_002);
  const number = found?.refs.indexOf(refOfNode(shared)) as number;
  expect(found?.parents[number]).toBe(1);
  expect(found?.retained[1]).toBe((found?.retained[0] as number) - (found?.own[0] as number));
});

test('an empty heap has nothing, a damaged one is refused', () => {
  const { heap, region } = newHeap();
  expect(dominatorsIn(region, TIES, 10)?.count).toBe(0);
  heap.root.set('x', heap.create(Node, {}));
  const head = region.roots.get(HEAD_ROOT);
  region.array(Int32Array, head, HEAD.words)[HEAD.root] = refAt(head);
  expect(() => dominatorsIn(region, TIES, 10)).toThrow('is damaged');
  expect(heapIn(region, TIES)).toBe(heap);
});
