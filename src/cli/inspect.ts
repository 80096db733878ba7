/**
 * `regionstore inspect DIR [REGION…]`: the store as a whole, then each region.
 *
 * JSON: { type, path, store: { id, mapper, sync, regions, extent, capacity, sequence, applied,
 *   imageBytes, historyBytes, pendingBytes, readers, oldestPinned, heldBytes, poisoned } | null,
 *   recovery: { replayedCheckpoints, replayedBytes, discarded, crash, ms } | null, last: a
 *   checkpoint as `checkpoints` prints it | null, regions: [{ name, id, kind, method, discipline,
 *   segments, extent, capacity, busyBlocks, busyBytes, largestBusy, freeBlocks, freeBytes,
 *   largestFree, fragmentation, estimated, roots: [{ name, address }],
 *   heap: { types: [{ name, count, bytes }], estimated, root: [{ name, type }] } | null,
 *   fits: [{ size, count }] | null }],
 *   rings: as `ls` prints them, damaged: likewise }
 *
 * With a heap and a path instead: { type, path, object: { region, path, type, size, value } }, or
 *   `parts: [{ name, type, value }]` instead of `value`: the first hundred.
 *
 * With --html instead: { type, path, html, bytes, regions: how many, damaged }.
 *
 * `fragmentation` is the part of free memory that is not in the largest free block, 0 … 1. `fits`
 * says how many blocks of each size what is free has room for; of regions that are named only.
 *
 * `estimated` = from a sample, of large regions and heaps without --exact: then only busyBlocks and
 * busyBytes are known of blocks, the rest of them is null, as are `fits`.
 */
import type { Command } from 'commander';
import type { Recovery } from '../store/recover.ts';
import type { StoreStat } from '../store/api.ts';
import type { Checkpoint } from '../types.ts';
import { Counting, countText, ESTIMATED, exactOption, type Figures, sizeText } from './counting.ts';
import { type ObjectView, objectText, objectViewOf } from './inspect-object.ts';
import { heapText, type HeapView, heapViewOf } from './inspect-heap.ts';
import { type Fit, fitsIn, fitsText } from './fits.ts';
import { ringsOf, ringText } from './ring-view.ts';
import { damageIn, damageText, enduring, type Subject, type Target } from './target.ts';
import { type Column, counted, facts, humanSize, isoDate, type Paint, percent, printable, table }
  from './table.ts';
import { type Common, type Console, document, EXIT, onTarget, type Report, verb } from './verb.ts';

interface Options extends Common {
  readonly html?: string;
  readonly exact?: true;
}

interface Root {
  readonly name: string;
  readonly address: number;
}

interface Row extends Figures {
  readonly name: string;
  readonly id: string;
  readonly kind: string;
  readonly method: string;
  readonly discipline: string;
  readonly fragmentation: number;
  readonly roots: readonly Root[];
  readonly heap: HeapView | null;
  readonly fits: readonly Fit[] | null;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'REGION', text: (row) => printable(row.name) },
  { title: 'METHOD', text: (row) => row.method },
  { title: 'DISCIPLINE', text: (row) => row.discipline },
  { title: 'SEGMENTS', text: (row) => String(row.segments), right: true },
  { title: 'EXTENT', text: (row) => humanSize(row.extent), right: true },
  { title: 'CAPACITY', text: (row) => humanSize(row.capacity), right: true },
  { title: 'BUSY', text: (row) => countText(row.busyBlocks, row.estimated), right: true },
  { title: 'BUSY BYTES', text: (row) => sizeText(row.busyBytes, row.estimated), right: true },
  { title: 'FREE', text: (row) => countText(row.freeBlocks, row.estimated), right: true },
  { title: 'FREE BYTES', text: (row) => sizeText(row.freeBytes, row.estimated), right: true },
  { title: 'LARGEST FREE', text: (row) => sizeText(row.largestFree, row.estimated), right: true },
  { title: 'FRAGMENTED', text: ({ fragmentation: part }) => Number.isNaN(part) ? '-'
    : percent(part), right: true },
];

interface RootLine extends Root {
  readonly region: string;
}

