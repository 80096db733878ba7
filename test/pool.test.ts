/** pool: what each call does, and every invariant broken once. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { GRANULE, POOL, POOL_HIDDEN, POOL_MAP_GRANULES } from '../src/layout.ts';
import { pool, poolOf } from '../src/methods/pool.ts';
import { createRegion } from '../src/region/region.ts';
import { busyOf, copyOf, findings, newArena, START, statOf, watched }
  from './support/best-arena.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/slab-arena.ts';

const S = START * 4;
const FIRST = START + POOL.words / 4;

describe('pool', () => {
  test('the first block that is got fixes the size; one that is not got does not', () => {
    const { blocks } = newHeap(pool, 2 ** 14);
    expect(blocks.alloc(2 ** 31)).toBe(0);
    expect(blocks.alloc(2 ** 32 - 1)).toBe(0);
    const at = blocks.alloc(40);
    expect(blocks.sizeOf(at)).toBe(48);
    for (const size of [0, 39, 41, 48, 2 ** 32 - 1]) expect(blocks.alloc(size)).toBe(0);
    expect(blocks.misfit?.(48, 16)).toMatch('40 bytes');
    expect(blocks.misfit?.(40, 32)).toMatch('multiples of 16');
    expect(blocks.misfit?.(40, 16)).toBe(null);
    blocks.clear();
    expect(blocks.alloc(41)).toBe(0);
    expect(findings(blocks)).toEqual([]);
  });

  test.each([0, 1, 16, 500, 65_536, 2_000_000, 20_000_000])('poolOf(%i)', (size) => {
    const { arena, blocks } = newHeap(poolOf(size), 2 ** 22);
    const all = Array.from({ length: 200 }, () => blocks.alloc(size)).filter((at) => at !== 0);
    expect(all.length).toBe(size > 300_000 ? Math.floor((2 ** 26 - 33_000) / (size + 8192)) : 200);
    for (const [i, at] of all.entries()) {
      expect(blocks.startOf(at + Math.max(0, Math.ceil(size / GRANULE) - 1))).toBe(at);
      if (i % 2 === 0) expect(blocks.free(at)).toBe(true);
      if (i % 2 === 0) expect(blocks.free(at)).toBe(false);
    }
    expect([...busyOf(blocks).keys()]).toEqual(all.filter((_, i) => i % 2 === 1));
    expect(findings(blocks)).toEqual([]);
    expect(blocks.alloc(size)).toBe(all[all.length - 1 - ((all.length - 1) % 2)]);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
    for (const at of busyOf(blocks).keys()) blocks.free(at);
    blocks.trim();
    expect(arena.size).toBeLessThanOrEqual(4096);
    expect(blocks.alloc(size)).toBe(all[0]);
  });

  test('poolOf takes sizes as text and refuses what is none', () => {
    expect(newHeap(poolOf('1KiB'), 2 ** 14).blocks.alloc(1024)).toBeGreaterThan(0);
    for (const wrong of [-1, 1.5, Number.NaN, 2 ** 32, 2 ** 60, 'many']) {
      expectCode('ERR_BAD_OPTION', () => poolOf(wrong));
    }
  });

  test('what is not the start of a live block is recognised', () => {
    const { arena, blocks } = newHeap(pool, 2 ** 16);
    const [a, b] = [blocks.alloc(100), blocks.alloc(100)];
    blocks.free(b);
    const before = arena.words.slice();
    for (const at of [0, 1, START, FIRST, a + 1, a - 1, b, b + 7, arena.size, 2 ** 27, -1]) {
      expect([blocks.free(at), blocks.sizeOf(at), blocks.resize(at, 100)])
        .toEqual([false, -1, false]);
    }
    expect(Buffer.compare(Buffer.from(arena.words.buffer), Buffer.from(before.buffer))).toBe(0);
  });

  test('hidden blocks of any size are out of reach, at every instant of a crash, and stay', () => {
    const { arena, blocks } = newHeap(pool, 2 ** 16);
    const all = Array.from({ length: 100 }, () => blocks.alloc(100));
    const seen = new Set<number>();
    const words = watched(arena.words, () => {
      const revived = pool.attach(copyOf(arena));
      expect(revived.rebuild()).toBe(true);
      expect(findings(revived)).toEqual([]);
      seen.add(busyOf(revived).size);
    }) as Int32Array<ArrayBuffer>;
    const watching = pool.attach({ ...newArena(arena.capacity, words), end: arena.end,
      extend: arena.extend });
    watching.hide(all[50]);
    const large = watching.allocHidden?.(9000) as number;
    expect([...seen].sort()).toEqual([100, 99]);
    for (const at of [all[50], large]) {
      expect([blocks.free(at), blocks.sizeOf(at), blocks.startOf(at)]).toEqual([false, -1, 0]);
    }
    const more = Array.from({ length: 900 }, () => blocks.alloc(100));
    expect(findings(blocks)).toEqual([]);
    for (const at of more) blocks.free(at);
    blocks.trim();
    expect(arena.words[S + POOL.top]).toBe(large + 563);
    expect(blocks.rebuild()).toBe(true);
    expect(statOf(blocks).busyBlocks).toBe(99);
    for (let i = 2; i < POOL_HIDDEN; i += 1) blocks.hide(all[i]);
    expect(() => blocks.hide(all[1])).toThrow('hidden');
    expect(findings(blocks)).toEqual([]);
    blocks.clear();
    expect(findings(blocks)).toEqual([]);
    expect(blocks.alloc(100)).toBe(all[0]);
  });

  test('all is in the words: older words bring the past back, even before the size', () => {
    const { arena, blocks } = newHeap(pool, 2 ** 14);
    const past = arena.words.slice();
    const a = blocks.alloc(100);
    arena.words.set(past);
    expect(blocks.alloc(40)).toBe(a);
    expect(pool.attach(arena).sizeOf(a)).toBe(48);
  });

  test('segments beyond the first have blocks of the same size', () => {
    using region = createRegion(heap({ capacity: '8GiB' }), poolOf('3000MiB'));
    const all = [region.alloc(3000 * 2 ** 20), region.alloc(3000 * 2 ** 20)];
    expect(all[1]).toBeGreaterThan(2 ** 32);
    expectCode('ERR_NO_SPACE', () => region.alloc(3000 * 2 ** 20));
    expectCode('ERR_BAD_SIZE', () => region.alloc(16));
    for (let i = 0; i < 300; i++) region.roots.set(`a root with a long name, number ${i}`, i);
    expect(region.check()).toEqual([]);
    for (const address of all) region.free(address);
    region.compact();
    expect(region.stat()).toMatchObject({ busyBlocks: 0, segments: 1 });
  });
});

describe('check names the invariant that is broken', () => {
  function sample() {
    const { arena, blocks } = newHeap(pool, 2 ** 16);
    const all = Array.from({ length: 20 }, () => blocks.alloc(100));
    for (const i of [3, 5, 9]) blocks.free(all[i]);
    blocks.hide(all[7]);
    blocks.allocHidden?.(5000);
    expect(findings(blocks)).toEqual([]);
    return { blocks, words: arena.words, all };
  }

  type Sample = ReturnType<typeof sample>;
  const breaks: [string, string, (h: Sample) => void, (h: Sample) => number][] = [
    ['P1', 'magic', ({ words }) => { words[S] = 1; }, () => START],
    ['P1', 'granules', ({ words }) => { words[S + POOL.granules] = 3; }, () => START],
    ['P1', 'top', ({ words }) => { words[S + POOL.top] = 2 ** 20; }, () => START],
    ['P2', 'places', ({ words }) => { words[S + POOL.top]! -= 1; },
      ({ words }) => words[S + POOL.top] as number],
    ['P2', 'directory', ({ words }) => { words[S + POOL.directory + 9] = FIRST; }, () => START],
    ['P3', 'a bit inside', ({ words }) => { words[(FIRST + POOL_MAP_GRANULES - 1) * 4] = 1; },
      () => START],
    ['P4', 'a loop', ({ words, all }) => { words[all[5] * 4] = all[9]; }, ({ all }) => all[5]],
    ['P4', 'a live one', ({ words, all }) => { words[S + POOL.free] = all[0]; }, () => START],
    ['P4', 'a lost one', ({ words, all }) => { words[S + POOL.free] = all[5]; },
      ({ all }) => all[9]],
    ['P5', 'a gap', ({ words }) => { words[S + POOL.hidden + 10] = 5; }, () => START],
    ['P5', 'outside', ({ words }) => { words[S + POOL.hidden + 1] = 2 ** 20; },
      ({ all }) => all[7]],
    ['P5', 'live', ({ words, all }) => {
      words[FIRST * 4 + (all[7] >>> 5)]! |= 1 << all[7];
    }, ({ all }) => all[7]],
  ];

  test.each(breaks)('%s: %s', (id, _what, damage, place) => {
    const broken = sample();
    damage(broken);
    const found = findings(broken.blocks).map((finding) => [finding.id, finding.address / GRANULE]);
    expect(found).toContainEqual([id, place(broken)]);
  });

  test('rebuild mends every one of them that leaves the ground truth whole', () => {
    for (const [id, what, damage] of breaks) {
      if (!(id === 'P4' || what === 'granules' || what === 'live')) continue;
      const broken = sample();
      const busy = busyOf(broken.blocks);
      damage(broken);
      expect([what, broken.blocks.rebuild()]).toEqual([what, true]);
      expect([what, findings(broken.blocks)]).toEqual([what, []]);
      expect(busyOf(broken.blocks)).toEqual(busy);
    }
  });

  test('at most 100 findings', () => {
    const { arena, blocks } = newHeap(pool, 2 ** 16);
    for (const at of Array.from({ length: 900 }, () => blocks.alloc(16))) blocks.free(at);
    arena.words[S + POOL.free] = 0;
    expect(findings(blocks).length).toBe(100);
  });
});
