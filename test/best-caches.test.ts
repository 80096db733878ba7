/** The caches of best: what they hold is counted, and merged by their lists or by the map. */
import { describe, expect, test } from 'vitest';
import { BEST, GRANULE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { cachedUpTo, mergeCaches } from '../src/methods/best-caches.ts';
import type { Blocks } from '../src/types.ts';
import { copyOf, findings, newBest, START, type TestArena } from './support/best-arena.ts';
import { newSeed, type Random, randomFrom } from './support/oracle.ts';

const S = START * 4;

function layout(blocks: Blocks): string[] {
  const found: string[] = [];
  blocks.walk((at, bytes, busy) => {
    found.push(`${busy ? 'busy' : 'free'} ${at} ${bytes}`);
    return false;
  });
  return found;
}

/** Where free ranges begin, and their bytes, whatever they consist of. */
function freeRanges(blocks: Blocks): string[] {
  const ranges: { at: number; end: number }[] = [];
  blocks.walk((at, bytes, busy) => {
    const end = at + bytes / GRANULE;
    const last = ranges.at(-1);
    if (busy) return false;
    if (last?.end === at) last.end = end;
    else ranges.push({ at, end });
    return false;
  });
  return ranges.map(({ at, end }) => `free ${at} ${(end - at) * GRANULE}`);
}

/** Blocks of every kind of size; `part` in a hundred of them are freed, some are hidden. */
function crowd(
  capacity: number, random: Random, part: number,
): { arena: TestArena; blocks: Blocks } {
  const { arena, blocks } = newBest(capacity);
  const all: number[] = [];
  const sizes = [100, 100, 600, 1024, 1040, 8192];
  for (let at = 1, hidden = 0; at !== 0 && all.length < 4000;) {
    at = blocks.alloc(random(sizes[random(sizes.length)] as number));
    if (at !== 0 && hidden < 30 && random(100) === 0) {
      blocks.hide(at);
      hidden += 1;
    } else if (at !== 0) all.push(at);
  }
  for (const at of all) if (random(100) < part) blocks.free(at);
  return { arena, blocks };
}

describe('what is cached', () => {
  test('is counted, granule by granule, up to a limit', () => {
    const { arena, blocks } = newBest(2 ** 16);
    const sizes = [16, 100, 1024, 1040, 8192];
    for (const at of sizes.map((size) => blocks.alloc(size))) blocks.free(at);
    const cached = cachedUpTo(arena.words, S, 2 ** 20);
    // Of the two smallest sizes eight were cut at once.
    expect(cached).toBe(8 * 1 + 8 * 7 + 64 + 65 + 512);
    expect(mergeCaches(arena.words, S, cached)).toBe(false);
    expect(cachedUpTo(arena.words, S, 100)).toBeGreaterThan(100);
    expect(mergeCaches(arena.words, S, cached - 1)).toBe(true);
    expect(cachedUpTo(arena.words, S, 2 ** 20)).toBe(0);
    expect(mergeCaches(arena.words, S, 0)).toBe(false);
  });

  const seed = newSeed();
  test.each([1, 3, 20, 50, 95, 100])(
    `is merged to what a rebuild makes of it, %i of 100 freed, seed ${seed}`, (part) => {
      const random = randomFrom(seed + part);
      for (const capacity of [2 ** 13, 2 ** 15, 2 ** 17]) {
        const { arena, blocks } = crowd(capacity, random, part);
        const copy = copyOf(arena);
        const rebuilt = best.attach(copy);
        expect(rebuilt.rebuild()).toBe(true);
        const ranges = freeRanges(blocks);
        mergeCaches(arena.words, S, 0);
        expect(findings(blocks)).toEqual([]);
        expect(layout(blocks)).toEqual(layout(rebuilt));
        expect(layout(blocks).filter((line) => line.startsWith('free')).length)
          .toBeLessThanOrEqual(ranges.length + 1);
        expect(arena.words[S + BEST.top]).toBe(copy.words[S + BEST.top]);
      }
    });

  test('serves the largest block that fits before the arena grows', () => {
    const { arena, blocks } = newBest(2 ** 17);
    const all = Array.from({ length: 3000 }, (_, i) => blocks.alloc(1 + (i * 37) % 500));
    const { size } = arena;
    for (const at of all) blocks.free(at);
    const most = Math.max(...freeRanges(blocks).map((line) => Number(line.split(' ')[2])));
    expect(most).toBeGreaterThan(2 ** 18);
    expect(blocks.alloc(most)).toBeGreaterThan(0);
    expect(arena.size).toBe(size);
    expect(findings(blocks)).toEqual([]);
  });
});