const ROOT_COLUMNS: readonly Column<RootLine>[] = [
  { title: 'REGION', text: (line) => printable(line.region) },
  { title: 'ROOT', text: (line) => printable(line.name) },
  { title: 'ADDRESS', text: (line) => String(line.address), right: true },
];

/** Roots of a region that the text form shows. */
const ROOTS_SHOWN = 20;

export function inspect(program: Command, console: Console): void {
  verb(program, 'inspect', {
    summary: 'show a store and its regions in detail',
    details: 'Show what a store is made of: its checkpoints, images that wait, what opening it ' +
      'has to recover; then blocks, bytes, fragmentation and roots of every region, or of those ' +
      'named, with how many blocks of each size still fit; or a value of a heap, found by ' +
      'names, indexes and fields. Of large regions figures are estimates, marked ≈, so that it ' +
      'answers at once. Nothing is changed: what a writer would replay is only shown.',
    examples: ['inspect data', 'inspect data words --json | jq .regions[0].busyBytes',
      'inspect data app users.3.name', 'inspect data --html data.html'],
  })
    .argument('[region...]', 'regions and rings to show, default all; or a heap and the path of ' +
      'a value in it (a dot in a name as `\\.`)')
    .option('--html <file>', 'write all of it, with maps and charts, as one HTML file')
    .addOption(exactOption())
    .action(async (dir: string, names: string[], options: Options) => {
      const writeReport = options.html === undefined ? null
        : (await import('./report/report.ts')).writeReport;
      return onTarget(console, dir, options, { mode: 'read' }, (target) => {
        if (writeReport !== null) {
          return writeReport(target, names, options.html as string, {
            facts: () => storeFacts(target),
            rowOf: (subject) => rowOf(subject, true, new Counting(true)) });
        }
        const object = objectIn(target, names);
        if (object !== null) {
          return {
            json: () => document({ type: target.type, path: target.path, object }),
            text: () => objectText(object, console.output.head),
          };
        }
        return overview(console, target, names, options.exact === true);
      });
    });
}

function overview(
  { progress, output }: Console, target: Target, names: readonly string[], isExact: boolean,
): Report {
  const rings = ringsOf(target.store, names);
  const others = names.filter((name) => !rings.some((ring) => ring.name === name));
  const isNamed = others.length > 0;
  const isRingsOnly = names.length > 0 && !isNamed;
  const total = isRingsOnly ? 0 : target.count(others);
  const counting = new Counting(isExact);
  const rows: Row[] = [];
  const { found: damaged, note } = damageIn(others);
  for (const subject of isRingsOnly ? [] : target.subjects(others, note)) {
    progress.step('region', rows.length, total);
    const row = enduring(subject.name, note, () => rowOf(subject, isNamed, counting));
    if (row !== null) rows.push(row);
  }
  const { head, alarm } = output;
  return {
    exit: damaged.length > 0 ? EXIT.findings : EXIT.fine,
    json: () => document({ ...documentOf(target, rows), rings, damaged }),
    *text() {
      yield* textOf(target, rows, head, alarm);
      if (rings.length > 0) yield '';
      yield* ringText(rings, head);
      if (damaged.length > 0) yield '';
      yield* damageText(damaged, alarm);
    },
  };
}

/** Where a heap and a path in it are named, and no region is called like that. */
function objectIn(target: Target, [name = '', path = '', ...more]: readonly string[]):
    ObjectView | null {
  const regions = target.store?.regions() ?? [];
  const isPath = path !== '' && more.length === 0 && !regions.some((one) => one.name === path);
  if (!isPath || regions.find((one) => one.name === name)?.kind !== 'heap') return null;
  const [subject] = target.subjects([name]);
  const heap = subject?.heap() ?? null;
  return heap === null ? null : objectViewOf(name, heap, path);
}

