/** The verbs export and import. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../src/store/store.ts';
import { cli, digest, MAIN } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { LINES, Task } from './support/heap-text.ts';

const scratch = mkdtempSync(join(tmpdir(), 'cli-export-'));
const dir = join(scratch, 'store');
const TEXT = `${LINES.join('\n')}\n`;

beforeAll(() => {
  const store = openStore(dir);
  store.heap('app').importLines(LINES);
  store.region('raw');
  store.close();
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let files = 0;
function fileWith(text: string | Uint8Array): string {
  const path = join(scratch, `text-${files++}`);
  writeFileSync(path, text);
  return path;
}

describe('export', () => {
  test('to standard output, as lines or as an array; nothing is changed', async () => {
    const before = digest(dir, /region$/);
    expect(await cliHere(['export', dir, 'app'])).toEqual({ status: 0, stdout: TEXT, stderr: '' });
    const whole = await cliHere(['export', dir, 'app', '--format', 'json']);
    expect(JSON.parse(whole.stdout)).toEqual(LINES.map((line) => JSON.parse(line) as unknown));
    expect((await cliHere(['export', dir, 'app', '--json'])).stdout).toBe(whole.stdout);
    expect(digest(dir, /region$/)).toBe(before);
  });

  test('to a file, which is replaced when all is there', async () => {
    const file = fileWith('before');
    const { status, stdout } = await cliHere(['export', dir, 'app', '-o', file]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^exported 24 objects of heap app to .*text-\d+, \d+/);
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
    expect(await jsonHere(['export', dir, 'app', '--format', 'json', '--output', file])).toEqual(
      { path: dir, heap: 'app', file, format: 'json', objects: 24, lines: LINES.length,
        bytes: readFileSync(file).length });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toHaveLength(LINES.length);
  });

  test('a file that cannot be written', async () => {
    const file = join(scratch, 'missing', 'file');
    const { status, stderr } = await cliHere(['export', dir, 'app', '-o', file]);
    expect([status, stderr]).toEqual([3, expect.stringMatching(/^regionstore: ERR_IO: writing/)]);
    expect(readdirSync(scratch).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('no heap of that name', async () => {
    const { status, stderr } = await cliHere(['export', dir, 'none']);
    expect([status, stderr]).toEqual([3, expect.stringContaining(
      "ERR_NOT_FOUND: there is no heap 'none'")]);
    expect(stderr).toContain('there is app');
  });

  test('no such format; a region file alone', async () => {
    expect((await cliHere(['export', dir, 'app', '--format', 'xml'])).status).toBe(2);
    const alone = fileWith('x');
    const { status, stderr } = await cliHere(['export', alone, 'app']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('has no heaps')]);
  });
});

describe('import', () => {
  test.each(['ndjson', 'json'])('a new heap from %s, and the same text again', async (format) => {
    const { stdout: text } = await cliHere(['export', dir, 'app', '--format', format]);
    const file = fileWith(text);
    const found = await jsonHere<{ checkpoint: number }>(['import', dir, format, file]);
    expect(found).toEqual({ path: dir, heap: format, file, dryRun: false, isNew: true,
      objects: 24, names: 8, checkpoint: expect.any(Number) as number });
    expect((await cliHere(['export', dir, format, '--format', format])).stdout).toBe(text);
    const store = openStore(dir);
    expect(store.checkpoints().at(-1)?.id).toBe(found.checkpoint);
    const task = store.heap(format).root.get('task') as { title: string; id: number };
    expect(task.id).toBe(2);
    expect(store.heap(format).create(Task, { id: 5 }).id).toBe(5);
    store.close();
  });

  test('an array that was printed by someone else', async () => {
    const parsed = LINES.map((line) => JSON.parse(line) as unknown);
    const file = fileWith(JSON.stringify(parsed, null, 4));
    const { stdout } = await cliHere(['import', dir, 'pretty', file]);
    expect(stdout).toMatch(/^imported 24 objects and 8 names into the new heap pretty, checkpoint/);
    expect((await cliHere(['export', dir, 'pretty'])).stdout).toBe(TEXT);
  });

  test('beside what is there: refused, or replaced', async () => {
    const file = fileWith(TEXT);
    const refused = await cliHere(['import', dir, 'app', file]);
    expect(refused.status).toBe(3);
    expect(refused.stderr).toContain('ERR_EXISTS: line');
    expect((await cliHere(['export', dir, 'app'])).stdout).toBe(TEXT);
    const { stdout } = await cliHere(['import', dir, 'app', file, '--replace']);
    expect(stdout).toMatch(/^imported 24 objects and 8 names into heap app, checkpoint/);
    expect((await cliHere(['export', dir, 'app'])).stdout).toBe(TEXT);
  });

  test('--dry-run says the same and changes nothing', async () => {
    const good = fileWith(TEXT);
    const bad = fileWith(TEXT.replace('"u32":"u32"', '"u32":"f64"'));
    const before = digest(dir);
    expect(await jsonHere(['import', dir, 'other', good, '--dry-run'])).toEqual({ path: dir,
      heap: 'other', file: good, dryRun: true, isNew: true, objects: 24, names: 8,
      checkpoint: null });
    const refused = await cliHere(['import', dir, 'app', good, '--dry-run']);
    expect(refused.stderr).toContain('ERR_EXISTS');
    const { stdout } = await cliHere(['import', dir, 'app', good, '--dry-run', '--replace']);
    expect(stdout).toBe('would import 24 objects and 8 names into heap app\n');
    const { stderr } = await cliHere(['import', dir, 'app', bad, '--dry-run', '--replace']);
    expect(stderr).toContain('line 3: Every is known here with other fields');
    expect(digest(dir)).toBe(before);
  });

  test('what fails leaves the store as it was', async () => {
    const before = (await cliHere(['ls', dir])).stdout;
    for (const [text, message] of [
      [TEXT.slice(0, TEXT.length / 2), /ERR_CORRUPT: line \d+: it is no JSON/],
      [`${LINES.slice(0, 9).join('\n')}\n`, /ERR_CORRUPT: the text ends after line 9/],
      ['{"a":1}', /ERR_MISMATCH: line 1/],
      ['', /ERR_CORRUPT: the text ends/],
      ['[1, 2', /ERR_CORRUPT: .* is no JSON/],
      [Buffer.from([0x7b, 0xff, 0x0a]), /ERR_CORRUPT: .* is no text in UTF-8/],
    ] as const) {
      const { status, stderr } = await cliHere(['import', dir, 'broken', fileWith(text)]);
      expect([status, stderr]).toEqual([3, expect.stringMatching(message)]);
    }
    const { stderr } = await cliHere(['import', dir, 'broken', join(scratch, 'nothing')]);
    expect(stderr).toContain('ERR_IO: the export');
    expect((await cliHere(['ls', dir])).stdout).toBe(before);
    const { status } = await cliHere(['import', dir, 'raw', fileWith(TEXT)]);
    expect(status).toBe(3);
  });
});

test('processes joined by a pipe', { timeout: 30_000 }, () => {
  const copy = join(scratch, 'copy');
  openStore(copy).close();
  const { stdout } = cli(['export', dir, 'app']);
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'import', copy, 'app', '-'],
    { input: stdout, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  expect(cli(['export', copy, 'app']).stdout).toBe(TEXT);
  expect(existsSync(join(copy, 'catalog.db'))).toBe(true);
});
