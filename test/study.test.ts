/** `regionstore study` as a process, and the programs it runs directly. No time is judged. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { terminalText } from '../src/cli/study-text.ts';
import { heap } from '../src/disciplines/heap.ts';
import { methodNamed } from '../src/methods/registry.ts';
import { createRegion } from '../src/region/region.ts';
import { geometricMean, LARGE, median, type Study } from '../src/study/study.ts';
import { readTrace } from '../src/trace/trace-file.ts';
import type { Region } from '../src/types.ts';
import { type Document, WORKLOADS } from '../tools/study/workloads.ts';
import { cli, MAIN } from './support/cli.ts';
import { cliHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';
import { elementsOf } from './support/xml.ts';

const MAKE = new URL('./fixtures/traces/make.vmt.gz', import.meta.url).pathname;
const SMALLER = new URL('./fixtures/traces/convert.vmt.gz', import.meta.url).pathname;
const NO_COMPILER = { CC: '/nowhere/cc' };

/** A trace as text: blocks of `size(i)` bytes, freed in the order of `order`. */
function writeRep(path: string, count: number, size: (i: number) => number, isStack: boolean) {
  const ids = Array.from({ length: count }, (_, i) => i);
  const ends = isStack ? ids.toReversed() : ids;
  const lines = [...ids.map((i) => `a ${i} ${size(i)}`), ...ends.map((i) => `f ${i}`)];
  writeFileSync(path, `${count}\n${count}\n${lines.length}\n1\n${lines.join('\n')}\n`);
  return path;
}

function run(args: readonly string[], env: Record<string, string> = {}): Study {
  const { status, stdout, stderr } = cli(['study', ...args, '--quick', '--json'], env);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Study;
}

/** What the command prints of it without --json. */
function textOf(study: Study): string {
  return `${[...terminalText(study, 120, (text) => text)].join('\n')}\n`;
}

function cellOf(study: Study, contender: string, trace = study.traces[0]?.name) {
  const cell = study.cells.find((c) => c.contender === contender && c.trace === trace);
  if (cell === undefined) throw new Error(`${contender} is not in the study`);
  return cell;
}

