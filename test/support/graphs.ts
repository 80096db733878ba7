/**
 * Random graphs of objects and collections of every family, beside the same graph in plain
 * JavaScript. What is reachable is worked out from the latter, by a walk of its own.
 */
import { expect } from 'vitest';
import { heap } from '../../src/disciplines/heap.ts';
import { HEAD, HEAD_ROOT, ROLE, ROLE_MASK } from '../../src/layout-objects.ts';
import { slab } from '../../src/methods/slab.ts';
import type { Handle } from '../../src/objects/handles.ts';
import { heapIn, type ObjectHeap } from '../../src/objects/heap.ts';
import { any, list, map, optional, ref, set, sorted, str, u32 } from '../../src/objects/kinds.ts';
import { refAt } from '../../src/objects/memory.ts';
import { type Persistent, struct } from '../../src/objects/struct.ts';
import { loadText } from '../../src/objects/text.ts';
import { createRegion } from '../../src/region/region.ts';
import type { Method, Region } from '../../src/types.ts';
import { newSeed, type Random, randomFrom } from './oracle.ts';

export const Node = struct('Node', {
  id: u32,
  name: str,
  a: ref(() => Node),
  b: ref(() => Node),
  maybe: optional(ref(() => Node)),
  items: list(ref(() => Node)),
  named: map(str, ref(() => Node)),
  labels: map(ref(() => Node), str),
  set: set(ref(() => Node)),
  ordered: sorted(u32, ref(() => Node)),
  words: sorted(str, str),
  loose: any,
});
type NodeHandle = Persistent<typeof Node>;

/** An object as the test knows it. */
export interface Model {
  readonly id: number;
  name: string;
  a: Model | null;
  b: Model | null;
  maybe: Model | undefined;
  items: Model[];
  named: Map<string, Model>;
  labels: Map<Model, string>;
  set: Set<Model>;
  ordered: Map<number, Model>;
  words: Map<string, string>;
  /** A text, a number, a big integer, an object, or an array of objects. */
  loose: unknown;
}

const LETTERS = 'abcäöü\u4e2d\u6587\u{1f600}\ud800';

export class World {
  readonly heap: ObjectHeap;
  readonly region: Region;
  readonly random: Random;
  readonly roots = new Map<string, Model>();
  /** Every object there ever was, with its handle. */
  readonly handles = new Map<Model, NodeHandle>();
  #next = 1;

  constructor(heap: ObjectHeap, region: Region, random: Random) {
    this.heap = heap;
    this.region = region;
    this.random = random;
  }

  /** One change: of an object that the program can get at, or of one that is reachable. */
  step(onlyReachable = false): void {
    const { random } = this;
    const usable = onlyReachable ? [...this.reachable()]
      : [...this.handles.keys()].filter((one) => !this.isStale(one));
    const target = usable.length === 0 || random(4) === 0 ? this.#create()
      : usable[random(usable.length)];
    const other = usable.length === 0 || random(3) === 0 ? this.#create()
      : usable[random(usable.length)];
    if (random(6) === 0) this.#changeRoot(target);
    else this.#change(target, this.#handleOf(target), other, this.#handleOf(other));
  }

  isStale(model: Model): boolean {
    return (this.handles.get(model) as unknown as Handle).$at < 0;
  }

  /** What is found from the root. */
  reachable(): Set<Model> {
    const found = new Set<Model>(this.roots.values());
    for (const one of found) {
      const { a, b, maybe, items, named, labels, set: members, ordered, loose } = one;
      const all = [a, b, maybe, ...items, ...named.values(), ...labels.keys(), ...members,
        ...ordered.values(), ...(Array.isArray(loose) ? loose : [loose])];
      for (const next of all) if (isModel(next)) found.add(next);
    }
    return found;
  }

