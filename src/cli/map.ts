/**
 * `regionstore map DIR [REGION…]`: a picture of each region's memory, in characters or as a file.
 *
 * JSON: { type, path, regions: [{ name, method, extent, cellBytes, segments: [{ address, size,
 *   cells: [{ address, busyBytes, freeBytes, busyBlocks }] }] }], damaged: as of `ls` }
 */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { systemError } from '../files.ts';
import { type Cell, fullnessOf, isOverhead, mapOf, type RegionMap } from './heap-map.ts';
import { pngOf, svgOf } from './map-picture.ts';
import { humanSize, type Paint, printable } from './table.ts';
import { damageIn, damageText, type Subject } from './target.ts';
import { type Common, type Console, document, EXIT, onTarget, verb } from './verb.ts';

interface Options extends Common {
  readonly width?: number;
  readonly height: number;
  readonly output?: string;
}

const SHADES = '·░▒▓█';
const OVERHEAD = '-';
/** Cells of a picture that is written to a file. */
const FILE_CELLS = 128 * 128;
/** Blocks between two looks at the clock. */
const STRIDE = 4096;

export function map(program: Command, console: Console): void {
  verb(program, 'map', {
    summary: 'draw the memory of regions',
    details: 'Draw the memory of each region, from its first byte to its last: every character ' +
      'stands for as many bytes, and is the darker the more of them are live. -o writes a ' +
      'picture: SVG, or PNG by the name of the file.',
    examples: ['map data', 'map data words --width 120', 'map data -o heap.svg'],
  })
    .argument('[region...]', 'regions to draw, default all')
    .option('--width <n>', 'characters of a line; default: those of the terminal, or 80', lengthOf)
    .option('--height <n>', 'lines of a region, about', lengthOf, 16)
    .option('-o, --output <file>', 'write a picture instead: .svg or .png', pictureName)
    .action((dir: string, names: string[], options: Options) =>
      onTarget(console, dir, options, { mode: 'read' }, (target) => {
        const width = options.width ?? Math.max(16, (process.stdout.columns ?? 80) - 1);
        const most = options.output === undefined ? width * options.height : FILE_CELLS;
        const { found: damaged, note } = damageIn(names);
        const maps = mapsOf(console, target.subjects(names, note), most);
        const { type, path } = target;
        if (options.output !== undefined) writePicture(options.output, maps);
        const { head, alarm } = console.output;
        return {
          exit: damaged.length > 0 ? EXIT.findings : EXIT.fine,
          json: () => document({ type, path, regions: maps, damaged,
            ...(options.output === undefined ? {} : { output: resolve(options.output) }) }),
          *text() {
            if (options.output === undefined) yield* drawn(maps, width, head);
            else yield `wrote ${options.output}`;
            yield* damageText(damaged, alarm);
          },
        };
      }));
}

function lengthOf(text: string): number {
  const n = Number(text);
  if (/^\d{1,4}$/.test(text) && n > 0) return n;
  throw new InvalidArgumentError('give a number of characters, 1 to 9999.');
}

function pictureName(text: string): string {
  if (/\.(svg|png)$/.test(text)) return text;
  throw new InvalidArgumentError('the name must end with .svg or .png.');
}

function mapsOf(
  { progress }: Console, subjects: Iterable<Subject>, most: number,
): RegionMap[] {
  const maps: RegionMap[] = [];
  for (const { region } of subjects) {
    const { busyBlocks, freeBlocks } = region.stat();
    let seen = 0;
    maps.push(mapOf(region, most, () => {
      if (++seen % STRIDE === 0) progress.step('block', seen, busyBlocks + freeBlocks);
    }));
  }
  return maps;
}

function writePicture(file: string, maps: readonly RegionMap[]): void {
  try {
    writeFileSync(file, file.endsWith('.png') ? pngOf(maps) : svgOf(maps));
  } catch (error) {
    throw systemError(`writing ${file}`, error);
  }
}

function* drawn(maps: readonly RegionMap[], width: number, head: Paint): Generator<string> {
  for (const one of maps) {
    const { name, method, extent, cellBytes, segments } = one;
    yield head(`${printable(name)}: ${method}, ${humanSize(extent)}; a character is ` +
      humanSize(cellBytes));
    for (const { address, cells } of segments) {
      if (segments.length > 1) yield `segment at ${address}`;
      const line = cells.map((cell) => characterOf(cell, cellBytes)).join('');
      for (let at = 0; at < line.length; at += width) yield line.slice(at, at + width);
    }
    yield '';
  }
  if (maps.length > 0) {
    yield `${OVERHEAD} kept by the method  · free  ░ ▒ ▓ █ live: a quarter, a half, three, all`;
  }
}

function characterOf(cell: Cell, cellBytes: number): string {
  return isOverhead(cell) ? OVERHEAD : SHADES[fullnessOf(cell, cellBytes)] as string;
}
