/**
 * Rings: what a record costs, against writes to a file and a logger's file destination, and what
 * of it is there after SIGKILL.
 */
import { figure, median, type Section, type Table } from './report.ts';
import { type Bench, runKilled, runTrial, within } from './trials.ts';

const SCRIPT = './rings-trial.js';
const PEERS = ['ring', 'ring, text', 'ring, without the shim', 'fs.writeSync', 'pino, sync',
  'pino, async'] as const;
const RAW = 'fs.writeSync';
const SIZES = [64, 256, 1024] as const;
/** Records a process appends before it kills itself: an odd end, in the middle of writes. */
const KILLED_RECORDS = 5337;

interface Row {
  readonly peer: string;
  readonly ns: readonly number[];
  readonly survived: number;
}

interface Reading {
  readonly iterateNs: number;
  readonly tailMs: number;
  readonly followNs: number;
}

function rowsOf(bench: Bench): Row[] {
  const rounds = bench.isQuick ? 1 : 3;
  const records = bench.isQuick ? 2000 : 300_000;
  const times = new Map<string, number[][]>(PEERS.map((peer) => [peer, SIZES.map(() => [])]));
  for (let round = 0; round < rounds; round += 1) {
    SIZES.forEach((bytes, i) => {
      for (const peer of PEERS) {
        bench.tell(`rings: ${peer}, ${bytes} bytes`);
        const { ns } = within(bench, (dir) =>
          runTrial<{ ns: number }>(SCRIPT, ['append', peer, bytes, records, dir]));
        times.get(peer)?.[i]?.push(ns);
      }
    });
  }
  return PEERS.map((peer) => {
    bench.tell(`rings: ${peer}, killed`);
    const survived = within(bench, (dir) => {
      runKilled(SCRIPT, ['killed', peer, 64, KILLED_RECORDS, dir]);
      return runTrial<{ records: number }>(SCRIPT, ['count', peer, 64, dir]).records;
    });
    return { peer, survived: survived / KILLED_RECORDS,
      ns: (times.get(peer) as number[][]).map(median) };
  });
}

function appendTable(rows: readonly Row[]): Table {
  const raw = rows.find(({ peer }) => peer === RAW) as Row;
  return {
    title: 'Appending a record, nanoseconds',
    head: ['<', ...SIZES.map((bytes) => `${bytes} bytes`),
      ...SIZES.map((bytes) => `${bytes} / writeSync`), 'there after SIGKILL'],
    rows: rows.map(({ peer, ns, survived }) => [peer, ...ns.map(figure),
      ...ns.map((value, i) => figure(value / (raw.ns[i] as number))),
      `${figure(survived * 100)} %`]),
  };
}

export function rings(bench: Bench): Section {
  const rows = rowsOf(bench);
  bench.tell('rings: reading');
  const reading = within(bench, (dir) =>
    runTrial<Reading>(SCRIPT, ['read', 64, bench.isQuick ? 5000 : 300_000, dir]));
  const [own, raw, logger] = ['ring', RAW, 'pino, sync'].map((name) =>
    rows.find(({ peer }) => peer === name) as Row) as [Row, Row, Row];
  return {
    name: 'rings',
    title: 'Rings',
    tables: [appendTable(rows),
      { title: 'Reading records of 64 bytes', head: ['<', ''], rows: [
        ['iteration, ns a record', figure(reading.iterateNs)],
        ['tail(10) of all of them, ms', figure(reading.tailMs)],
        ['from append to who follows, µs', figure(reading.followNs / 1000)]] }],
    targets: [
      { what: '64 bytes: ring / fs.writeSync', unit: '', most: 0.5,
        value: (own.ns[0] as number) / (raw.ns[0] as number) },
      { what: '64 bytes: ring / pino, sync', unit: '', most: 0.5,
        value: (own.ns[0] as number) / (logger.ns[0] as number) },
      { what: 'records there after SIGKILL', value: own.survived * 100, unit: ' %', least: 100 },
    ],
    data: { rows, reading },
  };
}
