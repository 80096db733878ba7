/**
 * Maps and sets of heaps as a checker and a collector see them: every invariant is broken once,
 * damage never hangs, and what is reachable is visited, also while the map changes.
 */
import { describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import { BUCKETS, DEAD, DIRECTORY, ENTRIES, ENTRY, HASH, ROLE_MASK, ROLE_SHIFT, ROOM_SHIFT }
  from '../src/layout-objects.ts';
import { type Handle, refOf } from '../src/objects/handles.ts';
import { tableOf } from '../src/objects/hash/hash.ts';
import { hashes } from '../src/objects/hash/hash-family.ts';
import { map, ref, set, str, u32 } from '../src/objects/kinds.ts';
import { addressAt, refAt } from '../src/objects/memory.ts';
import { struct } from '../src/objects/struct.ts';
import { collidingTexts, expectSound, findings, insideOf, newHash } from './support/hashes.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const Item = struct('Item', { id: u32 });

/** A map, and its words by the names of the layout. */
function opened(size: number) {
  const heap = newHeap();
  const hash = newHash(heap, map(str, u32), Array.from({ length: size }, (_, i) => [`k${i}`, i]));
  const { core, type, ref: header } = insideOf(hash);
  const { memory } = core;
  const { shape } = tableOf(core, type);
  const { i32 } = memory.views(header);
  const words = (block: number) => ({
    get: (word: number) => i32[memory.word(block) + word],
    set: (word: number, value: number) => { i32[memory.word(block) + word] = value; },
  });
  const chunkOf = (index: number) => shape.chunkOf(memory.views(header), header, index);
  /** Word of a field of an entry. */
  const entry = (index: number, field: number) => shape.wordOf(chunkOf(index), index) + field;
  return { heap, hash, core, type, header, memory, shape, i32, words, chunkOf, entry };
}

type Opened = ReturnType<typeof opened>;

/** What is broken, in a map of how many entries; answers the block where that is found. */
const CLAUSES: readonly (readonly [string, string, number, (map: Opened) => number])[] = [
  ['H1', 'more entries than places', 5, ({ header, words }) => {
    words(header).set(HASH.used, 1000);
    return header;
  }],
  ['H1', 'less than none', 5, ({ header, words }) => {
    words(header).set(HASH.size, -1);
    return header;
  }],
  ['H1', 'the first one behind the last', 5, ({ header, words }) => {
    words(header).set(HASH.first, 6);
    return header;
  }],
  ['H2', 'entries of another type', 5, ({ header, words, chunkOf }) => {
    words(chunkOf(0)).set(0, words(chunkOf(0)).get(0) + (1 << ROLE_SHIFT));
    return header;
  }],
  ['H2', 'no block', 5, ({ header, words, chunkOf }) => {
    words(header).set(HASH.entries, chunkOf(0) + 1);
    return header;
  }],
  ['H2', 'another room than the header says', 5, ({ header, words, chunkOf }) => {
    const chunk = words(chunkOf(0));
    chunk.set(ENTRIES.counts, chunk.get(ENTRIES.counts) + (1 << ROOM_SHIFT));
    return header;
  }],
  ['H2', 'a directory of less', 5000, ({ header, words }) => {
    const directory = words(words(header).get(HASH.entries));
    directory.set(0, (directory.get(0) & ROLE_MASK) | (2 << ROLE_SHIFT));
    return header;
  }],
  ['H2', 'no last block', 5000, ({ header, words }) => {
    words(words(header).get(HASH.entries)).set(DIRECTORY.entries + 4, 0);
    return header;
  }],
  ['H3', 'a block that counts one more', 5, ({ words, chunkOf }) => {
    words(chunkOf(0)).set(ENTRIES.counts, words(chunkOf(0)).get(ENTRIES.counts) + 1);
    return chunkOf(0);
  }],
  ['H3', 'a header that counts one less', 5, ({ header, words }) => {
    words(header).set(HASH.size, 4);
    return header;
  }],
  ['H4', 'an entry before the first', 5, ({ header, words, chunkOf }) => {
    words(header).set(HASH.first, 1);
    return chunkOf(0);
  }],
  ['H4', 'something behind the last', 5, ({ hash, i32, chunkOf, entry }) => {
    hash.set('so that there are more places', 1);
    expectSound(hash);
    i32[entry(6, ENTRY.slots)] = 1;
    return chunkOf(6);
  }],
  ['H5', 'many entries without chains', 20, ({ header, words }) => {
    words(header).set(HASH.buckets, 0);
    return header;
  }],
  ['H5', 'more chains than there is room for', 20, ({ header, words }) => {
    const heads = words(words(header).get(HASH.heads));
    heads.set(BUCKETS.room, 3);
    return header;
  }],
  ['H5', 'heads that are none', 5000, ({ header, words }) => {
    const directory = words(words(header).get(HASH.heads));
    directory.set(DIRECTORY.entries, words(header).get(HASH.entries));
    return header;
  }],
  ['H6', 'an entry that is in no chain', 20, ({ header, i32, words, memory, shape }) => {
    const heads = shape.headsOf(memory.views(header), header, 0);
    for (let bucket = 0; bucket < words(header).get(HASH.buckets); bucket++) {
      i32[shape.headWord(heads, bucket)] = 0;
    }
    return header;
  }],
  ['H6', 'a chain that ends in itself', 20, ({ header, words, i32, entry }) => {
    i32[entry(7, ENTRY.next)] = 8;
    return words(header).get(HASH.heads);
  }],
  ['H6', 'a chain that leads out', 20, ({ header, words, i32, entry }) => {
    i32[entry(7, ENTRY.next)] = 999;
    return words(header).get(HASH.heads);
  }],
  ['H7', 'another hash', 5, ({ i32, chunkOf, entry }) => {
    i32[entry(3, ENTRY.hash)] += 1;
    return chunkOf(3);
  }],
  ['H7', 'a key that is no text', 5, ({ header, i32, shape, chunkOf, entry }) => {
    i32[entry(3, shape.keyAt)] = header;
    return chunkOf(3);
  }],
  ['H8', 'a key that is there twice', 5, ({ i32, shape, chunkOf, entry }) => {
    for (const field of [ENTRY.hash, shape.keyAt]) i32[entry(3, field)] = i32[entry(2, field)];
    return chunkOf(3);
  }],
];

test.each(CLAUSES)('%s: %s', (id, _what, size, damage) => {
  const map = opened(size);
  expectSound(map.hash);
  const block = damage(map);
  expect(findings(map.hash).map((found) => [found.id, found.address])[0])
    .toEqual([id, addressAt(block)]);
});

test('H8 of references', () => {
  const heap = newHeap();
  const items = Array.from({ length: 3 }, (_, id) => heap.heap.create(Item, { id }));
  const hash = newHash(heap, set(ref(Item)), items);
  expectSound(hash);
  const { core, type, ref: header } = insideOf(hash);
  const { shape } = tableOf(core, type);
  const views = core.memory.views(header);
  const { i32 } = views;
  const chunk = shape.chunkOf(views, header, 0);
  const [from, to] = [0, 2].map((index) => shape.wordOf(chunk, index));
  for (const field of [ENTRY.hash, shape.keyAt]) i32[to + field] = i32[from + field];
  expect(findings(hash).map(({ id }) => id)).toEqual(['H8']);
});

test('damage: nothing hangs, and nothing is thrown but errors of regions', () => {
  const random = randomFrom(newSeed());
  for (let round = 0; round < often(30, 3000); round++) {
    const { hash, core, type, header, memory, i32 } = opened([6, 30, 1500][round % 3]);
    const blocks: number[] = [header];
    for (const { address, busy } of core.memory.region.blocks()) {
      if (busy) blocks.push(refAt(address));
    }
    for (let i = 0; i < 1 + random(3); i++) {
      const block = blocks[random(4) === 0 ? 0 : random(blocks.length)];
      const word = memory.word(block) + random(memory.room(block) >>> 2);
      i32[word] = [0, 1, -1, i32[word] + 1, i32[word] - 1, 1 << random(31), header][random(7)];
    }
    const attempts = [() => findings(hash), () => hash.get('k1'), () => hash.set('new', 1),
      () => hash.delete('k2'), () => [...hash.keys()], () => hash.set('k3', 2),
      () => Array.from({ length: 40 }, (_, n) => hash.set(`more ${n}`, 1)),
      () => tableOf(core, type).rehash(header), () => hash.clear()];
    for (const attempt of attempts) {
      try {
        attempt();
      } catch (error) {
        if (!(error instanceof RegionError)) throw error;
      }
    }
  }
});

describe('a collector', () => {
  /** Blocks that slots of a block refer to. */
  function referredFrom(inside: ReturnType<typeof insideOf>, block: number): number[] {
    const { core, type } = inside;
    const { memory } = core;
    const found: number[] = [];
    if (!hashes.roles.includes(memory.tag(block) & ROLE_MASK)) return found;
    for (let from = 0, isFirst = true; isFirst || from > 0; isFirst = false) {
      from = hashes.slots(core, type, memory.views(block), memory.word(block), from,
        (views, index) => found.push(views.i32[index]));
    }
    return found.filter((one) => one !== 0);
  }

  function reachable(inside: ReturnType<typeof insideOf>): Set<number> {
    const seen = new Set([inside.ref]);
    for (const block of seen) for (const one of referredFrom(inside, block)) seen.add(one);
    return seen;
  }

  test('visits every block, and none that was freed', () => {
    const heap = newHeap();
    const hash = newHash(heap, map(str, str));
    const others = heap.region.stat().busyBlocks - 1;
    const inside = insideOf(hash);
    const random = randomFrom(newSeed());
    for (let i = 0; i < 20_000; i++) {
      const key = `${random(4000)}`;
      if (random(100) < [75, 20][(i >> 12) % 2]) hash.set(key, `value ${i}`);
      else hash.delete(key);
      if (i % 1000 !== 0) continue;
      const blocks = reachable(inside);
      for (const block of blocks) expect(heap.region.sizeOf(addressAt(block))).toBeGreaterThan(0);
      expect(heap.region.stat().busyBlocks).toBe(blocks.size + others);
    }
    hash.clear();
    expect(reachable(inside)).toEqual(new Set([inside.ref]));
    expect(heap.region.stat().busyBlocks).toBe(1 + others);
  });

  /** Steps before, and how many of 100 add; steps before the first look, and the same. */
  const COURSES = [[4000, 80, 0, 10], [4000, 95, 0, 3], [4000, 60, 0, 90], [900, 100, 1500, 95],
    [5, 100, 300, 95], [4000, 95, 6000, 5], [6000, 97, 3000, 90], [3000, 100, 9000, 30]] as const;

  test.each(COURSES)('that works beside the program misses nothing: %i %i %i %i', (...course) => {
    const random = randomFrom(newSeed());
    const texts = collidingTexts(4);
    const [steps, before, unseen, during] = course;
    for (let round = 0; round < often(1, 20); round++) {
      const hash = newHash(newHeap(), map(str, str));
      const inside = insideOf(hash);
      const { memory } = inside.core;
      const keyOf = (n: number) => texts[n] ?? `key ${n}`;
      const change = (growth: number) => {
        const key = keyOf(random(6000));
        if (random(100) < growth) hash.set(key, `value ${random(100)}`);
        else hash.delete(key);
      };
      for (let i = 0; i < steps; i++) change(before);
      const marked = new Set<number>([inside.ref]);
      const work = [inside.ref];
      const mark = (block: number) => {
        if (block === 0 || marked.has(block)) return;
        marked.add(block);
        work.push(block);
      };
      memory.watcher = { born: (block) => marked.add(block), dropped: mark, kept: mark,
        settle() {} };
      for (let i = 0; i < unseen; i++) change(during);
      for (let i = 0; work.length > 0; i++) {
        if (i % 4 === 0) {
          const block = work.splice(random(work.length), 1)[0];
          for (const one of referredFrom(inside, block)) mark(one);
        } else change(during);
      }
      memory.watcher = null;
      const missed = [...reachable(inside)].filter((block) => !marked.has(block));
      expect(missed).toEqual([]);
      expectSound(hash);
    }
  });

  test('that moves blocks: keys that are references are found in their new places', () => {
    const heap = newHeap();
    const keys = Array.from({ length: 2000 }, (_, id) => heap.heap.create(Item, { id }));
    const hash = newHash(heap, map(ref(Item), u32), keys.map((key, i) => [key, i]));
    const inside = insideOf(hash);
    const { memory } = inside.core;
    const moved = new Map(keys.map((key) => [refOf(key as unknown as Handle),
      heap.heap.create(Item, { id: key.id })]));
    for (const block of reachable(inside)) {
      if (!hashes.roles.includes(memory.tag(block) & ROLE_MASK)) continue;
      hashes.slots(inside.core, inside.type, memory.views(block), memory.word(block), 0,
        (views, index) => {
          const to = moved.get(views.i32[index]);
          if (to !== undefined) views.i32[index] = refOf(to as unknown as Handle);
        });
    }
    hashes.moved?.(inside.core, inside.type, inside.ref);
    expectSound(hash);
    [...moved.values()].forEach((item, i) => expect(hash.get(item)).toBe(i));
    for (const key of keys) expect(hash.has(key)).toBe(false);
    expect([...hash.keys()]).toEqual([...moved.values()]);
  });
});

test('entries that are dead refer to nothing', () => {
  const { hash, i32, entry, core, type, chunkOf } = opened(5);
  hash.delete('k2');
  expect(i32[entry(2, ENTRY.next)]).toBe(DEAD);
  const visited: number[] = [];
  const { memory } = core;
  hashes.slots(core, type, memory.views(chunkOf(0)), memory.word(chunkOf(0)), 0,
    (_views, index) => visited.push(index));
  const { shape } = tableOf(core, type);
  expect(visited).not.toContain(entry(2, shape.keyAt));
  expect(visited).toContain(entry(3, shape.keyAt));
});
