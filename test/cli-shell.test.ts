/** The shell: from a pipe as a process, and what it completes. */
import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { replOn } from '../src/cli/shell.ts';
import { list, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { MAIN } from './support/cli.ts';
import { temporaryDirectory } from './support/temp.ts';

const SMALL = { capacity: '4MiB' };
const Task = struct('Task', { id: u32, title: str, tags: list(str) });
let dir = '';

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  const store = openStore(dir);
  const heap = store.heap('app', SMALL);
  heap.root.set('inbox', heap.create(Task, { id: 7, title: 'write', tags: ['a', 'b'] }));
  store.region('raw', SMALL);
  store.close();
});

function shell(lines: readonly string[], args: readonly string[] = []) {
  return spawnSync(process.execPath, [MAIN, 'shell', dir, ...args],
    { encoding: 'utf8', input: `${lines.join('\n')}\n` });
}

describe('from a pipe', () => {
  test('store, heaps, regions and roots are bound', () => {
    const { stdout, stderr, status } = shell(['app.root.get("inbox").title', 'roots.app.inbox.id',
      'heaps.app === app', 'regions.raw.method', 'store.regions().length', 'roots.app.inbox']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.split('\n').slice(0, 5)).toEqual(["'write'", '7', 'true', "'best'", '2']);
    expect(stdout).toContain("Task { id: 7, title: 'write'");
  });

  test('only .checkpoint keeps', () => {
    shell(['app.root.set("lost", 1)']);
    const { stdout } = shell(['app.root.set("kept", [1, 2n])', '.checkpoint first', '.exit']);
    expect(stdout).toMatch(/checkpoint \d+ of .*: \d+ pages/);
    const store = openStore(dir, { readOnly: true });
    expect([...store.heap('app').root.keys()]).toEqual(['inbox', 'kept']);
    expect(store.checkpoints().at(-1)?.label).toBe('first');
    store.close();
  });

  test('.rollback: objects are looked up again', () => {
    const { stdout } = shell(['let task = roots.app.inbox', 'task.title = "other"', '.rollback',
      'roots.app.inbox.title', 'task.title']);
    expect(stdout).toContain("'write'");
    expect(stdout).toContain('ERR_STALE');
  });

  test('an error does not end it, and --read-only keeps nothing', () => {
    const { stdout, status } = shell(['nothing.there', '1 + 1', '.checkpoint'], ['--read-only']);
    expect(status).toBe(0);
    expect(stdout).toContain('ReferenceError');
    expect(stdout).toContain('\n2\n');
    expect(stdout).toContain('ERR_READ_ONLY');
  });

  test('--json: a line a result', () => {
    const { stdout } = shell(['roots.app.inbox', '2n ** 70n', 'null'], ['--json']);
    expect(stdout.trim().split('\n')).toEqual([
      '{"id":7,"title":"write","tags":["a","b"]}', '"1180591620717411303424"', 'null']);
  });
});

describe('completion', () => {
  async function completed(line: string): Promise<string[]> {
    const store = openStore(dir);
    const output = new PassThrough();
    const server = replOn(store, { input: new PassThrough(), output, isAsking: true,
      isJson: false });
    const found = await new Promise<string[]>((resolve, reject) => {
      server.completer(line, (error, result) => {
        if (error) reject(error);
        else resolve(result?.[0] ?? []);
      });
    });
    server.close();
    expect(String(output.read())).toContain('heap app');
    store.abandon();
    return found;
  }

  test('names of heaps, roots and fields', async () => {
    expect(await completed('roots.')).toContain('roots.app');
    expect(await completed('roots.app.')).toContain('roots.app.inbox');
    const fields = await completed('roots.app.inbox.');
    expect(fields).toEqual(expect.arrayContaining(['roots.app.inbox.id', 'roots.app.inbox.title',
      'roots.app.inbox.tags', 'roots.app.inbox.toJS']));
    expect(fields.filter((name) => name.includes('$'))).toEqual([]);
  });
});
