/** What the command line does with checkpoints: restore, diff, forget. */
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { StoreDiff } from '../src/store/diff.ts';
import { openStore } from '../src/store/store.ts';
import type { Checkpoint } from '../src/types.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

let dir = '';

interface Listing {
  readonly historyBytes: number;
  readonly checkpoints: readonly Checkpoint[];
}

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  const store = openStore(dir);
  const buffer = store.buffer('b', { size: 20_000 });
  for (const [i, label] of [undefined, 'one', '2', undefined].entries()) {
    buffer.bytes.fill(i + 1);
    store.checkpoint(label);
  }
  store.close();
});

function content(): number {
  const store = openStore(dir);
  const [value] = store.buffer('b').bytes;
  store.close();
  return value as number;
}

test('checkpoints: which there are, and what they take', async () => {
  const { historyBytes, checkpoints } = await jsonHere<Listing>(['checkpoints', dir]);
  expect(checkpoints.map(({ id, label, restorable }) => [id, label, restorable])).toEqual(
    [[1, null, true], [2, 'one', true], [3, '2', true], [4, null, true]]);
  expect(historyBytes).toBeGreaterThan(3 * 20_000);
  const { stdout } = await cliHere(['checkpoints', dir]);
  expect(stdout).toMatch(/KiB are kept to go back to them\n$/);
});

test('restore: by number, by label, first dry', async () => {
  const dry = await cliHere(['restore', dir, 'one', '--dry-run']);
  expect(dry.stdout).toMatch(/^b +changed +5 .*\nwould restore checkpoint 2 'one' of 2/m);
  expect(content()).toBe(4);
  const ran = await cliHere(['restore', dir, 'one']);
  expect(ran.stdout).toMatch(/restored checkpoint 2 'one' of .*; `restore 4` undoes it\n$/);
  expect(content()).toBe(2);
  // A label wins over a number.
  const result = await jsonHere<{ restored: Checkpoint; checkpoint: Checkpoint }>(
    ['restore', dir, '2']);
  expect([result.restored.id, result.checkpoint.id, content()]).toEqual([3, 6, 3]);
  expect((await cliHere(['restore', dir, '4'])).status).toBe(0);
  expect(content()).toBe(4);
});

test('diff', async () => {
  const { from, to, regions } = await jsonHere<StoreDiff>(['diff', dir, 'one', '4']);
  expect([from, to]).toEqual([2, 4]);
  expect(regions).toMatchObject([{ name: 'b', change: 'changed', pages: 5,
    blocks: { added: 0, removed: 0, changed: 1 } }]);
  expect((await cliHere(['diff', dir, '1'])).stdout).toMatch(/^REGION .*\nb +changed +5 /);
  expect((await cliHere(['diff', dir, '4'])).stdout).toBe('nothing changed\n');
});

test('forget: first dry, then for good', async () => {
  const dry = await cliHere(['forget', dir, '1', 'one', '--dry-run']);
  expect(dry.stdout).toBe('would forget 2 checkpoints\n');
  const { historyBytes } = await jsonHere<{ historyBytes: [number, number] }>(
    ['forget', dir, '1', 'one']);
  expect(historyBytes[1]).toBeLessThan(historyBytes[0]);
  const { checkpoints } = await jsonHere<Listing>(['checkpoints', dir]);
  expect(checkpoints.map(({ id }) => id)).toEqual([3, 4]);
  const { stdout } = await cliHere(['forget', dir, '4']);
  expect(stdout).toMatch(/^forgot 1 checkpoint; history went/);
});

test('checkpoints that are not there: exit 3, and which there are', async () => {
  for (const verb of ['restore', 'diff', 'forget']) {
    const { status, stderr } = await cliHere([verb, dir, 'nix']);
    expect([verb, status, stderr]).toEqual(
      [verb, 3, expect.stringMatching(/ERR_NOT_FOUND: .*nix.*there are: 1, one, 2, 4/)]);
    expect((await cliHere([verb, dir])).status).toBe(2);
  }
});
