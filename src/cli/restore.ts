/**
 * `regionstore restore DIR CHECKPOINT`: every region as of a checkpoint. It becomes a checkpoint of
 * its own, so that the one before can be restored again.
 *
 * JSON: { path, dryRun, restored: a checkpoint as `checkpoints` prints it, checkpoint: the new one
 *   alike | null, regions: as `diff` prints them }; `regions` from the newest one to the restored.
 */
import type { Command } from 'commander';
import type { Store } from '../store/api.ts';
import { diffText } from './diff.ts';
import { storeOf } from './target.ts';
import { isoDate, printable } from './table.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';
import { pointOf, whichOf } from './which.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly unsafeFileSystem?: true;
}

export function restore(program: Command, console: Console): void {
  verb(program, 'restore', {
    summary: 'go back to an earlier checkpoint',
    details: 'Make every region what it was at a checkpoint, given by its number or its label: ' +
      'contents, sizes, names; dropped regions are back, younger ones gone. This is a checkpoint ' +
      'itself: restore the one before it to undo it. --dry-run shows what would change.',
    examples: ['restore data before-upgrade --dry-run', 'restore data 41'],
  })
    .argument('<checkpoint>', 'number or label; see `checkpoints`')
    .option('--dry-run', 'say what would change, change nothing')
    .addOption(unsafeOption())
    .action((dir: string, name: string, options: Options) => {
      const mode = options.dryRun ? 'read' : 'write';
      return onTarget(console, dir, options, { ...options, mode, ofStore: 'checkpoints' },
        (target) => restored(console, storeOf(target), name, options.dryRun === true));
    });
}

function restored(console: Console, store: Store, name: string, dryRun: boolean): Report {
  const which = whichOf(store, name);
  const last = store.checkpoints().at(-1)?.id ?? 0;
  const { regions } = store.diff(last, which);
  const point = pointOf(store, which);
  if (!dryRun) store.restore(which);
  const checkpoint = dryRun ? null : store.checkpoints().at(-1) ?? null;
  return {
    json: () => document({ path: store.dir, dryRun, restored: point, checkpoint, regions }),
    *text() {
      yield* diffText(regions, console.output.head);
      if (point === undefined) return;
      const label = point.label === null ? '' : ` '${printable(point.label)}'`;
      const what = `checkpoint ${point.id}${label} of ${isoDate(point.at)}`;
      if (dryRun) yield `would restore ${what}`;
      else yield `restored ${what}; \`restore ${last}\` undoes it`;
    },
  };
}
