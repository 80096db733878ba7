/**
 * Buffers: what committing one alone costs, with another full of changes beside it, against a
 * checkpoint of everything and against writing the file anew; and how long `checkpointAsync` holds
 * the thread and keeps the event loop waiting.
 */
import { figure, mean, median, quantile, type Section, type Table } from './report.ts';
import { type Bench, runTrial, within } from './trials.ts';

const SCRIPT = './buffers-trial.js';
const OWN = 'buffer.commit';
const ALL = 'store.checkpoint';
const NOW = 'store.checkpoint, nothing else';
const LATER = 'store.checkpointAsync';
const FILE = 'write, fsync, rename';
const MIB = 16;

interface Trial {
  readonly times: number[];
  readonly waits: number[];
  readonly totals: number[];
}

interface Row {
  readonly pages: number;
  readonly peer: string;
  /** Milliseconds. */
  readonly held: number;
  readonly heldMean: number;
  readonly longestWait: number;
  readonly total: number;
}

function race(bench: Bench, peers: readonly string[], mib: number, pages: number): Row[] {
  const rounds = bench.isQuick ? 1 : 3;
  const samples = bench.isQuick ? 5 : pages > 500 ? 20 : 60;
  const trials = new Map<string, Trial[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers) {
      bench.tell(`buffers: ${peer}, ${pages} pages`);
      trials.get(peer)?.push(within(bench, (dir) =>
        runTrial<Trial>(SCRIPT, [peer, mib, pages, samples, dir])));
    }
  }
  return [...trials].map(([peer, list]) => ({
    pages, peer,
    held: median(list.map(({ times }) => median(times))),
    heldMean: median(list.map(({ times }) => mean(times))),
    longestWait: median(list.map(({ waits }) => quantile(waits, 1))),
    total: median(list.map(({ totals }) => median(totals))),
  }));
}

function alone(races: readonly Row[][]): Table {
  return {
    title: `A buffer of ${MIB} MiB, n pages of it changed, 1000 pages of another one too; ms`,
    head: ['n', '<', 'p50', 'mean', '/ the file anew'],
    rows: races.flatMap((rows) => rows.map(({ pages, peer, held, heldMean }) => {
      const file = rows.find((row) => row.peer === FILE) as Row;
      return [String(pages), peer, figure(held), figure(heldMean), figure(held / file.held)];
    })),
  };
}

function later(races: readonly Row[][], mib: number): Table {
  return {
    title: `A buffer of ${mib} MiB, n pages of it changed; ms`,
    head: ['n', '<', 'thread held, p50', 'longest wait of the event loop', 'durable after'],
    rows: races.flat().map(({ pages, peer, held, longestWait, total }) =>
      [String(pages), peer, figure(held), figure(longestWait), figure(total)]),
  };
}

export function buffers(bench: Bench): Section {
  const sizes = bench.isQuick ? [1, 64] : [1, 16, 256, 4096];
  const own = sizes.map((pages) => race(bench, [OWN, ALL, FILE], MIB, pages));
  const mib = bench.isQuick ? 16 : 64;
  const async = sizes.map((pages) => race(bench, [NOW, LATER], mib, pages));
  const small = own[0] as Row[];
  const large = async.at(-1) as Row[];
  const held = (rows: readonly Row[], peer: string) =>
    (rows.find((row) => row.peer === peer) as Row).held;
  return {
    name: 'buffers',
    title: 'Buffers, and checkpoints off the thread',
    tables: [alone(own), later(async, mib)],
    targets: [
      { what: '1 page: buffer.commit / the file anew', unit: '', most: 0.2,
        value: held(small, OWN) / held(small, FILE) },
      { what: `${sizes.at(-1)} pages: held by checkpointAsync / checkpoint`, unit: '', most: 0.5,
        value: held(large, LATER) / held(large, NOW) },
    ],
    data: { own, async },
  };
}
