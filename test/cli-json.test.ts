/**
 * The JSON of every verb: what it holds is what the comment at the top of its file says, and its
 * shape is the one in fixtures/json-shapes.json, which other programs are written against. A change
 * of that file is a change of the interface: REGIONSTORE_UPDATE=1 writes it anew.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { best, bool, createRegion, list, mmap, openStore, profile, str, struct, u32 }
  from '../src/index.ts';
import { cliHere } from './support/cli-here.ts';

const CLI = new URL('../src/cli/', import.meta.url).pathname;
const SHAPES = new URL('fixtures/json-shapes.json', import.meta.url).pathname;
const TRACE = new URL('./fixtures/traces/convert.vmt.gz', import.meta.url).pathname;
const Task = struct('Task', { id: u32, title: str, done: bool, tags: list(str) });

/** Verb → its file, where that is called otherwise; further arguments. */
const VERBS: Readonly<Record<string, { file?: string; status?: number;
    args: (dir: string) => string[] }>> = {
  ls: { args: (dir) => [dir] },
  inspect: { args: (dir) => [dir, 'alpha', 'app'] },
  'inspect of a value': { file: 'inspect', args: (dir) => [dir, 'app', 'tasks.0'] },
  'inspect as a report': { file: 'inspect',
    args: (dir) => [dir, '--html', join(dir, '..', 'report.html')] },
  tail: { args: (dir) => [dir, 'events'] },
  blocks: { args: (dir) => [dir, 'alpha', '--limit', '2'] },
  map: { args: (dir) => [dir, 'alpha'] },
  segments: { args: (dir) => [dir] },
  top: { args: (dir) => [dir, '-n', '1'] },
  check: { args: (dir) => [dir] },
  repair: { status: 1, args: (dir) => [join(dir, '..', 'damaged')] },
  compact: { args: (dir) => [dir, '--dry-run'] },
  gc: { args: (dir) => [dir, '--dry-run'] },
  checkpoint: { args: (dir) => [dir, '--dry-run'] },
  checkpoints: { args: (dir) => [dir] },
  restore: { args: (dir) => [dir, 'first', '--dry-run'] },
  diff: { args: (dir) => [dir, 'first', 'second'] },
  forget: { args: (dir) => [dir, 'first', '--dry-run'] },
  backup: { args: (dir) => [dir, join(dir, '..', 'copy'), '--dry-run'] },
  clone: { file: 'backup', args: (dir) => [dir, join(dir, '..', 'copy'), '--dry-run'] },
  adopt: { args: (dir) => [dir, join(dir, '..', 'alone.region'), 'adopted', '--dry-run'] },
  profile: { args: (dir) => [dir, 'profiled'] },
  export: { args: (dir) => [dir, 'app', '-o', join(dir, '..', 'app.ndjson')] },
  'export of blocks': { file: 'export',
    args: (dir) => [dir, 'alpha', '-o', join(dir, '..', 'alpha.ndjson')] },
  'import of blocks': { file: 'import',
    args: (dir) => [dir, 'beta', join(dir, '..', 'alpha.ndjson'), '--dry-run'] },
  import: { args: (dir) => [dir, 'other', join(dir, '..', 'app.ndjson'), '--dry-run'] },
  trace: { args: () => [TRACE] },
  replay: { args: () => [TRACE, '--in-process', '--repeat', '1'] },
};

const folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
const dir = join(folder, 'store');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  const store = openStore(dir);
  const region = store.region('alpha');
  region.roots.set('root', region.alloc(100));
  const inner = store.region('profiled', { method: profile(best) });
  inner.alloc(10);
  const heap = store.heap('app');
  const tasks = heap.create(Task, { id: 1, title: 'write', done: false, tags: ['a', 'b'] });
  heap.root.set('tasks', [tasks, 1, 'text', null]);
  store.ring('events', { size: '64KiB' }).append('one');
  store.checkpoint('first');
  region.free(region.alloc(300));
  region.alloc(5000);
  tasks.done = true;
  heap.create(Task, { id: 2 });
  store.checkpoint('second');
  store.close();
  damage(join(folder, 'damaged'));
  using alone = createRegion(mmap(join(folder, 'alone.region'), { capacity: '1MiB' }), best);
  alone.alloc(10);
});

