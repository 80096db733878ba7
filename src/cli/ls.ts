/**
 * `regionstore ls DIR`: which regions and rings there are, and how full they are.
 *
 * JSON: { type, path, regions: [{ name, id, kind, method, extent, capacity, busyBytes, roots }],
 *   rings: [{ name, id, size, first, last, newest }] }
 */
import type { Command } from 'commander';
import { ringsOf, ringText } from './ring-view.ts';
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
      'bytes in live blocks, number of roots; and its rings: size, records, the newest one.',
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
      const rings = ringsOf(target.store);
      return {
        json: () => document({ type: target.type, path: target.path, regions, rings }),
        *text() {
          const { head } = console.output;
          if (regions.length > 0 || rings.length === 0) yield* table(COLUMNS, regions, head);
          if (regions.length > 0 && rings.length > 0) yield '';
          yield* ringText(rings, head);
        },
      };
    }));
}
