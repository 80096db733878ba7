/** profile(inner): what is counted, where it is kept, and what is made of it. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { GRANULE, METHOD_START } from '../src/layout.ts';
import { PROFILE, SITES } from '../src/layout-debug.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { profile } from '../src/methods/profile.ts';
import type { ProfileOptions } from '../src/methods/profile-state.ts';
import { methodNamed } from '../src/methods/registry.ts';
import { profileText } from '../src/profile/profile-text.ts';
import { profileOf } from '../src/region/profile-of.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Method, Region } from '../src/types.ts';
import { newArena } from './support/arena.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, Oracle, randomFrom, randomStep } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

function fresh(options?: ProfileOptions, inner: Method = best): Region {
  return createRegion(heap({ capacity: '4MiB' }), profile(inner, options));
}

function small(region: Region) {
  return region.alloc(10);
}

function large(region: Region) {
  return region.alloc(1000);
}

/** The one site whose innermost frame is this function. */
function siteOf(region: Region, called: string) {
  const found = profileOf(region).sites.filter(({ stack }) => stack[0].endsWith(`:${called}`));
  expect(found).toHaveLength(1);
  return found[0];
}

const counters = ({ allocs, frees, bytes, live, liveBlocks, peak }: Record<string, unknown>) =>
  [allocs, frees, bytes, live, liveBlocks, peak];

describe('counts', () => {
  test('by call stack: allocations, frees, bytes, live, peak', () => {
    const region = fresh();
    const all: number[] = [];
    for (let i = 0; i < 5; i++) all.push(small(region));
    for (let i = 0; i < 2; i++) all.push(large(region));
    for (const a of all.slice(0, 3)) region.free(a);
    expect(counters({ ...siteOf(region, 'small') })).toEqual([5, 3, 50, 20, 2, 50]);
    expect(counters({ ...siteOf(region, 'large') })).toEqual([2, 0, 2000, 2000, 2, 2000]);
    expect(siteOf(region, 'small').stack[0]).toMatch(/^\/.*profile\.test\.ts:\d+:small$/);
    const { total, sites } = profileOf(region);
    expect(counters({ ...total })).toEqual([7, 3, 2050, 2020, 4, 2050]);
    expect(total.peakExtent).toBe(region.stat().extent);
    expect(sites[0].live).toBe(2000);
  });

  test('a resize stays with the stack that allocated, in place; a move is a new allocation', () => {
    const region = fresh();
    const a = large(region);
    expect(region.resize(a, 2000)).toBe(a);
    expect(region.resize(a, 500)).toBe(a);
    expect(counters({ ...siteOf(region, 'large') })).toEqual([1, 0, 2000, 500, 1, 2000]);
    small(region);
    expect(region.resize(a, 5000)).not.toBe(a);
    expect(counters({ ...siteOf(region, 'large') })).toEqual([1, 1, 2000, 0, 0, 2000]);
    expect(profileOf(region).total.live).toBe(5010);
  });

  test('what the region keeps for itself does not count; clear ends all', () => {
    const region = fresh();
    small(region);
    for (let i = 0; i < 300; i++) region.roots.set(`a root with a rather long name ${i}`, i);
    expect(profileOf(region).total).toMatchObject({ live: 10, liveBlocks: 1, allocs: 1 });
    region.clear();
    expect(profileOf(region).total).toMatchObject({ live: 0, liveBlocks: 0, allocs: 1, frees: 1 });
    expect(region.check()).toEqual([]);
  });

  test('depth says which stacks are told apart; without sites only totals count', () => {
    const through = (region: Region) => small(region);
    const shallow = fresh({ depth: 1 });
    small(shallow);
    through(shallow);
    expect(siteOf(shallow, 'small')).toMatchObject({ allocs: 2, stack: [expect.any(String)] });
    const deep = fresh({ depth: 2 });
    small(deep);
    through(deep);
    expect(profileOf(deep).sites.map(({ stack }) => stack.length)).toEqual([2, 2]);
    const none = fresh({ sites: false });
    small(none);
    expect(profileOf(none)).toMatchObject({ sites: [], total: { live: 10 } });
  });

  test('a full table: what has no name counts in the totals', () => {
    const region = fresh({ siteTable: 256, depth: 8 });
    const sizes = [region.alloc(1), region.alloc(2), region.alloc(3), large(region)];
    const { total, sites } = profileOf(region);
    expect(total).toMatchObject({ allocs: 4, live: 1006 });
    expect(sites.length).toBeLessThan(4);
    expect(region.check()).toEqual([]);
    expect(profileText(profileOf(region))).toContain('4 allocations of 1,006 bytes');
    for (const a of sizes) region.free(a);
    expect(profileOf(region).total).toMatchObject({ frees: 4, live: 0 });
    expect(region.check()).toEqual([]);
  });

  test.each([[best, 'any'], [last, 'newest']] as const)(
    'random steps under debug(profile(…)) and profile(debug(…)) stay exact', (inner, order) => {
      const seed = newSeed();
      for (const method of [debug(profile(inner)), profile(debug(inner)), profile(inner)]) {
        const random = randomFrom(seed);
        const region = createRegion(heap({ capacity: '16MiB' }), method);
        const oracle = new Oracle(region, order);
        for (let i = 0; i < 800; i++) randomStep(oracle, random, 5000);
        oracle.verify();
        const { total, sites } = profileOf(region);
        if (method.name === 'profile(best)') {
          const held = oracle.blocks.reduce((sum, { size }) => sum + size, 0);
          expect(total.live).toBe(held);
        }
        expect(sites.reduce((sum, { live }) => sum + live, 0)).toBe(total.live);
      }
    });
});

