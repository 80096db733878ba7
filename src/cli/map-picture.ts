/** Pictures of heap maps: SVG for people and documents, PNG where only pixels are taken. */
import { crc32, deflateSync } from 'node:zlib';
import { type Cell, fullnessOf, isOverhead, type RegionMap } from './heap-map.ts';
import { escaped } from './markup.ts';
import { humanSize } from './table.ts';

/** Cells of a row, and pixels of a cell. */
const ROW = 128;
const SIDE = 8;
/** What a method keeps for itself; free; live from a quarter to all of the cell. */
const COLOURS = ['#9aa0a6', '#e8eaed', '#c6dafc', '#8ab4f8', '#4285f4', '#174ea6'] as const;
const NAMES = ['kept by the method', 'free', 'up to a quarter live', 'up to a half live',
  'up to three quarters live', 'live'] as const;

function colourOf(cell: Cell, cellBytes: number): number {
  return isOverhead(cell) ? 0 : 1 + fullnessOf(cell, cellBytes);
}

/** The cells of a region, row by row; each segment begins a new one. */
function rowsOf({ segments, cellBytes }: RegionMap): number[][] {
  return segments.flatMap(({ cells }) =>
    Array.from({ length: Math.ceil(cells.length / ROW) }, (_, row) =>
      cells.slice(row * ROW, (row + 1) * ROW).map((cell) => colourOf(cell, cellBytes))));
}

export function svgOf(maps: readonly RegionMap[]): string {
  const parts: string[] = [];
  let y = 8;
  const text = (x: number, at: number, what: string) =>
    parts.push(`<text x="${x}" y="${at}">${escaped(what)}</text>`);
  for (const map of maps) {
    text(8, y + 14, `${map.name}: ${map.method}, ${humanSize(map.extent)}; a cell is ` +
      humanSize(map.cellBytes));
    y += 22;
    for (const row of rowsOf(map)) {
      for (const [from, to, colour] of runsOf(row)) {
        parts.push(`<rect x="${8 + from * SIDE}" y="${y}" width="${(to - from) * SIDE}" ` +
          `height="${SIDE}" class="c${colour}"/>`);
      }
      y += SIDE;
    }
    y += 14;
  }
  NAMES.forEach((name, i) => {
    parts.push(`<rect x="${8 + i * 165}" y="${y}" width="12" height="12" class="c${i}"/>`);
    text(24 + i * 165, y + 11, name);
  });
  const [width, height] = [16 + ROW * SIDE, y + 24];
  const what = maps.map(({ name, extent }) => `${name}, ${humanSize(extent)}`).join('; ');
  const style = COLOURS.map((colour, i) => `.c${i}{fill:${colour}}`).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `width="${width}" height="${height}" role="img" aria-label="${escaped(`Heap map: ${what}`)}">` +
    `<style>svg{background:#fff}text{font:12px system-ui,sans-serif;fill:#202124}${style}` +
    '@media(prefers-color-scheme:dark){svg{background:#202124}text{fill:#e8eaed}' +
    `.c1{fill:#3c4043}.c0{fill:#80868b}}</style>\n${parts.join('\n')}\n</svg>\n`;
}

/** Neighbours of one colour: [from, to, colour]. */
function* runsOf(row: readonly number[]): Generator<[number, number, number]> {
  for (let from = 0; from < row.length; ) {
    let to = from + 1;
    while (to < row.length && row[to] === row[from]) to += 1;
    yield [from, to, row[from] as number];
    from = to;
  }
}

/** The same without words, a palette image. */
export function pngOf(maps: readonly RegionMap[]): Uint8Array {
  const rows = maps.flatMap((map, i) => (i === 0 ? rowsOf(map) : [[], ...rowsOf(map)]));
  const [width, height] = [ROW * SIDE, Math.max(1, rows.length) * SIDE];
  const pixels = Buffer.alloc((width + 1) * height, COLOURS.length);
  for (let y = 0; y < height; y++) {
    // Each line begins with its filter: none.
    pixels[y * (width + 1)] = 0;
    rows[Math.floor(y / SIDE)]?.forEach((colour, x) => {
      const at = y * (width + 1) + 1 + x * SIDE;
      pixels.fill(colour, at, at + SIDE);
    });
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8);
  const palette = Buffer.from([...COLOURS, '#ffffff'].map((colour) => colour.slice(1)).join(''),
    'hex');
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header),
    chunk('PLTE', palette), chunk('IDAT', deflateSync(pixels)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
