/**
 * The report of `inspect --html` in a real browser: that it loads, moves and can be read. What it
 * says is compared with `inspect --json` without one. Skipped where there is no chromium.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { best } from '../src/methods/best.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { list, ref, sorted, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { createRegion } from '../src/region/region.ts';
import { openStore } from '../src/store/store.ts';
import { opened, path, startBrowser } from './support/browser.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';

const HOSTILE = '</script><img src=x onerror=alert(1)>"';
const Task = struct('Task', { id: u32, title: str, next: ref(() => Task) });

let folder = '';
let dir = '';
let html = '';
let page: Page;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  dir = join(folder, 'store');
  fill();
  const file = join(folder, 'report.html');
  const ran = await cliHere(['inspect', dir, '--html', file]);
  expect(ran.stdout).toMatch(/^wrote .*report\.html, [\d.]+ KiB: 3 regions of /);
  html = readFileSync(file, 'utf8');
  if (path !== undefined) page = await startBrowser();
});

afterAll(async () => {
  await page?.context().browser()?.close();
  rmSync(folder, { recursive: true, force: true });
});

function fill(): void {
  using store = openStore(dir);
  const app = store.heap('app', { capacity: '64MiB' });
  const words = store.region('words', { capacity: '64MiB' });
  const tasks = app.create(list(ref(Task)));
  const titles = app.create(sorted(str, u32));
  app.root.set('tasks', tasks);
  app.root.set(HOSTILE, titles);
  const kept: number[] = [];
  for (let day = 0; day < 4; day++) {
    for (let i = 0; i < 100; i++) {
      tasks.push(app.create(Task, { id: i, title: `task ${day}-${i}` }));
      titles.set(`task ${day}-${i}`, i);
      kept.push(words.alloc(20 + ((i * 37) % 400)));
      if (i % 3 === 0) words.free(kept.splice((i * 7) % kept.length, 1)[0] as number);
    }
    store.checkpoint(day === 2 ? HOSTILE : undefined);
  }
  words.roots.set(HOSTILE, kept[0] as never);
  store.region(HOSTILE.replaceAll('/', '|'), { capacity: '16MiB' }).alloc(10);
  store.ring('log', { size: '64KiB' }).append('one');
  store.checkpoint();
}

interface Inspected {
  readonly regions: readonly Readonly<Record<string, unknown>>[];
}

const FIGURES = ['busyBlocks', 'busyBytes', 'largestBusy', 'freeBlocks', 'freeBytes', 'largestFree',
  'fragmentation'];

/** Figures of a text by region, as they stand in its tables. */
function figuresIn(text: string): Record<string, number>[] {
  return text.split('<section ').slice(1).map((section) =>
    Object.fromEntries([...section.matchAll(/data-figure="(\w+)" data-value="([^"]*)"/g)]
      .map(([, name, value]) => [name, Number(value)])));
}

describe('what it says', () => {
  test('the figures are those of inspect --json', async () => {
    const { regions } = await jsonHere<Inspected>(['inspect', dir]);
    const wanted = regions.map((region) =>
      Object.fromEntries(FIGURES.map((name) => [name, region[name]])));
    expect(figuresIn(html)).toEqual(wanted);
    const bytes = [...(html.split('<section ')[0] ?? '').matchAll(/data-value="(\d+)"/g)];
    const checkpoints = await jsonHere<{ checkpoints: { bytes: number }[] }>(['checkpoints', dir]);
    expect(bytes.map(([, value]) => Number(value)))
      .toEqual(checkpoints.checkpoints.map((one) => one.bytes));
  });

  test('it asks for nothing, and names are text', () => {
    expect(html).not.toMatch(/https?:|<img|src=(?!x)|@import|url\(/);
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html).toContain('&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;');
  });

  test('ages, lifetimes, what keeps what alive', () => {
    expect(html).toContain('Live blocks by age');
    expect(html).toContain('Lifetime of blocks that are gone');
    expect(html).toMatch(/tasks: list\(ref\(Task\)\) <span class="soft">keeps .*, 401 objects/);
  });

  test('some regions, a ring, a region by itself, with --json', async () => {
    const file = join(folder, 'one.html');
    const one = await jsonHere(['inspect', dir, 'words', 'log', '--html', file]);
    expect(one).toEqual({ type: 'store', path: dir, html: file, regions: 1,
      bytes: readFileSync(file).length, damaged: [] });
    const alone = join(folder, 'alone.region');
    using region = createRegion(mmap(alone, { capacity: '1MiB' }), best);
    region.alloc(100);
    region.close();
    await cliHere(['inspect', alone, '--html', file]);
    expect(readFileSync(file, 'utf8')).toContain('alone.region');
  });

  test('many blocks are drawn in cells', async () => {
    const big = join(folder, 'big.region');
    const region = createRegion(mmap(big, { capacity: '64MiB' }), best);
    for (let i = 0; i < 110_000; i++) region.alloc(32);
    region.close();
    const file = join(folder, 'big.html');
    await cliHere(['inspect', big, '--html', file]);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/Too many blocks to draw one by one: a cell is 64 B\./);
    expect(text.length).toBeLessThan(2 ** 20);
    if (path === undefined) return;
    const { complaints } = await opened(page, text, 'light', 'big.html');
    await page.hover('#map-0 canvas', { position: { x: 300, y: 100 } });
    expect(await page.textContent('#map-0 .say')).toMatch(/% live, mostly blocks$/);
    expect(complaints).toEqual([]);
  });
});

