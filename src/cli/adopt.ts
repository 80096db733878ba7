/**
 * `regionstore adopt DIR FILE NAME`: a region file from elsewhere becomes a region of a store.
 *
 * JSON: { path, dryRun, file, region: { name, id, kind, method, capacity, extent },
 *   checkpoint: { id, … } | null }
 */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { humanSize, printable } from './table.ts';
import { storeOf } from './target.ts';
import { type Common, type Console, document, onTarget, unsafeOption, verb } from './verb.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly unsafeFileSystem?: true;
}

export function adopt(program: Command, console: Console): void {
  verb(program, 'adopt', {
    summary: 'take a region file from elsewhere into a store',
    details: 'Copy a region file into a store, under a name: a file of another store, or of one ' +
      'whose catalog is lost (with the .sums file beside it), or a region by itself. It is ' +
      'refused unless every page matches its checksum and every invariant holds, and left as it ' +
      'is. What it holds is seen from its contents: a region, a heap or a buffer. Where a whole ' +
      'store has lost its catalog, adopt its files into a new store, one by one.',
    examples: ['adopt data lost/regions/0f63….region tasks', 'adopt data notes.region notes'],
  })
    .argument('<file>', 'the region file')
    .argument('<name>', 'what it is called from now on')
    .option('--dry-run', 'check the file, keep nothing')
    .addOption(unsafeOption())
    .action((dir: string, file: string, name: string, options: Options) => {
      const dryRun = options.dryRun === true;
      return onTarget(console, dir, options, { ...options, mode: 'write', ofStore: 'regions' },
        (target) => {
          const store = storeOf(target);
          const { born: _, ...region } = store.adopt(file, name);
          if (dryRun) store.rollback();
          const checkpoint = dryRun ? null : store.checkpoint();
          return {
            json: () => document({ path: store.dir, dryRun, file: resolve(file), region,
              checkpoint }),
            *text() {
              const { kind, method, extent } = region;
              yield `${dryRun ? 'would adopt' : 'adopted'} ${file} as ${kind} ` +
                `'${printable(name)}' (${method}, ${humanSize(extent)})`;
            },
          };
        });
    });
}
