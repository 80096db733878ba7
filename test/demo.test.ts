/**
 * The main job as a newcomer runs it, shortened; and its judge, shown stores that are wrong.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { METHOD_START } from '../src/layout.ts';
import type { Store } from '../src/store/api.ts';
import { openStore } from '../src/store/store.ts';
import { goalOf, makePlan, type Plan } from '../tools/demo/plan.ts';
import { TraceJob } from '../tools/demo/trace-job.ts';
import { Expected, verifyStore } from '../tools/demo/verify.ts';
import { WordIndex } from '../tools/demo/word-index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const MAIN = join(root, 'dist', 'tools', 'demo', 'main.js');

/** Below the project, since a store wants a real disk and the temporary folder may have none. */
let folder: string;

beforeAll(() => {
  mkdirSync(join(root, '.regionstore'), { recursive: true });
  folder = mkdtempSync(join(root, '.regionstore', 'test-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function demo(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args],
    { cwd: root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
  return { status, stdout, stderr };
}

test('npm start, shortened: two kills, nothing lost, a store left behind', () => {
  const dir = join(folder, 'demo');
  const seed = 20_261;
  const { status, stdout, stderr } = demo(dir, '--quick', '--seed', String(seed));
  expect(status, `seed ${seed}\n${stdout}\n${stderr}`).toBe(0);
  const rows = stdout.split('\n').filter((line) => / ✓ \d+ ms$/.test(line));
  expect(rows.map((line) => line.trim().split(/\s+/)[0])).toEqual(['1', '2', 'done']);
  for (const row of rows.slice(0, 2)) {
    const [, acknowledged, found] = /step (\d+) +(\d+) /.exec(row) ?? [];
    expect([0, 1], row).toContain(Number(found) - Number(acknowledged));
    expect(row).toMatch(/\d+ of [\d.]+ (KiB|MiB), \d+ ms/);
  }
  expect(rows[2]).toContain('step 48       48     was closed');
  expect(stdout).toContain('2 kills, nothing lost.');
  expect(stdout).toMatch(/^ +heap +best +store +1 /m);
  expect(stdout).toMatch(/^ +words +best +store +1 /m);
  const [, freed] = /Freed ([\d,]+) blocks .* gave ([\d.]+ [KM]iB) back/.exec(stdout) ?? [];
  expect(Number(freed?.replaceAll(',', ''))).toBeGreaterThan(1000);
  expect(stderr).toContain('100 % 60,000 operations replayed, 40 documents indexed');
  using store = openStore(dir, { readOnly: false });
  expect(store.recovery).toBeNull();
  expect(store.regions().map(({ name }) => name)).toEqual(['heap', 'words']);
  expect(store.check()).toEqual([]);
});

test('a directory that is no store is left alone', () => {
  const dir = mkdtempSync(join(folder, 'mine-'));
  writeFileSync(join(dir, 'letter.txt'), 'dear');
  const { status, stdout } = demo(dir, '--quick');
  expect(status).toBe(1);
  expect(stdout).toContain('is not a store and not empty; choose another directory');
  expect(readdirSync(dir)).toEqual(['letter.txt']);
});

describe('the judge', () => {
  const STEP = 6;
  let plan: Plan;
  let store: Store;
  let job: TraceJob;
  let index: WordIndex;

  beforeAll(() => {
    plan = makePlan(true);
  });

  beforeEach(() => {
    store = openStore(mkdtempSync(join(folder, 'judged-')));
    job = new TraceJob(store.region('heap'), plan.trace);
    index = new WordIndex(store.region('words'), plan.documents.length);
    const goal = goalOf(plan, STEP);
    const source = new Expected(plan);
    job.advance(goal.record);
    for (let i = 0; i < goal.document; i += 1) {
      index.add(plan.documents[i] as string, source.text.addNext());
    }
    for (const { region } of [job, index]) region.roots.set('step', STEP);
    return () => store.abandon();
  });

  const judge = () => verifyStore(store, plan, new Expected(plan));
  const liveSlot = () => job.addresses.findIndex((address, slot) =>
    address !== 0 && (job.sizes[slot] as number) > 8);
  const someWord = () => [...index].find(({ count }) => count > 3) ?? expect.fail('no such word');
  const wordsOf = (address: number) => index.region.array(Uint32Array, address);

  test('finds nothing wrong with what is right, and says what it saw', () => {
    const { record, document } = goalOf(plan, STEP);
    const { trace, text } = new Expected(plan);
    trace.advance(record);
    text.advance(document);
    expect(trace.blocks).toBeGreaterThan(1000);
    expect(text.postings.size).toBeGreaterThan(300);
    expect(judge()).toEqual({ step: STEP, record, document, blocks: trace.blocks,
      blockBytes: trace.bytes, words: text.postings.size, positions: text.positions });
  });

  test.each<[string, RegExp, () => void]>([
    ['one byte of a block', /the block of slot \d+, byte 3 of/, () => {
      job.region.bytes(job.addresses[liveSlot()] as number)[3]! ^= 1;
    }],
    ['a block that is gone', /not the start of a live block/, () => {
      job.region.free(job.addresses[liveSlot()] as number);
    }],
    ['a block too many', /region 'heap' has \d+ blocks, not \d+/, () => {
      job.region.alloc(10);
    }],
    ['a slot that is empty', /slot \d+ is empty/, () => {
      job.addresses[liveSlot()] = 0;
    }],
    ['a wrong size', /slot \d+: 7 bytes, not/, () => {
      job.sizes[liveSlot()] = 7;
    }],
    ['one record behind', /\d+ records done, not \d+/, () => {
      job.region.roots.add('record', -1);
    }],
    ['regions of two checkpoints', /region 'heap' is at step 5, region 'words' at 6/, () => {
      job.region.roots.set('step', STEP - 1);
    }],
    ['a position', /the occurrences of '/, () => {
      const run = wordsOf(wordsOf(someWord().address)[3] as number);
      run[4]! += 1;
    }],
    ['a count', /the occurrences of '/, () => {
      wordsOf(someWord().address)[2]! -= 1;
    }],
    ['a letter', /is not in the text|is there twice|is in bucket/, () => {
      index.region.bytes(someWord().address)[20]! ^= 1;
    }],
    ['a word that is not linked', /words, not/, () => {
      const table = index.region.array(Uint32Array, index.region.roots.get('table'));
      const bucket = table.findIndex((head) => head !== 0);
      table[bucket] = wordsOf(table[bucket] as number)[0] as number;
    }],
    ['a lost run', /the occurrences of '|has \d+ blocks, not/, () => {
      wordsOf(someWord().address)[3] = 0;
    }],
    ['a document under another name', /document 0 is called nobody/, () => {
      const { region } = index;
      region.array(Uint32Array, region.roots.get('names'))[0] = region.strdup('nobody');
    }],
    ['a damaged heap', /region 'heap': B\d+ at/, () => {
      new Uint8Array(job.addresses.buffer, METHOD_START, 4).fill(0);
    }],
  ])('sees %s', (_what, message, damage) => {
    damage();
    expect(judge).toThrow(message);
  });
});
