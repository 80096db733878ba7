/**
 * The processes of the history benchmark. Times in milliseconds.
 *
 *   node history-trial.js restore DIR MIB SHARE SAMPLES → { restore, copyBack }
 *   node history-trial.js refresh DIR MIB PAGES SAMPLES → { refresh, reopen }
 *   node history-trial.js backup DIR MIB SAMPLES        → { backup, copy, bytes }
 *
 * Each compares with what a program does that has files only: the backup copied back and synced,
 * the store opened anew, the directory copied and synced.
 */
import { closeSync, copyFileSync, cpSync, fsyncSync, openSync, readdirSync, renameSync, rmSync }
  from 'node:fs';
import { join } from 'node:path';
import { openStore, type Store } from 'regionstore';
import { syncDirectory } from '../../src/files.ts';
import { type Random, random } from '../torture/random.ts';

const PAGE = 4096;

function filled(dir: string, mib: number): { store: Store; bytes: Uint8Array } {
  const store = openStore(join(dir, 'store'));
  const { bytes } = store.buffer('data', { size: mib * 2 ** 20 });
  for (let at = 0; at < bytes.length; at += PAGE) bytes.fill(1 + (at / PAGE) % 251, at, at + PAGE);
  store.checkpoint('before');
  return { store, bytes };
}

function touch(bytes: Uint8Array, pages: number, chance: Random, value: number): void {
  for (let i = 0; i < pages; i += 1) {
    const at = chance.int(bytes.length / PAGE) * PAGE;
    bytes.fill(value, at, at + PAGE);
  }
}

function timed(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

function restore(dir: string, mib: number, share: number, samples: number): object {
  const { store, bytes } = filled(dir, mib);
  const wanted = Buffer.from(bytes);
  const [{ id } = { id: '' }] = store.regions();
  const file = join(dir, 'store', 'regions', `${id}.region`);
  const kept = join(dir, 'kept');
  copyFileSync(file, kept);
  const chance = random(mib);
  const pages = Math.round((bytes.length / PAGE) * share);
  const times = { restore: [] as number[], copyBack: [] as number[] };
  for (let i = 0; i < samples; i += 1) {
    touch(bytes, pages, chance, i);
    store.checkpoint();
    times.restore.push(timed(() => store.restore('before')));
    if (!wanted.equals(store.buffer('data').bytes)) throw new Error('something else is there');
    times.copyBack.push(timed(() => {
      copyFileSync(kept, `${kept}.new`);
      sync(`${kept}.new`);
      renameSync(`${kept}.new`, `${kept}.back`);
      syncDirectory(dir);
    }));
  }
  store.close();
  return times;
}

function refresh(dir: string, mib: number, pages: number, samples: number): object {
  const { store, bytes } = filled(dir, mib);
  const path = join(dir, 'store');
  const reader = openStore(path, { readOnly: true });
  const seen = reader.buffer('data');
  const chance = random(pages);
  const times = { refresh: [] as number[], reopen: [] as number[] };
  for (let i = 0; i < samples; i += 1) {
    touch(bytes, pages, chance, i);
    bytes[0] = i;
    store.checkpoint();
    times.refresh.push(timed(() => {
      if (!reader.refresh() || seen.bytes[0] !== i) throw new Error('not the newest');
    }));
    times.reopen.push(timed(() => {
      using again = openStore(path, { readOnly: true });
      if (again.buffer('data').bytes[0] !== i) throw new Error('not the newest');
    }));
  }
  reader.close();
  store.close();
  return times;
}

function backup(dir: string, mib: number, samples: number): object {
  const { store, bytes } = filled(dir, mib);
  const [own, plain] = [join(dir, 'backup'), join(dir, 'copy')];
  const times = { backup: [] as number[], copy: [] as number[] };
  for (let i = 0; i < samples; i += 1) {
    times.backup.push(timed(() => void store.backup(own)));
    times.copy.push(timed(() => {
      cpSync(join(dir, 'store'), plain, { recursive: true });
      for (const { parentPath, name } of readdirSync(plain,
        { recursive: true, withFileTypes: true })) sync(join(parentPath, name));
    }));
    {
      using copy = openStore(own);
      if (!Buffer.from(copy.buffer('data').bytes).equals(bytes)) throw new Error('not the same');
    }
    for (const made of [own, plain]) rmSync(made, { recursive: true });
  }
  store.close();
  return { ...times, bytes: bytes.length };
}

function main(): void {
  const [verb = '', dir = '', ...rest] = process.argv.slice(2);
  const [first = 0, second = 0, third = 0] = rest.map(Number);
  const verbs: Record<string, () => object> = {
    restore: () => restore(dir, first, second, third),
    refresh: () => refresh(dir, first, second, third),
    backup: () => backup(dir, first, second),
  };
  const work = verbs[verb];
  if (work === undefined) throw new Error(`no verb '${verb}'`);
  process.stdout.write(`${JSON.stringify(work())}\n`);
}

main();