describe('on traces', () => {
  let study: Study;
  let svg: string;
  let facts: Study['traces'];

  beforeAll(() => {
    const dir = mkdtempSync(join(tmpdir(), 'regionstore-'));
    const out = join(dir, 'out.svg');
    // pool can serve the queue, all of one size, last the stack.
    const large = writeRep(join(dir, 'large.rep'), 3000, () => 2048, false);
    const small = writeRep(join(dir, 'small.rep'), 500, (i) => i, true);
    study = run([large, small, '--no-direct', '--method', 'best,last,pool',
      '--discipline', 'store', '--svg', out]);
    svg = readFileSync(out, 'utf8');
    facts = [['large', large] as const, ['small', small] as const].map(([name, path]) => {
      const { operations, peakBytes, peakBlocks } = readTrace(path);
      return { name, operations, peakBytes, peakBlocks };
    });
    rmSync(dir, { recursive: true });
  });

  test('JSON and chart agree with the traces and with each other', () => {
    expect(study.traces).toEqual(facts);
    expect(study.cells).toHaveLength(study.contenders.length * 2);
    const measured = study.cells.filter(({ state }) => state === 'measured');
    expect(measured).toHaveLength(study.cells.length - 2);
    for (const cell of measured) judge(cell);
    for (const mean of study.means) {
      const ratios = study.cells.filter((c) => c.contender === mean.contender)
        .flatMap(({ ratio }) => ratio ?? []);
      expect(mean.ratio).toBeCloseTo(geometricMean(ratios) as number, 9);
      expect(mean.traces).toBe(/^(last|pool)/.test(mean.contender) ? 1 : 2);
    }
    const marks = elementsOf(svg)
      .map(({ attributes }) => attributes).filter((a) => 'data-trace' in a && 'data-ratio' in a);
    const drawn = study.contenders.filter(({ family }) => family !== 'loop');
    expect(marks).toHaveLength(drawn.length * 2 - 2);
    for (const mark of marks) {
      const cell = cellOf(study, mark['data-contender'] as string, mark['data-trace']);
      expect(Number(mark['data-ratio'])).toBe(cell.ratio);
    }
  });

  function judge(cell: Study['cells'][number]): void {
    const trace = study.traces.find(({ name }) => name === cell.trace);
    const family = study.contenders.find(({ name }) => name === cell.contender)?.family;
    const base = cellOf(study, study.base, cell.trace);
    expect(cell.ns).toBe(median(cell.rounds));
    expect(cell.ns).toBeGreaterThan(0);
    expect(cell.ratio).toBe((cell.ns as number) / (base.ns as number));
    if (cell.utilization === null) return;
    expect(cell.utilization).toBe((trace?.peakBytes ?? 0) / (cell.footprint ?? 0));
    if (family === 'region') expect(cell.utilization).toBeLessThanOrEqual(1);
    else expect(trace?.peakBytes).toBeGreaterThanOrEqual(LARGE);
  }

  test('who is not here is named, with the reason', () => {
    const names = study.contenders.map(({ name }) => name);
    for (const peer of ['mimalloc', 'jemalloc', 'tcmalloc', '@thi.ng/malloc']) {
      const isHere = names.includes(peer);
      const isNamed = study.missing.some((text) => text.startsWith(`${peer}: `)
        || text.startsWith('every allocator of C: '));
      expect([peer, isHere !== isNamed]).toEqual([peer, true]);
      if (isHere) expect(study.setting.peers[peer]).toMatch(/\d/);
    }
  });

  test('a trial is stopped at the limit, and reported as such', () => {
    const args = [SMALLER, '--no-direct', '--method', 'best', '--limit', '0.001', '--quick'];
    const { status, stdout, stderr } = cli(['study', ...args, '--json'], NO_COMPILER);
    expect(status, stderr).toBe(0);
    const cell = cellOf(JSON.parse(stdout) as Study, 'best');
    expect(cell).toMatchObject({ state: 'limit', rounds: [], footprint: null });
    // A lower bound: the milliseconds it was given, over all of the trace.
    expect(cell.ns).toBeGreaterThanOrEqual(1e6 / readTrace(SMALLER).operations);
    expect(textOf(JSON.parse(stdout) as Study)).toMatch(/^best +> 0.001 s$/m);
  });

  test('a trial that fails is reported, the others go on, and the exit code is 1', () => {
    const dir = temporaryDirectory();
    const compiler = join(dir, 'cc');
    // What it makes is no replayer.
    writeFileSync(compiler, '#!/bin/sh\necho \'#!/bin/sh\nexit 7\' > "$3" && chmod +x "$3"\n');
    chmodSync(compiler, 0o755);
    const trace = writeRep(join(dir, 'a.rep'), 100, () => 64, false);
    const args = ['study', trace, '--no-direct', '--quick', '--method', 'best'];
    const { status, stdout } = cli([...args, '--json'], { CC: compiler });
    expect(status).toBe(1);
    const found = JSON.parse(stdout) as Study;
    expect(cellOf(found, found.base)).toMatchObject({ state: 'failed', ns: null, ratio: null });
    expect(cellOf(found, 'best')).toMatchObject({ state: 'measured', ratio: null });
    for (const peer of ['mimalloc', 'jemalloc', 'tcmalloc']) {
      const why = found.missing.find((text) => text.startsWith(`${peer}: `));
      expect(why).toMatch(/ (is not installed|does not take the place of malloc here)$/);
    }
    expect(textOf(found))
      .toContain(`${found.base} failed on every trace: its process ended with 7.`);
  });

  test('a method that cannot serve a trace says why; one that can is measured', () => {
    expect(study.traces.map(({ name }) => name)).toEqual(['large', 'small']);
    expect(cellOf(study, 'last, store', 'large')).toMatchObject({ state: 'refused', ns: null });
    expect(cellOf(study, 'last, store', 'large').why).toContain('cannot free or resize blocks');
    expect(cellOf(study, 'last, store', 'small')).toMatchObject({ state: 'measured', why: '' });
    expect(cellOf(study, 'pool, store', 'large')).toMatchObject({ state: 'measured', why: '' });
    expect(cellOf(study, 'pool, store', 'small')).toMatchObject({ state: 'refused', ns: null });
  });

  test('without a compiler; --touch all; --save writes text, figures and chart', () => {
    const dir = temporaryDirectory();
    mkdirSync(join(dir, 'traces'));
    writeRep(join(dir, 'traces', 'a.rep'), 2000, (i) => i % 300, false);
    const out = join(dir, 'results');
    const args = ['study', join(dir, 'traces'), '--no-direct', '--touch', 'all', '--method', 'best',
      '--save', out, '--quick'];
    const { status, stdout, stderr } = cli(args, NO_COMPILER);
    // Progress is for terminals only.
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^saved [^\n]+\n$/)]);
    expect(stdout).toContain('Left out: every allocator of C: no C compiler (/nowhere/cc).');
    expect(stdout).toContain('relative to JS loop alone');
    expect(stdout).not.toContain('glibc');
    const [json, md, chart] = readdirSync(out).sort();
    expect([json, md, chart].join()).toMatch(
      /^study-\d{8}T\d{4}\.json,study-\d{8}T\d{4}\.md,study-\d{8}T\d{4}\.svg$/);
    const read = (name: string | undefined) => readFileSync(join(out, name as string), 'utf8');
    const found = JSON.parse(read(json)) as Study;
    expect(found.traces.map(({ name }) => name)).toEqual(['a']);
    expect(found.setting.touch).toBe('all');
    expect(stdout).toBe(textOf(found));
    expect(read(md)).toContain(`](${chart})`);
    expect(read(md)).toContain('every byte of each block written');
    expect(read(md)).not.toContain(dir);
    expect(elementsOf(read(chart))[0]?.name).toBe('svg');
  });
});

