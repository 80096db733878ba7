/**
 * `regionstore forget DIR CHECKPOINT…`: checkpoints that nobody wants to go back to any more.
 *
 * JSON: { path, dryRun, forgotten: [checkpoints as `checkpoints` prints them], historyBytes:
 *   [before, after] }
 */
import type { Command } from 'commander';
import { RegionError } from '../errors.ts';
import type { Store } from '../store/api.ts';
import type { Checkpoint } from '../types.ts';
import { storeOf } from './target.ts';
import { counted, humanSize, someOf } from './table.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';
import { pointOf, whichOf } from './which.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly unsafeFileSystem?: true;
}

export function forget(program: Command, console: Console): void {
  verb(program, 'forget', {
    summary: 'give up checkpoints, and the disk they take',
    details: 'Checkpoints, given by number or label, can no longer be restored; what was kept ' +
      'for them alone is given back. The state of the store does not change. The newest ' +
      'checkpoint only loses its label.',
    examples: ['forget data before-upgrade --dry-run', 'forget data 3 4 5'],
  })
    .argument('<checkpoint...>', 'numbers or labels; see `checkpoints`')
    .option('--dry-run', 'say what would be forgotten, change nothing')
    .addOption(unsafeOption())
    .action((dir: string, names: string[], options: Options) => {
      const mode = options.dryRun ? 'read' : 'write';
      return onTarget(console, dir, options, { ...options, mode, ofStore: 'checkpoints' },
        (target) => forgotten(storeOf(target), names, options.dryRun === true));
    });
}

function forgotten(store: Store, names: readonly string[], dryRun: boolean): Report {
  const points = names.map((name) => found(store, name));
  const before = store.stat().historyBytes;
  if (!dryRun) for (const { id } of points) store.forget(id);
  const after = store.stat().historyBytes;
  return {
    json: () => document({ path: store.dir, dryRun, forgotten: points,
      historyBytes: [before, after] }),
    *text() {
      const what = counted(points.length, 'checkpoint');
      if (dryRun) yield `would forget ${what}`;
      else yield `forgot ${what}; history went from ${humanSize(before)} to ${humanSize(after)}`;
    },
  };
}

function found(store: Store, name: string): Checkpoint {
  const point = pointOf(store, whichOf(store, name));
  if (point !== undefined) return point;
  const there = store.checkpoints().map(({ id, label }) => label ?? String(id));
  throw new RegionError('ERR_NOT_FOUND',
    `there is no checkpoint '${name}' in ${store.dir}; there are: ${someOf(there)}`);
}
