/**
 * A graph of objects that changes at random, twice: in a heap and as plain JavaScript. Both see the
 * same calls in the same order; which ones depends on the plain one and on the seed only, so that a
 * process that was killed can be followed by another one.
 */
import { any, bytes, date, f64, list, map, optional, ref, set, sorted, str, u32 } from
  '../../src/objects/kinds.ts';
import type { ObjectHeap } from '../../src/objects/heap.ts';
import type { PersistentMap } from '../../src/objects/persistent.ts';
import { type Persistent, struct } from '../../src/objects/struct.ts';
import type { Random } from '../../tools/torture/random.ts';

export const Node = struct('Node', {
  id: u32, label: str, weight: f64, due: optional(date), note: optional(str), blob: bytes(),
  tags: list(str), extra: any,
  get friend() { return ref(Node); },
  get links() { return list(ref(Node)); },
  attributes: map(str, any), seen: set(u32), ranks: sorted(f64, str),
});
type Node = Persistent<typeof Node>;
const NODES = map(u32, ref(Node));

/** The same as plain JavaScript, which is also what `toJS` gives. */
export interface PlainNode {
  id: number;
  label: string;
  weight: number;
  due: Date | undefined;
  note: string | undefined;
  blob: Uint8Array;
  tags: string[];
  extra: unknown;
  friend: PlainNode | null;
  links: (PlainNode | null)[];
  attributes: Map<string, unknown>;
  seen: Set<number>;
  ranks: Map<number, string>;
}
export type PlainWorld = Map<number, PlainNode>;

export function newWorld(heap: ObjectHeap): PlainWorld {
  heap.root.set('nodes', heap.create(NODES));
  return new Map();
}

function nodesOf(heap: ObjectHeap): PersistentMap<number, Node | null> {
  return heap.root.get('nodes') as PersistentMap<number, Node | null>;
}

/** What the heap holds, as plain JavaScript; sorted maps come in the order of their keys. */
export function plainOf(heap: ObjectHeap): PlainWorld {
  return nodesOf(heap).toJS() as PlainWorld;
}

/** The plain world with sorted maps in the order of their keys. */
export function inOrder(world: PlainWorld): PlainWorld {
  for (const node of reachable(world)) {
    node.ranks = new Map([...node.ranks].sort(([a], [b]) => a - b));
  }
  return world;
}

/** Every node that is found from the map: by links, friends and attributes as well. */
export function reachable(world: PlainWorld): Set<PlainNode> {
  const found = new Set(world.values());
  for (const node of found) {
    for (const next of [node.friend, ...node.links, ...node.attributes.values()]) {
      if (isNode(next)) found.add(next);
    }
  }
  return found;
}

function isNode(value: unknown): value is PlainNode {
  return typeof value === 'object' && value !== null && 'ranks' in value;
}

const ALPHABET = ['a', 'bcd', 'ümläut', '日本語', 'зима', '🜁🜂', '\ud800', '', 'long '.repeat(20)];

function text(random: Random): string {
  return Array.from({ length: random.int(4) }, () => random.pick(ALPHABET)).join('');
}

/** A value of kind `any`, plain in both worlds. */
function value(random: Random, depth = 0): unknown {
  const choice = random.int(depth > 2 ? 8 : 12);
  if (choice < 2) return random.int(2 ** 31) - 2 ** 30;
  if (choice === 2) return random.int(1000) / 7;
  if (choice === 3) return text(random);
  if (choice === 4) return [null, undefined, true, false, Number.NaN, -0][random.int(6)];
  if (choice === 5) return BigInt(random.int(2 ** 31)) ** 5n * (random.chance(0.5) ? 1n : -1n);
  if (choice === 6) return new Date(random.int(2 ** 31) * 1000);
  if (choice === 7) return new Float64Array([random.int(10), 0.5]);
  const items = Array.from({ length: random.int(4) }, () => value(random, depth + 1));
  if (choice < 10) return items;
  if (choice === 10) return Object.fromEntries(items.map((item, i) => [`k${i}`, item]));
  return new Map(items.map((item, i) => [i, item]));
}

type Step = (both: { own: Node; plain: PlainNode; random: Random; heap: ObjectHeap;
  world: PlainWorld; pick: () => [Node | null, PlainNode | null] }) => void;