  /** Every reachable object has the contents it should have. */
  verify(): void {
    for (const [name, model] of this.roots) {
      expect(this.heap.root.get(name)).toBe(this.#handleOf(model));
    }
    expect(this.heap.root.size).toBe(this.roots.size);
    for (const model of this.reachable()) this.#verify(model, this.#handleOf(model));
    expect(this.heap.check()).toEqual([]);
    expect(this.region.check()).toEqual([]);
  }

  /** Nothing but what is reachable is there. Handles of the rest are stale. */
  verifyExactly(): void {
    const live = this.reachable();
    expect(this.ids()).toEqual([...live].map(({ id }) => id).sort((x, y) => x - y));
    for (const model of this.handles.keys()) expect(this.isStale(model)).toBe(!live.has(model));
    const texts = [...this.roots.keys()];
    for (const one of live) {
      texts.push(one.name, ...one.named.keys(), ...one.labels.values());
      if (typeof one.loose === 'string') texts.push(one.loose);
    }
    expect(this.texts()).toEqual(texts.filter((text) => text !== '').sort());
    this.verify();
  }

  /** Of the objects that are there. */
  ids(): number[] {
    return [...this.heap.scan(Node)].length === 0 ? []
      : Array.from(this.heap.scan(Node), ({ id }) => id).sort((x, y) => x - y);
  }

  /** Texts that are there, but for those that describe types, and what is in sorted maps. */
  texts(): string[] {
    const { memory } = this.core;
    const found: string[] = [];
    for (const { address, busy } of this.region.blocks()) {
      const role = busy ? memory.tag(refAt(address)) & ROLE_MASK : 0;
      if (role !== ROLE.latin1 && role !== ROLE.utf8 && role !== ROLE.utf16) continue;
      const text = loadText(memory, refAt(address)) as string;
      if (!/^(\{"(struct|kind)":|~)/.test(text)) found.push(text);
    }
    return found.sort();
  }

  get core() {
    return (this.heap.root as unknown as Handle).$bound.core;
  }

  /** The words of the heap's head. */
  head(): Int32Array {
    return this.region.array(Int32Array, this.region.roots.get(HEAD_ROOT), HEAD.words);
  }

  #create(): Model {
    const id = this.#next++;
    const name = this.text();
    const model: Model = { id, name, a: null, b: null, maybe: undefined, items: [],
      named: new Map(), labels: new Map(), set: new Set(), ordered: new Map(), words: new Map(),
      loose: undefined };
    this.handles.set(model, this.heap.create(Node, { id, name }));
    return model;
  }

  text(): string {
    const { random } = this;
    const chars = [...LETTERS];
    const length = random(10) === 0 ? random(400) : random(12);
    return Array.from({ length }, () => chars[random(random(2) === 0 ? 3 : chars.length)]).join('');
  }

  #handleOf(model: Model): NodeHandle {
    return this.handles.get(model) as NodeHandle;
  }

  #changeRoot(target: Model): void {
    const { random, heap, roots } = this;
    const names = [...roots.keys()];
    if (names.length > 50 && random(2) === 0) {
      const name = names[random(names.length)];
      expect(heap.root.delete(name)).toBe(roots.delete(name));
    } else {
      const name = random(20) === 0 ? this.text() : `root ${random(80)}`;
      roots.set(name, target);
      heap.root.set(name, this.#handleOf(target));
    }
  }