/** A copy of which one text of the heap, and the file of one region, are gone. */
function damage(copy: string): void {
  cpSync(dir, copy, { recursive: true });
  using store = openStore(copy, { readOnly: true });
  const ids = new Map(store.regions().map(({ name, id }) => [name, id]));
  rmSync(join(copy, 'regions', `${ids.get('alpha')}.region`));
  const file = join(copy, 'regions', `${ids.get('app')}.region`);
  const bytes = readFileSync(file);
  const text = bytes.indexOf('write');
  writeFileSync(file, bytes.fill(0, text - 4, text));
}

/** Every path of keys → the types that are there; elements of arrays are `[]`. */
function shapeOf(value: unknown, path = '', into = new Map<string, Set<string>>()) {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  into.set(path, (into.get(path) ?? new Set()).add(type));
  if (Array.isArray(value)) for (const each of value) shapeOf(each, `${path}[]`, into);
  else if (type === 'object') {
    for (const [key, each] of Object.entries(value as object)) {
      shapeOf(each, path === '' ? key : `${path}.${key}`, into);
    }
  }
  return into;
}

async function printed(verb: string): Promise<unknown> {
  const { args = () => [], status = 0 } = VERBS[verb] ?? {};
  const ran = await cliHere([verb.split(' ')[0] as string, ...args(dir), '--json']);
  expect([ran.status, ran.stderr]).toEqual([status, '']);
  return JSON.parse(ran.stdout);
}

/** The comment at the top of a verb's file, and of those it refers to. */
function commentOf(file: string, isFirst = true): string {
  const text = readFileSync(join(CLI, `${file}.ts`), 'utf8');
  const [comment = ''] = /^\/\*\*.*?\*\//s.exec(text) ?? [];
  if (!isFirst) return comment;
  const others = [...comment.matchAll(/\bas\s+\*?\s*`(\w+)`/g)].map(([, name]) => name as string);
  return [comment, ...others.map((name) => commentOf(name, false))].join('\n');
}

/** Keys of the documented object itself: names at depth 1 of the first braces behind `JSON`. */
function topLevelOf(comment: string): string[] {
  const text = comment.slice(comment.indexOf('JSON')).replaceAll(/\n \*/g, ' ');
  let depth = 0;
  let inner = '';
  for (const c of text.slice(text.indexOf('{'))) {
    if ('{['.includes(c)) depth += 1;
    else if ('}]'.includes(c)) depth -= 1;
    else if (depth === 1) inner += c;
    if (depth === 0) break;
  }
  return inner.split(',').map((part) => /^\s*(\w+)/.exec(part)?.[1] ?? '').filter(Boolean);
}

const shapes: Record<string, Record<string, string>> = {};

describe.each(Object.keys(VERBS))('%s', (verb) => {
  test('has the keys that are documented, and the shape that programs know', async () => {
    const file = VERBS[verb]?.file ?? verb;
    const found = await printed(verb);
    const shape = shapeOf(found);
    const words = new Set(commentOf(file).match(/\w+/g));
    // The name of a type is data.
    const keys = new Set([...shape.keys()].flatMap((path) => path.split(/[.[\]]+/)));
    expect([...keys].filter((key) => !['', 'Task'].includes(key) && !words.has(key))).toEqual([]);
    const isOther = verb !== file && verb.startsWith(`${file} `);
    if (!isOther) expect(Object.keys(found as object)).toEqual(topLevelOf(commentOf(file)));
    shapes[verb] = Object.fromEntries([...shape].map(([path, types]) =>
      [path === '' ? '.' : path, [...types].sort().join(' | ')]));
    if (process.env.REGIONSTORE_UPDATE !== undefined) {
      writeFileSync(SHAPES, `${JSON.stringify(shapes, null, 1)}\n`);
    }
    const known = JSON.parse(readFileSync(SHAPES, 'utf8')) as typeof shapes;
    expect(shapes[verb]).toEqual(known[verb]);
  });
});
