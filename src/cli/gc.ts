/**
 * `regionstore gc DIR [HEAP…]`: frees the objects of heaps that cannot be reached from their roots.
 * In a store the result is one checkpoint, where much is to be changed several.
 *
 * JSON: { type, path, dryRun, heaps: [{ name, objects, bytes, ms, liveBytes }],
 *   checkpoint: its id | null }; objects = blocks that were freed, bytes = what they held
 */
import type { Command } from 'commander';
import { RegionError } from '../errors.ts';
import type { Collected } from '../objects/collector/collect.ts';
import type { ObjectHeap } from '../objects/heap.ts';
import { limitOption, Relief } from './relief.ts';
import { type Column, humanSize, printable, table } from './table.ts';
import type { Target } from './target.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly dirtyLimit?: number;
  readonly unsafeFileSystem?: true;
}

interface Row {
  readonly name: string;
  readonly objects: number;
  readonly bytes: number;
  readonly ms: number;
  readonly liveBytes: number;
}

type Freed = Omit<Collected, 'done'>;

const COLUMNS: readonly Column<Row>[] = [
  { title: 'HEAP', text: (row) => printable(row.name) },
  { title: 'FREED', text: (row) => String(row.objects), right: true },
  { title: 'BYTES', text: (row) => humanSize(row.bytes), right: true },
  { title: 'LIVE', text: (row) => humanSize(row.liveBytes), right: true },
  { title: 'MS', text: (row) => row.ms.toFixed(1), right: true },
];

export function gc(program: Command, console: Console): void {
  verb(program, 'gc', {
    summary: 'free what cannot be reached in heaps of objects',
    details: 'Free every object of a heap that is not reached from its root. The memory is used ' +
      'again by later objects; `compact` gives it back. In a store the result is one ' +
      'checkpoint, or several where more than half of --dirty-limit is to be changed.',
    examples: ['gc data --dry-run', 'gc data app'],
  })
    .argument('[heap...]', 'heaps to collect, default all')
    .option('--dry-run', 'say what would be freed, change nothing')
    .addOption(limitOption())
    .addOption(unsafeOption())
    .action((dir: string, names: string[], options: Options) => {
      const mode = options.dryRun ? 'read' : 'write';
      return onTarget(console, dir, options, { ...options, mode }, (target) =>
        collected(console, target, names, options.dryRun === true));
    });
}

function collected(
  console: Console, target: Target, names: readonly string[], dryRun: boolean,
): Report {
  const heaps: Row[] = [];
  const total = target.count(names);
  const relief = new Relief(target.store, !dryRun);
  for (const { name, region, heap: heapOf } of target.subjects(names)) {
    const heap = heapOf();
    if (heap === null) {
      if (names.length === 0) continue;
      throw new RegionError('ERR_MISMATCH', `'${name}' is a region, not a heap of objects`);
    }
    console.progress.step('collecting heap', heaps.length, total);
    const { extent } = region.stat();
    heaps.push({ name, ...inSteps(heap, extent, relief), liveBytes: region.stat().busyBytes });
  }
  const checkpoint = dryRun ? null : (target.store?.checkpoint().id ?? null);
  const { type, path } = target;
  return {
    json: () => document({ type, path, dryRun, heaps, checkpoint }),
    *text() {
      yield* table(COLUMNS, heaps, console.output.head);
      const objects = heaps.reduce((sum, row) => sum + row.objects, 0);
      const at = checkpoint === null ? '' : `, checkpoint ${checkpoint}`;
      yield `${dryRun ? 'would free' : 'freed'} ${objects} blocks${at}`;
    },
  };
}

/** Collecting changes less than so much in a millisecond. */
const CHANGED_PER_MS = 2 ** 20;
const LEAST_MS = 1;

function inSteps(heap: ObjectHeap, extent: number, relief: Relief): Freed {
  const isLarge = extent + relief.changed > relief.most;
  const budgetMs = Math.max(LEAST_MS, relief.most / CHANGED_PER_MS);
  const sum = { objects: 0, bytes: 0, ms: 0 };
  for (let done = false; !done; relief.relieve()) {
    const step = heap.collect({ handles: false, ...(isLarge && { budgetMs }) });
    sum.objects += step.objects;
    sum.bytes += step.bytes;
    sum.ms += step.ms;
    done = step.done;
  }
  return sum;
}
