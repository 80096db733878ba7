/**
 * `regionstore checkpoints DIR`: the checkpoints that are kept, oldest first.
 *
 * JSON: { path, historyBytes, checkpoints: [{ id, label, at, bytes, pages, regions, restorable }] }
 */
import type { Command } from 'commander';
import type { Checkpoint } from '../types.ts';
import { storeOf } from './target.ts';
import { type Column, humanSize, isoDate, printable, table } from './table.ts';
import { type Common, type Console, document, onTarget, verb } from './verb.ts';

const COLUMNS: readonly Column<Checkpoint>[] = [
  { title: 'ID', text: (row) => String(row.id), right: true },
  { title: 'AT', text: (row) => isoDate(row.at) },
  { title: 'PAGES', text: (row) => String(row.pages), right: true },
  { title: 'BYTES', text: (row) => humanSize(row.bytes), right: true },
  { title: 'REGIONS', text: (row) => String(row.regions), right: true },
  { title: 'LABEL', text: (row) =>
    (row.label === null ? '' : printable(row.label)) + (row.restorable ? '' : ' (gone)') },
];

export function checkpoints(program: Command, console: Console): void {
  verb(program, 'checkpoints', {
    summary: 'list the checkpoints',
    details: 'List the checkpoints of a store, oldest first: when, changed pages, bytes written ' +
      'for them, regions that had changes, label. All can be restored, but for those that are ' +
      'marked as gone.',
    examples: ['checkpoints data', "checkpoints data --json | jq '.checkpoints[-1].id'"],
  }).action((dir: string, options: Common) =>
    onTarget(console, dir, options, { mode: 'read', ofStore: 'checkpoints' }, (target) => {
      const store = storeOf(target);
      const rows = store.checkpoints();
      const { historyBytes } = store.stat();
      return {
        json: () => document({ path: target.path, historyBytes, checkpoints: rows }),
        *text() {
          yield* table(COLUMNS, rows, console.output.head);
          if (historyBytes > 0) yield `${humanSize(historyBytes)} are kept to go back to them`;
        },
      };
    }));
}
