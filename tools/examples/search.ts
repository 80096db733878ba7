/**
 * The inverted index as a program, over the documentation of the packages a project has installed
 * or any other folder of text.
 *
 *   node search.js FOLDER WORD…        indexes what changed, then answers
 *   node search.js FOLDER --compare    the same index from JSON and from lmdb: how long until
 *                                      the first answer after a restart
 *
 * The store is FOLDER/.index unless --store says otherwise.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openStore } from '../../src/index.ts';
import { InvertedIndex, type Source } from './inverted-index.ts';
import { PEERS, save } from './search-peers.ts';

const TEXT = /\.(md|txt|markdown|rst)$/i;

/** Every text file below a folder. */
function* textsBelow(folder: string): Generator<Source> {
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, String(name));
    const stats = TEXT.test(path) ? statSync(path, { throwIfNoEntry: false }) : undefined;
    if (stats?.isFile() !== true) continue;
    const text = () => readFileSync(path, 'utf8');
    yield { path: relative(folder, path), modified: stats.mtimeMs, text };
  }
}

function since(started: number): string {
  return `${(performance.now() - started).toFixed(1)} ms`;
}

function answer(folder: string, dir: string, text: string): void {
  const opened = performance.now();
  const store = openStore(dir);
  const index = new InvertedIndex(store.heap('search'));
  if (index.documentCount > 0) {
    index.query(text);
    process.stdout.write(`first answer ${since(opened)} after a restart\n`);
  }
  const updating = performance.now();
  const { added, changed, removed } = index.update(textsBelow(folder));
  store.checkpoint();
  process.stdout.write(`${index.documentCount} documents, ${index.termCount} words; ` +
    `${added} added, ${changed} changed, ${removed} removed in ${since(updating)}\n`);
  const asking = performance.now();
  const hits = index.query(text);
  process.stdout.write(`${hits.length} best for '${text}' in ${since(asking)}\n`);
  for (const { path, score } of hits) process.stdout.write(`${score.toFixed(2)}  ${path}\n`);
  store.close();
}

/** Each form in a process of its own: nothing is warm but the files. */
function compare(dir: string, text: string): void {
  const store = openStore(dir);
  save(new InvertedIndex(store.heap('search')), dir);
  store.close();
  const self = fileURLToPath(import.meta.url);
  for (const name of Object.keys(PEERS)) {
    const { stdout, stderr, status } = spawnSync(process.execPath,
      [self, dir, text, '--ready', name], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    process.stdout.write(stdout);
  }
}

function ready(dir: string, text: string, name: string): void {
  const started = performance.now();
  const found = (PEERS[name] as (dir: string, text: string) => number)(dir, text);
  process.stdout.write(`${name.padEnd(12)} ${since(started).padStart(12)} to ${found} postings\n`);
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      store: { type: 'string' },
      compare: { type: 'boolean', default: false },
      ready: { type: 'string' },
    },
  });
  const [folder = 'node_modules', ...words] = positionals;
  const text = words.length > 0 ? words.join(' ') : 'memory map';
  if (values.ready !== undefined) return ready(resolve(folder), text, values.ready);
  const dir = resolve(values.store ?? join(folder, '.index'));
  answer(resolve(folder), dir, text);
  if (values.compare) compare(dir, text);
}

main();
