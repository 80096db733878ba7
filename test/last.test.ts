/** The method `last`: its stack, every invariant, damage, and death between any two stores. */
import { describe, expect, test } from 'vitest';
import { GRANULE, LAST, LAST_BLOCK, LAST_SLAB_SHIFT } from '../src/layout.ts';
import { last } from '../src/methods/last.ts';
import type { Blocks, Finding } from '../src/types.ts';
import { arenaOver, busyBlocks, countingWords, Killed, newArena, type TestArena }
  from './support/arena.ts';
import { newSeed, often, type Random, randomFrom } from './support/oracle.ts';

const SLAB = 2 ** LAST_SLAB_SHIFT;
const START = 512;
const STATE = START * 4;

function stack(bytes = 8 * 2 ** 20): { arena: TestArena; blocks: Blocks } {
  const arena = newArena(bytes);
  arena.words.fill(0x5a5a5a5a);
  expect(last.format(arena)).toBe(true);
  return { arena, blocks: last.attach(arena) };
}

function findings(blocks: Blocks): Finding[] {
  const all: Finding[] = [];
  blocks.check((finding) => all.push(finding));
  return all;
}

const idsAndPlaces = (blocks: Blocks) =>
  findings(blocks).map(({ id, address }) => [id, address / GRANULE]);

