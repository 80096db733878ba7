/** slab: what each call does, and every invariant broken once. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { GRANULE, SLAB, SLAB_HIDDEN, SLAB_KIND, SLAB_PAGE, SLAB_SPAN } from '../src/layout.ts';
import { slab } from '../src/methods/slab.ts';
import { createRegion } from '../src/region/region.ts';
import { busyOf, copyOf, findings, newArena, START, statOf, watched }
  from './support/best-arena.ts';
import { newSlab } from './support/slab-arena.ts';

const S = START * 4;
const SPAN_GRANULES = SLAB_SPAN.words / 4;

/** Word index of the first word of the span of a block. */
function spanOf(at: number): number {
  return Math.floor(at / SPAN_GRANULES) * SLAB_SPAN.words;
}

function tableOf(at: number): number {
  return spanOf(at) + SLAB_SPAN.pages + ((at % SPAN_GRANULES) >>> 8) * SLAB_PAGE.words;
}

/** Word index of the kind of the page of a block. */
function kindOf(at: number): number {
  return tableOf(at) + SLAB_PAGE.kind;
}

/** Word index of the bit of a granule. */
function bitOf(at: number): number {
  return tableOf(at) + ((at & 255) >>> 5);
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

  test('the last block freed of a size is the next one given', () => {
    const { blocks } = newSlab(2 ** 17);
    const all = Array.from({ length: 1000 }, () => blocks.alloc(64));
    const some = [all[70], all[900], all[3]];
    for (const at of some) expect(blocks.free(at)).toBe(true);
    for (const at of some.reverse()) expect(blocks.alloc(60)).toBe(at);
  });

  test('what is written to a block after it was freed leads nowhere', () => {
    const { arena, blocks } = newSlab(2 ** 17);
    const all = Array.from({ length: 100 }, () => blocks.alloc(48));
    for (const at of all) blocks.free(at);
    arena.words.fill(123_456, all[50] * 4, all[50] * 4 + 12);
    const again = Array.from({ length: 200 }, () => blocks.alloc(48));
    expect(new Set(again).size).toBe(200);
    expect(busyOf(blocks).size).toBe(200);
    expect(findings(blocks).map(({ id }) => id)).toContain('S6');
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });

  test('an empty page serves another class, an empty span goes back', () => {
    const { arena, blocks } = newSlab(2 ** 18);
    const fill = (size: number) => Array.from({ length: 8000 }, () => blocks.alloc(size));
    const first = fill(64);
    const { size } = arena;
    for (const at of first) blocks.free(at);
    const second = fill(48);
    for (const at of second) blocks.free(at);
    for (const at of fill(60)) blocks.free(at);
    expect(arena.size).toBe(size);
    blocks.trim();
    expect(arena.size).toBeLessThan(4096);
    expect(findings(blocks)).toEqual([]);
  });

  test('one block that comes and goes changes nothing', () => {
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
    expect(seen).toEqual([SLAB_HIDDEN, SLAB_HIDDEN - 1, SLAB_HIDDEN - 1]);
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
  /** Pages of several classes, free blocks, a hidden one, large ones, and where they are. */
  function sample() {
    const { arena, blocks } = newSlab(2 ** 18);
    const small = Array.from({ length: 256 }, () => blocks.alloc(64));
    for (const i of [10, 200, 20]) blocks.free(small[i]);
    const hidden = blocks.alloc(80);
    blocks.hide(hidden);
    blocks.alloc(20_000);
    expect(findings(blocks)).toEqual([]);
    return { arena, blocks, words: arena.words, small, hidden, span: spanOf(hidden) };
  }

  type Sample = ReturnType<typeof sample>;
  const breaks: [string, string, (h: Sample) => void, (h: Sample) => number][] = [
    ['S1', 'magic', ({ words }) => { words[S] = 1; }, () => START],
    ['S2', 'a bit for nothing', ({ words }) => { words[S + SLAB.spanBits]! |= 1 << 30; },
      () => 30 * SPAN_GRANULES],
    ['S2', 'a bit that is gone', ({ words, span }) => {
      words[S + SLAB.spanBits]! &= ~(1 << (span / SLAB_SPAN.words));
    }, ({ span }) => span / 4],
    ['S3', 'kind', ({ words, small }) => { words[kindOf(small[0])] = 33; },
      ({ small }) => small[0] & ~255],
    ['S3', 'last', ({ words, small }) => { words[kindOf(small[0])]! |= SLAB_KIND.last; },
      ({ small }) => small[0] & ~255],
    ['S3', 'no guard', ({ words, hidden }) => {
      words[kindOf(hidden)]! &= ~SLAB_KIND.guarded;
    }, ({ hidden }) => hidden & ~255],
    ['S4', 'a bit for no block', ({ words, small }) => {
      words[bitOf(small[0] + 5)]! |= 1 << ~(small[0] + 5);
    }, ({ small }) => small[0] & ~255],
    ['S4', 'a bit in a free page', ({ words, span }) => {
      words[bitOf(span / 4 + 14 * 256)] = 1;
    }, ({ span }) => span / 4 + 14 * 256],
    ['S5', 'a loop', ({ words, small }) => {
      words[small[10] * 4] = small[20];
      words[small[10] * 4 + 1] = ~small[20];
    }, ({ small }) => small[10]],
    ['S5', 'a live one', ({ words, small }) => { words[S + SLAB.heads + 4] = small[0]; },
      () => START],
    ['S5', 'another class', ({ words }) => {
      words[S + SLAB.heads + 7] = words[S + SLAB.heads + 4] as number;
    }, () => START],
    ['S5', 'not twice the same', ({ words, small }) => { words[small[200] * 4 + 1] = 5; },
      ({ small }) => small[200]],
    ['S6', 'a lost one', ({ words, small }) => { words[S + SLAB.heads + 4] = small[200]; },
      ({ small }) => small[20]],
    ['S7', 'free pages', ({ words, span }) => { words[span + SLAB_SPAN.free] = 1; },
      ({ span }) => span / 4],
    ['S7', 'list', ({ words }) => { words[S + SLAB.open] = 16_384 * 9; }, () => START],
    ['S7', 'not listed', ({ words }) => { words[S + SLAB.open] = 0; }, ({ span }) => span / 4],
    ['S7', 'number', ({ words }) => { words[S + SLAB.spans] = 7; }, () => START],
    ['S8', 'a gap', ({ words }) => { words[S + SLAB.hidden + 7] = 5; }, () => START],
    ['S8', 'twice', ({ words, hidden }) => { words[S + SLAB.hidden + 1] = hidden; },
      ({ hidden }) => hidden],
    ['S8', 'live', ({ words, hidden }) => { words[bitOf(hidden)]! |= 1 << ~hidden; },
      ({ hidden }) => hidden],
  ];

  test.each(breaks)('%s: %s', (id, _what, damage, place) => {
    const broken = sample();
    damage(broken);
    const found = findings(broken.blocks).map((finding) => [finding.id, finding.address / GRANULE]);
    expect(found).toContainEqual([id, place(broken)]);
  });

  test('rebuild mends every one of them that leaves the ground truth whole', () => {
    const mended = breaks.filter(([id, what]) => ['S5', 'S6', 'S7'].includes(id)
      || ['no guard', 'live'].includes(what));
    for (const [id, what, damage] of mended) {
      const broken = sample();
      const busy = busyOf(broken.blocks);
      damage(broken);
      expect([id, what, broken.blocks.rebuild()]).toEqual([id, what, true]);
      expect([what, findings(broken.blocks)]).toEqual([what, []]);
      expect(busyOf(broken.blocks)).toEqual(busy);
    }
  });

  test('at most 100 findings', () => {
    const { arena, blocks } = newSlab(2 ** 20);
    const all = Array.from({ length: 4000 }, () => blocks.alloc(300));
    for (const at of all) arena.words[bitOf(at | 255)] = 3;
    expect(findings(blocks).length).toBe(100);
  });
});
