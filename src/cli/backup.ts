/**
 * `regionstore backup DIR PLACE` and `regionstore clone DIR PLACE`: a copy of a store as of its
 * newest checkpoint, beside whoever writes it. A clone is another store, with an id of its own.
 *
 * JSON: { path, dryRun, clone, to, checkpoint, regions, bytes, sharedBytes }; `bytes` of contents,
 *   and how many of them share their disk with the original. A dry run copies nothing:
 *   `sharedBytes` is null then.
 */
import type { Command } from 'commander';
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { RegionError } from '../errors.ts';
import type { Store } from '../store/api.ts';
import { counted, humanSize } from './table.ts';
import { storeOf } from './target.ts';
import { type Common, type Console, document, onTarget, type Report, verb } from './verb.ts';

interface Options extends Common {
  readonly dryRun?: true;
}

export function backup(program: Command, console: Console): void {
  add(program, console, { name: 'backup', isClone: false,
    summary: 'copy a store, also while a program writes it',
    details: 'Make a copy of a store in a directory that must not be there yet: the newest ' +
      'checkpoint of every region, heap, buffer and ring, without the way back to earlier ones. ' +
      'The program that writes the store goes on meanwhile. Where the file system has reflinks, ' +
      'nothing is copied until it changes. Every page of the copy is verified before it gets its ' +
      'name. It opens as the store does.' });
}

export function clone(program: Command, console: Console): void {
  add(program, console, { name: 'clone', isClone: true,
    summary: 'make another store with the same contents',
    details: 'Like `backup`, but what is made is a store of its own, with another id: for trying ' +
      'things out, or for a second life of the same data. Files of the two stores are never ' +
      'mistaken for one another.' });
}

function add(program: Command, console: Console, { name, isClone, summary, details }: {
  name: string; isClone: boolean; summary: string; details: string;
}): void {
  const place = isClone ? 'experiment' : '/backups/monday';
  verb(program, name, { summary, details,
    examples: [`${name} data ${place}`, `${name} data ${place} --dry-run`] })
    .argument('<place>', 'directory of the copy; made, and must be empty where it is there')
    .option('--dry-run', 'say what would be copied, copy nothing')
    .action((dir: string, to: string, options: Options) =>
      onTarget(console, dir, options, { mode: 'read', ofStore: 'checkpoints' }, (target) => {
        const store = storeOf(target);
        return options.dryRun === true ? foreseen(store, to, isClone)
          : copied(console, store, to, isClone);
      }));
}

function copied({ progress }: Console, store: Store, to: string, isClone: boolean): Report {
  const done = store.backup(to, { clone: isClone, onProgress: (bytes, total) => {
    if (bytes < total) progress.step('copying', bytes, total, humanSize);
    else progress.step('verifying', 0, 0);
  } });
  const { dir, ...rest } = done;
  return {
    json: () => document({ path: store.dir, dryRun: false, clone: isClone, to: dir, ...rest }),
    *text() {
      const shared = rest.sharedBytes > 0 ? `, ${humanSize(rest.sharedBytes)} of it shared` : '';
      const what = rest.checkpoint === 0 ? 'no checkpoint yet' : `checkpoint ${rest.checkpoint}`;
      yield `${isClone ? 'cloned' : 'copied'} ${counted(rest.regions, 'region')} ` +
        `(${humanSize(rest.bytes)}${shared}, ${what}) to ${dir}; every page was verified`;
    },
  };
}

function foreseen(store: Store, to: string, isClone: boolean): Report {
  const place = resolve(to);
  if (existsSync(place) && readdirSync(place).length > 0) {
    throw new RegionError('ERR_EXISTS',
      `${place} is not empty; remove it first, or give another directory`);
  }
  const regions = store.regions();
  const bytes = regions.reduce((n, { extent }) => n + extent, 0);
  const { sequence } = store.stat();
  return {
    json: () => document({ path: store.dir, dryRun: true, clone: isClone, to: place,
      checkpoint: sequence, regions: regions.length, bytes, sharedBytes: null }),
    *text() {
      yield `would copy ${counted(regions.length, 'region')} (${humanSize(bytes)}, checkpoint ` +
        `${sequence}) to ${place}`;
    },
  };
}