  #change(model: Model, handle: NodeHandle, other: Model, value: NodeHandle): void {
    const what = CHANGES[this.random(CHANGES.length)];
    what(this, model, handle, other, value);
  }

  #verify(model: Model, handle: NodeHandle): void {
    const handles = (all: Iterable<Model>) => Array.from(all, (one) => this.#handleOf(one));
    const pairs = <K>(all: Iterable<[K, Model]>) =>
      Array.from(all, ([key, one]) => [key, this.#handleOf(one)]);
    const isSame = handle.id === model.id && handle.name === model.name
      && handle.a === (model.a && this.#handleOf(model.a))
      && handle.b === (model.b && this.#handleOf(model.b))
      && handle.maybe === (model.maybe && this.#handleOf(model.maybe))
      && isEqual([...handle.items], handles(model.items))
      && isEqual([...handle.named].flat(), pairs(model.named).flat())
      && isEqual([...handle.labels].flat(),
        [...model.labels].flatMap(([one, text]) => [this.#handleOf(one), text]))
      && [...model.labels].every(([one, text]) => handle.labels.get(this.#handleOf(one)) === text)
      && isEqual([...handle.set], handles(model.set))
      && [...model.set].every((one) => handle.set.has(this.#handleOf(one)))
      && isEqual([...handle.ordered].flat(),
        pairs([...model.ordered].sort(([x], [y]) => x - y)).flat())
      && isEqual([...handle.words].flat(),
        [...model.words].sort(([x], [y]) => (x < y ? -1 : 1)).flat())
      && this.#isLoose(model.loose, handle.loose);
    if (!isSame) expect.fail(`object ${model.id} has other contents`);
  }

  #isLoose(model: unknown, value: unknown): boolean {
    if (isModel(model)) return value === this.#handleOf(model);
    if (!Array.isArray(model)) return value === model;
    return isEqual([...(value as Iterable<unknown>)],
      (model as Model[]).map((one) => this.#handleOf(one)));
  }
}

function isModel(value: unknown): value is Model {
  return typeof value === 'object' && value !== null && 'ordered' in value;
}

function isEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

type Change = (world: World, model: Model, handle: NodeHandle, other: Model, value: NodeHandle) =>
  void;

/** What may happen to an object. Collections become large now and then. */
const CHANGES: readonly Change[] = [
  (world, model, handle) => {
    model.name = world.text();
    handle.name = model.name;
  },
  (_, model, handle, other, value) => {
    model.a = other;
    handle.a = value;
  },
  (_, model, handle, other, value) => {
    model.b = other;
    handle.b = value;
  },
  (_, model, handle) => {
    model.a = null;
    handle.a = null;
  },
  ({ random }, model, handle, other, value) => {
    const isGone = random(3) === 0;
    model.maybe = isGone ? undefined : other;
    handle.maybe = isGone ? undefined : value;
  },
  ({ random }, model, handle, other, value) => {
    const count = random(10) === 0 ? random(300) : 1;
    for (let i = 0; i < count; i++) {
      model.items.push(other);
      handle.items.push(value);
    }
  },
  ({ random }, model, handle, other, value) => {
    const at = random(model.items.length + 1);
    const gone = random(random(4) === 0 ? model.items.length + 1 : 3);
    model.items.splice(at, gone, other);
    handle.items.splice(at, gone, value);
  },
  ({ random }, model, handle, other, value) => {
    const count = random(10) === 0 ? random(120) : 1;
    for (let i = 0; i < count; i++) {
      const key = `key ${random(count === 1 ? 20 : 4000)}`;
      model.named.set(key, other);
      handle.named.set(key, value);
    }
  },
  ({ random }, model, handle) => {
    const keys = [...model.named.keys()];
    for (const key of random(4) === 0 ? keys : keys.slice(0, 1)) {
      model.named.delete(key);
      handle.named.delete(key);
    }
  },
  (world, model, handle, other, value) => {
    const label = world.text();
    model.labels.set(other, label);
    handle.labels.set(value, label);
  },
  (_, model, handle, other, value) => {
    expect(handle.labels.delete(value)).toBe(model.labels.delete(other));
  },
  (_, model, handle, other, value) => {
    model.set.add(other);
    handle.set.add(value);
  },
  (_, model, handle, other, value) => {
    expect(handle.set.delete(value)).toBe(model.set.delete(other));
  },
  ({ random }, model, handle, other, value) => {
    const count = random(10) === 0 ? random(300) : 1;
    for (let i = 0; i < count; i++) {
      const key = random(count === 1 ? 50 : 10_000);
      model.ordered.set(key, other);
      handle.ordered.set(key, value);
    }
  },
  ({ random }, model, handle) => {
    const keys = [...model.ordered.keys()];
    for (const key of random(4) === 0 ? keys : keys.slice(0, 2)) {
      expect(handle.ordered.delete(key)).toBe(model.ordered.delete(key));
    }
  },
  (world, model, handle) => {
    const count = world.random(10) === 0 ? world.random(100) : 1;
    for (let i = 0; i < count; i++) {
      const key = `~${world.random(1000)}${world.text()}`;
      const word = `~${world.text()}`;
      model.words.set(key, word);
      handle.words.set(key, word);
    }
  },
  (world, model, handle) => {
    const keys = [...model.words.keys()];
    for (const key of world.random(4) === 0 ? keys : keys.slice(0, 2)) {
      expect(handle.words.delete(key)).toBe(model.words.delete(key));
    }
  },
  (world, model, handle, other, value) => {
    const { random } = world;
    const kind = random(6);
    const [plain, given] = kind === 0 ? [other, value] : kind === 1 ? [[other], [value]]
      : kind === 2 ? [2n ** 70n, 2n ** 70n] : kind === 3 ? [random(9), 0] : [world.text(), 0];
    model.loose = plain;
    handle.loose = kind >= 3 ? plain : given;
  },
];

/** A heap whose clock goes on by one at each look: a step of `budgetMs: n` looks n times. */
export function tickingHeap(method: Method = slab): { heap: ObjectHeap; world: World } {
  const region = createRegion(heap({ capacity: '256MiB' }), method, { name: 'app' });
  let time = 0;
  const made = heapIn(region, { now: () => time++ });
  return { heap: made, world: new World(made, region, randomFrom(newSeed())) };
}
