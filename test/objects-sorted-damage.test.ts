/** Sorted maps where something is wrong: no space, misuse, damage; and during a collection. */
import { describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import { ANY, NODE, ROLE_MASK, ROLE_SHIFT, TREE } from '../src/layout-objects.ts';
import type { Core } from '../src/objects/core.ts';
import { any, f64, type Kind, sorted, str, u32 } from '../src/objects/kinds.ts';
import type { PersistentSorted, Range } from '../src/objects/persistent.ts';
import { checkTree } from '../src/objects/tree/tree-check.ts';
import { nodesOf } from '../src/objects/tree/tree-nodes.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { findings, headOf, leavesOf, newCore, newSorted, nodesIn, typeOf } from
  './support/sorted-maps.ts';

type Loose = PersistentSorted<unknown, unknown>;

const longText = (i: number) => `key number ${String(i).padStart(6, '0')} of many`;

/** Lets `count` allocations pass; those behind fail. The answer ends that. */
function failAfter({ memory: { region } }: Core, count: number): () => void {
  const alloc = region.alloc.bind(region);
  let left = count;
  region.alloc = (size) => {
    left -= 1;
    if (left < 0) throw new RegionError('ERR_NO_SPACE', 'the test has it so');
    return alloc(size);
  };
  return () => { region.alloc = alloc; };
}

/** Calls with the 1st, 2nd … allocation failing, until nothing fails: how many there were. */
function untilItWorks(core: Core, call: () => unknown, whenFailed: (n: number) => void): number {
  for (let n = 0; ; n++) {
    const end = failAfter(core, n);
    try {
      call();
      return n;
    } catch (error) {
      if ((error as RegionError).code !== 'ERR_NO_SPACE') throw error;
    } finally {
      end();
    }
    whenFailed(n);
  }
}

/** 3 levels of texts, filled so that the next call splits as many nodes as it can. */
function fullMap(core: Core, count: number): Loose {
  return newSorted(core, str, str, Array.from({ length: count }, (_, i) => [longText(i), `${i}`]));
}

describe('without space', () => {
  // The first entry; a leaf that grows; one that is split; the root is; branches below it are.
  test.each([0, 4, 'leaf', 'branch', 6000])('a call that fails at its n-th allocation changes ' +
    'nothing: %s', (size) => {
    const core = newCore();
    const { leafRoom, branchRoom } = nodesOf(core, core.types.ofKind(sorted(str, str)));
    const count = size === 'leaf' ? leafRoom : size === 'branch' ? leafRoom * (branchRoom + 1)
      : size as number;
    const map = fullMap(core, count);
    const { busyBlocks } = core.memory.region.stat();
    let most = 0;
    for (let i = 0; i <= count; i += often(251, 7)) {
      const key = `${longText(i)}+`;
      const before = core.memory.region.stat().busyBlocks;
      most = Math.max(most, untilItWorks(core, () => map.set(key, 'new'), () => {
        expect(core.memory.region.stat().busyBlocks).toBe(before);
        expect(map.has(key)).toBe(false);
      }));
      expect(map.get(key)).toBe('new');
      expect(findings(core, map)).toEqual([]);
    }
    for (let i = 0; i <= count; i += often(251, 7)) map.delete(`${longText(i)}+`);
    expect([...map.keys()]).toEqual(Array.from({ length: count }, (_, i) => longText(i)));
    expect(findings(core, map)).toEqual([]);
    expect(core.memory.region.stat().busyBlocks).toBeGreaterThanOrEqual(busyBlocks);
    // A value, a key, a leaf; what parts two leaves, a root; a branch.
    const least = { 0: 3, 4: 3, leaf: 5, branch: 6, 6000: 4 }[size] as number;
    expect(most).toBeGreaterThanOrEqual(least);
  });

  test('making a map fails at every allocation, and nothing stays', () => {
    const core = newCore();
    const pairs = Array.from({ length: 150 }, (_, i) => [longText(i), 'x']);
    newSorted(core, str, str);
    const { busyBlocks } = core.memory.region.stat();
    const needed = untilItWorks(core, () => core.create(sorted(str, str), pairs), (n) => {
      expect(core.memory.region.stat().busyBlocks, `allocation ${n}`).toBe(busyBlocks);
    });
    expect(needed).toBeGreaterThan(300);
  });

  test('in a region that is full entries can be replaced and deleted', () => {
    const core = newCore('256KiB');
    const map: Loose = newSorted(core, str, str);
    let count = 0;
    expectCode('ERR_NO_SPACE', () => {
      for (;; count++) map.set(longText((count * 7919) % 1_000_003), longText(count));
    });
    expect(map.size).toBe(count);
    expect(findings(core, map)).toEqual([]);
    const end = failAfter(core, 0);
    for (let i = 0; i < count; i++) {
      expect(map.delete(longText((i * 7919) % 1_000_003))).toBe(true);
      if (i % 200 === 0) expect(findings(core, map)).toEqual([]);
    }
    end();
    expect([...map]).toEqual([]);
    for (let i = 0; i < count; i++) map.set(longText(i), longText(i));
    expect(findings(core, map)).toEqual([]);
  });

  test('a value that does not fit leaves the map as it was', () => {
    const core = newCore();
    const map: Loose = newSorted(core, str, sorted(u32, u32), { a: [[1, 1]] });
    const { busyBlocks } = core.memory.region.stat();
    for (const value of [1, null, [[1, -1]], [[1, 1], [2, 'x']]]) {
      expectCode('ERR_SCHEMA', () => map.set('a', value));
      expectCode('ERR_SCHEMA', () => map.set('b', value));
    }
    expect(core.memory.region.stat().busyBlocks).toBe(busyBlocks);
    expect([...(map.get('a') as Loose)]).toEqual([[1, 1]]);
    expect([...map.keys()]).toEqual(['a']);
  });
});

describe('misuse', () => {
  test('keys of another kind', () => {
    const map: Loose = newSorted(newCore(), u32, u32, [[1, 1]]);
    for (const key of ['1', -1, 0.5, 2 ** 32, null, undefined, 1n]) {
      for (const call of [() => map.get(key), () => map.has(key), () => map.set(key, 1),
        () => map.delete(key)]) expectCode('ERR_SCHEMA', call);
    }
    expect([...map]).toEqual([[1, 1]]);
  });

  const ranges: readonly [string, unknown][] = [['gt', { gt: 'x' }], ['gte', { gte: null }],
    ['lt', { lt: new Date() }], ['lte', { lte: 1n }], ['gte', { gt: 1, gte: 1 }],
    ['lte', { lt: 1, lte: 1 }], ['reverse', { reverse: 1 }], ['limit', { limit: -1 }],
    ['limit', { limit: 1.5 }], ['limit', { limit: '1' }], ["'from'", { from: 1 }], ['5', 5],
    ['null', null]];
  test.each(ranges)('a range with a bad %s: %o', (name, range) => {
    const map: Loose = newSorted(newCore(), u32, u32, [[1, 1]]);
    for (const call of [() => map.keys(range as Range<unknown>),
      () => map.values(range as Range<unknown>), () => map.entries(range as Range<unknown>)]) {
      expect(expectCode('ERR_BAD_OPTION', call).message).toContain(name);
    }
  });

  test('every call of a stale handle, and iterations that were begun', () => {
    const core = newCore();
    const map: Loose = newSorted(core, u32, u32, [[1, 1], [2, 2]]);
    const begun = map.keys();
    begun.next();
    core.expire(null);
    for (const call of [() => map.size, () => map.get(1), () => map.has(1), () => map.set(1, 1),
      () => map.delete(1), () => map.clear(), () => map.first(), () => map.last(),
      () => map.forEach(() => {}), () => map.keys(), () => map.values(), () => map.entries(),
      () => [...map], () => map.toJS(), () => JSON.stringify(map), () => begun.next()]) {
      expectCode('ERR_STALE', call);
    }
  });
});

/** A map of three levels, and a word of it that a clause is about. */
function damaged(spoil: (core: Core, map: Loose, nodes: readonly number[]) => void) {
  const core = newCore();
  const map = fullMap(core, 4500);
  const nodes = nodesIn(core, map);
  spoil(core, map, nodes);
  const found: { id: string; ref: number }[] = [];
  checkTree(core, headOf(map), (id, ref) => found.push({ id, ref }));
  return { core, map, nodes, found };
}

const put = (core: Core, ref: number, word: number, value: number) => {
  core.memory.views(ref).i32[core.memory.word(ref) + word] = value;
};
const take = (core: Core, ref: number, word: number) =>
  core.memory.views(ref).i32[core.memory.word(ref) + word];

describe('each clause is found where it is broken', () => {
  const third = (nodes: readonly number[]) => nodes.at(-3) as number;
  const cases: readonly [string, (core: Core, map: Loose, nodes: readonly number[]) => number][] = [
    ['T1', (core, map) => {
      put(core, headOf(map), TREE.root, 0);
      return headOf(map);
    }],
    ['T2', (core, _map, nodes) => {
      put(core, third(nodes), NODE.count, 10_000);
      return third(nodes);
    }],
    ['T3', (core, _map, nodes) => {
      // The second branch below the root makes way for the last leaf.
      const leaf = nodes.at(-1) as number;
      put(core, nodes[0], childWord(core, nodes[0], nodes[2]), leaf);
      return leaf;
    }],
    ['T4', (core, _map, nodes) => {
      const [a, b] = [take(core, third(nodes), NODE.keys), take(core, third(nodes), NODE.keys + 1)];
      put(core, third(nodes), NODE.keys, b);
      put(core, third(nodes), NODE.keys + 1, a);
      return third(nodes);
    }],
    ['T5', (core, map, nodes) => {
      // The key that parts the first two leaves is what parts the next two.
      const [, branch] = nodes;
      const [a, b] = [take(core, branch, NODE.keys), take(core, branch, NODE.keys + 1)];
      put(core, branch, NODE.keys, b);
      put(core, branch, NODE.keys + 1, a);
      const { leafTag } = nodesOf(core, typeOf(map));
      const first = nodes.find((ref) => core.memory.tag(ref) === leafTag) as number;
      return take(core, first, NODE.next);
    }],
    ['T6', (core, _map, nodes) => {
      put(core, third(nodes), NODE.count, 0);
      return third(nodes);
    }],
    ['T7', (core, _map, nodes) => {
      put(core, third(nodes), NODE.next, third(nodes));
      return third(nodes);
    }],
    ['T8', (core, map) => {
      put(core, headOf(map), TREE.count, 4499);
      return headOf(map);
    }],
    ['T9', (core, _map, nodes) => {
      put(core, third(nodes), NODE.keys + 1, take(core, third(nodes), NODE.keys));
      return third(nodes);
    }],
    ['T10', (core, map, nodes) => {
      const { leafRoom } = nodesOf(core, typeOf(map));
      const hints = NODE.keys + leafRoom + (leafRoom & 1);
      put(core, third(nodes), hints + 3, take(core, third(nodes), hints + 3) + 1);
      return third(nodes);
    }],
    ['T10', (core, map, nodes) => {
      const { branchRoom } = nodesOf(core, typeOf(map));
      put(core, nodes[1], NODE.keys + branchRoom + (branchRoom & 1), 0);
      return nodes[1];
    }],
  ];
  test.each(cases)('%s', (id, spoil) => {
    let at = 0;
    const { found } = damaged((core, map, nodes) => { at = spoil(core, map, nodes); });
    expect(found.filter((one) => one.id === id).map(({ ref }) => ref)).toContain(at);
  });

  test('nothing is found where nothing is wrong', () => {
    expect(damaged(() => {}).found).toEqual([]);
  });
});

/** Word of a branch where a child stands. */
function childWord(core: Core, branch: number, child: number): number {
  const word = core.memory.word(branch);
  return core.memory.views(branch).i32.indexOf(child, word + NODE.keys) - word;
}

test('damage: calls fail with RegionError or give something else, and end', () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const codes = new Set<string>();
  for (let round = 0; round < often(80, 5000); round++) {
    const core = newCore('2MiB');
    const kinds: [Kind, (i: number) => unknown][] = [[str, longText], [f64, (i) => i / 3]];
    const [kind, keyOf] = kinds[round % 2];
    const map: Loose = newSorted(core, kind, u32,
      Array.from({ length: 2500 }, (_, i) => [keyOf(i), i]));
    const nodes = [headOf(map), ...nodesIn(core, map)];
    for (let i = 1 + random(4); i > 0; i--) {
      const ref = nodes[random(4) === 0 ? random(3) : random(nodes.length)];
      const value = [0, 1, -1, random(2 ** 32) | 0, nodes[random(nodes.length)], random(200)];
      // A size is never believed by a map, but its type is, as its handle exists.
      put(core, ref, Number(ref === nodes[0]) + random(ref === nodes[0] ? 3 : 128),
        value[random(value.length)]);
    }
    const calls = [() => map.get(keyOf(random(3000))), () => map.set(keyOf(random(3000)), 1),
      () => map.delete(keyOf(random(3000))), () => [...map].length, () => map.first(),
      () => [...map.keys({ reverse: true, gte: keyOf(random(3000)) })].length,
      () => findings(core, map).length, () => random(5) === 0 && map.clear()];
    for (let i = 0; i < 40; i++) {
      try {
        calls[random(calls.length)]();
      } catch (error) {
        if (!(error instanceof RegionError)) {
          throw new Error(`seed ${seed}, round ${round}`, { cause: error });
        }
        codes.add(error.code);
      }
    }
  }
  expect(codes).toContain('ERR_CORRUPT');
});

