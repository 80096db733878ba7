/**
 * Regions that threads share: does a second thread add to what is done, and what do the locks cost?
 * Against a region of one thread without locks, and against one lock for all.
 */
import { figure, type Section, type Target } from './report.ts';
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
  readonly rates: readonly number[];
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

/** Setups take turns, so that what disturbs the machine disturbs all of them. */
function measure(bench: Bench): Measured[] {
  const [trials, rounds, ms] = bench.isQuick ? [1, 2, 50] : [5, 5, 200];
  const rates = SETUPS.map((): number[] => []);
  for (let trial = 0; trial < trials; trial += 1) {
    bench.tell(`shared: trial ${trial + 1} of ${trials}`);
    SETUPS.forEach(({ kind, threads, shards }, i) => {
      const found = runTrial<{ rates: number[] }>(SCRIPT, [kind, threads, shards, rounds, ms]);
      rates[i]?.push(...found.rates);
    });
  }
  return SETUPS.map((setup, i) => {
    const all = rates[i] as number[];
    return { ...setup, rates: all, rate: Math.max(...all) };
  });
}

function rateOf(list: readonly Measured[], kind: string, threads: number, shards: number): number {
  const found = list.find((one) =>
    one.kind === kind && one.threads === threads && one.shards === shards);
  if (found === undefined) throw new Error(`bench: no setup ${kind} ${threads} ${shards}`);
  return found.rate;
}

function targetsOf(list: readonly Measured[]): Target[] {
  const two = rateOf(list, 'own', 2, 4);
  const costNs = 1e9 / rateOf(list, 'own', 1, 1) - 1e9 / rateOf(list, 'heap', 1, 1);
  return [
    { what: 'two threads / one, sharded', value: two / rateOf(list, 'own', 1, 4), unit: ' ×',
      least: 1.7 },
    { what: 'two threads, sharded / one lock', value: two / rateOf(list, 'own', 2, 1), unit: ' ×',
      least: 2 },
    { what: 'a lock that is free, per operation', value: costNs, unit: ' ns', most: 40 },
  ];
}

export function sharing(bench: Bench): Section {
  const list = measure(bench);
  const alone = rateOf(list, 'heap', 1, 1);
  const rows = list.map(({ what, threads, shards, rate }) => [what, String(threads), String(shards),
    figure(rate / 1e6), figure(1e9 * threads / rate), figure(rate / alone)]);
  return {
    name: 'shared',
    title: 'Regions shared by threads',
    tables: [{
      title: 'alloc and free of 16 to 271 bytes, `best`; the best round of each',
      head: ['<', 'threads', 'shards', 'million a second', 'ns each', '× not shared'],
      rows,
    }],
    targets: targetsOf(list),
    data: { list },
  };
}
