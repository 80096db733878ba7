/**
 * `regionstore ls DIR`: which regions there are, and how full they are.
 *
 * JSON: { type, path, regions: [{ name, id, kind, method, extent, capacity, busyBytes, roots }] }
 */
import type { Command } from 'commander';
import { type Column, humanSize, printable, table } from './table.ts';
import { type Common, type Console, document, onTarget, verb } from './verb.ts';

interface Row {
  readonly name: string;
  readonly id: string;
  readonly kind: string;
  readonly method: string;
  readonly extent: number;
  readonly capacity: number;
  readonly busyBytes: number;
  readonly roots: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', text: (row) => printable(row.name) },
  { title: 'KIND', text: (row) => row.kind },
  { title: 'METHOD', text: (row) => row.method },
  { title: 'EXTENT', text: (row) => humanSize(row.extent), right: true },
  { title: 'CAPACITY', text: (row) => humanSize(row.capacity), right: true },
  { title: 'LIVE', text: (row) => humanSize(row.busyBytes), right: true },
  { title: 'ROOTS', text: (row) => String(row.roots), right: true },
];

export function ls(program: Command, console: Console): void {
  verb(program, 'ls', {
    summary: 'list the regions',
    details: 'List the regions of a store: kind, method, bytes in use, bytes it may grow to, ' +
      'bytes in live blocks, number of roots.',
    examples: ['ls data', "ls data --json | jq -r '.regions[].name'"],
  }).action((dir: string, options: Common) =>
    onTarget(console, dir, options, { mode: 'read' }, (target) => {
      const regions: Row[] = [];
      const total = target.count();
      for (const { name, kind, region } of target.subjects()) {
        console.progress.step('region', regions.length, total);
        const { extent, capacity, busyBytes } = region.stat();
        const { id, method } = region;
        const roots = [...region.roots].length;
        regions.push({ name, id, kind, method, extent, capacity, busyBytes, roots });
      }
      return {
        json: () => document({ type: target.type, path: target.path, regions }),
        text: () => table(COLUMNS, regions, console.output.head),
      };
    }));
}
