/** slab: what each call does, and every invariant broken once. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { GRANULE, SLAB, SLAB_CLASS, SLAB_HIDDEN, SLAB_PAGE, SLAB_SPAN } from '../src/layout.ts';
import { slab } from '../src/methods/slab.ts';
import { createRegion } from '../src/region/region.ts';
import { busyOf, copyOf, findings, newArena, START, statOf, watched }
  from './support/best-arena.ts';
import { newSlab } from './support/slab-arena.ts';

const S = START * 4;
const SPAN_GRANULES = SLAB_SPAN.words / 4;
const classAt = (n: number): number => S + SLAB.classes + n * SLAB_CLASS.words;

/** Word index of the table of the page of a block. */
function pageOf(at: number): number {
  const span = Math.floor(at / SPAN_GRANULES) * SLAB_SPAN.words;
  return span + SLAB_SPAN.pages + ((at % SPAN_GRANULES) >>> 8) * SLAB_PAGE.words;
}

describe('slab', () => {
  test('sizes are those asked for, rounded up to granules; classes end at 512 bytes', () => {
    const { blocks } = newSlab(2 ** 16);
    for (const size of [0, 1, 15, 16, 17, 64, 100, 511, 512, 513, 1024, 8193, 100_000]) {
      const at = blocks.alloc(size);
      expect(blocks.sizeOf(at)).toBe(Math.max(1, Math.ceil(size / GRANULE)) * GRANULE);
    }
    expect(findings(blocks)).toEqual([]);
  });

  test('every class fills its pages, to the last slot of each, and recognises strangers', () => {
    const { blocks } = newSlab(2 ** 17);
    for (let n = 1; n <= 32; n += 1) {
      const all = Array.from({ length: 600 }, () => blocks.alloc(n * GRANULE));
      expect(new Set(all).size).toBe(600);
      for (const at of all) {
        expect(blocks.sizeOf(at)).toBe(n * GRANULE);
        if (n > 1) expect(blocks.sizeOf(at + n - 1)).toBe(-1);
        expect(blocks.startOf(at + n - 1)).toBe(at);
      }
      expect(findings(blocks)).toEqual([]);
      for (const at of all) expect(blocks.free(at)).toBe(true);
    }
    expect(statOf(blocks).busyBlocks).toBe(0);
  });

  test('a block that is freed from a full page is the next one given', () => {
    const { blocks } = newSlab(2 ** 17);
    // Exactly a span: the last page has 12 slots less.
    const all = Array.from({ length: 1012 }, () => blocks.alloc(64));
    for (const at of [all[70], all[900], all[3]]) {
      expect(blocks.free(at)).toBe(true);
      expect(blocks.alloc(64)).toBe(at);
    }
  });

  test('an empty page serves another class, an empty span any block', () => {
    const { arena, blocks } = newSlab(2 ** 18);
    const fill = (size: number) => Array.from({ length: 8000 }, () => blocks.alloc(size));
    const first = fill(64);
    const { size } = arena;
    for (const at of first) blocks.free(at);
    const second = fill(48);
    for (const at of second) blocks.free(at);
    for (const at of fill(60)) blocks.free(at);
    expect(blocks.alloc(200_000)).toBeGreaterThan(0);
    expect(arena.size).toBe(size);
    expect(findings(blocks)).toEqual([]);
  });

  test('one block of a class that comes and goes changes nothing but its bit', () => {
    const { arena, blocks } = newSlab(2 ** 16);
    blocks.free(blocks.alloc(80));
    const before = arena.words.slice();
    blocks.free(blocks.alloc(80));
    expect(Buffer.compare(Buffer.from(arena.words.buffer), Buffer.from(before.buffer))).toBe(0);
  });

  test('what is not the start of a live block is recognised', () => {
    const { arena, blocks } = newSlab(2 ** 16);
    const [small, large, freed] = [blocks.alloc(100), blocks.alloc(5000), blocks.alloc(40)];
    blocks.free(freed);
    const span = Math.floor(small / SPAN_GRANULES) * SPAN_GRANULES;
    const strangers = [0, 1, START, START + 300, freed, small + 1, large + 1, span + 255,
      span + 3 * 256, span + SPAN_GRANULES - 1, span + SPAN_GRANULES - 48, arena.size - 1,
      2 ** 16 - 1, 2 ** 27, -1, -(2 ** 31)];
    const before = arena.words.slice();
    for (const at of strangers) {
      expect(blocks.free(at)).toBe(false);
      expect(blocks.sizeOf(at)).toBe(-1);
      expect(blocks.resize(at, 10)).toBe(false);
      expect(blocks.startOf(at) === 0 || at === small + 1 || at === large + 1).toBe(true);
    }
    expect(Buffer.compare(Buffer.from(arena.words.buffer), Buffer.from(before.buffer))).toBe(0);
  });

  test('resize stays in its class and does not grow out of it', () => {
    const { blocks } = newSlab(2 ** 16);
    const [a, b] = [blocks.alloc(100), blocks.alloc(300_000)];
    expect(blocks.resize(a, 112)).toBe(true);
    expect(blocks.resize(a, 113)).toBe(false);
    expect(blocks.resize(a, 0)).toBe(true);
    expect(blocks.sizeOf(a)).toBe(112);
    expect(blocks.resize(b, 400_000)).toBe(true);
    expect(blocks.resize(b, 20)).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });

  test('blocks as long as a span are no spans', () => {
    const { blocks } = newSlab(2 ** 17);
    const sizes = [65_519, 65_520, 65_521, 65_536, 65_537, 70_000];
    const all = [...sizes.map((size) => blocks.alloc(size)), blocks.align(65_536, 65_536)];
    expect(blocks.resize(all[5], 65_530)).toBe(true);
    blocks.alloc(10);
    expect(findings(blocks)).toEqual([]);
    expect(blocks.rebuild()).toBe(true);
    expect([...busyOf(blocks).keys()]).toEqual(expect.arrayContaining(all));
  });

  test.each([32, 64, 128, 512, 4096, 65_536])('align to %i', (alignment) => {
    const { blocks } = newSlab(2 ** 18);
    for (const size of [0, 1, 33, 100, 500, 1024, 5000, 70_000]) {
      blocks.alloc(24);
      const at = blocks.align(size, alignment);
      expect((at * GRANULE) % alignment).toBe(0);
      expect(blocks.sizeOf(at)).toBeGreaterThanOrEqual(size);
    }
    expect(blocks.align(100, 2 ** 32)).toBe(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('hidden blocks are out of reach, at every instant of a crash, and stay', () => {
    const { arena, blocks } = newSlab(2 ** 16);
    const all = Array.from({ length: SLAB_HIDDEN }, (_, i) => blocks.alloc(16 + (i % 5) * 16));
    const large = blocks.alloc(9000);
    blocks.hide(large);
    blocks.hide(12_345);
    const seen: number[] = [];
    const words = watched(arena.words, () => {
      const revived = slab.attach(copyOf(arena));
      expect(revived.rebuild()).toBe(true);
      expect(findings(revived)).toEqual([]);
      seen.push(busyOf(revived).size);
    }) as Int32Array<ArrayBuffer>;
    slab.attach({ ...newArena(arena.capacity, words), end: arena.end }).hide(all[0]);
    expect(seen).toEqual([SLAB_HIDDEN, SLAB_HIDDEN - 1]);
    for (const at of all.slice(1)) blocks.hide(at);
    expect(busyOf(blocks).size).toBe(0);
    const more = Array.from({ length: 50 }, () => blocks.alloc(16));
    for (const at of [...all, large]) {
      expect([blocks.free(at), blocks.sizeOf(at), blocks.startOf(at)]).toEqual([false, -1, 0]);
    }
    for (const at of more) expect(blocks.free(at)).toBe(true);
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
    expect(busyOf(blocks).size).toBe(0);
    expect(() => blocks.hide(blocks.alloc(16))).toThrow('hidden');
    blocks.clear();
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });

  test('no space: 0, nothing is lost, and goes on when something is freed', () => {
    const { blocks } = newSlab(3 * SPAN_GRANULES);
    const held: number[] = [];
    for (let at = blocks.alloc(100); at !== 0; at = blocks.alloc(100)) held.push(at);
    expect(held.length).toBeGreaterThan(1400);
    expect(findings(blocks)).toEqual([]);
    for (const at of held) expect(blocks.free(at)).toBe(true);
    expect(blocks.alloc(80_000)).toBeGreaterThan(0);
    expect(blocks.alloc(2 ** 32 - 1)).toBe(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('an arena without room for a span serves small blocks all the same', () => {
    const { blocks } = newSlab(3 * 1024);
    const held = Array.from({ length: 100 }, () => blocks.alloc(40));
    expect(held.every((at) => blocks.sizeOf(at) >= 40)).toBe(true);
    for (const at of held) expect(blocks.free(at)).toBe(true);
    expect(slab.format(newArena(1024))).toBe(false);
    expect(findings(blocks)).toEqual([]);
  });

  test('trim gives back empty spans at the end', () => {
    const { arena, blocks } = newSlab(2 ** 18);
    const before = arena.size;
    const held = Array.from({ length: 9000 }, (_, i) => blocks.alloc(i % 500));
    for (const at of held) blocks.free(at);
    blocks.trim();
    expect(arena.size).toBeLessThanOrEqual(before);
    expect(findings(blocks)).toEqual([]);
  });

  test('all is in the words: another manager goes on, older words bring the past back', () => {
    const { arena, blocks } = newSlab(2 ** 16);
    const a = blocks.alloc(100);
    const past = arena.words.slice();
    const b = blocks.alloc(100);
    const other = slab.attach(arena);
    expect(other.free(b)).toBe(true);
    expect(blocks.free(b)).toBe(false);
    arena.words.set(past);
    expect(blocks.alloc(100)).toBe(b);
    expect([...busyOf(other).keys()].sort()).toEqual([a, b].sort());
  });

  test('a second segment takes what the first has no room for', () => {
    using region = createRegion(heap({ capacity: '8GiB' }), slab);
    const [first] = region.segments();
    const wall = region.alloc(2 ** 32 - 2 ** 20);
    const all = Array.from({ length: 20_000 }, () => region.alloc(200));
    expect(all.some((address) => address >= 2 ** 32)).toBe(true);
    expect(first?.address).toBe(0);
    expect(region.check()).toEqual([]);
    for (const address of all) region.free(address);
    region.free(wall);
    region.compact();
    expect(region.stat()).toMatchObject({ busyBlocks: 0, segments: 1 });
  });
});

describe('check names the invariant that is broken', () => {
  /** Full and open pages, a hidden block, large blocks, and where they are. */
  function sample() {
    const { arena, blocks } = newSlab(2 ** 18);
    const full = Array.from({ length: 256 }, () => blocks.alloc(64));
    // The class goes on in the first page, the last one is listed, those between are full.
    blocks.free(full[10]);
    blocks.free(full[200]);
    const open = Array.from({ length: 60 }, () => blocks.alloc(512)).slice(-3);
    const hidden = blocks.alloc(80);
    blocks.hide(hidden);
    blocks.alloc(20_000);
    expect(findings(blocks)).toEqual([]);
    const span = Math.floor(hidden / SPAN_GRANULES) * SLAB_SPAN.words;
    return { arena, blocks, words: arena.words, full, open, hidden, span };
  }

  type Sample = ReturnType<typeof sample>;
  const breaks: [string, string, (h: Sample) => void, (h: Sample) => number][] = [
    ['S1', 'magic', ({ words }) => { words[S] = 1; }, () => START],
    ['S1', 'none', ({ words }) => { words[S + SLAB.none] = 4; }, () => START],
    ['S2', 'a bit for nothing', ({ words }) => { words[S + SLAB.spanBits]! |= 1 << 30; },
      () => 30 * SPAN_GRANULES],
    ['S2', 'a bit that is gone', ({ words, span }) => {
      words[S + SLAB.spanBits]! &= ~(1 << (span / SLAB_SPAN.words));
    }, ({ span }) => span / 4],
    ['S3', 'kind', ({ words, full }) => { words[pageOf(full[0])]! += 1; },
      ({ full }) => full[0] & ~255],
    ['S3', 'no guard', ({ words, hidden }) => { words[pageOf(hidden)]! |= 51 << 6; },
      ({ hidden }) => hidden & ~255],
    ['S4', 'a bit for no slot', ({ words, full }) => { words[pageOf(full[0]) + 3 + 5] = 1; },
      ({ full }) => full[0] & ~255],
    ['S5', 'next', ({ words, full }) => { words[pageOf(full[200]) + 1] = 77; },
      ({ full }) => pageOf(full[200]) >>> 2],
    ['S5', 'previous', ({ words, full }) => { words[pageOf(full[200]) + 2] = 77; },
      () => classAt(4) >>> 2],
    ['S5', 'last', ({ words }) => { words[classAt(9) + 2] = 77; }, () => classAt(9) >>> 2],
    ['S5', 'a page that says it is listed', ({ words, full }) => {
      words[pageOf(full[100]) + 1] = 5;
    }, ({ full }) => full[100] & ~255],
    ['S6', 'a slot that is forgotten', ({ words, full }) => {
      words[pageOf(full[100]) + 3]! |= 1;
    }, ({ full }) => full[100] & ~255],
    ['S7', 'current', ({ words }) => { words[classAt(4)]! += 5000; }, () => classAt(4) >>> 2],
    ['S7', 'base', ({ words }) => { words[classAt(4) + 3]! += 1; }, () => classAt(4) >>> 2],
    ['S8', 'free pages', ({ words, span }) => { words[span + SLAB_SPAN.free] = 1; },
      ({ span }) => span / 4],
    ['S8', 'list', ({ words }) => { words[S + SLAB.spans + 1] = 16_384 * 9; },
      () => (S + SLAB.spans - SLAB_SPAN.free) >>> 2],
    ['S9', 'a gap', ({ words }) => { words[S + SLAB.hidden + 7] = 5; }, () => START],
    ['S9', 'twice', ({ words, hidden }) => { words[S + SLAB.hidden + 1] = hidden; },
      ({ hidden }) => hidden],
  ];

  test.each(breaks)('%s: %s', (id, _what, damage, place) => {
    const broken = sample();
    damage(broken);
    const found = findings(broken.blocks).map((finding) => [finding.id, finding.address / GRANULE]);
    expect(found).toContainEqual([id, place(broken)]);
  });

  test('rebuild mends every one of them that leaves the ground truth whole', () => {
    const mended = breaks.filter(([id, what]) =>
      !['S2', 'S4', 'S9'].includes(id) && !['magic', 'kind'].includes(what));
    for (const [id, what, damage] of mended) {
      const broken = sample();
      const busy = busyOf(broken.blocks);
      damage(broken);
      expect([id, what, broken.blocks.rebuild()]).toEqual([id, what, true]);
      expect([what, findings(broken.blocks)]).toEqual([what, []]);
      if (id !== 'S6') expect(busyOf(broken.blocks)).toEqual(busy);
    }
  });

  test('at most 100 findings', () => {
    const { arena, blocks } = newSlab(2 ** 20);
    const all = Array.from({ length: 4000 }, () => blocks.alloc(300));
    for (const at of all) arena.words[pageOf(at) + 8] = 3;
    expect(findings(blocks).length).toBe(100);
  });
});
