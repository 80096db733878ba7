/**
 * The flame graph and the chart of a study in a real browser: what is drawn, what pointer and keys
 * do, and whether it can be read in light and dark. Skipped where there is no chromium.
 */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Profile, SiteProfile } from '../src/profile.ts';
import { flameGraph } from '../src/profile/flame-graph.ts';
import { chartOf } from '../src/study/chart.ts';
import {
  cellsOf, type Contender, type DirectRow, meansOf, type Sample, type Study, type TraceFacts,
} from '../src/study/study.ts';
import {
  collisions, contrasts, focused, opened, outside, overlong, path, places, spanOf, startBrowser,
  styleOf,
} from './support/browser.ts';

let page: Page;

beforeAll(async () => {
  if (path !== undefined) page = await startBrowser();
});
afterAll(() => page?.context().browser()?.close());

/** A server: a tree of calls, wide and narrow ones, deep ones, files with long paths. */
function server(): Profile {
  const deep = `/srv/${'a-folder-with-a-long-name/'.repeat(9)}parse.js`;
  const main = '/srv/app/main.js:12:main';
  const request = '/srv/app/http/request.js:40:onRequest';
  const stacks: [number, ...string[]][] = [
    [52_000, main, request, '/srv/app/read.js:7:readBody', '/srv/app/read.js:31:grow'],
    [21_000, main, request, `${deep}:3:parseWithANameThatIsLongEnough`],
    [9000, main, request, '/srv/app/render.js:9:render', '/srv/app/render.js:80:<anonymous>'],
    [8000, main, '/srv/app/cache.js:5:fill', '/srv/app/cache.js:15:entry'],
    [6000, '/srv/app/timer.js:2:<top level>'],
    ...Array.from({ length: 40 }, (_, i): [number, ...string[]] =>
      [100 - i, main, '/srv/app/routes.js:1:routes', `/srv/app/route${i}.js:${i}:route${i}`]),
    [12, main, '/srv/app/rare.js:1:rare'],
  ];
  const sites: SiteProfile[] = stacks.map(([live, ...outermost]) => ({
    stack: outermost.toReversed(), allocs: 1, frees: 0, bytes: live, live, liveBlocks: 1,
    peak: live,
  }));
  const live = sites.reduce((sum, site) => sum + site.live, 0);
  return { sites, total: { allocs: sites.length, frees: 0, bytes: live, live,
    liveBlocks: sites.length, peak: live, peakExtent: live } };
}

const flames = flameGraph(server(), { title: 'A server after its start' });
const frame = (name: string) => `.f[data-n="${name}"]`;

/** Where the rect of a frame is: [left, width]. */
const span = (name: string) => spanOf(page, `${frame(name)} rect`);

