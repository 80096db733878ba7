/**
 * Going back, moving on and copying: `restore`, a reader's `refresh`, `backup`, each against what a
 * program does that has nothing but files.
 */
import { figure, median, type Section, type Table } from './report.ts';
import { type Bench, runTrial, within } from './trials.ts';

const SCRIPT = './history-trial.js';

type Trial = Readonly<Record<string, number[]>>;

interface Row {
  readonly what: string;
  readonly ms: number;
  readonly peer: string;
  readonly peerMs: number;
}

function row(bench: Bench, what: string, [own, peer]: readonly [string, string],
             peerName: string, args: readonly (string | number)[]): Row {
  bench.tell(`history: ${what}`);
  const trial = within(bench, (dir) => runTrial<Trial>(SCRIPT, [args[0] as string, dir,
    ...args.slice(1)]));
  return { what, ms: median(trial[own] as number[]), peer: peerName,
    peerMs: median(trial[peer] as number[]) };
}

function table(title: string, rows: readonly Row[]): Table {
  return { title, head: ['<', 'ms', '<against', 'ms', 'ratio'], rows: rows.map((one) =>
    [one.what, figure(one.ms), one.peer, figure(one.peerMs), figure(one.ms / one.peerMs)]) };
}

export function history(bench: Bench): Section {
  const mib = bench.isQuick ? 8 : 256;
  const samples = bench.isQuick ? 2 : 9;
  const restores = [0.001, 0.01, 0.1].map((share) => row(bench,
    `restore, ${share * 100} % changed since`, ['restore', 'copyBack'],
    'the file copied back, synced', ['restore', mib, share, samples]));
  const refreshes = [1, 64, 1024].map((pages) => row(bench, `refresh, ${pages} pages committed`,
    ['refresh', 'reopen'], 'the store opened anew', ['refresh', mib, pages, samples * 3]));
  const copies = [row(bench, 'backup, every page verified', ['backup', 'copy'],
    'the directory copied, synced', ['backup', mib, samples])];
  const [, restored] = restores as [Row, Row, Row];
  const [, refreshed] = refreshes as [Row, Row, Row];
  return {
    name: 'history',
    title: 'Going back, moving on, copying',
    tables: [table(`A buffer of ${mib} MiB`, [...restores, ...refreshes, ...copies])],
    targets: [
      { what: 'restore of 1 % / the file copied back', value: restored.ms / restored.peerMs,
        unit: '', most: 0.5 },
      { what: 'refresh after 64 pages / the store opened anew', unit: '', most: 1,
        value: refreshed.ms / refreshed.peerMs },
    ],
    data: { restores, refreshes, copies },
  };
}