test('an interrupt ends the trial that runs and leaves no files', async () => {
  const dir = temporaryDirectory();
  const args = [MAIN, 'study', MAKE, '--no-direct', '--method', 'best'];
  const child = spawn(process.execPath, args,
    { env: { ...process.env, ...NO_COMPILER, TMPDIR: dir }, stdio: 'ignore' });
  const isRunning = () => readdirSync(dir).flatMap((name) => readdirSync(join(dir, name)))
    .some((name) => name.startsWith('trial-'));
  while (!isRunning()) await setTimeout(20);
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(readdirSync(dir)).toEqual([]);
});

describe('usage', () => {
  test.each([
    [[], 2, 'give traces, or --direct'],
    [[MAKE, '--direct'], 2, 'replays no trace'],
    [[MAKE, '--touch', 'some'], 2, '--touch is some; give ends or all'],
    [[MAKE, '--rounds', '0'], 2, '--rounds is 0'],
    [[MAKE, '--rounds', '1.5'], 2, '--rounds is 1.5'],
    [[MAKE, '--limit', 'long'], 2, '--limit is long'],
    [[MAKE, '--limit', ''], 2, '--limit is ;'],
    [[MAKE, '--discipline', 'heap,heep'], 2, "no discipline 'heep'; did you mean 'heap'?"],
    [[MAKE, '--method', 'bets'], 2, "no method 'bets'; did you mean 'best'?"],
    [['/nowhere/trace.vmt'], 3, '/nowhere/trace.vmt cannot be read'],
    [[MAKE, '--svg', '/nowhere/out.svg'], 3, 'writing /nowhere/out.svg'],
    [['package.json'], 3, 'package.json is no allocation trace'],
  ])('%j', async (args, code, message) => {
    const { status, stdout, stderr } = await cliHere(['study', ...args]);
    expect(stderr).toContain(message);
    expect([status, stdout]).toEqual([code, '']);
  });

  test('a folder without traces', async () => {
    const { status, stderr } = await cliHere(['study', temporaryDirectory()]);
    expect(status).toBe(3);
    expect(stderr).toContain('there is no trace in');
  });
});