/** Everything that may happen to a node; own and plain see the same. */
const STEPS: readonly Step[] = [
  ({ own, plain, random }) => { plain.label = own.label = text(random); },
  ({ own, plain, random }) => { plain.weight = own.weight = random.int(1e6) / 3; },
  ({ own, plain, random }) => {
    const due = random.chance(0.3) ? undefined : new Date(random.int(2 ** 31) * 1000);
    plain.due = due;
    own.due = due;
  },
  ({ own, plain, random }) => {
    plain.note = own.note = random.chance(0.3) ? undefined : text(random);
  },
  ({ own, plain, random }) => {
    const blob = random.fill(new Uint8Array(random.int(200)));
    plain.blob = blob;
    own.blob = blob;
  },
  ({ own, plain, random }) => {
    const extra = value(random);
    plain.extra = extra;
    own.extra = extra;
  },
  ({ own, plain, random }) => {
    const words = Array.from({ length: random.int(5) }, () => text(random));
    plain.tags.push(...words);
    own.tags.push(...words);
  },
  ({ own, plain, random }) => {
    const [at, count] = [random.int(plain.tags.length + 1), random.int(3)];
    const word = text(random);
    plain.tags.splice(at, count, word);
    own.tags.splice(at, count, word);
  },
  ({ own, plain }) => {
    plain.tags.reverse();
    own.tags.reverse();
  },
  ({ own, plain, pick }) => { [own.friend, plain.friend] = pick(); },
  ({ own, plain, pick }) => {
    const [a, b] = pick();
    own.links.push(a);
    plain.links.push(b);
  },
  ({ own, plain, random }) => {
    if (random.chance(0.5)) {
      own.links.shift();
      plain.links.shift();
    } else {
      own.links.pop();
      plain.links.pop();
    }
  },
  ({ own, plain, random }) => {
    const key = `key ${random.int(30)}`;
    const item = value(random);
    own.attributes.set(key, item);
    plain.attributes.set(key, item);
  },
  ({ own, plain, random }) => {
    const key = `key ${random.int(30)}`;
    own.attributes.delete(key);
    plain.attributes.delete(key);
  },
  ({ own, plain, random, pick }) => {
    const [a, b] = pick();
    const key = `node ${random.int(3)}`;
    own.attributes.set(key, a);
    plain.attributes.set(key, b);
  },
  ({ own, plain, random }) => {
    for (let i = random.int(40); i > 0; i--) {
      const n = random.int(100);
      if (random.chance(0.6)) {
        own.seen.add(n);
        plain.seen.add(n);
      } else {
        own.seen.delete(n);
        plain.seen.delete(n);
      }
    }
  },
  ({ own, plain, random }) => {
    for (let i = random.int(60); i > 0; i--) {
      const n = random.int(400) / 4;
      if (random.chance(0.6)) {
        const word = text(random);
        own.ranks.set(n, word);
        plain.ranks.set(n, word);
      } else {
        own.ranks.delete(n);
        plain.ranks.delete(n);
      }
    }
  },
];

function newPlain(id: number, label: string): PlainNode {
  return { id, label, weight: 0, due: undefined, note: undefined, blob: new Uint8Array(0),
    tags: [], extra: undefined, friend: null, links: [], attributes: new Map(), seen: new Set(),
    ranks: new Map() };
}

/** One change of both worlds. */
export function step(heap: ObjectHeap, world: PlainWorld, random: Random): void {
  const nodes = nodesOf(heap);
  const ids = [...world.keys()];
  if (ids.length === 0 || (ids.length < 60 && random.chance(0.15))) {
    const id = random.int(2 ** 31);
    const label = text(random);
    nodes.set(id, heap.create(Node, { id, label }));
    world.set(id, newPlain(id, label));
    return;
  }
  const id = random.pick(ids);
  if (random.chance(0.06)) {
    nodes.delete(id);
    world.delete(id);
    return;
  }
  const pick = (): [Node | null, PlainNode | null] => {
    if (random.chance(0.1)) return [null, null];
    const other = random.pick(ids);
    return [nodes.get(other) ?? null, world.get(other) ?? null];
  };
  const own = nodes.get(id) as Node;
  const plain = world.get(id) as PlainNode;
  random.pick(STEPS)({ own, plain, random, heap, world, pick });
}
