/** slab: what each call does, and every invariant broken once. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { GRANULE, SLAB, SLAB_CLASSES, SLAB_GROUP, SLAB_HEAD, SLAB_HIDDEN, SLAB_KIND, SLAB_PAGE,
  SLAB_TABLE } from '../src/layout.ts';
import { slab } from '../src/methods/slab.ts';
import { createRegion } from '../src/region/region.ts';
import { busyOf, copyOf, findings, newArena, START, statOf, watched }
  from './support/best-arena.ts';
import { newSlab } from './support/slab-arena.ts';

const S = START * 4;
const PAGE = SLAB_PAGE.granules;
/** Word index of the table of the first MiB in the directory. */
const FIRST = S + SLAB.directory;

/** Word index of the kind of the page of a block in the first MiB. */
function kindOf(words: Int32Array, at: number): number {
  return words[FIRST] + SLAB_TABLE.kinds + Math.floor(at / PAGE);
}

/** Word index of the free bits of the group of a granule in the first MiB. */
function groupOf(words: Int32Array, at: number): number {
  return words[FIRST] + SLAB_TABLE.groups + (at >>> 5) * SLAB_GROUP.words;
}

/** Word index of the head of a list. */
function headOf(n: number): number {
  return S + SLAB.heads + n * SLAB_HEAD.words;
}

function pageOf(at: number): number {
  return at - at % PAGE;
}