describe('run directly', () => {
  const documents: Document[] = Array.from({ length: 12 }, (_, d) => ({
    path: `d${d}`,
    words: Array.from({ length: 400 }, (_, i) => `w${(i * i * 31 + d * 17) % 997}`),
  }));

  function checksum(name: string, region: Region): number {
    const job = WORKLOADS.find((w) => w.name === name)?.prepare(documents, 1);
    job?.work(region);
    expect(region.check()).toEqual([]);
    return job?.checksum() ?? -1;
  }

  test.each(WORKLOADS.map(({ name }) => name))('%s is the same under every method', (name) => {
    const sums = ['best', 'slab', 'debug(best)'].map((method) => {
      using region = createRegion(heap(), methodNamed(method));
      return checksum(name, region);
    });
    expect(new Set(sums).size).toBe(1);
    expect(sums[0]).toBeGreaterThan(0);
  });

  test.each(WORKLOADS.map(({ name }) => name))('%s notices memory that forgets', (name) => {
    using region = createRegion(heap(), methodNamed('best'));
    const job = WORKLOADS.find((w) => w.name === name)?.prepare(documents, 1);
    job?.work(region);
    for (const { address, size, busy } of [...region.blocks()]) {
      if (busy && size > 64) region.bytes(address)[size >> 1]! ^= 0xff;
    }
    expect(() => job?.checksum()).toThrow();
  });

  test('without perf nothing is counted; who cannot serve a program says so', () => {
    const found = run(['--direct', '--method', 'last'], { PATH: '/nowhere' });
    expect(found.direct?.perf).toBe('perf is not installed');
    expect(found.traces).toEqual([]);
    const rows = found.direct?.rows ?? [];
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row).toMatchObject({ state: 'refused', checksum: null, counters: {},
        why: 'last cannot free or resize blocks in the order of this program' });
    }
  });

  test('the command runs each; what perf counts is reported less what Node costs', () => {
    const dir = temporaryDirectory();
    const fake = join(dir, 'perf');
    // Writes as perf does, and runs what it is given.
    writeFileSync(fake, '#!/bin/sh\nfile=$4; while [ "$1" != -- ]; do shift; done; shift\n'
      + 'n=350; case "$*" in *\'"workload":""\'*) n=100;; esac\n'
      + 'printf \'# started\\n\\n%s,,instructions:u,1,100.00,,\\n\' "$n" > "$file"\n'
      + 'printf \'<not supported>,,cache-misses,0,,,\\n\' >> "$file"\nexec "$@"\n');
    chmodSync(fake, 0o755);
    const PATH = process.env.PATH ?? '';
    const found = run(['--direct', '--method', 'best'], { PATH: `${dir}:${PATH}` });
    expect(found.direct?.perf).toBe('perf does not support cache-misses here');
    const rows = found.direct?.rows ?? [];
    expect(rows.map(({ workload, contender }) => [workload, contender]))
      .toEqual([['words', 'best'], ['tiles', 'best'], ['sort', 'best']]);
    for (const row of rows) {
      expect(row).toMatchObject({ state: 'measured', counters: { instructions: 250 } });
      expect(row.checksum).toMatch(/^[0-9a-f]{8}$/);
      expect(Math.min(row.ms ?? 0, row.minorFaults ?? 0, row.extent ?? 0)).toBeGreaterThan(0);
      expect(row.peakResident).toBeGreaterThan(row.addedResident ?? Infinity);
    }
  });
});
