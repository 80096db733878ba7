/**
 * `regionstore ls DIR`: which regions and rings there are, and how full they are.
 *
 * JSON: { type, path, regions: [{ name, id, kind, method, extent, capacity, busyBytes, estimated,
 *   roots }], rings: [{ name, id, size, first, last, newest }],
 *   damaged: [{ name, code, message }] }, of regions that cannot be opened: exit code 1
 *
 * `estimated` = busyBytes is from a sample: of large regions, without --exact.
 *
 * CSV: a line of names, then one for each region: name, id, kind, method and every figure of its
 * stat(), bytes and counts; all are exact. One that cannot be opened has only its name.
 */
import type { Command } from 'commander';
import { Counting, ESTIMATED, exactOption, sizeText } from './counting.ts';
import { ringsOf, ringText } from './ring-view.ts';
import type { RegionStat } from '../types.ts';
import { type Column, humanSize, printable, table } from './table.ts';
import { type Damage, damageIn, damageText, enduring } from './target.ts';
import { type Common, type Console, document, EXIT, onTarget, verb } from './verb.ts';

interface Row {
  readonly name: string;
  readonly id: string;
  readonly kind: string;
  readonly method: string;
  readonly extent: number;
  readonly capacity: number;
  readonly busyBytes: number;
  readonly estimated: boolean;
  readonly roots: number;
}

interface Options extends Common {
  readonly csv?: true;
  readonly exact?: true;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', text: (row) => printable(row.name) },
  { title: 'KIND', text: (row) => row.kind },
  { title: 'METHOD', text: (row) => row.method },
  { title: 'EXTENT', text: (row) => humanSize(row.extent), right: true },
  { title: 'CAPACITY', text: (row) => humanSize(row.capacity), right: true },
  { title: 'LIVE', text: (row) => sizeText(row.busyBytes, row.estimated), right: true },
  { title: 'ROOTS', text: (row) => String(row.roots), right: true },
];

export function ls(program: Command, console: Console): void {
  verb(program, 'ls', {
    summary: 'list the regions',
    details: 'List the regions of a store: kind, method, bytes in use, bytes it may grow to, ' +
      'bytes in live blocks (of large regions an estimate, marked ≈), number of roots; and its ' +
      'rings: size, records, the newest one.',
    examples: ['ls data', "ls data --json | jq -r '.regions[].name'", 'ls data --csv > stat.csv'],
  })
    .option('--csv', 'print the figures of every region as CSV, all of them exact')
    .addOption(exactOption())
    .action((dir: string, options: Options) => onTarget(console, dir, options, { mode: 'read' },
      (target) => {
        const regions: Row[] = [];
        const counting = new Counting((options.exact ?? options.csv) === true);
        const stats: RegionStat[] = [];
        const { found: damaged, note } = damageIn([]);
        const total = target.count();
        for (const subject of target.subjects([], note)) {
          console.progress.step('region', regions.length, total);
          enduring(subject.name, note, () => {
            const { name, kind, region: { id, method, roots } } = subject;
            const stat = counting.figuresOf(subject);
            const { extent, capacity, busyBytes, estimated } = stat;
            regions.push({ name, id, kind, method, extent, capacity, busyBytes, estimated,
              roots: [...roots].length });
            stats.push(stat);
          });
        }
        const rings = ringsOf(target.store);
        return {
          exit: damaged.length > 0 ? EXIT.findings : EXIT.fine,
          json: () => document({ type: target.type, path: target.path, regions, rings, damaged }),
          *text() {
            if (options.csv) {
              yield* csvOf(regions, stats, damaged);
              return;
            }
            const { head, alarm } = console.output;
            if (regions.length > 0 || rings.length === 0) yield* table(COLUMNS, regions, head);
            if (regions.some(({ estimated }) => estimated)) yield ESTIMATED;
            if (regions.length > 0 && rings.length > 0) yield '';
            yield* ringText(rings, head);
            yield* damageText(damaged, alarm);
          },
        };
      }));
}

const ROW_CELLS = ['name', 'id', 'kind', 'method', 'roots'] as const;
const STAT_CELLS = ['segments', 'extent', 'capacity', 'busyBlocks', 'busyBytes', 'largestBusy',
  'freeBlocks', 'freeBytes', 'largestFree'] as const;

function* csvOf(
  rows: readonly Row[], stats: readonly RegionStat[], damaged: readonly Damage[],
): Generator<string> {
  yield [...ROW_CELLS, ...STAT_CELLS].join(',');
  for (const [i, row] of rows.entries()) {
    const stat = stats[i] as RegionStat;
    yield [...ROW_CELLS.map((cell) => row[cell]), ...STAT_CELLS.map((cell) => stat[cell])]
      .map(cellOf).join(',');
  }
  const nothing = ','.repeat(ROW_CELLS.length + STAT_CELLS.length - 1);
  for (const { name } of damaged) yield `${cellOf(name)}${nothing}`;
}

/** As RFC 4180 quotes it; control characters as everywhere. */
function cellOf(value: string | number): string {
  const text = printable(String(value));
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
