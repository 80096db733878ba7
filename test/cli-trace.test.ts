/** `regionstore trace` and `regionstore replay`; trials as processes where they are some. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { summarize } from '../src/trace/summary.ts';
import { readTrace, writeTrace } from '../src/trace/trace-file.ts';
import { cli, json, MAIN } from './support/cli.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { newSeed, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';
import { fileWith, randomTrace } from './support/traces.ts';

const CONVERT = fileURLToPath(new URL('./fixtures/traces/convert.vmt.gz', import.meta.url));
const SITES = '0:16:10:0:app:best:a.ts:1:make\n0:64:20z:64:app:best:b.ts:2:grow\n' +
  '16:32:30:0:app:best\n64:0:0:0:app:best\n';
const ENDINGS = ['vmt', 'vmt.gz', 'rep', 'rep.gz', 'trace', 'trace.gz'];
const SOME = ['heap', 'mmap', 'store'];
const PLACES = ['heap', 'mmap', 'file', 'store'];
const seed = newSeed();

interface Row {
  readonly trace: string;
  readonly path: string;
  readonly method: string;
  readonly discipline: string;
  readonly ms: number | null;
  readonly times: readonly number[];
  readonly operations: number;
  readonly nsPerOperation: number | null;
  readonly operationsPerSecond: number | null;
  readonly peakBytes: number;
  readonly footprint: number | null;
  readonly utilization: number | null;
  readonly syncMs: number | null;
  readonly findings: readonly object[];
  readonly refusal: string | null;
  readonly crash: string | null;
}

interface Replayed {
  readonly touch: string;
  readonly repeat: number;
  readonly rows: readonly Row[];
}

/** A small trace in a file. */
function smallTrace(operations = 300): string {
  const path = join(temporaryDirectory(), 'small.vmt');
  writeTrace(path, randomTrace(randomFrom(seed), operations));
  return path;
}

async function expectUsage(
  args: readonly string[], message: RegExp, exit = 2, code = 'ERR_BAD_OPTION',
): Promise<void> {
  const { status, stdout, stderr } = await cliHere([...args, '--json']);
  expect([status, stderr]).toEqual([exit, expect.stringMatching(message)]);
  expect(stderr).toMatch(/^regionstore: [^\n]+\n$/);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code } });
}

describe('trace', () => {
  test('--json is the summary of each file', async () => {
    const small = smallTrace();
    const { traces } = await jsonHere<{ traces: object[] }>(['trace', CONVERT, small]);
    expect(traces).toEqual([
      { path: CONVERT, ...summarize(readTrace(CONVERT)) },
      { path: small, ...summarize(readTrace(small)) },
    ]);
  });

  test('the text says the same', async () => {
    const { status, stdout, stderr } = await cliHere(['trace', fileWith(SITES)]);
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n').map((line) => line.trim().replace(/ +/g, ' '));
    expect(lines).toEqual(expect.arrayContaining([
      'operations 4: 2 allocs, 1 free, 1 resize',
      'peak 50 B live at operation 3; at most 2 blocks',
      'at the end 30 B in 1 block',
      'sizes 10 B to 20 B, median 10 B, 90 % up to 20 B; 2 different, 30 B in all',
      'frequent 10 B 50.0 %, 20 B 50.0 %',
      'lifetimes median 2 operations, 90 % up to 2; 0.0 % freed at once, 1 never',
      'resizing 1 grown by 20 B in all, 0 shrunk, 0 neither; 1 block, one of them 1 time',
      'aligned 1 block to 64 B',
      'zeroed 1 block, 20 B',
      'SIZE BLOCKS SHARE',
      '≤ 16 B 1 50.0 % ################################',
      '≤ 32 B 1 50.0 % ################################',
      'LIFETIME BLOCKS SHARE',
      '≤ 2 1 100.0 % ################################',
      'ALLOCS BYTES LEFT LEFT BYTES REGION SITE',
      '1 20 B 0 0 B app b.ts:2:grow',
      '1 10 B 1 30 B app a.ts:1:make',
    ]));
  });

  test('a recording that was cut off, strangers, hostile names', async () => {
    const path = fileWith('# regionstore trace 1\n64:0:0:0:r:b\n0:16:1:0:%1B[2J:b\n');
    const { stdout, status } = await cliHere(['trace', path]);
    expect(status).toBe(0);
    expect(stdout).toContain('only the beginning of the program');
    expect(stdout).toContain('1 call on blocks from before the recording');
    expect(stdout).not.toContain('\x1b');
  });

  test('an empty trace', async () => {
    const { stdout, status } = await cliHere(['trace', smallTrace(0)]);
    expect(status).toBe(0);
    expect(stdout).toContain('operations  0: 0 allocs');
  });

  test.each(ENDINGS)('--convert to %s', async (ending) => {
    const small = smallTrace();
    const out = join(temporaryDirectory(), `out.${ending}`);
    const format = ending.replace('trace', 'lines');
    const told = await jsonHere(['trace', small, '--convert', out]);
    const bytes = readFileSync(out).length;
    expect(told).toEqual({ path: small, converted: out, format, operations: 300, bytes });
    expect([...readTrace(out).records]).toEqual([...readTrace(small).records]);
    await expectUsage(['trace', small, '--convert', out], /--force/, 3, 'ERR_EXISTS');
    const { stdout } = await cliHere(['trace', small, '--convert', out, '--force']);
    expect(stdout).toContain(` → ${out}: `);
  });

  test('--format says what the name does not', async () => {
    const out = join(temporaryDirectory(), 'out');
    const ran = await cliHere(['trace', smallTrace(), '--convert', out, '--format', 'rep']);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(out, 'utf8')).toMatch(/^\d+\n\d+\n300\n1\na 0 \d+\n/);
  });

  test('usage', async () => {
    const small = smallTrace();
    const out = join(temporaryDirectory(), 'out');
    await expectUsage(['trace'], /missing required argument 'trace'/);
    await expectUsage(['trace', small, '--convert', out], /--format/);
    await expectUsage(['trace', small, '--format', 'rep'], /--convert/);
    await expectUsage(['trace', small, '--convert', `${out}.vmt`, '--format', 'csv'], /csv/);
    await expectUsage(['trace', small, small, '--convert', `${out}.vmt`], /one trace/);
    await expectUsage(['trace', join(out, 'no.vmt')], /cannot be read/, 3, 'ERR_IO');
    await expectUsage(['trace', MAIN], /is no allocation trace/, 3, 'ERR_CORRUPT');
    await expectUsage(['trace', small, '--convert', join(out, 'no', 'a.vmt')], /creating/, 3,
      'ERR_IO');
  });
});

