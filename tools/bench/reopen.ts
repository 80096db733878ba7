/**
 * Opening again: how long until the first read of a large region that was closed, how fast a store
 * that was killed is brought back, and how much memory an idle one takes.
 */
import { figure, median, quantile, type Section, type Target } from './report.ts';
import { type Bench, runKilled, runTrial, within } from './trials.ts';

const SCRIPT = './reopen-trial.js';
const MIB = 2 ** 20;

interface Opened {
  readonly openMs: number;
  readonly regionMs: number;
  readonly readMs: number;
}

interface Times extends Opened {
  readonly totalMs: number;
  readonly slowestMs: number;
}

interface Reopened {
  readonly extent: number;
  readonly blocks: number;
  /** The first store a process opens, and a later one. */
  readonly cold: Times;
  readonly warm: Times;
  /** Memory of the idle process above one without a store, bytes. */
  readonly residentBytes: number;
}

function timesOf(list: readonly Opened[]): Times {
  const totals = list.map((one) => one.openMs + one.regionMs + one.readMs);
  return {
    openMs: median(list.map(({ openMs }) => openMs)),
    regionMs: median(list.map(({ regionMs }) => regionMs)),
    readMs: median(list.map(({ readMs }) => readMs)),
    totalMs: median(totals),
    slowestMs: quantile(totals, 1),
  };
}

function reopened(bench: Bench, blocks: number, bytes: number): Reopened {
  const trials = bench.isQuick ? 3 : 11;
  return within(bench, (dir) => {
    bench.tell(`reopen: making ${blocks} blocks in ${bytes / MIB} MiB`);
    const { extent } = runTrial<{ extent: number }>(SCRIPT, ['make', dir, blocks, bytes]);
    bench.tell(`reopen: ${trials} times`);
    const list = Array.from({ length: trials }, () =>
      runTrial<{ cold: Opened; warm: Opened }>(SCRIPT, ['open', dir]));
    const idle = (...args: string[]) => median(Array.from({ length: trials }, () =>
      runTrial<{ bytes: number }>(SCRIPT, ['idle', ...args]).bytes));
    return {
      extent,
      blocks,
      cold: timesOf(list.map(({ cold }) => cold)),
      warm: timesOf(list.map(({ warm }) => warm)),
      residentBytes: idle(dir) - idle(),
    };
  });
}

/** Megabytes (10^6) of images a second. */
function recovered(bench: Bench): { rates: number[]; bytes: number } {
  const [pages, rounds] = bench.isQuick ? [2048, 3] : [16_384, 4];
  const trials = Array.from({ length: bench.isQuick ? 1 : 5 }, (_, i) => within(bench, (dir) => {
    bench.tell(`recover: trial ${i + 1}`);
    runKilled(SCRIPT, ['crash', dir, pages, rounds]);
    return runTrial<{ bytes: number; ms: number }>(SCRIPT, ['recover', dir]);
  }));
  const rates = trials.map(({ bytes, ms }) => bytes / 1000 / ms);
  return { rates, bytes: trials[0]?.bytes ?? 0 };
}

function rowsOf({ extent, blocks, cold, warm, residentBytes }: Reopened): string[][] {
  return ([['first in its process', cold], ['later', warm]] as const).map(([when, times]) => [
    String(Math.round(extent / MIB)), String(blocks), when, figure(times.openMs),
    figure(times.regionMs), figure(times.readMs), figure(times.totalMs), figure(times.slowestMs),
    figure(residentBytes / 1e6)]);
}

export function reopen(bench: Bench): Section {
  const [blocks, bytes] = bench.isQuick ? [100_000, 128 * MIB] : [1_000_000, 1024 * MIB];
  const list = [reopened(bench, 10_000, 16 * MIB), reopened(bench, blocks, bytes)];
  const [small, large] = list as [Reopened, Reopened];
  const recovery = recovered(bench);
  const rows = list.flatMap(rowsOf);
  const targets: Target[] = [
    { what: `${blocks} blocks: first read after`, value: large.cold.totalMs, unit: ' ms',
      most: 5 },
    { what: 'the same / that of the small region', value: large.cold.totalMs / small.cold.totalMs,
      unit: '', most: 1.5 },
    { what: 'recovery, images per second', value: median(recovery.rates), unit: ' MB', least: 300 },
    { what: 'idle store above bare Node + better-sqlite3', value: large.residentBytes / 1e6,
      unit: ' MB', most: 10 },
  ];
  const rate = [[figure(recovery.bytes / 1e6), figure(median(recovery.rates)),
    figure(Math.min(...recovery.rates))]];
  return {
    name: 'reopen',
    title: 'Reopening',
    tables: [
      { title: 'A closed store, milliseconds; one process each, modules loaded, file cache warm',
        rows, head: ['MiB', 'blocks', '<', 'openStore', 'region', 'first read', 'together',
          'slowest', 'idle, MB'] },
      { title: 'A store that was killed', rows: rate,
        head: ['images, MB', 'MB/s, median', 'slowest'] },
    ],
    targets,
    data: { reopened: list, recovery },
  };
}