describe('the stack', () => {
  test('may start later, as behind the state of a method around it', () => {
    const arena = newArena(2 ** 20, START + 96);
    expect(last.format(arena)).toBe(true);
    const before = arena.words.slice(0, arena.start * 4);
    const blocks = last.attach(arena);
    const [a, b] = [blocks.alloc(40), blocks.alloc(3000)];
    expect(blocks.free(a)).toBe(false);
    expect([blocks.free(b), blocks.free(a)]).toEqual([true, true]);
    expect(findings(blocks)).toEqual([]);
    expect(arena.words.subarray(0, arena.start * 4)).toEqual(before);
  });

  test('only the newest can be freed, in order', () => {
    const { blocks } = stack();
    const all = Array.from({ length: 1000 }, (_, i) => blocks.alloc(i));
    for (const granule of all.slice(0, -1)) expect(blocks.free(granule)).toBe(false);
    for (const granule of all.reverse()) expect(blocks.free(granule)).toBe(true);
    expect(busyBlocks(blocks)).toEqual([]);
    expect(blocks.free(all[0])).toBe(false);
  });

  test('memory is used again from where the newest began', () => {
    const { arena, blocks } = stack();
    const first = blocks.alloc(100);
    const { held } = arena;
    for (let i = 0; i < 50; i++) {
      const many = Array.from({ length: 5 }, () => blocks.alloc(300_000));
      for (const granule of many.reverse()) expect(blocks.free(granule)).toBe(true);
    }
    expect(arena.held).toBeLessThan(held + 5 * 330_000 / GRANULE);
    expect(busyBlocks(blocks).map(([granule]) => granule)).toEqual([first]);
    expect(findings(blocks)).toEqual([]);
  });

  test('the newest grows and shrinks in place, an older one stays while it fits', () => {
    const { blocks } = stack();
    const older = blocks.alloc(100);
    const newest = blocks.alloc(100);
    expect(blocks.resize(newest, 3_000_000)).toBe(true);
    expect(blocks.sizeOf(newest)).toBeGreaterThanOrEqual(3_000_000);
    expect(blocks.resize(newest, 5)).toBe(true);
    expect(blocks.resize(older, 100)).toBe(true);
    expect(blocks.resize(older, 1000)).toBe(false);
    expect(findings(blocks)).toEqual([]);
  });

  test('a block that moved away leaves room that comes back with all above it', () => {
    const { blocks } = stack();
    const [a, b, c] = [blocks.alloc(1000), blocks.alloc(1000), blocks.alloc(1000)];
    blocks.discard?.(b);
    expect(blocks.sizeOf(b)).toBe(-1);
    expect(busyBlocks(blocks).map(([granule]) => granule)).toEqual([a, c]);
    expect(findings(blocks)).toEqual([]);
    expect(blocks.free(c)).toBe(true);
    expect(blocks.alloc(10)).toBe(b);
  });

  test('hidden blocks stay, and what is freed under them waits', () => {
    const { blocks } = stack();
    const [a, b, c] = [blocks.alloc(1000), blocks.alloc(1000), blocks.alloc(1000)];
    blocks.hide(c);
    expect(blocks.free(c)).toBe(false);
    expect(blocks.free(a)).toBe(false);
    expect(blocks.free(b)).toBe(true);
    expect(blocks.free(a)).toBe(true);
    expect(busyBlocks(blocks)).toEqual([]);
    expect(findings(blocks)).toEqual([]);
    expect(blocks.alloc(1)).toBeGreaterThan(c);
    blocks.clear();
    expect(blocks.alloc(1000)).toBe(a);
  });

  test('blocks larger than slabs, and starts found across them', () => {
    const { blocks } = stack(64 * 2 ** 20);
    const sizes = [10, 5_000_000, 10, 900_000, 900_000, 10, 12_000_000, 10];
    const all = sizes.map((size) => blocks.alloc(size));
    all.forEach((granule, i) => {
      const end = granule + Math.floor((blocks.sizeOf(granule) - 1) / GRANULE);
      expect(blocks.startOf(end)).toBe(granule);
      expect(blocks.startOf(granule + (end - granule >> 1))).toBe(granule);
      expect(blocks.sizeOf(granule)).toBeGreaterThanOrEqual(sizes[i]);
    });
    expect(busyBlocks(blocks).map(([granule]) => granule)).toEqual(all);
    expect(findings(blocks)).toEqual([]);
  });

  test('the largest free block can be had', () => {
    const { arena, blocks } = stack(4 * 2 ** 20);
    while (blocks.alloc(50_000) !== 0) expect(arena.held).toBeLessThanOrEqual(arena.limit);
    const stat = { busyBlocks: 0, freeBlocks: 0, busyBytes: 0, freeBytes: 0, largestBusy: 0,
      largestFree: 0 };
    blocks.stat(stat);
    expect(blocks.alloc(stat.largestFree + 1)).toBe(0);
    expect(blocks.alloc(stat.largestFree)).toBeGreaterThan(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('trim gives back all above the newest', () => {
    const { arena, blocks } = stack();
    const kept = blocks.alloc(100);
    const gone = blocks.alloc(4_000_000);
    blocks.free(gone);
    const { held } = arena;
    blocks.trim();
    expect(held - arena.held).toBeGreaterThanOrEqual(Math.floor(4_000_000 / GRANULE) - 8192);
    expect(findings(blocks)).toEqual([]);
    expect(blocks.alloc(1_000_000)).toBeGreaterThan(kept);
  });
});

describe('invariants', () => {
  /** Three blocks in slab 0, two in later slabs. */
  const five = () => {
    const made = stack();
    const all = [100, 200, 300, 1_500_000, 400].map((size) => made.blocks.alloc(size));
    expect(findings(made.blocks)).toEqual([]);
    return { ...made, all };
  };
  const word = (granule: number, offset: number) => granule * 4 + offset;

  test('L1: magic', () => {
    const { arena, blocks } = five();
    arena.words[STATE + LAST.magic] = 1;
    expect(idsAndPlaces(blocks)).toEqual([['L1', START]]);
    expect(blocks.rebuild()).toBe(false);
  });
  test('L1: end', () => {
    const { arena, blocks } = five();
    arena.words[STATE + LAST.end] -= 1;
    expect(idsAndPlaces(blocks)).toEqual([['L1', START]]);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });
  test.each([-1, 5, START + 10, 2 ** 28, 2 ** 31 - 1])('L1: newest is %d', (newest) => {
    const { arena, blocks } = five();
    arena.words[STATE + LAST.newest] = newest;
    expect(idsAndPlaces(blocks)).toEqual([['L1', START]]);
    expect(blocks.rebuild()).toBe(false);
  });
  test.each([-7, 3, 2 ** 28])('L2: a directory entry of %d', (map) => {
    const { arena, blocks } = five();
    arena.words[STATE + LAST.directory] = map;
    expect(idsAndPlaces(blocks)).toEqual([['L2', START]]);
    expect(blocks.rebuild()).toBe(false);
  });
  test('L2: a bitmap inside a block', () => {
    const { arena, blocks, all } = five();
    const slab = all[4] >>> LAST_SLAB_SHIFT;
    const moved = all[3] + 20_000;
    arena.words.fill(0, moved * 4, (moved + SLAB / 128) * 4);
    arena.words[moved * 4 + ((all[4] & (SLAB - 1)) >>> 5)] = 1 << all[4];
    arena.words[STATE + LAST.directory + slab] = moved;
    expect(idsAndPlaces(blocks)).toEqual([['L2', moved]]);
  });
  test('L3: a block that reaches into the next', () => {
    const { arena, blocks, all } = five();
    arena.words[word(all[0], LAST_BLOCK.size)] += 1 << LAST_BLOCK.sizeShift;
    expect(idsAndPlaces(blocks)).toEqual([['L3', all[1]]]);
    expect(blocks.rebuild()).toBe(false);
  });
  test.each([0, -4])('L3: a size of %d', (size) => {
    const { arena, blocks, all } = five();
    arena.words[word(all[1], LAST_BLOCK.size)] = size;
    expect(idsAndPlaces(blocks)).toContainEqual(['L3', all[1]]);
    expect(blocks.rebuild()).toBe(false);
  });
  test('L3: an unknown flag', () => {
    const { arena, blocks, all } = five();
    arena.words[word(all[1], LAST_BLOCK.size)] |= 2;
    expect(idsAndPlaces(blocks)).toEqual([['L3', all[1]]]);
  });
  test('L4: the link down, and it is derived again', () => {
    const { arena, blocks, all } = five();
    arena.words[word(all[2], LAST_BLOCK.previous)] = all[0];
    expect(idsAndPlaces(blocks)).toEqual([['L4', all[2]]]);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });
  test('L4: the link up, and it is derived again', () => {
    const { arena, blocks, all } = five();
    arena.words[word(all[1], LAST_BLOCK.next)] = all[4];
    expect(idsAndPlaces(blocks)).toEqual([['L4', all[1]]]);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });
  test('L5: the newest has no start bit', () => {
    const { arena, blocks, all } = five();
    const map = arena.words[STATE + LAST.directory + (all[4] >>> LAST_SLAB_SHIFT)];
    arena.words[map * 4 + ((all[4] & (SLAB - 1)) >>> 5)] = 0;
    expect(idsAndPlaces(blocks)).toEqual([['L5', all[4]]]);
    expect(blocks.rebuild()).toBe(false);
  });
  test('L5: a start bit above the newest, which rebuilding drops', () => {
    const { arena, blocks, all } = five();
    const map = arena.words[STATE + LAST.directory + (all[4] >>> LAST_SLAB_SHIFT)];
    const above = all[4] + 40;
    arena.words[map * 4 + ((above & (SLAB - 1)) >>> 5)] |= 1 << above;
    expect(idsAndPlaces(blocks)).toEqual([['L5', above]]);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });
});

/** A random call. Sizes cross slabs now and then; half of the calls undo. */
function step(blocks: Blocks, random: Random): void {
  const busy = busyBlocks(blocks).map(([granule]) => granule);
  const what = random(100);
  const size = random(20) === 0 ? random(700_000) : random(3000);
  const pick = busy[random(Math.max(1, busy.length))] ?? 0;
  const newest = busy[busy.length - 1] ?? 0;
  if (what < 40) blocks.alloc(size);
  else if (what < 50) blocks.align(size, 32 << random(10));
  else if (what < 75) blocks.free(newest);
  else if (what < 83) blocks.resize(newest, size);
  else if (what < 93) blocks.discard?.(pick);
  else if (what < 94) blocks.hide(pick);
  else if (what < 97) blocks.trim();
  else if (what < 98) blocks.clear();
}

describe('death and damage', () => {
  test('killed between any two stores, rebuilding gives the state before or after', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const { arena, blocks } = stack(4 * 2 ** 20);
    let cases = 0;
    for (let i = 0; i < 120; i++) {
      const opSeed = random(2 ** 30);
      const before = busyBlocks(blocks);
      const image = arena.words.slice();
      const { held } = arena;
      const counted = countingWords(arena.words, Number.POSITIVE_INFINITY);
      const whole = arenaOver(counted.words, START, held, arena.limit);
      step(last.attach(whole), randomFrom(opSeed));
      arena.held = whole.held;
      const after = busyBlocks(blocks);
      const stores = counted.count();
      for (let n = 0; n < Math.min(stores, 8); n++) {
        const limit = stores <= 8 ? n : random(stores);
        const words = image.slice();
        const cut = arenaOver(countingWords(words, limit).words, START, held, arena.limit);
        expect(() => step(last.attach(cut), randomFrom(opSeed))).toThrow(Killed);
        const survivor = last.attach(arenaOver(words, START, cut.held, arena.limit));
        const where = `seed ${seed}, call ${i}, killed after ${limit} of ${stores} stores`;
        expect(survivor.rebuild(), where).toBe(true);
        expect(findings(survivor), where).toEqual([]);
        expect([before, after], where).toContainEqual(busyBlocks(survivor));
        cases += 1;
      }
    }
    expect(cases).toBeGreaterThan(200);
  });

  test('any word of state and headers overwritten: check and every call end', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const { arena, blocks } = stack(2 * 2 ** 20);
    for (let i = 0; i < 300; i++) blocks.alloc(random(5000));
    const image = arena.words.slice();
    const values = [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), 77777];
    let reported = 0;
    const rounds = often(120, 1000);
    for (let i = 0; i < rounds; i++) {
      arena.words.set(image);
      const states = [LAST.magic, LAST.newest, LAST.end, LAST.directory, LAST.directory + 1];
      const busy = busyBlocks(blocks);
      const [granule] = busy[random(busy.length)];
      const at = i % 2 === 0 ? STATE + states[random(5)] : granule * 4 - 1 - random(3);
      arena.words[at] = values[random(values.length)] ^ (random(3) === 0 ? random(2 ** 30) : 0);
      if (findings(blocks).length > 0) reported += 1;
      for (let n = 0; n < 20; n++) step(blocks, random);
      blocks.startOf(random(arena.limit));
      blocks.rebuild();
      findings(blocks);
    }
    expect(reported, `seed ${seed}`).toBeGreaterThan(rounds / 2);
  });
});
