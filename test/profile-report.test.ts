/** Profiles as text, JSON and flame graphs. */
import { describe, expect, test } from 'vitest';
import { counting, Profiling } from '../src/malloc/profiling.ts';
import { partsOfSite, type Profile } from '../src/profile/profile.ts';
import { profileJson, profileText } from '../src/profile/report.ts';
import { profileFor } from '../src/profile/write.ts';

const use = (allocations: number, bytes: number, live: number, liveBytes: number) =>
  ({ allocations, frees: allocations - live, bytes, live, liveBytes });

const PROFILE: Profile = {
  name: 'one & <two>',
  ...use(12, 1300, 3, 400),
  peakBytes: 900,
  sites: [
    { site: '/a/b.js:3:inner', ...use(10, 1000, 2, 300), peakBytes: 800 },
    { site: '', ...use(2, 300, 1, 100), peakBytes: 200 },
  ],
  stacks: [
    { stack: ['/a/b.js:3:inner', '/a/b.js:9:outer'], ...use(6, 600, 1, 100) },
    { stack: ['/a/b.js:3:inner', '/a/c.js:1:<top level>'], ...use(4, 400, 1, 200) },
    { stack: [], ...use(2, 300, 1, 100) },
  ],
};

test('a table has a line for all and one for each site', () => {
  expect(profileText(PROFILE)).toBe(`\
allocations  frees  bytes  peak bytes  live  live bytes  site
         12      9   1300         900     3         400  all of one & <two>
         10      8   1000         800     2         300  /a/b.js:3:inner
          2      1    300         200     1         100  (outside the program)
`);
});

test('JSON is the profile itself', () => {
  expect(JSON.parse(profileJson(PROFILE))).toEqual(PROFILE);
});

test('the name of a file says which form it has', () => {
  expect(profileFor('a.json', PROFILE)).toBe(profileJson(PROFILE));
  const svg = profileFor('a.SVG', PROFILE);
  expect(svg).toContain('>one &amp; &lt;two&gt;: live bytes by call stack</text>');
  expect(svg).toContain('400 live bytes in 3 blocks, at most 900');
  expect(profileFor('a.txt', PROFILE)).toBe(profileText(PROFILE));
  expect(profileFor('&2', PROFILE)).toBe(profileText(PROFILE));
});

test.each([
  ['/a/b.js:3:inner', '/a/b.js', '3', 'inner'],
  ['C:\\a b.js:12:new X', 'C:\\a b.js', '12', 'new X'],
  ['nothing', '', '', 'nothing'],
])('parts of %s', (site, file, line, called) => {
  expect(partsOfSite(site)).toEqual({ file, line, called });
});

describe('counting a region', () => {
  const event = (old: number, now: number, size: number) =>
    ({ old, new: now, size, align: 0, zero: false, region: 'r', method: 'm', site: '' });

  function after(...events: [number, number, number][]): Profile {
    const counts = new Profiling();
    const sink = counting(counts);
    for (const one of events) sink.record(event(...one));
    return counts.finish('r');
  }

  test.each<[string, [number, number, number][], object]>([
    ['nothing', [], use(0, 0, 0, 0)],
    ['an alloc', [[0, 16, 100]], { ...use(1, 100, 1, 100), peakBytes: 100 }],
    ['alloc and free', [[0, 16, 100], [16, 0, 0]], { ...use(1, 100, 0, 0), peakBytes: 100 }],
    ['growth in place', [[0, 16, 100], [16, 16, 300]], { ...use(1, 300, 1, 300), peakBytes: 300 }],
    ['a smaller one elsewhere', [[0, 16, 100], [16, 64, 30], [64, 0, 0]],
      { ...use(1, 100, 0, 0), peakBytes: 100 }],
    ['a stranger is freed', [[16, 0, 0]], use(0, 0, 0, 0)],
    ['a stranger is resized', [[16, 32, 50]], { ...use(1, 50, 1, 50), peakBytes: 50 }],
    ['the region is cleared', [[0, 16, 1], [0, 32, 2], [0, 0, 0], [0, 16, 4]],
      { ...use(3, 7, 1, 4), peakBytes: 4 }],
  ])('%s', (_name, events, expected) => {
    const profile = after(...events);
    expect(profile).toMatchObject(expected);
    // P1
    for (const parts of [profile.sites, profile.stacks]) {
      for (const key of ['allocations', 'frees', 'bytes', 'live', 'liveBytes'] as const) {
        expect(parts.reduce((sum, part) => sum + part[key], 0)).toBe(profile[key]);
      }
    }
  });

  test("a site's peak is its own (P2)", () => {
    const counts = new Profiling();
    const sink = counting(counts);
    const one = () => sink.record(event(0, 16, 100));
    const other = () => sink.record(event(0, 32, 30));
    one();
    sink.record(event(16, 0, 0));
    other();
    const [first, second] = counts.finish('r').sites;
    expect([first.peakBytes, second.peakBytes]).toEqual([100, 30]);
    const called = [first.site, second.site].map((site) => partsOfSite(site).called);
    expect(called).toEqual(['one', 'other']);
  });
});