describe.skipIf(path === undefined)('flame graph', () => {
  test('a click zooms, Esc goes back to what was drawn first', async () => {
    const { complaints } = await opened(page, flames);
    const drawn = () => page.$$eval('.f', (all) => all.map((one) => one.outerHTML.replace(
      / style=""/, '').replace(/class="f ?"/, 'class="f"')));
    const before = await drawn();
    const whole = await span('all');
    await page.click(`${frame('onRequest')} rect`);
    expect(await span('onRequest')).toEqual(whole);
    expect(await span('main')).toEqual(whole);
    expect((await span('readBody'))[1]).toBeGreaterThan(0.6 * whole[1]);
    expect(await page.isVisible(frame('fill'))).toBe(false);
    expect(await page.isVisible('#reset')).toBe(true);
    await page.keyboard.press('Escape');
    expect(await drawn()).toEqual(before);
    expect(await page.isVisible('#reset')).toBe(false);
    await page.click(`${frame('onRequest')} rect`);
    await page.click('#reset');
    expect(await drawn()).toEqual(before);
    expect(complaints).toEqual([]);
  });

  test('/ asks and marks, again clears; an answer of nothing marks nothing', async () => {
    const seen = await opened(page, flames);
    const { complaints } = seen;
    const marked = () => page.$$eval('.hit', (all) => all.map((one) => one.getAttribute('data-n')));
    seen.answer = 'read\\.js';
    await page.keyboard.press('/');
    expect((await marked()).sort()).toEqual(['grow', 'readBody']);
    const share = Number(/matched (.*) %/.exec(await page.textContent('#matched') ?? '')?.[1]);
    expect(share).toBeCloseTo(100 * 52_000 / server().total.live, 1);
    await page.keyboard.press('/');
    expect(await marked()).toEqual([]);
    seen.answer = '';
    await page.click('#find');
    expect(await marked()).toEqual([]);
    expect(await page.textContent('#matched')).toBe('');
    expect(complaints).toEqual([]);
  });

  test('what is pointed at or has the focus is told, however long it is', async () => {
    await opened(page, flames);
    const about = () => page.textContent('#about');
    const idle = await about();
    await page.hover(`${frame('grow')} rect`);
    expect(await about()).toContain('grow (/srv/app/read.js:31) · 52,000 bytes');
    await page.mouse.move(2, 2);
    expect(await about()).toBe(idle);
    await page.focus(frame('parseWithANameThatIsLongEnough'));
    expect(await about()).toMatch(/^parseWith.*….*parse\.js:3\) · 21,000 bytes, [\d.]+ %$/);
    expect(await outside(page, 'text')).toEqual([]);
  });

  test('keys alone: Tab to a frame, Enter zooms, Tab to what is left', async () => {
    const { complaints } = await opened(page, flames);
    const order: string[] = [];
    while (!order.includes('onRequest') && order.length < 30) {
      await page.keyboard.press('Tab');
      order.push(await focused(page));
    }
    expect(order.slice(0, 2)).toEqual(['find', 'all']);
    expect(order.at(-1)).toBe('onRequest');
    expect(await styleOf(page, `${frame('onRequest')} rect`, 'stroke')).toBe('rgb(31, 35, 40)');
    await page.keyboard.press('Enter');
    expect(await span('onRequest')).toEqual(await span('all'));
    await page.keyboard.press('Tab');
    expect(['readBody', 'render', 'parseWithANameThatIsLongEnough']).toContain(await focused(page));
    await page.keyboard.press('Escape');
    expect(await page.isVisible(frame('fill'))).toBe(true);
    expect(complaints).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('can be read: %s, zoomed, searched', async (scheme) => {
    const seen = await opened(page, flames, scheme);
    const faint = async () => [
      ...await contrasts(page, '.f text', 'rect'), ...await contrasts(page, 'svg > text', null),
    ].filter(({ contrast }) => contrast < 4.5);
    expect((await contrasts(page, '.f text', 'rect')).length).toBeGreaterThan(10);
    expect(await faint()).toEqual([]);
    seen.answer = 'read';
    await page.keyboard.press('/');
    expect(await faint()).toEqual([]);
    await page.click(`${frame('onRequest')} rect`);
    expect(await faint()).toEqual([]);
    expect(collisions(await places(page, 'text'))).toEqual([]);
    expect(await outside(page, 'text, rect')).toEqual([]);
    const canvas = scheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(13, 17, 23)';
    expect(await styleOf(page, 'svg', 'backgroundColor')).toBe(canvas);
  });

  test('labels stay in their frames, at every width of the drawing', async () => {
    const { sites, total } = server();
    const large = { sites, total: { ...total, liveBlocks: 12_345_678, peak: 123_456_789_012 } };
    for (const width of [320, 639, 640, 1200]) {
      const title = 'Memory after a start that has a long name indeed. '.repeat(3);
      const seen = await opened(page, flameGraph(large, { width, title }));
      seen.answer = '.';
      await page.keyboard.press('/');
      await page.click(`${frame('onRequest')} rect`);
      expect(await overlong(page)).toEqual([]);
      expect(collisions(await places(page, 'svg > text'))).toEqual([]);
      expect(await outside(page, 'text, rect')).toEqual([]);
    }
  });
});

const family = (family: Contender['family']) => (name: string): Contender =>
  ({ name, family, note: '' });
const CONTENDERS: readonly Contender[] = [
  ...['best', 'slab', 'pool', 'last', 'debug', 'profile'].map(family('region')),
  ...['glibc', 'glibc, no trim', 'jemalloc', 'mimalloc', 'tcmalloc'].map(family('c')),
  ...['@thi.ng/malloc', 'Buffer.allocUnsafe'].map(family('js')),
];

/** Every contender on every trace, some of them near each other, some beyond the edges. */
function fullStudy(): Study {
  const traces: TraceFacts[] = ['convert', 'lua', 'make', 'a-trace-with-a-long-name', 'sqlite']
    .map((name) => ({ name, operations: 1000, peakBytes: 8_000_000, peakBlocks: 10 }));
  const samples = traces.flatMap(({ name }, i) => CONTENDERS.map((one, j): Sample => ({
    trace: name, contender: one.name, state: 'measured', atLeast: null, why: '',
    rounds: [one.family === 'js' ? 1000 * (j - 10) : 20 + ((7 * i + 5 * j) % 13)],
    footprint: one.name === 'Buffer.allocUnsafe' ? 30_000_000
      : 8_100_000 + 170_000 * ((3 * i + 5 * j) % 11),
  })));
  const cells = cellsOf(samples, traces, CONTENDERS, 'glibc');
  const methods = CONTENDERS.slice(0, 3);
  const workloads = ['words', 'tiles', 'sort'].map((name) => ({ name, what: '' }));
  const rows = workloads.flatMap(({ name }, i) => methods.map((one, j): DirectRow => ({
    workload: name, contender: one.name, state: 'measured', ms: 90 + 400 * i + 17 * j,
    minorFaults: 2000 + 1_000_000 * i * j, majorFaults: 0, peakResident: 2 ** 26,
    addedResident: (j + 1) * 2 ** 21, extent: 2 ** 21, checksum: '1', counters: {}, why: '',
  })));
  return {
    setting: { date: '2026-01-02T03:04:05.000Z', command: 'regionstore study', node: 'v0',
      system: 's', cpu: '1 × c', memoryBytes: 2 ** 30, peers: {}, isQuick: true, touch: 'ends',
      rounds: 3, limitSeconds: 5 },
    base: 'glibc', traces, contenders: CONTENDERS, cells, missing: [],
    means: meansOf(cells, traces, CONTENDERS),
    direct: { workloads, contenders: methods, rows, perf: '' },
  };
}

describe.skipIf(path === undefined)('chart of a study', () => {
  const chart = chartOf(fullStudy());

  test('a browser reads it without a complaint, and names and describes it', async () => {
    const { complaints } = await opened(page, chart);
    expect(await page.title()).toBe('Allocators compared: time and space');
    expect(await page.textContent('desc')).toContain('Time relative to glibc: best ');
    expect(await page.getByRole('img', { name: 'Allocators compared' }).count()).toBe(1);
    expect(complaints).toEqual([]);
  });

  test('texts lie beside each other, all inside', async () => {
    await opened(page, chart);
    const texts = await places(page, 'text');
    expect(texts.length).toBeGreaterThan(60);
    expect(collisions(texts)).toEqual([]);
    expect(await outside(page, 'text, rect, circle, polygon, path, line')).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('can be read: %s', async (scheme) => {
    await opened(page, chart, scheme);
    const texts = await contrasts(page, 'text', null);
    expect(texts.filter(({ contrast }) => contrast < 4.5)).toEqual([]);
    const marks = await contrasts(page, '[class^="s"]:not(text)', null);
    expect(marks.length).toBeGreaterThan(100);
    expect(marks.filter(({ contrast }) => contrast < 3)).toEqual([]);
  });
});