describe('replay', () => {
  test('a row for each trace, method and discipline', () => {
    const small = smallTrace();
    const flags = ['--repeat', '2', '--sync', '--verify'];
    const found = json<Replayed>(['replay', small, CONVERT, '--method', 'best,last',
      '--discipline', SOME[0], ...flags]);
    expect([found.touch, found.repeat]).toEqual(['ends', 2]);
    const others = json<Replayed>(['replay', small, '--discipline', SOME.slice(1).join(),
      ...flags]);
    const rows = [...['small.vmt', 'convert.vmt.gz'].flatMap((name) => ['best', 'last']
      .map((method) => [name, method, SOME[0]])),
      ...SOME.slice(1).map((place) => ['small.vmt', 'best', place])];
    const all = [...found.rows, ...others.rows];
    expect(all.map((row) => [row.trace, row.method, row.discipline])).toEqual(rows);
    const { operations, peakBytes } = readTrace(CONVERT);
    for (const row of all) {
      expect(row.path).toBe(row.trace === 'small.vmt' ? small : CONVERT);
      expect(row.findings).toEqual([]);
      expect(row.crash).toBeNull();
      if (row.method === 'last') {
        expect(row.refusal).toMatch(/last cannot free/);
        expect([row.ms, row.footprint, row.utilization, row.syncMs, row.times])
          .toEqual([null, null, null, null, []]);
        continue;
      }
      expect(row.refusal).toBeNull();
      expect(row.times).toHaveLength(2);
      expect(row.ms).toBeCloseTo((row.times[0] + row.times[1]) / 2);
      expect(row.nsPerOperation).toBeCloseTo(Number(row.ms) * 1e6 / row.operations);
      expect(row.operationsPerSecond).toBeCloseTo(row.operations / Number(row.ms) * 1e3);
      expect(row.utilization).toBeCloseTo(row.peakBytes / Number(row.footprint));
      expect(Number(row.syncMs)).toBeGreaterThanOrEqual(0);
      if (row.trace === 'small.vmt') continue;
      expect([row.operations, row.peakBytes]).toEqual([operations, peakBytes]);
      expect(Number(row.utilization)).toBeGreaterThan(0.85);
    }
  });

  test('in this process, every discipline', async () => {
    const found = await jsonHere<Replayed>(['replay', smallTrace(), '--in-process', '--repeat', '1',
      '--discipline', PLACES.join()]);
    expect(found.rows.map(({ discipline }) => discipline)).toEqual(PLACES);
    for (const row of found.rows) expect(row).toMatchObject({ refusal: null, crash: null });
  });

  test('in this process, every touch', async () => {
    for (const touch of ['none', 'ends', 'all']) {
      const args = ['replay', smallTrace(), '--in-process', '--repeat', '1', '--touch', touch];
      const found = await jsonHere<Replayed>(args);
      expect(found).toMatchObject({ touch, repeat: 1, rows: [{ refusal: null, crash: null }] });
    }
  });

  test('the table', async () => {
    const args = ['replay', smallTrace(), '--method', 'best,last', '--repeat', '1', '--in-process'];
    const { status, stdout, stderr } = await cliHere(args);
    expect([status, stderr]).toEqual([0, '']);
    const [head, first, second] = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(head).toEqual(['TRACE', 'METHOD', 'DISCIPLINE', 'TIME', 'NS/OP', 'MOPS/S', 'PEAK LIVE',
      'FOOTPRINT', 'UTILIZATION', 'FINDINGS']);
    expect(first).toEqual(['small.vmt', 'best', 'heap', expect.stringMatching(/^[\d.]+ ms$/),
      expect.stringMatching(/^[\d.]+$/), expect.stringMatching(/^[\d.]+$/),
      expect.stringMatching(/iB$/), expect.stringMatching(/iB$/),
      expect.stringMatching(/^[\d.]+ %$/), 'none']);
    expect(second.slice(3)).toEqual(['–', '–', '–', expect.stringMatching(/iB$/), '–', '–',
      'last cannot free or resize blocks in the order of this trace']);
  });

  test('a trial that crashes is a row, and exit code 1', () => {
    const small = smallTrace();
    const crash = join(temporaryDirectory(), 'crash.cjs');
    const inTrial = 'if (/replay-trial/.test(process.argv[1]))';
    writeFileSync(crash, `${inTrial} process.kill(process.pid, 'SIGSEGV')`);
    const { status, stdout } = cli(['replay', small, '--json'],
      { NODE_OPTIONS: `--require ${crash}` });
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ rows: [{ ms: null, refusal: null,
      crash: 'killed by SIGSEGV' }] });
    writeFileSync(crash, `${inTrial} throw new TypeError('odd')`);
    const thrown = cli(['replay', small], { NODE_OPTIONS: `--require ${crash}` });
    expect(thrown.status).toBe(1);
    expect(thrown.stdout).toContain('failed: exit code 1: TypeError: odd');
  });

  test('files of regions are put where --dir says, and are gone afterwards', () => {
    const dir = join(temporaryDirectory(), 'made');
    const { status } = cli(['replay', smallTrace(), '--discipline', 'mmap,store', '--dir', dir]);
    expect(status).toBe(0);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('an interrupt leaves nothing behind', async () => {
    const dir = temporaryDirectory();
    const child = spawn(process.execPath, [MAIN, 'replay', CONVERT, '--discipline', 'store',
      '--repeat', '1000', '--dir', dir]);
    const ended = once(child, 'exit');
    while (readdirSync(dir).length === 0) await pause(10);
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('usage', async () => {
    const small = smallTrace();
    const blocked = join(temporaryDirectory(), 'file');
    writeFileSync(blocked, '');
    mkdirSync(join(temporaryDirectory(), 'x'));
    await expectUsage(['replay'], /missing required argument 'trace'/);
    await expectUsage(['replay', small, '--method', 'bset'],
      /no method 'bset'; did you mean 'best'/);
    await expectUsage(['replay', small, '--method', ','], /separated by commas/);
    await expectUsage(['replay', small, '--discipline', 'heep'], /did you mean 'heap'/);
    await expectUsage(['replay', small, '--repeat', '0'], /from 1 to 1000/);
    await expectUsage(['replay', small, '--repeat', '1.5'], /from 1 to 1000/);
    await expectUsage(['replay', small, '--touch', 'some'], /none, ends, all/);
    await expectUsage(['replay', small, '--dir', join(blocked, 'x')], /another --dir/, 3, 'ERR_IO');
    await expectUsage(['replay', MAIN], /is no allocation trace/, 3, 'ERR_CORRUPT');
  });
});

test.each(['trace', 'replay'])('%s --help has examples', async (name) => {
  const { status, stdout } = await cliHere([name, '--help']);
  expect(status).toBe(0);
  expect(stdout).toMatch(new RegExp(`^Usage: regionstore ${name} `));
  expect(stdout).toContain(`\n  $ regionstore ${name} gawk.vmt.gz`);
});
