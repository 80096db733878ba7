/** slab and pool against a model: random calls, contents, and the memory of a killed process. */
import { describe, expect, test } from 'vitest';
import { SLAB, SLAB_TABLE } from '../src/layout.ts';
import { pool, poolOf } from '../src/methods/pool.ts';
import { slab } from '../src/methods/slab.ts';
import type { Blocks, Method } from '../src/types.ts';
import { busyOf, copyOf, findings, newArena, statOf, type TestArena, watched }
  from './support/best-arena.ts';
import { newSeed, often, type Random, randomFrom } from './support/oracle.ts';
import { between, holds, insist, type Model, newHeap, pick, step } from './support/slab-arena.ts';

interface Case {
  readonly name: string;
  readonly method: Method;
  readonly anySize: (random: Random) => number;
}

function mostlySmall(random: Random): number {
  const kind = random(20);
  if (kind < 15) return random(300);
  return kind < 19 ? random(5000) : [4080, 9216, 64_000][random(3)] + random(40);
}

const cases: Case[] = [
  { name: 'slab', method: slab, anySize: mostlySmall },
  { name: 'slab of few sizes', method: slab, anySize: (random) => 16 + 16 * random(3) },
  { name: 'slab of large slots', method: slab, anySize: (random) => 224 + random(32) },
  { name: 'pool', method: pool, anySize: () => 100 },
  { name: 'pool of large blocks', method: poolOf(70_000), anySize: () => 70_000 },
];

function verify(arena: TestArena, blocks: Blocks, model: Model): void {
  expect(findings(blocks)).toEqual([]);
  expect([...busyOf(blocks).keys()]).toEqual([...model.keys()].sort((a, b) => a - b));
  const stat = statOf(blocks);
  expect(stat.busyBlocks).toBe(model.size);
  expect(stat.busyBytes).toBe([...model.keys()].reduce((sum, at) => sum + blocks.sizeOf(at), 0));
  for (const [at, { size, mark }] of model) {
    insist(holds(arena, at, size, mark), `the block at ${at} keeps its contents`);
    insist(blocks.startOf(at + ((size >>> 5) | 0)) === at, `the middle of ${at} is its own`);
  }
}

describe.each(cases)('$name', ({ method, anySize }) => {
  const seed = newSeed();

  test.each([0, 1, 2])(`random calls, seed ${seed} + %i`, (i) => {
    const random = randomFrom(seed + i);
    const { arena, blocks } = newHeap(method, 2 ** 17 << i);
    const model: Model = new Map();
    const empty = arena.size;
    for (let round = 0; round < 40; round += 1) {
      const calls = 20 + random(300);
      for (let n = 0; n < calls; n += 1) step(arena, blocks, model, random, () => anySize(random));
      const what = random(12);
      if (what === 0) blocks.trim();
      if (what === 1) expect(blocks.rebuild()).toBe(true);
      if (what === 2) for (const at of model.keys()) if (blocks.free(at)) model.delete(at);
      if (what === 3 && round % 4 === 0) {
        blocks.clear();
        model.clear();
      }
      verify(arena, blocks, model);
    }
    for (const at of model.keys()) expect(blocks.free(at)).toBe(true);
    blocks.trim();
    expect(arena.size).toBeLessThanOrEqual(Math.max(empty, 4096));
    expect(findings(blocks)).toEqual([]);
  });

  test(`killed before any store, the ground truth can be rebuilt, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const { arena, blocks } = newHeap(method, 2 ** 15);
    const past: TestArena[] = [];
    let stored = 0;
    let stride = 1;
    const words = watched(arena.words, () => {
      stored += 1;
      if (stored % stride === 0) past.push(copyOf(arena));
    }) as Int32Array<ArrayBuffer>;
    const watching = method.attach({ ...newArena(arena.capacity, words), end: arena.end,
      extend: arena.extend, retract: arena.retract });
    let model: Model = new Map();
    let states = 0;
    for (let round = 0; round < often(20, 250); round += 1) {
      const before = new Map(model);
      const busyBefore = busyOf(blocks);
      stride = 1 + random(often(method === slab ? 20 : 4, 5));
      if (round % 20 === 19) watching.trim();
      else if (round % 40 === 25) {
        watching.clear();
        model = new Map();
      } else step(arena, watching, model, random, () => anySize(random));
      const busyAfter = busyOf(blocks);
      for (const copy of past.splice(0)) {
        states += 1;
        const revived = method.attach(copy);
        expect(revived.rebuild()).toBe(true);
        expect(findings(revived)).toEqual([]);
        expect(between(busyOf(revived), busyBefore, busyAfter)).toBe(true);
        for (const [at, { size, mark }] of before) {
          if (model.get(at)?.mark === mark) insist(holds(copy, at, size, mark), `${at} is whole`);
        }
      }
    }
    expect(states).toBeGreaterThan(300);
  });

  test(`hostile bytes: no call throws, hangs or believes them, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 150; round += 1) {
      const { arena, blocks } = newHeap(method, 2 ** 15);
      const model: Model = new Map();
      for (let n = 0; n < 80; n += 1) step(arena, blocks, model, random, () => anySize(random));
      damage(arena, random);
      const isSound = findings(blocks).length === 0;
      expect(findings(blocks).length).toBeLessThanOrEqual(100);
      const copy = method.attach(copyOf(arena));
      if (copy.rebuild()) expect(findings(copy)).toEqual([]);
      for (let n = 0; n < 100; n += 1) {
        const at = pick(model, random);
        blocks.sizeOf(at);
        blocks.startOf(at + random(100));
        if (n % 3 === 0) blocks.free(at);
        else if (n % 3 === 1) blocks.resize(at, anySize(random));
        else blocks.alloc(anySize(random));
      }
      if (isSound) expect(findings(blocks)).toEqual([]);
      blocks.walk(() => false);
      blocks.clear();
      blocks.trim();
    }
  });
});

/** A few words of the state, of tables of spans, of bitmaps, or anywhere. */
function damage(arena: TestArena, random: Random): void {
  const state = arena.start * 4;
  const table = Math.abs(arena.words[state + SLAB.directory]) || state;
  const places = [() => random(180), () => random(5000),
    () => table + random(SLAB_TABLE.words) - state, () => random(arena.size * 4 - state)];
  for (let n = 1 + random(4); n > 0; n -= 1) {
    const at = state + (places[random(places.length)] as () => number)();
    const flipped = arena.words[at]! ^ (1 << random(32));
    const values = [0, -1, random(2 ** 31), flipped, random(9000)];
    arena.words[at] = values[random(values.length)] as number;
  }
}
