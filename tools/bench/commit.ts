/**
 * Commit latency: n changed pages of a 256 MiB region made durable, against peers that are handed
 * the same bytes; what it writes; and how the cost follows the share of the region that changed.
 */
import { figure, mean, median, quantile, type Section, type Table, type Target } from './report.ts';
import { type Bench, runTrial, within } from './trials.ts';

const SCRIPT = './commit-trial.js';
const OURS = 'regionstore';
const WITHOUT_HISTORY = 'regionstore, history 0';
/** All 256 MiB resident: the dirty scan is proportional to that. */
const ALL_READ = 'regionstore, all read';
const LMDB = 'lmdb';
const RAW = 'write + fdatasync';
const PEERS = [OURS, WITHOUT_HISTORY, ALL_READ, LMDB, 'better-sqlite3', RAW] as const;
type Pattern = 'run' | 'scattered';

/** Changed pages → commits a trial measures, and the most it may take of lmdb's time. */
const SIZES = [
  { pages: 1, samples: 300, most: 0.8 },
  { pages: 8, samples: 200, most: 0.8 },
  { pages: 64, samples: 120, most: 0.6 },
  { pages: 512, samples: 40, most: 0.5 },
  { pages: 4096, samples: 16, most: 0.5 },
] as const;
type Size = (typeof SIZES)[number];

interface Trial {
  readonly times: number[];
  readonly perByte: number;
}

/** Of one peer, one size, one pattern: each the median over the rounds. */
interface Result {
  readonly peer: string;
  readonly pages: number;
  readonly pattern: Pattern;
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
  readonly perByte: number;
}

function trial(
  bench: Bench, peer: string, pages: number, pattern: Pattern, samples: number,
): Trial {
  bench.tell(`commit: ${peer}, ${pages} pages, ${pattern}`);
  return within(bench, (dir) => runTrial<Trial>(SCRIPT, [peer, pages, pattern, samples, dir]));
}

/** All peers take turns, round after round. */
function race(bench: Bench, size: Size, pattern: Pattern): Result[] {
  const rounds = bench.isQuick ? 1 : 3;
  const samples = bench.isQuick ? Math.ceil(size.samples / 8) : size.samples;
  const trials = new Map<string, Trial[]>(PEERS.map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of PEERS) {
      trials.get(peer)?.push(trial(bench, peer, size.pages, pattern, samples));
    }
  }
  return [...trials].map(([peer, list]) => ({
    peer,
    pages: size.pages,
    pattern,
    p50: median(list.map(({ times }) => median(times))),
    p99: median(list.map(({ times }) => quantile(times, 0.99))),
    mean: median(list.map(({ times }) => mean(times))),
    perByte: median(list.map(({ perByte }) => perByte)),
  }));
}

function find(results: readonly Result[], peer: string): Result {
  const found = results.find((result) => result.peer === peer);
  if (found === undefined) throw new Error(`bench: no result of ${peer}`);
  return found;
}

function raceTable(pattern: Pattern, races: readonly Result[][]): Table {
  const rows = races.flatMap((results) => results.map((result) => {
    const lmdb = find(results, LMDB);
    return [String(result.pages), result.peer, figure(result.p50), figure(result.p99),
      figure(result.mean), figure(result.p50 / lmdb.p50), figure(result.mean / lmdb.mean),
      figure(result.perByte)];
  }));
  const where = pattern === 'run' ? 'neighbouring pages' : 'pages anywhere';
  return { title: `Commit of n ${where}, milliseconds`, rows,
    head: ['n', '<', 'p50', 'p99', 'mean', 'p50 / lmdb', 'mean / lmdb', 'written per byte'] };
}

function raceTargets(results: readonly Result[], most: number): Target[] {
  const { pages, pattern, ...ours } = find(results, OURS);
  const name = `${pages} ${pages === 1 ? 'page' : pattern === 'run' ? 'neighbours' : 'anywhere'}`;
  const targets: Target[] = [
    { what: `${name}: p50 / lmdb`, value: ours.p50 / find(results, LMDB).p50, unit: '', most },
  ];
  if (pages < 512) return targets;
  const { perByte } = find(results, WITHOUT_HISTORY);
  return [...targets,
    { what: `${name}: p50 / (write + fdatasync)`, value: ours.p50 / find(results, RAW).p50,
      unit: '', most: 1.5 },
    { what: `${name}: written per changed byte, history 0`, value: perByte, unit: '', most: 2.2 },
    { what: `${name}: written per changed byte`, value: ours.perByte, unit: '', most: 3.3 }];
}

interface Share {
  readonly peer: string;
  readonly share: number;
  readonly pages: number;
  readonly p50: number;
  readonly perByte: number;
}

/** With so much changed, the others are asked as well. */
const COMPARED_SHARE = 0.01;
const COPY = 'full copy';

/** 256 MiB of which a share changed. */
function shares(bench: Bench): Share[] {
  const whole = 65_536 - 256;
  return [0.001, 0.01, 0.1, 1].flatMap((share) => {
    const pages = Math.round(whole * share);
    const pattern = share === 1 ? 'run' : 'scattered';
    const samples = bench.isQuick ? 2 : share === 1 ? 5 : 15;
    const peers = share === COMPARED_SHARE ? [OURS, WITHOUT_HISTORY, LMDB, 'better-sqlite3', COPY]
      : [OURS];
    return peers.map((peer) => {
      const { times, perByte } = trial(bench, peer, pages, pattern, samples);
      return { peer, share, pages, p50: median(times), perByte };
    });
  });
}

function shareTable(list: readonly Share[]): Table {
  const rows = list.map(({ peer, share, pages, p50, perByte }) => [`${share * 100} %`,
    String(pages), peer, figure(p50), figure((p50 / pages) * 1000), figure(perByte)]);
  return { title: '256 MiB, of which a share changed', rows,
    head: ['changed', 'pages', '<', 'ms', 'µs per page', 'written per byte'] };
}

export function commit(bench: Bench): Section {
  const sizes = bench.isQuick ? SIZES.filter(({ pages }) => pages === 1 || pages === 512) : SIZES;
  const runs = sizes.map((size) => race(bench, size, 'run'));
  const several = sizes.filter(({ pages }) => pages > 1);
  const scattered = several.map((size) => race(bench, size, 'scattered'));
  const parts = shares(bench);
  const targets = [
    ...runs.flatMap((results, i) => raceTargets(results, (sizes[i] as Size).most)),
    ...scattered.flatMap((results, i) => raceTargets(results, (several[i] as Size).most)),
  ];
  return {
    name: 'commit',
    title: 'Commit latency',
    tables: [raceTable('run', runs), raceTable('scattered', scattered), shareTable(parts)],
    targets,
    data: { races: [...runs, ...scattered].flat(), shares: parts },
  };
}
