/** best: what each call does, and every invariant broken once. */
import { describe, expect, test } from 'vitest';
import { BEST, BEST_HIDDEN, GRANULE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { lastSizeWord, sizeWord } from '../src/methods/best-map.ts';
import { methodNamed, registerMethod } from '../src/methods/registry.ts';
import { busyOf, findings, newArena, newBest, START, statOf } from './support/best-arena.ts';

const S = START * 4;
const FIRST = START + BEST.words / 4;

describe('best', () => {
  test('sizes are those asked for, rounded up to granules', () => {
    const { blocks } = newBest(2 ** 16);
    for (const size of [0, 1, 15, 16, 17, 1023, 1024, 1025, 8192, 8193, 100_000]) {
      const at = blocks.alloc(size);
      expect(blocks.sizeOf(at)).toBe(Math.max(1, Math.ceil(size / GRANULE)) * GRANULE);
    }
    expect(findings(blocks)).toEqual([]);
  });

  test('an almost empty arena is small, a full one holds one block of nearly all of it', () => {
    const { arena, blocks } = newBest(2 ** 20);
    expect(arena.size * GRANULE).toBeLessThan(48 * 1024);
    const most = (2 ** 20 - arena.size) * GRANULE;
    const at = blocks.alloc(most);
    expect(blocks.sizeOf(at)).toBe(most);
    expect(blocks.alloc(2 ** 16)).toBe(0);
    expect(findings(blocks)).toEqual([]);
    expect(blocks.startOf(2 ** 20 - 2 * 1024)).toBe(at);
    expect(blocks.free(at)).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });

  test('the last block freed of a size is the next one given', () => {
    const { blocks } = newBest(2 ** 16);
    const [a, b, c] = [blocks.alloc(40), blocks.alloc(40), blocks.alloc(40)];
    for (const at of [a, c, b]) expect(blocks.free(at)).toBe(true);
    expect([blocks.alloc(40), blocks.alloc(40), blocks.alloc(40)]).toEqual([b, c, a]);
  });

  test('what is not the start of a live block is recognised', () => {
    const { arena, blocks } = newBest(2 ** 16);
    const small = blocks.alloc(100);
    const large = blocks.alloc(5000);
    const freed = blocks.alloc(100);
    blocks.free(freed);
    const map = (arena.words[S + BEST.map] as number) / 4;
    const strangers = [0, 1, START, map, freed, small + 1, large + 1, arena.size - 1, 2 ** 16 - 1,
      2 ** 27, -1, -(2 ** 31)];
    const before = arena.words.slice();
    for (const at of strangers) {
      expect(blocks.free(at)).toBe(false);
      expect(blocks.sizeOf(at)).toBe(-1);
      for (const size of [0, 10, 10_000]) expect(blocks.resize(at, size)).toBe(false);
    }
    const [now, then] = [arena.words, before].map(({ buffer }) => new Uint8Array(buffer));
    expect(Buffer.compare(now as Uint8Array, then as Uint8Array)).toBe(0);
    expect(blocks.startOf(small + 3)).toBe(small);
    expect(blocks.startOf(large + 300)).toBe(large);
    for (const at of [0, START, map + 1, freed, arena.size, 2 ** 28]) {
      expect(blocks.startOf(at)).toBe(0);
    }
  });

  test('resize stays in place over free memory and the wilderness, not over others', () => {
    const { blocks } = newBest(2 ** 16);
    const [a, b, c] = [blocks.alloc(2000), blocks.alloc(20_000), blocks.alloc(2000)];
    expect(blocks.resize(a, 3000)).toBe(false);
    blocks.free(b);
    expect(blocks.resize(a, 3000)).toBe(true);
    expect(blocks.sizeOf(a)).toBe(3008);
    expect(blocks.resize(a, 22_000)).toBe(true);
    expect(blocks.resize(a, 22_001)).toBe(false);
    expect(blocks.resize(c, 300_000)).toBe(true);
    expect(blocks.sizeOf(c)).toBe(300_000);
    expect(blocks.resize(a, 0)).toBe(true);
    expect(blocks.sizeOf(a)).toBe(16);
    expect(blocks.resize(c, 2 ** 32)).toBe(false);
    expect(findings(blocks)).toEqual([]);
  });

  test.each([32, 64, 4096, 65_536])('align to %i', (alignment) => {
    const { blocks } = newBest(2 ** 18);
    for (const size of [0, 1, 100, 1024, 5000, 70_000]) {
      blocks.alloc(24);
      const at = blocks.align(size, alignment);
      expect((at * GRANULE) % alignment).toBe(0);
      expect(blocks.sizeOf(at)).toBeGreaterThanOrEqual(size);
      expect(findings(blocks)).toEqual([]);
    }
  });

  test('alignments as large as the window, and larger', () => {
    const { arena, blocks } = newBest(2 ** 18);
    expect(blocks.align(100, 2 ** 21) * GRANULE).toBe(2 ** 21);
    expect(blocks.align(100, 2 ** 22)).toBe(0);
    expect(blocks.align(100, 2 ** 32)).toBe(0);
    expect(findings(blocks)).toEqual([]);
    blocks.clear();
    blocks.trim();
    expect(arena.size * GRANULE).toBeLessThan(48 * 1024);
  });

  test('an aligned block fits a hole that is aligned, to the last granule', () => {
    const { arena, blocks } = newBest(2 ** 18);
    const at = blocks.align(50_000, 64);
    blocks.alloc(10_000);
    blocks.free(at);
    const { size } = arena;
    expect(blocks.align(50_000, 64)).toBe(at);
    expect(arena.size).toBe(size);
  });

  test('hidden blocks are out of reach, and stay through a rebuild', () => {
    const { arena, blocks } = newBest(2 ** 16);
    const [a, b] = [blocks.alloc(500), blocks.alloc(20)];
    blocks.hide(a);
    blocks.hide(b);
    blocks.hide(12_345);
    for (const at of [a, b]) {
      expect(blocks.free(at)).toBe(false);
      expect(blocks.sizeOf(at)).toBe(-1);
      expect(blocks.startOf(at)).toBe(0);
    }
    expect(busyOf(blocks).size).toBe(0);
    arena.words.fill(-1, a * 4, a * 4 + 100);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
    expect(busyOf(blocks).size).toBe(0);
    expect(blocks.alloc(500)).not.toBe(a);
    for (let i = 2; i < BEST_HIDDEN; i += 1) blocks.hide(blocks.alloc(16));
    expect(() => blocks.hide(blocks.alloc(16))).toThrow('hidden');
    blocks.clear();
    expect(statOf(blocks).freeBlocks).toBe(1);
  });

  test('what was cached and is not used again is merged after a while', () => {
    const { arena, blocks } = newBest(2 ** 18);
    const crowd = Array.from({ length: 60_000 }, () => blocks.alloc(32));
    for (const at of crowd) blocks.free(at);
    expect(statOf(blocks).freeBlocks).toBeGreaterThan(50_000);
    for (let n = 0; n < 2 ** 17; n += 1) blocks.free(blocks.alloc(48));
    expect(statOf(blocks).freeBlocks).toBeLessThan(20);
    expect(findings(blocks)).toEqual([]);
    const { size } = arena;
    expect(blocks.alloc(60_000 * 32 - 4096)).toBeGreaterThan(0);
    expect(arena.size).toBe(size);
  });

  test('an arena may start later, as behind the state of a method around it', () => {
    const outer = newArena(2 ** 16);
    const arena = { ...outer, start: START + 96, end: outer.end, extend: outer.extend };
    expect(best.format(arena)).toBe(true);
    const before = arena.words.slice(0, arena.start * 4);
    const blocks = best.attach(arena);
    const at = [40, 40, 3000, 0].map((size) => blocks.alloc(size));
    for (const granule of at) expect(granule).toBeGreaterThan(arena.start);
    expect(blocks.free(at[1] as number)).toBe(true);
    expect(blocks.alloc(40)).toBe(at[1]);
    expect(findings(blocks)).toEqual([]);
    expect(arena.words.subarray(0, arena.start * 4)).toEqual(before);
  });

  test('blocks of no bytes are blocks of one granule', () => {
    const { blocks } = newBest(2 ** 16);
    const [a, b] = [blocks.alloc(16), blocks.alloc(16)];
    blocks.free(a);
    blocks.free(b);
    expect([blocks.alloc(0), blocks.alloc(0)]).toEqual([b, a]);
    expect(findings(blocks)).toEqual([]);
  });

  test('an aligned block comes from the cache if its last one is aligned', () => {
    const { arena, blocks } = newBest(2 ** 16);
    const at = blocks.align(100, 256);
    blocks.free(at);
    expect(blocks.align(100, 256)).toBe(at);
    blocks.free(at);
    blocks.free(blocks.alloc(5000));
    expect(blocks.align(0, 64) % 4).toBe(0);
    expect(arena.size).toBeGreaterThan(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('walk stops when it is told to, stat counts what it shows', () => {
    const { arena, blocks } = newBest(2 ** 16);
    const sizes = [100, 5000, 16];
    const at = sizes.map((size) => blocks.alloc(size));
    blocks.free(at[1] as number);
    const stat = statOf(blocks);
    expect(stat).toMatchObject({ busyBlocks: 2, busyBytes: 112 + 16, largestBusy: 112 });
    expect(stat.freeBytes).toBe(arena.size * GRANULE - ownEnd(arena.words) * GRANULE - 128);
    let seen = 0;
    blocks.walk(() => ++seen === 2);
    expect(seen).toBe(2);
  });

  test('trim gives back what is free at the end, clear everything', () => {
    const { arena, blocks } = newBest(2 ** 18);
    const before = arena.size;
    const held = Array.from({ length: 2000 }, (_, i) => blocks.alloc(i));
    for (const at of held.slice(1)) blocks.free(at);
    blocks.trim();
    expect(arena.size).toBeLessThanOrEqual(before + 1024);
    expect([...busyOf(blocks).keys()]).toEqual([held[0]]);
    expect(findings(blocks)).toEqual([]);
    blocks.clear();
    expect(busyOf(blocks).size).toBe(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('no space: 0, nothing is lost, and goes on when something is freed', () => {
    const { blocks } = newBest(8192);
    const held: number[] = [];
    for (let at = blocks.alloc(1000); at !== 0; at = blocks.alloc(1000)) held.push(at);
    expect(held.length).toBeGreaterThan(90);
    expect(findings(blocks)).toEqual([]);
    expect(blocks.resize(held.at(-1) as number, 100_000)).toBe(false);
    for (const at of held) expect(blocks.free(at)).toBe(true);
    expect(blocks.alloc(90_000)).toBeGreaterThan(0);
    expect(blocks.alloc(2 ** 32 - 1)).toBe(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('an arena that cannot grow to hold even the state is refused', () => {
    expect(best.format(newArena(1024))).toBe(false);
  });

  test('all is in the words: another manager goes on, older words bring the past back', () => {
    const { arena, blocks } = newBest(2 ** 16);
    const a = blocks.alloc(100);
    const past = arena.words.slice();
    const b = blocks.alloc(100);
    const other = best.attach(arena);
    expect(other.free(b)).toBe(true);
    expect(blocks.free(b)).toBe(false);
    arena.words.set(past);
    expect(blocks.alloc(100)).toBe(b);
    expect([...busyOf(other).keys()].sort()).toEqual([a, b].sort());
  });
});

/** First granule behind the state and the map of an arena whose map was never moved. */
function ownEnd(words: Int32Array): number {
  return FIRST + (words[S + BEST.cover] as number) / 64;
}

describe('check names the invariant that is broken', () => {
  /** A heap with free, cached, live, large and hidden blocks, and where they are. */
  function sample() {
    const { arena, blocks } = newBest(2 ** 18);
    const large = blocks.alloc(20_000);
    const gap = blocks.alloc(30_000);
    const wall = blocks.alloc(20_000);
    const cached = blocks.alloc(800);
    blocks.alloc(800);
    blocks.free(gap);
    blocks.free(cached);
    expect(findings(blocks)).toEqual([]);
    const map = arena.words[S + BEST.map] as number;
    return { arena, blocks, words: arena.words, map, large, gap, wall, cached };
  }
  const pair = (map: number, at: number): number => map + (at >>> 5) * 2;

  const breaks: [string, string, (h: ReturnType<typeof sample>) => void][] = [
    ['B1', 'magic', ({ words }) => { words[S + BEST.magic] = 1; }],
    ['B1', 'end', ({ words }) => { words[S + BEST.end]! += 1; }],
    ['B1', 'top', ({ words }) => { words[S + BEST.top] = 2 ** 27; }],
    ['B1', 'map', ({ words }) => { words[S + BEST.map]! += 1; }],
    ['B1', 'cover', ({ words }) => { words[S + BEST.cover]! += 64; }],
    ['B1', 'size of the map', ({ words, map }) => { words[pair(map, map >>> 2)] = 0; }],
    ['B2', 'a size', ({ words, map, large }) => { words[pair(map, large) + 3] = 2 ** 25; }],
    ['B2', 'no boundary', ({ words, map, wall }) => {
      words[pair(map, wall)]! &= ~(1 << wall);
    }],
    ['B3', 'a live bit inside', ({ words, map, large }) => {
      words[pair(map, large) + 7] = 16;
    }],
    ['B3', 'before the first block', ({ words, map }) => { words[map + 60] = 1; }],
    ['B3', 'behind the wilderness', ({ words, map, arena }) => {
      words[pair(map, arena.size)] = 1;
    }],
    ['B4', 'payload', ({ words, gap }) => { words[gap * 4 + 2]! += 1; }],
    ['B4', 'last size word', ({ words, map, wall }) => { words[pair(map, wall) - 1] = 9; }],
    ['B6', 'next', ({ words, gap }) => { words[gap * 4] = 12_345; }],
    ['B6', 'previous', ({ words, gap }) => { words[gap * 4 + 1] = 12_345; }],
    ['B7', 'bin map', ({ words }) => { words[S + BEST.binMap + 1]! ^= 4; }],
    ['B7', 'summary', ({ words }) => { words[S + BEST.summary]! ^= 2 ** 20; }],
    ['B8', 'head', ({ words, wall }) => { words[S + BEST.caches + 50] = wall; }],
    ['B8', 'a ring', ({ words, cached }) => { words[cached * 4] = ~cached; }],
    ['B9', 'a cache forgotten', ({ words }) => { words[S + BEST.caches + 50] = 0; }],
  ];
  test.each(breaks)('%s: %s', (id, _what, damage) => {
    const heap = sample();
    damage(heap);
    expect(findings(heap.blocks).map((finding) => finding.id)).toContain(id);
  });

  test('B5: neighbours that were not merged, at their place', () => {
    const { blocks, words, map, gap, wall } = sample();
    const middle = gap + 1000;
    words[pair(map, middle)]! |= 1 << middle;
    const half = (at: number, n: number): void => {
      words[sizeWord(map, at)] = n;
      words[lastSizeWord(map, at + n)] = n;
      words[at * 4 + 2] = n;
    };
    half(gap, 1000);
    half(middle, wall - middle);
    words[middle * 4] = S + BEST.bins;
    const found = findings(blocks).find((finding) => finding.id === 'B5');
    expect(found?.address).toBe(middle * GRANULE);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });

  test('rebuild mends every one of them that leaves the ground truth whole', () => {
    for (const [id, what, damage] of breaks) {
      if (id === 'B1' || id === 'B2' || what === 'a live bit inside') continue;
      const heap = sample();
      const busy = busyOf(heap.blocks);
      damage(heap);
      expect(heap.blocks.rebuild()).toBe(true);
      expect([what, findings(heap.blocks)]).toEqual([what, []]);
      expect(busyOf(heap.blocks)).toEqual(busy);
    }
  });
});

describe('registry', () => {
  test('knows its methods, and says which when asked for another', () => {
    expect(methodNamed('best')).toBe(best);
    expect(() => methodNamed('worst')).toThrow(/no method 'worst'.*best, last/);
    const mine = { ...best, name: 'mine' };
    registerMethod(mine);
    expect(methodNamed('mine')).toBe(mine);
  });
});