/** What a collector that works step by step would do: everything from one map, as it was then. */
class Marking {
  readonly #core: Core;
  readonly #marked = new Set<number>();
  readonly #due: number[] = [];

  constructor(core: Core, root: number) {
    this.#core = core;
    this.#mark(root);
    core.memory.watcher = {
      born: (ref) => this.#marked.add(ref),
      dropped: (ref) => this.#mark(ref),
      kept: (ref) => this.#mark(ref),
      settle() {},
    };
  }

  #mark(ref: number): void {
    if (ref === 0 || ref === 1 || this.#marked.has(ref)) return;
    this.#marked.add(ref);
    this.#due.push(ref);
  }

  /** Looks into one block. Was there one? */
  step(): boolean {
    const ref = this.#due.pop();
    if (ref !== undefined) for (const other of refsIn(this.#core, ref)) this.#mark(other);
    return ref !== undefined;
  }

  /** What is reachable now and was not marked. */
  missing(root: number): number[] {
    while (this.step());
    this.#core.memory.watcher = null;
    const all = new Set([root]);
    for (const ref of all) for (const other of refsIn(this.#core, ref)) all.add(other);
    return [...all].filter((ref) => !this.#marked.has(ref));
  }
}

function refsIn(core: Core, ref: number): number[] {
  const tag = core.memory.tag(ref);
  const family = core.family(tag & ROLE_MASK);
  const found: number[] = [];
  family?.slots(core, core.types.at(tag >>> ROLE_SHIFT), core.memory.views(ref),
    core.memory.word(ref), 0, (views, index, isAny) => {
      if (!isAny || views.i32[index + 1] === ANY.ref) found.push(views.i32[index]);
    });
  return found.filter((one) => one !== 0 && one !== 1);
}

test.each([str, any])('a collection under way sees all that stays; values of $name', (kind) => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const core = newCore();
  const map: Loose = newSorted(core, str, kind);
  for (let round = 0; round < often(40, 1000); round++) {
    const marking = new Marking(core, headOf(map));
    const isGrowing = round % 3 < 2;
    for (let i = random(1500); i > 0; i--) {
      if (random(100) < (isGrowing ? 80 : 10)) map.set(longText(random(4000)), longText(i));
      else map.delete(longText(random(4000)));
      if (random(2) === 0) marking.step();
    }
    if (random(20) === 0) map.clear();
    expect(marking.missing(headOf(map)), `seed ${seed}`).toEqual([]);
    expect(findings(core, map)).toEqual([]);
  }
  expect(leavesOf(core, map).length).toBeGreaterThan(1);
});