function rowOf(subject: Subject, isNamed: boolean, counting: Counting): Row {
  const { name, kind, discipline, region } = subject;
  const { id, method } = region;
  const figures = counting.figuresOf(subject);
  const { freeBytes, largestFree } = figures;
  const fragmentation = freeBytes === 0 ? 0 : 1 - largestFree / freeBytes;
  const roots = [...region.roots].map(([root, address]) => ({ name: root, address }));
  const isDetailed = (isNamed || kind === 'heap') && counting.hasTimeFor(figures);
  return { name, id, kind, method, discipline, ...figures, fragmentation, roots,
    heap: heapViewOf(subject, !isDetailed),
    fits: isNamed && isDetailed ? fitsIn(region) : null };
}

function documentOf({ type, path, store }: Target, regions: readonly Row[]): object {
  if (store === null) return { type, path, store, recovery: null, last: null, regions };
  const { dir: _, privatePages: __, dirtyLimit: ___, ...stat } = store.stat();
  const last = store.checkpoints().at(-1) ?? null;
  return { type, path, store: stat, recovery: store.recovery, last, regions };
}

function storeFacts({ store }: Target): (readonly [string, string])[] {
  if (store === null) return [];
  return factsOf(store.stat(), store.checkpoints().at(-1), store.recovery);
}

function* textOf(
  target: Target, rows: readonly Row[], head: Paint, alarm: Paint,
): Generator<string> {
  const { store } = target;
  yield head(`${target.type} ${target.path}`);
  if (store !== null) {
    const stat = store.stat();
    yield* facts(storeFacts(target));
    if (stat.poisoned !== null) yield alarm(`  ${printable(stat.poisoned)}`);
  }
  if (rows.length === 0 && store?.regions().length !== 0) return;
  yield '';
  yield* table(COLUMNS, rows, head);
  if (rows.some(({ estimated }) => estimated)) yield ESTIMATED;
  const lines = rows.flatMap((row) =>
    row.roots.slice(0, ROOTS_SHOWN).map((root) => ({ region: row.name, ...root })));
  if (lines.length > 0) {
    yield '';
    yield* table(ROOT_COLUMNS, lines, head);
  }
  for (const { name, roots } of rows) {
    const hidden = roots.length - ROOTS_SHOWN;
    if (hidden > 0) yield `and ${hidden} more of ${printable(name)}; --json lists them all`;
  }
  for (const { name, heap } of rows) if (heap !== null) yield* heapText(name, heap, head);
  for (const { name, fits } of rows) if (fits !== null) yield* fitsText(name, fits, head);
}

function factsOf(
  stat: StoreStat, last: Checkpoint | undefined, recovery: Recovery | null,
): [string, string][] {
  const { extent, capacity } = stat;
  return [
    ['id', stat.id],
    ['regions', `${stat.regions}, ${humanSize(extent)} of at most ${humanSize(capacity)}`],
    ['checkpoint', last === undefined ? 'none yet' : checkpointText(last)],
    ['applied', appliedText(stat)],
    ['images', humanSize(stat.imageBytes)],
    ['history', `${humanSize(stat.historyBytes)} to go back to earlier checkpoints`],
    ['recovery', recoveryText(recovery)],
    ['integrity', 'the catalog and the headers shown were verified; check looks at the rest'],
    ['mapper', `${stat.mapper}, sync ${stat.sync}`],
  ];
}

function checkpointText({ id, label, at }: Checkpoint): string {
  return `${id}${label === null ? '' : ` '${printable(label)}'`} of ${isoDate(at)}`;
}

function appliedText({ sequence, applied, pendingBytes }: StoreStat): string {
  if (applied === sequence) return 'all';
  return `up to checkpoint ${applied}; ${humanSize(pendingBytes)} of images wait`;
}

/** What the next writer will do, since this look did not. */
function recoveryText(recovery: Recovery | null): string {
  if (recovery === null) return 'none needed, it was closed';
  const { replayedCheckpoints: n, replayedBytes, discarded, crash } = recovery;
  const replay = n === 0 ? 'nothing to replay'
    : `${counted(n, 'checkpoint')} to replay (${humanSize(replayedBytes)})`;
  const how = crash === 'machine' ? 'the machine went down under its last writer'
    : 'its last writer died';
  return discarded ? `${how}; ${replay}` : replay;
}
