/** Counting what calls allocate, and the forms a profile is written in. */
import { describe, expect, test } from 'vitest';
import { counting, Profiling } from '../src/malloc/profiling.ts';
import { flameGraph } from '../src/profile/flame-graph.ts';
import { profileText } from '../src/profile/profile-text.ts';
import { profileFor } from '../src/profile/write.ts';
import type { Profile } from '../src/profile.ts';

const use = (allocs: number, bytes: number, liveBlocks: number, live: number) =>
  ({ allocs, frees: allocs - liveBlocks, bytes, live, liveBlocks });

const PROFILE: Profile = {
  sites: [
    { stack: ['/a/b.js:3:inner', '/a/b.js:9:outer'], ...use(10, 1000, 2, 300), peak: 800 },
    { stack: [], ...use(2, 300, 1, 100), peak: 200 },
  ],
  total: { ...use(12, 1300, 3, 400), peak: 900, peakExtent: 900 },
};

test('the name of a file says which form it has', () => {
  expect(JSON.parse(profileFor('a.json', PROFILE, 't'))).toEqual(PROFILE);
  expect(profileFor('a.SVG', PROFILE, 't')).toBe(flameGraph(PROFILE, { title: 't', by: 'live' }));
  const text = profileText(PROFILE, { by: 'bytes' });
  expect(profileFor('a.txt', PROFILE, 't')).toBe(text);
  expect(profileFor('&2', PROFILE, 't')).toBe(text);
});

test('where nothing is live the graph shows all there was', () => {
  const total = { ...PROFILE.total, live: 0 };
  const dead = { total, sites: PROFILE.sites.map((site) => ({ ...site, live: 0 })) };
  expect(profileFor('a.svg', dead, 't')).toBe(flameGraph(dead, { title: 't', by: 'bytes' }));
});

describe('counting a region', () => {
  const event = (old: number, now: number, size: number) =>
    ({ old, new: now, size, align: 0, zero: false, region: 'r', method: 'm', site: '' });

  function after(...events: [number, number, number][]): Profile {
    const counts = new Profiling();
    const sink = counting(counts);
    for (const one of events) sink.record(event(...one));
    return counts.finish();
  }

  test.each<[string, [number, number, number][], object]>([
    ['nothing', [], use(0, 0, 0, 0)],
    ['an alloc', [[0, 16, 100]], { ...use(1, 100, 1, 100), peak: 100 }],
    ['alloc and free', [[0, 16, 100], [16, 0, 0]], { ...use(1, 100, 0, 0), peak: 100 }],
    ['growth in place', [[0, 16, 100], [16, 16, 300]], { ...use(1, 300, 1, 300), peak: 300 }],
    ['a smaller one elsewhere', [[0, 16, 100], [16, 64, 30], [64, 0, 0]],
      { ...use(1, 100, 0, 0), peak: 100 }],
    ['a stranger is freed', [[16, 0, 0]], use(0, 0, 0, 0)],
    ['a stranger is resized', [[16, 32, 50]], { ...use(1, 50, 1, 50), peak: 50 }],
    ['the region is cleared', [[0, 16, 1], [0, 32, 2], [0, 0, 0], [0, 16, 4]],
      { ...use(3, 7, 1, 4), peak: 4 }],
  ])('%s', (_name, events, expected) => {
    const profile = after(...events);
    expect(profile.total).toMatchObject(expected);
    // P1
    for (const key of ['allocs', 'frees', 'bytes', 'live', 'liveBlocks'] as const) {
      expect(profile.sites.reduce((sum, part) => sum + part[key], 0)).toBe(profile.total[key]);
    }
  });

  test("a stack's peak is its own (P2)", () => {
    const counts = new Profiling();
    const sink = counting(counts);
    const one = () => sink.record(event(0, 16, 100));
    const other = () => sink.record(event(0, 32, 30));
    one();
    sink.record(event(16, 0, 0));
    other();
    const { sites } = counts.finish();
    expect(sites.map(({ peak, stack: [site = ''] }) => [peak, site.split(':').at(-1)]))
      .toEqual([[30, 'other'], [100, 'one']]);
  });
});
