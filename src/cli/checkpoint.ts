/**
 * `regionstore checkpoint DIR`: opens a store as a writer would, so that what a dead writer left is
 * recovered and applied, and commits a checkpoint where something is to commit: the first one of a
 * store, or a new label. Otherwise it shows the last one.
 *
 * JSON: { path, dryRun, isNew, checkpoint: { id, label, at, bytes, pages, regions,
 *   restorable } | null,
 *   recovery: { replayedCheckpoints, replayedBytes, discarded, crash, ms } | null }
 */
import type { Command } from 'commander';
import type { Recovery } from '../store/recover.ts';
import type { Store } from '../store/api.ts';
import type { Checkpoint } from '../types.ts';
import { type Access, storeOf } from './target.ts';
import { counted, humanSize, isoDate, printable } from './table.ts';
import { type Common, type Console, document, onTarget, unsafeOption, verb } from './verb.ts';

interface Options extends Common {
  readonly label?: string;
  readonly dryRun?: true;
  readonly unsafeFileSystem?: true;
}

interface Outcome {
  readonly isNew: boolean;
  /** null: there is none yet, and a dry run makes none. */
  readonly checkpoint: Checkpoint | null;
}

export function checkpoint(program: Command, console: Console): void {
  verb(program, 'checkpoint', {
    summary: 'recover a store, and mark its state with a label',
    details: 'Open a store as a writer does: what a writer that died had committed is replayed ' +
      'into the region files, what it had not is dropped. With --label, the state gets a ' +
      'checkpoint of that name. Where there is nothing to commit, the last checkpoint is shown.',
    examples: ['checkpoint data', 'checkpoint data --label before-upgrade'],
  })
    .option('--label <text>', 'name of the checkpoint')
    .option('--dry-run', 'say what would be done, change nothing')
    .addOption(unsafeOption())
    .action((dir: string, options: Options) => {
      const dryRun = options.dryRun === true;
      const mode = dryRun ? 'read' : 'write';
      const access: Access = { ...options, mode, ofStore: 'checkpoints' };
      return onTarget(console, dir, options, access, (target) => {
        const store = storeOf(target);
        const { recovery } = store;
        const outcome = dryRun ? foreseen(store, options.label) : taken(store, options.label);
        const { path } = target;
        return {
          json: () => document({ path, dryRun, ...outcome, recovery }),
          text: () => textOf(outcome, recovery, dryRun),
        };
      });
    });
}

function taken(store: Store, label: string | undefined): Outcome {
  const before = store.checkpoints().at(-1)?.id;
  const taking = store.checkpoint(label);
  return { isNew: taking.id !== before, checkpoint: taking };
}

function foreseen(store: Store, label: string | undefined): Outcome {
  const last = store.checkpoints().at(-1) ?? null;
  const isNew = last === null || (label !== undefined && label !== last.label);
  return { isNew, checkpoint: last };
}

function* textOf(
  { isNew, checkpoint: shown }: Outcome, recovery: Recovery | null, dryRun: boolean,
): Generator<string> {
  const would = dryRun ? 'would be ' : '';
  if (recovery !== null) {
    const { replayedCheckpoints: n, replayedBytes, discarded } = recovery;
    yield `recovery: ${counted(n, 'checkpoint')} (${humanSize(replayedBytes)}) ${would}replayed` +
      (discarded ? `, uncommitted work of a writer that died ${would}dropped` : '');
  }
  if (dryRun && isNew) yield 'a checkpoint would be taken';
  if (shown === null) return;
  const { id, label, at } = shown;
  const name = label === null ? '' : ` '${printable(label)}'`;
  yield `${isNew && !dryRun ? 'took' : 'last'} checkpoint ${id}${name} of ${isoDate(at)}`;
}
