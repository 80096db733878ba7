/**
 * `regionstore segments DIR [REGION…]`: the pieces of address space that regions are made of.
 *
 * JSON: { type, path, segments: [{ region, index, address, size, busyBlocks, busyBytes, freeBytes,
 *   largestFree }], damaged: as of `ls` }
 */
import type { Command } from 'commander';
import type { Region } from '../types.ts';
import { type Column, humanSize, printable, table } from './table.ts';
import { damageIn, damageText } from './target.ts';
import { type Common, type Console, document, EXIT, onTarget, verb } from './verb.ts';

interface Row {
  readonly region: string;
  readonly index: number;
  readonly address: number;
  readonly size: number;
  busyBlocks: number;
  busyBytes: number;
  freeBytes: number;
  largestFree: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'REGION', text: (row) => printable(row.region) },
  { title: 'SEGMENT', text: (row) => String(row.index), right: true },
  { title: 'ADDRESS', text: (row) => String(row.address), right: true },
  { title: 'SIZE', text: (row) => humanSize(row.size), right: true },
  { title: 'BUSY', text: (row) => String(row.busyBlocks), right: true },
  { title: 'BUSY BYTES', text: (row) => humanSize(row.busyBytes), right: true },
  { title: 'FREE BYTES', text: (row) => humanSize(row.freeBytes), right: true },
  { title: 'LARGEST FREE', text: (row) => humanSize(row.largestFree), right: true },
];

export function segments(program: Command, console: Console): void {
  verb(program, 'segments', {
    summary: 'list the segments of regions',
    details: 'List the segments of regions, each up to 4 GiB of address space: where it begins, ' +
      'how much of it is in use, what is live in it, and the largest free block.',
    examples: ['segments data', "segments data words --json | jq '.segments | length'"],
  })
    .argument('[region...]', 'regions to list, default all')
    .action((dir: string, names: string[], options: Common) =>
      onTarget(console, dir, options, { mode: 'read' }, (target) => {
        const rows: Row[] = [];
        const total = target.count(names);
        const { found: damaged, note } = damageIn(names);
        let seen = 0;
        for (const { region } of target.subjects(names, note)) {
          console.progress.step('region', seen++, total);
          rows.push(...segmentsOf(region));
        }
        const { head, alarm } = console.output;
        return {
          exit: damaged.length > 0 ? EXIT.findings : EXIT.fine,
          json: () => document({ type: target.type, path: target.path, segments: rows, damaged }),
          *text() {
            yield* table(COLUMNS, rows, head);
            yield* damageText(damaged, alarm);
          },
        };
      }));
}

function segmentsOf(region: Region): Row[] {
  const rows: Row[] = [];
  region.walk(({ address, size }) => {
    rows.push({ region: region.name, index: rows.length, address, size, busyBlocks: 0,
      busyBytes: 0, freeBytes: 0, largestFree: 0 });
  });
  let at = 0;
  for (const { address, size, busy } of region.blocks()) {
    while (at + 1 < rows.length && address >= (rows[at + 1] as Row).address) at += 1;
    const row = rows[at] as Row;
    if (busy) {
      row.busyBlocks += 1;
      row.busyBytes += size;
    } else {
      row.freeBytes += size;
      row.largestFree = Math.max(row.largestFree, size);
    }
  }
  return rows;
}
