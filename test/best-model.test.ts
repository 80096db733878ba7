/** best against a model: random calls, contents, and the memory of a killed process. */
import { describe, expect, test } from 'vitest';
import { best } from '../src/methods/best.ts';
import type { Blocks } from '../src/types.ts';
import { newSeed, often, randomFrom, type Random } from './support/oracle.ts';
import {
  busyOf,
  copyOf,
  findings,
  newArena,
  newBest,
  statOf,
  type TestArena,
  watched,
} from './support/best-arena.ts';

type Model = Map<number, { size: number; mark: number }>;

function fill(arena: TestArena, at: number, size: number, mark: number): void {
  new Uint8Array(arena.words.buffer, at * 16, size).fill(mark);
}

function holds(arena: TestArena, at: number, size: number, mark: number): boolean {
  const bytes = Buffer.from(arena.words.buffer, at * 16, size);
  return bytes.equals(Buffer.alloc(size, mark));
}

function anySize(random: Random): number {
  const kind = random(20);
  if (kind < 12) return random(200);
  if (kind < 17) return random(2000);
  return kind < 19 ? random(20_000) : random(150_000);
}

function pick(model: Model, random: Random): number {
  return [...model.keys()][random(model.size)] ?? 0;
}

/** One random call on both; what it does is checked at once. */
function step(arena: TestArena, blocks: Blocks, model: Model, random: Random): void {
  const call = random(100);
  const size = anySize(random);
  const mark = random(256);
  if (model.size === 0 || call < 40) {
    const alignment = 2 ** (5 + random(10));
    const at = call % 8 === 0 ? blocks.align(size, alignment) : blocks.alloc(size);
    if (at === 0) return;
    expect(model.has(at)).toBe(false);
    if (call % 8 === 0) expect((at * 16) % alignment).toBe(0);
    expect(blocks.sizeOf(at)).toBeGreaterThanOrEqual(size);
    fill(arena, at, size, mark);
    model.set(at, { size, mark });
    return;
  }
  const at = pick(model, random);
  const held = model.get(at) as { size: number; mark: number };
  expect(holds(arena, at, held.size, held.mark)).toBe(true);
  if (call < 80) {
    expect(blocks.free(at)).toBe(true);
    expect(blocks.free(at)).toBe(false);
    model.delete(at);
  } else if (blocks.resize(at, size)) {
    expect(blocks.sizeOf(at)).toBeGreaterThanOrEqual(size);
    expect(holds(arena, at, Math.min(size, held.size), held.mark)).toBe(true);
    fill(arena, at, size, mark);
    model.set(at, { size, mark });
  }
}

function verify(arena: TestArena, blocks: Blocks, model: Model): void {
  expect(findings(blocks)).toEqual([]);
  expect([...busyOf(blocks).keys()]).toEqual([...model.keys()].sort((a, b) => a - b));
  expect(statOf(blocks).busyBlocks).toBe(model.size);
  for (const [at, { size, mark }] of model) {
    expect(holds(arena, at, size, mark)).toBe(true);
    expect(blocks.startOf(at + ((size >>> 5) | 0))).toBe(at);
  }
}

describe('random calls', () => {
  const seed = newSeed();
  test.each([0, 1, 2, 3])(`seed ${seed} + %i`, (i) => {
    const random = randomFrom(seed + i);
    const { arena, blocks } = newBest(2 ** 16 << i);
    const model: Model = new Map();
    for (let round = 0; round < 60; round += 1) {
      for (let n = 0; n < 100; n += 1) step(arena, blocks, model, random);
      const what = random(12);
      if (what === 0) blocks.trim();
      if (what === 1) expect(blocks.rebuild()).toBe(true);
      if (what === 2 && round % 4 === 0) {
        blocks.clear();
        model.clear();
      }
      verify(arena, blocks, model);
    }
    for (const at of model.keys()) expect(blocks.free(at)).toBe(true);
    blocks.trim();
    expect(arena.size).toBeLessThanOrEqual(4096);
  });
});

/** Sizes by place; what a crash in the middle of a call may leave lies between before and after. */
type Sizes = Map<number, number>;

function between(found: Sizes, a: Sizes, b: Sizes): boolean {
  for (const [at, size] of found) {
    const [x, y] = [a.get(at) ?? b.get(at), b.get(at) ?? a.get(at)];
    if (x === undefined || y === undefined) return false;
    if (size < Math.min(x, y) || size > Math.max(x, y)) return false;
  }
  return [...a.keys()].every((at) => found.has(at) || !b.has(at));
}

describe('killed before any store', () => {
  const seed = newSeed();
  test(`the ground truth can be rebuilt, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const { arena, blocks } = newBest(2 ** 13);
    const past: { copy: TestArena; stored: number }[] = [];
    let stored = 0;
    const shadow = newArena(arena.capacity, watched(arena.words, () => {
      stored += 1;
      if (stored % stride === 0) past.push({ copy: copyOf(arena), stored });
    }) as Int32Array<ArrayBuffer>);
    let stride = 1;
    const watching = best.attach({ ...shadow, end: arena.end, extend: arena.extend,
      retract: arena.retract });
    let model: Model = new Map();
    let states = 0;
    for (let round = 0; round < often(60, 600); round += 1) {
      const before = new Map(model);
      const busyBefore = busyOf(blocks);
      stride = 1 + random(3);
      if (round % 40 === 39) watching.trim();
      else if (round % 150 === 149) {
        watching.clear();
        model = new Map();
      } else step(arena, watching, model, random);
      const busyAfter = busyOf(blocks);
      for (const { copy } of past.splice(0)) {
        states += 1;
        const revived = best.attach(copy);
        expect(revived.rebuild()).toBe(true);
        expect(findings(revived)).toEqual([]);
        const found = busyOf(revived);
        expect(between(found, busyBefore, busyAfter)).toBe(true);
        for (const [at, { size, mark }] of before) {
          if (model.get(at)?.mark === mark) expect(holds(copy, at, size, mark)).toBe(true);
        }
      }
    }
    expect(states).toBeGreaterThan(500);
  });
});

describe('hostile bytes', () => {
  const seed = newSeed();
  test(`no call throws, hangs or believes them, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 300; round += 1) {
      const { arena, blocks } = newBest(2 ** 13);
      const model: Model = new Map();
      for (let n = 0; n < 60; n += 1) step(arena, blocks, model, random);
      damage(arena, random);
      const isSound = findings(blocks).length === 0;
      const copy = best.attach(copyOf(arena));
      if (copy.rebuild()) expect(findings(copy)).toEqual([]);
      for (let n = 0; n < 100; n += 1) {
        const at = pick(model, random);
        blocks.sizeOf(at);
        blocks.startOf(at + random(100));
        if (n % 3 === 0) blocks.free(at);
        else if (n % 3 === 1) blocks.resize(at, random(9000));
        else blocks.alloc(random(9000));
      }
      if (isSound) expect(findings(blocks)).toEqual([]);
      blocks.walk(() => false);
      blocks.clear();
      blocks.trim();
    }
  });
});

/** A few words of the state, the map or free memory. */
function damage(arena: TestArena, random: Random): void {
  const state = arena.start * 4;
  const words = 1 + random(4);
  for (let n = 0; n < words; n += 1) {
    const at = random(3) === 0 ? random(64) : random(4) === 0 ? random(2600) : 2128 + random(400);
    const flipped = arena.words[state + at]! ^ (1 << random(32));
    const value = [0, -1, random(2 ** 31), flipped, random(9000)];
    arena.words[state + at] = value[random(value.length)] as number;
  }
}