describe('slab', () => {
  test('sizes are those asked for, rounded up to granules; classes end at 256 bytes', () => {
    const { blocks } = newSlab(2 ** 16);
    for (const size of [0, 1, 15, 16, 17, 64, 100, 255, 256, 257, 1024, 8193, 100_000]) {
      const at = blocks.alloc(size);
      expect(blocks.sizeOf(at)).toBe(Math.max(1, Math.ceil(size / GRANULE)) * GRANULE);
    }
    expect(findings(blocks)).toEqual([]);
  });

  test('every class fills its pages, to the last slot of each, and recognises strangers', () => {
    const { blocks } = newSlab(2 ** 17);
    for (let n = 1; n <= SLAB_CLASSES; n += 1) {
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

  test('blocks come from the last full group that one was freed in, the lowest first', () => {
    const { blocks } = newSlab(2 ** 17);
    const all = Array.from({ length: 1000 }, () => blocks.alloc(64)).sort((a, b) => a - b);
    const some = [all[70], all[900], all[3], all[901], all[2]];
    for (const at of some) expect(blocks.free(at)).toBe(true);
    for (const i of [2, 3, 900, 901, 70]) expect(blocks.alloc(60)).toBe(all[i]);
  });

  test('what is written to blocks that are free leads nowhere', () => {
    const { arena, blocks } = newSlab(2 ** 17);
    const all = Array.from({ length: 100 }, () => blocks.alloc(48));
    for (const at of all) blocks.free(at);
    for (const at of all) arena.words.fill(123_456, at * 4, at * 4 + 12);
    const again = Array.from({ length: 200 }, () => blocks.alloc(48));
    expect(new Set(again).size).toBe(200);
    expect(busyOf(blocks).size).toBe(200);
    expect(findings(blocks)).toEqual([]);
  });

  test('a list whose head is damaged is dropped; what it led to is found again', () => {
    for (const [word, value] of [[0, 5], [0, 2 ** 30], [1, 31], [1, -1], [1, 2 ** 28 + 31]]) {
      const { arena, blocks } = newSlab(2 ** 17);
      const all = Array.from({ length: 100 }, () => blocks.alloc(48));
      arena.words[headOf(3) + word] = value;
      arena.words[5] = 0;
      const more = Array.from({ length: 300 }, () => blocks.alloc(48));
      if (word === 0) expect(new Set([...all, ...more]).size).toBe(400);
      expect(blocks.rebuild()).toBe(true);
      expect(findings(blocks)).toEqual([]);
    }
  });

  test('an empty page serves another class, all of them go back', () => {
    const { arena, blocks } = newSlab(2 ** 18);
    const fill = (size: number) => Array.from({ length: 8000 }, () => blocks.alloc(size));
    const first = fill(64);
    const { size } = arena;
    for (const at of first) blocks.free(at);
    const second = fill(48);
    for (const at of second) blocks.free(at);
    for (const at of fill(60)) blocks.free(at);
    expect(arena.size - size).toBeLessThan(16 * PAGE);
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
    const [page, table] = [pageOf(small), arena.words[FIRST] / 4];
    const strangers = [0, 1, START, START + 300, freed, small + 1, large + 1, page + 255,
      pageOf(freed), pageOf(freed) + 3, table, table + 1, arena.size - 1, 2 ** 16 - 1, 2 ** 27, -1,
      -(2 ** 31)].filter((at) => at !== small);
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

  test('blocks as long as a page or a table are none', () => {
    const { blocks } = newSlab(2 ** 17);
    const [page, table] = [PAGE * GRANULE, SLAB_TABLE.words * 4];
    const sizes = [page, table].flatMap((size) => [size - 17, size - 16, size - 15, size - 1, size,
      size + 1, size + 16]);
    const all = [...sizes.map((size) => blocks.alloc(size)), blocks.align(page, page)];
    for (const [i, size] of sizes.entries()) {
      expect(blocks.sizeOf(all[i])).toBeGreaterThanOrEqual(size);
      expect(blocks.sizeOf(all[i]) - size).toBeLessThan(32);
    }
    expect(blocks.resize(all[6], page - 3)).toBe(true);
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
    const { blocks } = newSlab(12_288);
    const held: number[] = [];
    for (let at = blocks.alloc(100); at !== 0; at = blocks.alloc(100)) held.push(at);
    expect(held.length).toBeGreaterThan(1200);
    expect(findings(blocks)).toEqual([]);
    for (const at of held) expect(blocks.free(at)).toBe(true);
    expect(blocks.alloc(80_000)).toBeGreaterThan(0);
    expect(blocks.alloc(2 ** 32 - 1)).toBe(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('an arena without room for a page serves small blocks all the same', () => {
    const { arena, blocks } = newSlab(3072);
    const held = Array.from({ length: 60 }, () => blocks.alloc(40));
    expect(arena.words[FIRST]).toBe(0);
    expect(held.every((at) => blocks.sizeOf(at) >= 40)).toBe(true);
    for (const at of held) expect(blocks.free(at)).toBe(true);
    expect(slab.format(newArena(1024))).toBe(false);
    expect(findings(blocks)).toEqual([]);
  });

  test('where there is no room, a call that fails costs no look at the pages', () => {
    const { arena, blocks } = newSlab(2 ** 20);
    const held: number[] = [];
    for (let at = blocks.alloc(16); at !== 0; at = blocks.alloc(16)) held.push(at);
    let reads = 0;
    const words = new Proxy(arena.words, {
      get: (target, name) => {
        reads += 1;
        return name === 'fill' ? target.fill.bind(target) : Reflect.get(target, name, target);
      },
      set: (target, name, value) => Reflect.set(target, name, value, target),
    });
    const counted = slab.attach({ ...arena, words, end: arena.end });
    const readsOf = (calls: number, call: () => unknown): number => {
      reads = 0;
      for (let i = 0; i < calls; i += 1) call();
      return reads / calls;
    };
    expect(readsOf(1000, () => expect(counted.alloc(100)).toBe(0))).toBeLessThan(2000);
    expect(readsOf(1000, () => expect(counted.alloc(5000)).toBe(0))).toBeLessThan(2000);
    const [a, b] = [held[1000], held[9000]];
    const pair = (): void => {
      expect([counted.free(a), counted.alloc(100), counted.alloc(16)]).toEqual([true, 0, a]);
    };
    expect(readsOf(1000, pair)).toBeLessThan(2000);
    expect(counted.free(b)).toBe(true);
    expect(findings(blocks)).toEqual([]);
    // What becomes empty while it is sealed is found by the next call that would fail.
    for (const at of held) if (pageOf(at) === pageOf(b) && at !== b) counted.free(at);
    expect(findings(blocks)).toEqual([]);
    expect(counted.alloc(100)).toBeGreaterThan(0);
    expect(findings(blocks)).toEqual([]);
  });

  test('trim gives back empty pages at the end', () => {
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
    return { arena, blocks, words: arena.words, small, hidden };
  }

  type Sample = ReturnType<typeof sample>;
  const breaks: [string, string, (h: Sample) => void, (h: Sample) => number][] = [
    ['S1', 'magic', ({ words }) => { words[S] = 1; }, () => START],
    ['S2', 'a table for nothing', ({ words }) => { words[FIRST + 3] = 40_000; },
      () => 3 * 65_536],
    ['S2', 'one table twice', ({ words }) => { words[FIRST + 3] = words[FIRST] as number; },
      () => 3 * 65_536],
    ['S2', 'a table that is gone', ({ words }) => { words[FIRST] = 0; },
      ({ small }) => pageOf(small[0])],
    ['S2', 'a page that is gone', ({ words, small }) => { words[kindOf(words, small[0])] = 0; },
      ({ small }) => pageOf(small[0])],
    ['S3', 'kind', ({ words, small }) => { words[kindOf(words, small[0])] = SLAB_CLASSES + 1; },
      ({ small }) => pageOf(small[0])],
    ['S3', 'no page', ({ words }) => { words[kindOf(words, PAGE * 200)] = 3; }, () => PAGE * 200],
    ['S3', 'no guard', ({ words, hidden }) => {
      words[kindOf(words, hidden)]! &= SLAB_KIND.class;
    }, ({ hidden }) => pageOf(hidden)],
    ['S4', 'a bit for no block', ({ words, small }) => {
      words[groupOf(words, small[0])]! |= 2 << small[0];
    }, ({ small }) => small[0] & ~31],
    ['S5', 'a loop', ({ words, small }) => {
      words[groupOf(words, small[10]) + SLAB_GROUP.next] = small[20] | 31;
    }, ({ small }) => small[10] & ~31],
    ['S5', 'a full group', ({ words, small }) => {
      words[headOf(4) + SLAB_HEAD.last] = small[100] | 31;
    }, () => START],
    ['S5', 'another class', ({ words }) => {
      words.copyWithin(headOf(7), headOf(4), headOf(5));
    }, () => START],
    ['S5', 'a head in two minds', ({ words }) => { words[headOf(4)]! += SLAB_GROUP.words; },
      () => START],
    ['S6', 'a lost one', ({ words, small }) => {
      words[headOf(4)] = groupOf(words, small[200]);
      words[headOf(4) + SLAB_HEAD.last] = small[200] | 31;
    }, ({ small }) => small[20] & ~31],
    ['S7', 'number', ({ words }) => { words[S + SLAB.pages] = 77; }, () => START],
    ['S7', 'sealed by half', ({ words }) => { words[S + SLAB.sealed] = 1; }, () => 0],
    ['S7', 'sealed', ({ words, blocks, small }) => {
      for (const at of small) blocks.free(at);
      words[S + SLAB.sealed] = 1;
      words[FIRST] = -(words[FIRST] as number);
    }, () => START],
    ['S8', 'a gap', ({ words }) => { words[S + SLAB.hidden + 7] = 5; }, () => START],
    ['S8', 'twice', ({ words, hidden }) => { words[S + SLAB.hidden + 1] = hidden; },
      ({ hidden }) => hidden],
    ['S8', 'free', ({ words, hidden }) => { words[groupOf(words, hidden)]! |= 1 << hidden; },
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
      || ['no guard', 'free'].includes(what));
    for (const [id, what, damage] of mended) {
      const broken = sample();
      if (what === 'sealed') damage(broken);
      const busy = busyOf(broken.blocks);
      if (what !== 'sealed') damage(broken);
      expect([id, what, broken.blocks.rebuild()]).toEqual([id, what, true]);
      expect([what, findings(broken.blocks)]).toEqual([what, []]);
      expect(busyOf(broken.blocks)).toEqual(busy);
    }
  });

  test('at most 100 findings', () => {
    const { arena, blocks } = newSlab(2 ** 20);
    const all = Array.from({ length: 4000 }, () => blocks.alloc(200));
    for (const at of all) arena.words[groupOf(arena.words, at & 65_535)] = -1;
    expect(findings(blocks).length).toBe(100);
  });
});