describe('a region that is opened again', () => {
  test('goes on counting', () => {
    const path = join(temporaryDirectory(), 'a.region');
    let region = createRegion(file(path, { capacity: '4MiB' }), profile(best));
    const a = small(region);
    const before = siteOf(region, 'small');
    region.close();
    region = openRegion(file(path));
    expect(siteOf(region, 'small')).toEqual(before);
    region.free(a);
    small(region);
    small(region);
    const found = profileOf(region).sites.filter(({ stack }) => stack[0].endsWith(':small'));
    expect(found.reduce((sum, site) => sum + site.allocs, 0)).toBe(3);
    expect(profileOf(region).total).toMatchObject({ allocs: 3, frees: 1, live: 20, peak: 20 });
    region.close();
  });

  test('rebuild derives what is live from the blocks', () => {
    const arena = newArena(2 ** 20);
    const method = profile(best, { siteTable: 4096 });
    method.format(arena);
    const blocks = method.attach(arena);
    const all = Array.from({ length: 20 }, (_, i) => blocks.alloc(i * 10));
    for (const p of all.slice(0, 5)) blocks.free(p);
    const before = blocks.profile?.();
    new Float64Array(arena.words.buffer).fill(77, METHOD_START / 8 + PROFILE.live / 2,
      METHOD_START / 8 + PROFILE.peak / 2);
    const found: string[] = [];
    blocks.check(({ id }) => found.push(id));
    expect(found).toEqual(['P3']);
    const again = method.attach(arena);
    expect(again.rebuild()).toBe(true);
    again.check(({ id }) => found.push(id));
    expect(found).toEqual(['P3']);
    expect(again.profile?.()).toEqual(before);
  });
});

describe('invariants', () => {
  const held = () => {
    const arena = newArena(2 ** 20);
    const method = profile(best, { siteTable: 4096 });
    method.format(arena);
    const blocks = method.attach(arena);
    const p = blocks.alloc(100);
    const found = () => {
      const all: [string, number][] = [];
      blocks.check(({ id, address }) => all.push([id, address]));
      return all;
    };
    expect(found()).toEqual([]);
    return { arena, blocks, found, p, s: METHOD_START / 4 };
  };

  test.each(['magic', 'front', 'siteWords', 'stackWords', 'check'] as const)(
    'P1: a state whose %s cannot be', (field) => {
      const { arena, blocks, found, s } = held();
      arena.words[s + PROFILE[field]] += 2;
      expect(found()).toEqual([['P1', METHOD_START]]);
      expect(blocks.rebuild()).toBe(false);
    });

  test('P1: a table of stacks that is damaged', () => {
    const { arena, found, s } = held();
    arena.words[s + PROFILE.tables + 1024 + SITES.used] = 2 ** 20;
    expect(found()).toContainEqual(['P1', METHOD_START]);
  });

  test('P2: a header that was written over; the block can still be freed', () => {
    const { arena, blocks, found, p } = held();
    arena.words[p * 4 - 1] ^= 1;
    expect(found()).toEqual([['P2', p * GRANULE]]);
    expect(blocks.free(p)).toBe(true);
  });
});

describe('misuse', () => {
  test('profileOf wants a region that is profiled and open', () => {
    const plain = createRegion(heap({ capacity: '1MiB' }), best);
    expect(expectCode('ERR_MISMATCH', () => profileOf(plain)).message)
      .toContain('make one with profile(best)');
    const region = fresh();
    region.close();
    expectCode('ERR_CLOSED', () => profileOf(region));
    expect(profileOf(createRegion(heap({ capacity: '1MiB' }), debug(profile(best)))).sites)
      .toEqual([]);
  });

  test('options are checked, names are read', () => {
    const wrong: unknown[] = [null, 5, { depth: 0 }, { depth: 65 }, { depth: 1.5 }, { sites: 1 },
      { siteTable: -1 }, { siteTable: 2 ** 40 }, { dept: 3 }];
    for (const options of wrong) {
      expectCode('ERR_BAD_OPTION', () => profile(best, options as ProfileOptions));
    }
    expectCode('ERR_BAD_OPTION', () => profile(undefined as unknown as Method));
    expect(methodNamed('debug(profile(best))').name).toBe('debug(profile(best))');
  });
});
