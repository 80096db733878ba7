/**
 * `regionstore compact DIR [REGION…]`: gives back the free ends of regions and the disk under free
 * blocks; in heaps of objects, garbage is freed and objects move together first. In a store the
 * result is one checkpoint: all regions or none, whenever the process dies. Where much is to be
 * moved there are some on the way, and in each of them everything is whole.
 *
 * JSON: { type, path, dryRun, regions: [{ name, before: { extent, busyBytes, freeBytes },
 *   after: the same, givenBack, isWhole, holes }], givenBack, holes, checkpoint: its id | null,
 *   historyBytes }.
 *   isWhole false = a dry run came to the limit of what may be changed: more can be given back;
 *   holes = bytes of free memory inside the region that need no disk from now on; historyBytes =
 *   what is kept to go back to earlier checkpoints
 */
import type { Command } from 'commander';
import type { Compacted } from '../objects/collector/compact.ts';
import type { ObjectHeap } from '../objects/heap.ts';
import type { Region } from '../types.ts';
import { limitOption, Relief } from './relief.ts';
import type { Target } from './target.ts';
import { type Column, humanSize, printable, table } from './table.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly dirtyLimit?: number;
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
  readonly isWhole: boolean;
  readonly holes: number;
}

type Given = Pick<Compacted, 'bytes' | 'done'>;

const COLUMNS: readonly Column<Row>[] = [
  { title: 'REGION', text: (row) => printable(row.name) },
  { title: 'LIVE', text: (row) => humanSize(row.after.busyBytes), right: true },
  { title: 'EXTENT BEFORE', text: (row) => humanSize(row.before.extent), right: true },
  { title: 'AFTER', text: (row) => humanSize(row.after.extent), right: true },
  { title: 'FREE BEFORE', text: (row) => humanSize(row.before.freeBytes), right: true },
  { title: 'AFTER', text: (row) => humanSize(row.after.freeBytes), right: true },
  { title: 'HOLES', text: (row) => humanSize(row.holes), right: true },
  { title: 'GIVEN BACK', text: (row) => humanSize(row.givenBack), right: true },
];

export function compact(program: Command, console: Console): void {
  verb(program, 'compact', {
    summary: 'give the disk of free memory back',
    details: 'Cut the free memory at the end of regions off their files, and punch holes in the ' +
      'files where large free blocks are, from 64 KiB on (HOLES: free memory that needs no ' +
      'disk). Blocks do not move, but in heaps of objects, where what cannot be reached is freed ' +
      'and the rest moves together. ' +
      'In a store the result is one checkpoint, or several where more than half of --dirty-limit ' +
      'is to be changed; every one of them is whole, and the process may be killed at any time. ' +
      'What lay there is kept in the history, until the checkpoints before are old or forgotten.',
    examples: ['compact data --dry-run', 'compact data words'],
  })
    .argument('[region...]', 'regions to compact, default all')
    .option('--dry-run', 'say what would be given back, change nothing')
    .addOption(limitOption())
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
  const relief = new Relief(target.store, !dryRun);
  for (const { name, region, heap } of target.subjects(names)) {
    console.progress.step('compacting region', regions.length, total);
    const before = useOf(region);
    const objects = heap();
    const { bytes, done } = objects === null ? { bytes: region.compact(), done: true }
      : inRounds(objects, before.extent, relief);
    const holes = holesOf(region, relief, dryRun);
    regions.push({ name, before, after: useOf(region), givenBack: bytes, isWhole: done, holes });
  }
  const holes = regions.reduce((sum, row) => sum + row.holes, 0);
  const givenBack = regions.reduce((sum, row) => sum + row.givenBack, 0);
  const checkpoint = dryRun ? null : (target.store?.checkpoint().id ?? null);
  const { type, path } = target;
  const historyBytes = target.store?.stat().historyBytes ?? 0;
  return {
    json: () => document({ type, path, dryRun, regions, givenBack, holes, checkpoint,
      historyBytes }),
    *text() {
      yield* table(COLUMNS, regions, console.output.head);
      const would = dryRun ? 'would give back' : 'gave back';
      const at = checkpoint === null ? '' : `, checkpoint ${checkpoint}`;
      const least = regions.every(({ isWhole }) => isWhole) ? '' : 'at least ';
      const inside = holes === 0 ? ''
        : `; ${humanSize(holes)} of free memory inside needs no disk`;
      yield `${would} ${least}${humanSize(givenBack)}${at}${inside}`;
      if (dryRun || historyBytes < WORTH_TELLING) return;
      yield `${humanSize(historyBytes)} are kept to go back to earlier checkpoints, until they ` +
        'are old, or `regionstore forget` drops them';
    },
  };
}

/** Bytes of history that somebody who wants disk will ask about. */
const WORTH_TELLING = 2 ** 20;
/** What a round moves at first, moves at most, and is to change, of what may be changed. */
const FIRST_MOVED = 1 / 16;
const MOST_MOVED = 1 / 4;
const CHANGED = 1 / 2;

/** `done` false = no more may be changed. */
function inRounds(heap: ObjectHeap, extent: number, relief: Relief): Given {
  if (extent + relief.changed <= relief.most) return heap.compact();
  let bytes = 0;
  for (let moved = FIRST_MOVED; ;) {
    const before = relief.changed;
    const round = heap.compact({ moveBytes: Math.ceil(relief.most * moved) });
    bytes += round.bytes;
    if (round.done) return { bytes, done: true };
    // What refers to what moved lies close together, or all over the heap.
    const changed = Math.max(0, relief.changed - before) / relief.most;
    moved = Math.min(MOST_MOVED, moved * 2, moved * CHANGED / changed);
    if (!relief.relieve()) return { bytes, done: false };
  }
}

/** Bytes of free memory that need no disk; cleared in rounds, too. */
function holesOf(region: Region, relief: Relief, dryRun: boolean): number {
  if (dryRun) return region.purge({ clearBytes: 0 }).bytes;
  for (;;) {
    const { bytes, done } = region.purge(
      relief.most === Infinity ? {} : { clearBytes: Math.ceil(relief.most) });
    if (done || !relief.relieve()) return bytes;
  }
}

function useOf(region: Region): Use {
  const { extent, busyBytes, freeBytes } = region.stat();
  return { extent, busyBytes, freeBytes };
}
