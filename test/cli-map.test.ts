/** Pictures of regions: map in characters, as SVG and PNG; segments. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { beforeEach, expect, test } from 'vitest';
import type { RegionMap } from '../src/cli/heap-map.ts';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import { openStore } from '../src/store/store.ts';
import type { RegionStat } from '../src/types.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';
import { elementsOf } from './support/xml.ts';

const HOSTILE = '<b>&"\x1b';
let dir = '';
let stats: Record<string, RegionStat> = {};

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  const store = openStore(dir);
  const words = store.region('words', { method: best });
  const kept = Array.from({ length: 300 }, (_, i) => words.alloc(16 + (i * 37) % 3000));
  kept.forEach((address, i) => i % 3 === 0 && words.free(address));
  const large = store.region(HOSTILE, { method: slab });
  for (let i = 0; i < 500; i++) large.alloc(64);
  stats = { words: words.stat(), [HOSTILE]: large.stat() };
  store.close();
});

test('cells hold what the blocks do, of any size', async () => {
  for (const args of [[], ['--width', '10', '--height', '1'], ['--width', '300']]) {
    const { regions } = await jsonHere<{ regions: RegionMap[] }>(['map', dir, ...args]);
    expect(regions.map(({ name }) => name)).toEqual([HOSTILE, 'words']);
    for (const { name, extent, cellBytes, segments } of regions) {
      const cells = segments.flatMap((segment) => segment.cells);
      const sum = (key: 'busyBytes' | 'freeBytes' | 'busyBlocks') =>
        cells.reduce((n, cell) => n + cell[key], 0);
      const stat = stats[name] as RegionStat;
      expect([extent, sum('busyBytes'), sum('freeBytes'), sum('busyBlocks')])
        .toEqual([stat.extent, stat.busyBytes, stat.freeBytes, stat.busyBlocks]);
      expect(cells.every((cell) => cell.busyBytes + cell.freeBytes <= cellBytes)).toBe(true);
      expect(Math.log2(cellBytes) % 1).toBe(0);
      cells.forEach((cell, i) => expect(cell.address).toBe(i * cellBytes));
    }
  }
});

test('in characters: the darker the more is live', async () => {
  const { stdout } = await cliHere(['map', dir, 'words', '--width', '64', '--height', '4']);
  const [title = '', ...lines] = stdout.trimEnd().split('\n');
  expect(title).toMatch(/^words: best, 448 KiB; a character is 2 KiB$/);
  expect(lines.at(-1)).toMatch(/^- kept by the method {2}· free {2}░ ▒ ▓ █ live/);
  const drawn = lines.slice(0, -2);
  expect(drawn.every((line) => /^[-·░▒▓█]{1,64}$/.test(line))).toBe(true);
  const { regions } = await jsonHere<{ regions: RegionMap[] }>(
    ['map', dir, 'words', '--width', '64', '--height', '4']);
  const cells = regions[0]?.segments.flatMap((segment) => segment.cells) ?? [];
  const text = drawn.join('');
  expect(text).toHaveLength(cells.length);
  cells.forEach(({ busyBytes, freeBytes }, i) => {
    const expected = busyBytes + freeBytes === 0 ? '-'
      : '·░▒▓█'[Math.min(4, Math.ceil((4 * busyBytes) / 2048))];
    expect(text[i]).toBe(expected);
  });
  expect(new Set(text).size).toBeGreaterThan(3);
});

test('as SVG, with names that would be markup', async () => {
  const file = join(dir, '..', 'heap.svg');
  const { stdout } = await cliHere(['map', dir, '-o', file]);
  expect(stdout).toBe(`wrote ${file}\n`);
  const svg = readFileSync(file, 'utf8');
  const elements = elementsOf(svg);
  expect(elements.filter(({ name }) => name === 'rect').length).toBeGreaterThan(20);
  expect(elements.filter(({ name }) => name === 'b')).toEqual([]);
  expect(svg).toContain('&lt;b&gt;&amp;&quot;\\u{1b}: slab');
});

test('as PNG: a pixel is what its cell is', async () => {
  const file = join(dir, '..', 'heap.png');
  const { regions, output } = await jsonHere<{ regions: RegionMap[]; output: string }>(
    ['map', dir, 'words', '-o', file]);
  expect(output).toBe(file);
  const png = readFileSync(file);
  expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const data = png.indexOf('IDAT');
  const pixels = inflateSync(png.subarray(data + 4, data + 4 + png.readUInt32BE(data - 4)));
  expect([width, pixels.length]).toEqual([1024, (width + 1) * height]);
  const [map] = regions as [RegionMap];
  map.segments[0]?.cells.forEach(({ busyBytes, freeBytes }, i) => {
    const at = Math.floor(i / 128) * 8 * (width + 1) + 1 + (i % 128) * 8;
    expect(pixels[at]).toBe(busyBytes + freeBytes === 0 ? 0
      : 1 + Math.min(4, Math.ceil((4 * busyBytes) / map.cellBytes)));
  });
});

test('segments: of each what is in it', async () => {
  const { segments } = await jsonHere<{ segments: object[] }>(['segments', dir]);
  expect(segments).toEqual([HOSTILE, 'words'].map((region) => {
    const { extent, busyBlocks, busyBytes, freeBytes, largestFree } = stats[region] as RegionStat;
    return { region, index: 0, address: 0, size: extent, busyBlocks, busyBytes, freeBytes,
      largestFree };
  }));
  expect((await cliHere(['segments', dir, 'words'])).stdout).toMatch(/^REGION .*\nwords +0 +0 /);
});

test('ls --csv: every figure, quoted where it has to be', async () => {
  const { stdout } = await cliHere(['ls', dir, '--csv']);
  const [head = '', ...lines] = stdout.trimEnd().split('\n');
  expect(head).toBe('name,id,kind,method,roots,segments,extent,capacity,busyBlocks,busyBytes,' +
    'largestBusy,freeBlocks,freeBytes,largestFree');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^"<b>&""\\u\{1b\}",[0-9a-f]{32},region,slab,0,1,/);
  const { extent, capacity, busyBlocks, busyBytes, largestBusy, freeBlocks, freeBytes,
    largestFree } = stats.words as RegionStat;
  expect(lines[1]).toMatch(new RegExp(`^words,[0-9a-f]{32},region,best,0,1,${[extent, capacity,
    busyBlocks, busyBytes, largestBusy, freeBlocks, freeBytes, largestFree].join(',')}$`));
});

test('what cannot be', async () => {
  const found = await Promise.all([['--width', '0'], ['--height', 'x'], ['-o', 'a.gif'],
    ['-o', join(dir, 'none', 'a.svg')], ['nowhere']].map((args) => cliHere(['map', dir, ...args])));
  expect(found.map(({ status }) => status)).toEqual([2, 2, 2, 3, 3]);
  expect(found[3]?.stderr).toMatch(/ERR_IO: writing .*a\.svg/);
});
