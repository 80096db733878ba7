/** The example: an inverted index over real documents, against one that is made anew each time. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync }
  from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../src/store/store.ts';
import { InvertedIndex, type Source, wordsOf } from '../tools/examples/inverted-index.ts';
import { temporaryDirectory } from './support/temp.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const SEARCH = join(root, 'dist/tools/examples/search.js');
const PACKAGES = ['commander', 'better-sqlite3', 'vitest', 'lmdb', 'fast-check', 'typescript'];
let corpus = '';

/** The documentation of packages that are installed here. */
beforeEach(() => {
  corpus = join(temporaryDirectory(), 'corpus');
  mkdirSync(corpus);
  for (const name of PACKAGES) {
    cpSync(readmeOf(name), join(corpus, `${name}.md`));
  }
});

function readmeOf(name: string): string {
  const folder = join(root, 'node_modules', name);
  return join(folder, readdirSync(folder).find((file) => /^readme\.md$/i.test(file)) ?? '');
}

function sources(): Source[] {
  return readdirSync(corpus).sort().map((path) => {
    const file = join(corpus, path);
    return { path, modified: statSync(file).mtimeMs, text: () => readFileSync(file, 'utf8') };
  });
}

/** Word → documents with counts, from the files as they are. */
function expected(): Map<string, Map<string, number>> {
  const found = new Map<string, Map<string, number>>();
  for (const { path, text } of sources()) {
    for (const word of wordsOf(text())) {
      const counts = found.get(word) ?? new Map<string, number>();
      found.set(word, counts.set(path, (counts.get(path) ?? 0) + 1));
    }
  }
  return found;
}

function actual(index: InvertedIndex): Map<string, Map<string, number>> {
  return new Map([...index.words()].map((word) => [word, new Map(index.counts(word))]));
}

test('indexed, changed, restarted, collected: always the index of the files', () => {
  const dir = join(temporaryDirectory(), 'store');
  const restarted = (work: (index: InvertedIndex) => void): void => {
    const store = openStore(dir);
    const heap = store.heap('search', { capacity: '64MiB' });
    work(new InvertedIndex(heap));
    heap.collect({ handles: false });
    expect(heap.check()).toEqual([]);
    store.close();
  };
  restarted((index) => {
    expect(index.update(sources())).toEqual({ added: 6, changed: 0, removed: 0 });
    expect(actual(index)).toEqual(expected());
  });
  restarted((index) => {
    expect(actual(index)).toEqual(expected());
    expect(index.update(sources())).toEqual({ added: 0, changed: 0, removed: 0 });
  });
  const changed = join(corpus, 'lmdb.md');
  writeFileSync(changed, `${readFileSync(changed, 'utf8')}\nquokka quokka`);
  utimesSync(changed, 1, 1);
  rmSync(join(corpus, 'vitest.md'));
  writeFileSync(join(corpus, 'own.md'), 'A quokka and a numbat.');
  restarted((index) => {
    expect(index.update(sources())).toEqual({ added: 1, changed: 1, removed: 1 });
    expect(actual(index)).toEqual(expected());
    expect(index.query('quokka').map(({ path }) => path)).toEqual(['own.md', 'lmdb.md']);
    expect(index.query('sqlite fastest simplest library')[0]?.path).toBe('better-sqlite3.md');
    expect(index.query('there is no suchwordatall', 3)).toHaveLength(3);
    expect(index.query('nosuchwordatall')).toEqual([]);
  });
  restarted((index) => expect(actual(index)).toEqual(expected()));
});

describe('the program', () => {
  test('answers, again after a restart, and beside JSON and lmdb', () => {
    const store = join(temporaryDirectory(), 'index');
    const run = (...args: string[]) => {
      const { stdout, stderr, status } = spawnSync(process.execPath,
        [SEARCH, corpus, 'transaction', '--store', store, ...args], { encoding: 'utf8' });
      expect([status, stderr]).toEqual([0, '']);
      return stdout;
    };
    const first = run();
    expect(first).toMatch(/\d+ documents, \d+ words; \d+ added, 0 changed, 0 removed/);
    const second = run('--compare');
    expect(second).toMatch(/first answer [\d.]+ ms after a restart/);
    expect(second).toMatch(/; 0 added, 0 changed, 0 removed/);
    const found = [...second.matchAll(/^(regionstore|JSON|lmdb) +[\d.]+ ms to (\d+) postings$/gm)];
    expect(found.map(([, name]) => name)).toEqual(['regionstore', 'JSON', 'lmdb']);
    expect(new Set(found.map(([, , count]) => count)).size).toBe(1);
  });
});
