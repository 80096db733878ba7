/**
 * `regionstore diff DIR FROM [TO]`: what changed between two checkpoints.
 *
 * JSON: { path, from, to, regions: [{ name, was, kind, change, pages, blocks: { added, removed,
 *   changed, addedBytes, removedBytes, changedBytes }, objects: the same by type | null }] }
 */
import type { Command } from 'commander';
import type { DiffCount, RegionDiff } from '../store/diff.ts';
import { storeOf } from './target.ts';
import { type Column, humanSize, type Paint, printable, table } from './table.ts';
import { type Common, type Console, document, onTarget, verb } from './verb.ts';
import { whichOf } from './which.ts';

interface Row {
  readonly name: string;
  readonly what: string;
  readonly pages: string;
  readonly count: DiffCount;
}

const part = (sign: string, count: number, bytes: number): string =>
  count === 0 ? '' : `${sign}${count} (${humanSize(bytes)})`;

const COLUMNS: readonly Column<Row>[] = [
  { title: 'REGION', text: (row) => row.name },
  { title: 'CHANGE', text: (row) => row.what },
  { title: 'PAGES', text: (row) => row.pages, right: true },
  { title: 'ADDED', text: ({ count }) => part('+', count.added, count.addedBytes), right: true },
  { title: 'REMOVED', text: ({ count }) => part('-', count.removed, count.removedBytes),
    right: true },
  { title: 'CHANGED', text: ({ count }) => part('', count.changed, count.changedBytes),
    right: true },
];

export function diff(program: Command, console: Console): void {
  verb(program, 'diff', {
    summary: 'show what changed between two checkpoints',
    details: 'Compare two checkpoints, given by number or label: regions that came, went or were ' +
      'renamed, pages and blocks that differ, objects of heaps by type. Without TO, the newest ' +
      'one. Nothing is changed.',
    examples: ['diff data 40', 'diff data monday tuesday --json'],
  })
    .argument('<from>', 'number or label of a checkpoint; see `checkpoints`')
    .argument('[to]', 'the same; default: the newest')
    .action((dir: string, from: string, to: string | undefined, options: Common) =>
      onTarget(console, dir, options, { mode: 'read', ofStore: 'checkpoints' }, (target) => {
        const store = storeOf(target);
        const end = to === undefined ? undefined : whichOf(store, to);
        const found = store.diff(whichOf(store, from), end);
        return {
          json: () => document({ path: target.path, ...found }),
          *text() {
            yield* diffText(found.regions, console.output.head);
            if (found.regions.length === 0) yield 'nothing changed';
          },
        };
      }));
}

/** A line a region, and one for each type of object in it. */
export function* diffText(regions: readonly RegionDiff[], head: Paint): Generator<string> {
  if (regions.length === 0) return;
  const rows = regions.flatMap((region) => [rowOf(region), ...typesOf(region)]);
  yield* table(COLUMNS, rows, head);
}

function rowOf({ name, was, change, pages, blocks }: RegionDiff): Row {
  const what = change === 'renamed' ? `was ${printable(was ?? '')}` : change;
  return { name: printable(name), what, pages: String(pages), count: blocks };
}

function typesOf({ objects }: RegionDiff): Row[] {
  return Object.entries(objects ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, count]) => ({ name: `  ${printable(type)}`, what: '', pages: '', count }));
}
