/**
 * Ctrl-C at any time: a verb that writes ends, and the store is sound: as it was, or as the verb
 * wanted it. What was being made elsewhere is whole or not there.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { list, ref, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { MAIN } from './support/cli.ts';
import { cliHere } from './support/cli-here.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

const Task = struct('Task', { id: u32, title: str, next: ref(() => Task) });

let folder = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  const store = openStore(join(folder, 'store'));
  const words = store.region('words', { capacity: '64MiB' });
  const app = store.heap('app', { capacity: '64MiB' });
  const tasks = app.create(list(ref(Task)));
  app.root.set('tasks', tasks);
  for (let i = 0; i < 5000; i++) {
    tasks.push(app.create(Task, { id: i, title: `task ${i}` }));
    app.create(Task, { id: i });
    words.free(words.alloc(5000));
    words.alloc(100);
  }
  store.checkpoint('first');
  tasks.splice(1000, 4000);
  store.checkpoint('second');
  store.close();
  const file = join(folder, 'app.ndjson');
  expect((await cliHere(['export', store.dir, 'app', '-o', file])).status).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Arguments behind the directory; `made` = what is whole or not there. */
const VERBS: Readonly<Record<string, { args: (at: string) => string[]; made?: string }>> = {
  compact: { args: () => [] },
  gc: { args: () => [] },
  checkpoint: { args: () => ['--label', 'third'] },
  restore: { args: () => ['first'] },
  forget: { args: () => ['first'] },
  import: { args: () => ['other', join(folder, 'app.ndjson')] },
  export: { args: (at) => ['app', '-o', join(at, 'made')], made: 'made' },
  inspect: { args: (at) => ['--html', join(at, 'made')], made: 'made' },
  backup: { args: (at) => [join(at, 'made')], made: 'made' },
  repair: { args: (at) => ['--to', join(at, 'made')], made: 'made' },
};

test.each(Object.keys(VERBS))('%s', { timeout: 600_000 }, async (verb) => {
  const seed = newSeed();
  const random = randomFrom(seed + verb.length);
  for (let round = 0; round < often(1, 30); round++) {
    const at = temporaryDirectory();
    const dir = join(at, 'store');
    cpSync(join(folder, 'store'), dir, { recursive: true });
    if (verb === 'repair') damage(dir);
    const { args, made } = VERBS[verb];
    const child = spawn(process.execPath, [MAIN, verb, dir, ...args(at)], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    const wait = 120 + random(200);
    await Promise.race([sleep(wait), ended]);
    child.kill('SIGINT');
    const [status, signal] = await ended as [number | null, string | null];
    const where = `seed ${seed}, ${verb} after ${wait} ms: ${status ?? signal}`;
    expect(signal === 'SIGINT' || status === 0, where).toBe(true);
    if (made !== undefined && existsSync(join(at, made))) expectWhole(verb, join(at, made));
    // What it repairs is damaged, and stays so.
    if (verb === 'repair') continue;
    using store = openStore(dir);
    expect(store.check(), where).toEqual([]);
    const tasks = store.heap('app').root.get('tasks') as { length: number };
    expect([1000, verb === 'restore' ? 5000 : 1000], where).toContain(tasks.length);
  }
});

/** The free memory of a region says what cannot be. */
function damage(dir: string): void {
  using store = openStore(dir, { readOnly: true });
  const { id } = store.regions().find(({ name }) => name === 'words') as { id: string };
  const file = join(dir, 'regions', `${id}.region`);
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0xee, 8192 + 400, 8192 + 800));
}

function expectWhole(verb: string, path: string): void {
  if (verb === 'export') expect(readFileSync(path, 'utf8')).toMatch(/"objects":\d+,"names":1}\n$/);
  else if (verb === 'inspect') expect(readFileSync(path, 'utf8')).toMatch(/<\/html>\n$/);
  else {
    using store = openStore(path, { readOnly: true });
    expect(store.check()).toEqual([]);
  }
}
