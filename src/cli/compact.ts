/**
 * `regionstore compact DIR [REGION…]`: gives back the free ends of regions; in heaps of objects,
 * garbage is freed and objects move together first. In a store the result is one checkpoint: all
 * regions or none, whenever the process dies.
 *
 * JSON: { type, path, dryRun, regions: [{ name, before: { extent, busyBytes, freeBytes },
 *   after: the same, givenBack }], givenBack, checkpoint: its id | null }
 */
import type { Command } from 'commander';
import type { Region } from '../types.ts';
import type { Target } from './target.ts';
import { type Column, humanSize, printable, table } from './table.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly unsafeFileSystem?: true;
}

interface Use {
  readonly extent: number;
  readonly busyBytes: number;
  readonly freeBytes: number;
}

interface Row {
  readonly name: string;
  readonly before: Use;
  readonly after: Use;
  readonly givenBack: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'REGION', text: (row) => printable(row.name) },
  { title: 'LIVE', text: (row) => humanSize(row.after.busyBytes), right: true },
  { title: 'EXTENT BEFORE', text: (row) => humanSize(row.before.extent), right: true },
  { title: 'AFTER', text: (row) => humanSize(row.after.extent), right: true },
  { title: 'FREE BEFORE', text: (row) => humanSize(row.before.freeBytes), right: true },
  { title: 'AFTER', text: (row) => humanSize(row.after.freeBytes), right: true },
  { title: 'GIVEN BACK', text: (row) => humanSize(row.givenBack), right: true },
];

export function compact(program: Command, console: Console): void {
  verb(program, 'compact', {
    summary: 'give free memory at the end of regions back',
    details: 'Cut the free memory at the end of regions off their files. Blocks do not move, but ' +
      'in heaps of objects, where what cannot be reached is freed and the rest moves together. ' +
      'In a store the result is one checkpoint.',
    examples: ['compact data --dry-run', 'compact data words'],
  })
    .argument('[region...]', 'regions to compact, default all')
    .option('--dry-run', 'say what would be given back, change nothing')
    .addOption(unsafeOption())
    .action((dir: string, names: string[], options: Options) => {
      const mode = options.dryRun ? 'read' : 'write';
      return onTarget(console, dir, options, { ...options, mode }, (target) =>
        compacted(console, target, names, options.dryRun === true));
    });
}

function compacted(
  console: Console, target: Target, names: readonly string[], dryRun: boolean,
): Report {
  const regions: Row[] = [];
  const total = target.count(names);
  for (const { name, region, heap } of target.subjects(names)) {
    console.progress.step('compacting region', regions.length, total);
    const before = useOf(region);
    const givenBack = heap()?.compact().bytes ?? region.compact();
    regions.push({ name, before, after: useOf(region), givenBack });
  }
  const givenBack = regions.reduce((sum, row) => sum + row.givenBack, 0);
  const checkpoint = dryRun ? null : (target.store?.checkpoint().id ?? null);
  const { type, path } = target;
  return {
    json: () => document({ type, path, dryRun, regions, givenBack, checkpoint }),
    *text() {
      yield* table(COLUMNS, regions, console.output.head);
      const would = dryRun ? 'would give back' : 'gave back';
      const at = checkpoint === null ? '' : `, checkpoint ${checkpoint}`;
      yield `${would} ${humanSize(givenBack)}${at}`;
    },
  };
}

function useOf(region: Region): Use {
  const { extent, busyBytes, freeBytes } = region.stat();
  return { extent, busyBytes, freeBytes };
}