const view = async (map = 0) => page.$eval(`#map-${map} canvas`, (canvas) => {
  const { from, to } = (canvas as unknown as { dataset: { from: string; to: string } }).dataset;
  return [Number(from), Number(to)] as const;
});
const said = (map = 0) => page.textContent(`#map-${map} .say`);
/** Colours of a picture of the map. */
const picture = (map = 0) => page.$eval(`#map-${map} canvas`, (canvas) =>
  (canvas as unknown as { toDataURL(): string }).toDataURL());

describe.skipIf(path === undefined)('in a browser', () => {
  test.each(['light', 'dark'] as const)('loads without a complaint, %s', async (scheme) => {
    const { complaints } = await opened(page, html, scheme, 'report.html');
    expect(complaints).toEqual([]);
    expect(await page.title()).toBe(dir);
    expect(await page.isVisible('#map-2 canvas')).toBe(true);
  });

  test('the wheel and the buttons zoom, Whole and Esc show all', async () => {
    const { complaints } = await opened(page, html, 'light', 'report.html');
    const all = await view();
    await page.hover('#map-0 canvas', { position: { x: 500, y: 150 } });
    await page.mouse.wheel(0, -200);
    await expect.poll(async () => (await view())[1] - (await view())[0])
      .toBeLessThan(all[1] - all[0]);
    await page.click('#map-0 [data-do=whole]');
    expect(await view()).toEqual(all);
    await page.click('#map-0 [data-do=in]');
    expect((await view())[1] - (await view())[0]).toBeCloseTo((all[1] - all[0]) / 2);
    await page.focus('#map-0 canvas');
    await page.keyboard.press('Escape');
    expect(await view()).toEqual(all);
    expect(complaints).toEqual([]);
  });

  test('what is under the pointer is said, and so is what the arrows come to', async () => {
    await opened(page, html, 'light', 'report.html');
    await page.hover('#map-1 canvas', { position: { x: 400, y: 200 } });
    expect(await said(1)).toMatch(/^(blocks|free|kept by the method): .* at \d+/);
    await page.focus('#map-1 canvas');
    const seen = new Set<string | null>();
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('ArrowRight');
      seen.add(await said(1));
    }
    expect(seen.size).toBe(40);
    await page.keyboard.press('+');
    await page.keyboard.press('PageDown');
    await page.keyboard.press('ArrowUp');
    expect(await said(1)).toMatch(/ at \d+/);
  });

  test('colours follow the choice, and the scheme', async () => {
    await opened(page, html, 'light', 'report.html');
    const pictures = new Set<string>();
    for (const by of ['kind', 'size', 'type', 'age']) {
      await page.selectOption('#map-1 select', by);
      pictures.add(await picture(1));
      expect(await page.textContent('#map-1 .legend')).toContain('free');
    }
    expect(pictures.size).toBe(4);
    expect(await page.textContent('#map-1 .legend')).toContain(`since ${HOSTILE}`);
    const ground = () => page.$eval('body', (body) =>
      (globalThis as unknown as { getComputedStyle(e: unknown): { backgroundColor: string } })
        .getComputedStyle(body).backgroundColor);
    const before = await ground();
    await page.click('#theme');
    expect(await ground()).not.toBe(before);
    expect(pictures.has(await picture(1))).toBe(false);
  });

  test('everything is reached by keys, and is named', async () => {
    await opened(page, html, 'light', 'report.html');
    const unnamed = await page.$$eval('button, select, canvas, svg', (all) => all.filter((one) => {
      const element = one as unknown as { textContent: string; closest(s: string): unknown;
        getAttribute(n: string): string | null };
      return element.textContent.trim() === '' && element.getAttribute('aria-label') === null
        && element.closest('label') === null;
    }).length);
    expect(unnamed).toBe(0);
    await page.focus('#theme');
    await page.keyboard.press('Tab');
    for (let i = 0; i < 12; i++) await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.tagName')).not.toBe('BODY');
  });
});
