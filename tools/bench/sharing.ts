/**
 * Regions that threads share: does a second thread add to what is done, and what do the locks cost?
 * Against a region of one thread without locks, and against one lock for all.
 */
import { figure, type Section, type Target } from './report.ts';
import type { Round } from './shared-trial.ts';
import { type Bench, runTrial } from './trials.ts';

const SCRIPT = './shared-trial.js';

interface Setup {
  readonly what: string;
  readonly kind: 'heap' | 'own' | 'swap';
  readonly threads: number;
  readonly shards: number;
}

interface Measured extends Setup {
  /** Operations per second, the best round of all trials. */
  readonly rate: number;
  /** Processor time of an operation, over all rounds: the clock is too coarse for one of them. */
  readonly cpuNs: number;
  readonly rounds: readonly Round[];
}

const SETUPS: readonly Setup[] = [
  { what: 'not shared', kind: 'heap', threads: 1, shards: 1 },
  { what: 'one lock, own blocks', kind: 'own', threads: 1, shards: 1 },
  { what: 'one lock, own blocks', kind: 'own', threads: 2, shards: 1 },
  { what: 'sharded, own blocks', kind: 'own', threads: 1, shards: 4 },
  { what: 'sharded, own blocks', kind: 'own', threads: 2, shards: 4 },
  { what: 'one lock, others’ blocks', kind: 'swap', threads: 2, shards: 1 },
  { what: 'sharded, others’ blocks', kind: 'swap', threads: 2, shards: 4 },
];

/**
 * Setups take turns, so that what disturbs the machine disturbs all of them; rounds are short, so
 * that some find both processors free.
 */
function measure(bench: Bench): Measured[] {
  const [trials, rounds, ms] = bench.isQuick ? [1, 2, 50] : [5, 60, 20];
  const all = SETUPS.map((): Round[] => []);
  for (let trial = 0; trial < trials; trial += 1) {
    bench.tell(`shared: trial ${trial + 1} of ${trials}`);
    SETUPS.forEach(({ kind, threads, shards }, i) => {
      const found = runTrial<{ rounds: Round[] }>(SCRIPT, [kind, threads, shards, rounds, ms]);
      all[i]?.push(...found.rounds);
    });
  }
  return SETUPS.map((setup, i) => {
    const found = all[i] as Round[];
    const rate = Math.max(...found.map((round) => round.rate));
    const sum = (of: (round: Round) => number) => found.reduce((all, round) => all + of(round), 0);
    const cpuNs = sum((round) => round.cpuNs * round.operations) / sum((round) => round.operations);
    return { ...setup, rate, cpuNs, rounds: found };
  });
}

function setupOf(
  list: readonly Measured[], kind: string, threads: number, shards: number,
): Measured {
  const found = list.find((one) =>
    one.kind === kind && one.threads === threads && one.shards === shards);
  if (found === undefined) throw new Error(`bench: no setup ${kind} ${threads} ${shards}`);
  return found;
}

function targetsOf(list: readonly Measured[]): Target[] {
  const two = setupOf(list, 'own', 2, 4).rate;
  const costNs = setupOf(list, 'own', 1, 1).cpuNs - setupOf(list, 'heap', 1, 1).cpuNs;
  return [
    { what: 'two threads / one, sharded', value: two / setupOf(list, 'own', 1, 4).rate,
      unit: ' ×', least: 1.7 },
    { what: 'two threads, sharded / one lock', value: two / setupOf(list, 'own', 2, 1).rate,
      unit: ' ×', least: 2 },
    { what: 'a lock that is free, per operation', value: costNs, unit: ' ns', most: 40 },
  ];
}

export function sharing(bench: Bench): Section {
  const list = measure(bench);
  const alone = setupOf(list, 'heap', 1, 1).rate;
  const rows = list.map(({ what, threads, shards, rate, cpuNs, rounds }) => [what, String(threads),
    String(shards), figure(rate / 1e6), figure(rate / alone), figure(cpuNs),
    figure(Math.max(...rounds.map(({ cores }) => cores)))]);
  return {
    name: 'shared',
    title: 'Regions shared by threads',
    tables: [{
      title: 'alloc and free of 16 to 271 bytes, `best`; the best round of each',
      head: ['<', 'threads', 'shards', 'million a second', '× not shared', 'processor ns each',
        'processors'],
      rows,
    }],
    targets: targetsOf(list),
    data: { list },
  };
}
