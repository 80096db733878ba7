/**
 * Allocation: real traces replayed through `best` and `slab`, over memory and over a store, and
 * through the allocators of C, in turns; time per operation relative to glibc, space as
 * utilization.
 *
 * The C peers run in a small replayer that is compiled here; the others take malloc's place through
 * LD_PRELOAD. All write the first and last byte of every block.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { readTrace } from '../../src/trace/trace-file.ts';
import { figure, median, type Section, type Table, type Target } from './report.ts';
import { type Bench, runTrial, within } from './trials.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TRACES = join(ROOT, 'test', 'fixtures', 'traces');
const SCRIPT = './alloc-replay.js';
/** Utilization means something only above this many live bytes. */
const LARGE = 4_000_000;

const LIBRARIES = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64',
  '/usr/lib'];
const PRELOADS = {
  mimalloc: 'libmimalloc.so.2',
  jemalloc: 'libjemalloc.so.2',
  tcmalloc: 'libtcmalloc_minimal.so.4',
} as const;

interface Peer {
  readonly name: string;
  readonly time: (path: string, repetitions: number) => number[];
  /** Peak footprint, bytes; NaN where it is not measured. */
  readonly space: (path: string) => number;
}

function library(name: string): string | null {
  return LIBRARIES.map((dir) => join(dir, name)).find((path) => existsSync(path)) ?? null;
}

/** Compiles the C replayer; null where there is no compiler. */
function compileReplayer(dir: string): string | null {
  const out = join(dir, 'replay');
  const source = join(ROOT, 'tools', 'study', 'replay.c');
  const { status } = spawnSync(process.env.CC ?? 'cc', ['-O2', '-o', out, source, '-ldl']);
  return status === 0 ? out : null;
}

function runReplayer(binary: string, args: string[], preload: string | null): string {
  const env = preload === null ? process.env : { ...process.env, LD_PRELOAD: preload };
  const { status, stdout, stderr } = spawnSync(binary, args, { encoding: 'utf8', env });
  if (status !== 0) {
    throw new Error(`bench: replay ${args.join(' ')} ended with ${status} ${stderr}`);
  }
  return stdout;
}

/** `how` is what the replayer is told; space is measured with every byte written. */
function nativePeer(name: string, binary: string, how: string[], preload: string | null): Peer {
  const run = (path: string, n: number, flags: string[]) =>
    runReplayer(binary, [path, String(n), ...flags], preload).trim().split('\n');
  return {
    name,
    time: (path, n) => run(path, n, how).filter((line) => /^[\d.]+$/.test(line)).map(Number),
    space: (path) => how.includes('loop') ? Number.NaN
      : Number(run(path, 1, ['all']).at(-1)?.split(' ')[1]),
  };
}

interface Timing {
  readonly ns: number[];
  readonly extent: number;
}

function ownPeer(bench: Bench, name: string, kind: string, method = 'best'): Peer {
  const trial = (path: string, n: number) =>
    within(bench, (dir) => runTrial<Timing>(SCRIPT, [path, n, kind, join(dir, 'store'), method]));
  return {
    name,
    time: (path, n) => trial(path, n).ns,
    space: (path) => trial(path, 1).extent || Number.NaN,
  };
}

function findPeers(bench: Bench, binary: string | null): { peers: Peer[]; missing: string[] } {
  const own = [
    ownPeer(bench, 'best, heap', 'heap'),
    ownPeer(bench, 'best, store', 'store'),
    ownPeer(bench, 'slab, heap', 'heap', 'slab'),
    ownPeer(bench, 'slab, store', 'store', 'slab'),
    ownPeer(bench, 'Buffer.allocUnsafe', 'buffer'),
    ownPeer(bench, 'the JS loop alone', 'loop'),
  ];
  if (binary === null) return { peers: own, missing: ['every C allocator: no C compiler'] };
  const missing: string[] = [];
  const others = Object.entries(PRELOADS).flatMap(([name, file]) => {
    const path = library(file);
    if (path === null) missing.push(`${name}: ${file} is not installed`);
    return path === null ? [] : [nativePeer(name, binary, [], path)];
  });
  const glibc = nativePeer('glibc', binary, [], null);
  const notrim = nativePeer('glibc, trimming off', binary, ['notrim'], null);
  const loop = nativePeer('the C loop alone', binary, ['loop'], null);
  return { peers: [glibc, notrim, ...others, ...own, loop], missing };
}

interface Row {
  readonly trace: string;
  readonly peer: string;
  readonly ns: number;
  readonly utilization: number;
}

/** A trace through every peer, in turns: the fastest repetition of a process, then the median. */
function race(bench: Bench, peers: readonly Peer[], file: string, dir: string): Row[] {
  const plain = join(dir, 'trace.vmt');
  writeFileSync(plain, file.endsWith('.gz') ? gunzipSync(readFileSync(file)) : readFileSync(file));
  const { operations, peakBytes } = readTrace(plain);
  const trace = basename(file).replace(/\.vmt(\.gz)?$/, '');
  const rounds = bench.isQuick ? 1 : 3;
  const repetitions = Math.max(3, Math.min(20, Math.ceil(5_000_000 / operations)));
  const found = new Map<string, number[]>(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, time } of peers) {
      bench.tell(`alloc: ${trace}, ${name}`);
      found.get(name)?.push(Math.min(...time(plain, bench.isQuick ? 3 : repetitions)));
    }
  }
  return peers.map(({ name, space }) => {
    const utilization = peakBytes >= LARGE ? peakBytes / space(plain) : Number.NaN;
    return { trace, peer: name, ns: median(found.get(name) ?? []), utilization };
  });
}

function geometricMean(values: readonly number[]): number {
  const sound = values.filter((value) => Number.isFinite(value));
  return Math.exp(sound.reduce((sum, value) => sum + Math.log(value), 0) / sound.length);
}

function tables(rows: readonly Row[], peers: readonly string[], base: string): Table[] {
  const traces = [...new Set(rows.map(({ trace }) => trace))];
  const row = (trace: string, peer: string) =>
    rows.find((r) => r.trace === trace && r.peer === peer) as Row;
  const ratio = (trace: string, peer: string) => row(trace, peer).ns / row(trace, base).ns;
  const timeRows = traces.map((trace) => [trace, figure(row(trace, base).ns),
    ...peers.map((peer) => figure(ratio(trace, peer)))]);
  const means = peers.map((peer) => figure(geometricMean(traces.map((t) => ratio(t, peer)))));
  const large = traces.filter((trace) => peers.some((p) => row(trace, p).utilization > 0));
  const spaceRows = large.map((trace) =>
    [trace, ...peers.map((peer) => figure(row(trace, peer).utilization))]);
  const spaces = peers.map((peer) =>
    figure(geometricMean(large.map((trace) => row(trace, peer).utilization))));
  return [
    { title: `Time per operation, relative to ${base}`, head: ['<trace', `${base}, ns`, ...peers],
      rows: [...timeRows, ['geometric mean', '', ...means]] },
    { title: 'Utilization: peak live payload / peak footprint', head: ['<trace', ...peers],
      rows: [...spaceRows, ['geometric mean', ...spaces]] },
  ];
}

const CROWDED = ['best', 'slab'];

function crowd(bench: Bench): { table: Table; times: number[][] } {
  const counts = [3, 4, 5, 6, 7].map((power) => 10 ** power)
    .filter((count) => !bench.isQuick || count <= 1e5);
  const times = counts.map((count) => {
    bench.tell(`alloc: ${count} live blocks`);
    return CROWDED.map((method) =>
      median(runTrial<Timing>(SCRIPT, ['-', count, 'crowd', '-', method]).ns));
  });
  const rows = counts.map((count, i) =>
    [count.toLocaleString('en'), ...(times[i] as number[]).map(figure)]);
  return {
    table: { title: 'Cost per operation by live blocks, ns (memory misses included)',
      head: ['live blocks', ...CROWDED], rows },
    times,
  };
}

const STACKED = ['loop', 'pool', 'last', 'slab', 'best'];

/** One size, freed in reverse order: what each method adds to the loop. */
function stack(bench: Bench): { table: Table; targets: Target[]; times: number[] } {
  const times = STACKED.map((method) => {
    bench.tell(`alloc: a stack, ${method}`);
    return Math.min(...runTrial<Timing>(SCRIPT, ['-', bench.isQuick ? 3 : 20, 'stack', '-',
      method]).ns);
  });
  const over = (method: string) =>
    (times[STACKED.indexOf(method)] as number) - (times[0] as number);
  return {
    table: { title: 'Blocks of 64 bytes, freed in reverse order, ns per operation',
      head: ['<method', 'ns', 'above the loop'],
      rows: STACKED.map((name, i) => [name, figure(times[i] as number), figure(over(name))]) },
    targets: ['pool', 'last'].map((name) =>
      ({ what: `${name} above the JS loop`, value: over(name), unit: ' ns', most: 5 })),
    times,
  };
}

function targets(rows: readonly Row[], base: string): Target[] {
  const traces = [...new Set(rows.map(({ trace }) => trace))];
  const of = (trace: string, peer: string) =>
    rows.find((r) => r.trace === trace && r.peer === peer) as Row;
  const ratios = (peer: string, to: string) =>
    traces.map((trace) => of(trace, peer).ns / of(trace, to).ns);
  const uses = traces.map((trace) => of(trace, 'best, store').utilization);
  return [
    { what: `best over a store / ${base}, geometric mean`,
      value: geometricMean(ratios('best, store', base)), unit: ' ×', most: 1.25 },
    { what: `best over a store / ${base}, slowest trace`,
      value: Math.max(...ratios('best, store', base)), unit: ' ×', most: 1.97 },
    { what: 'utilization of best, geometric mean', value: geometricMean(uses), unit: '',
      least: 0.945 },
    { what: `slab over a store / ${base}, geometric mean`,
      value: geometricMean(ratios('slab, store', base)), unit: ' ×', most: 0.85 },
    { what: `slab over a store / ${base}, slowest trace`,
      value: Math.max(...ratios('slab, store', base)), unit: ' ×', most: 1.97 },
    { what: 'utilization of slab, geometric mean',
      value: geometricMean(traces.map((trace) => of(trace, 'slab, store').utilization)), unit: '',
      least: 0.92 },
    { what: 'Buffer.allocUnsafe / best, geometric mean',
      value: geometricMean(ratios('Buffer.allocUnsafe', 'best, store')), unit: ' ×', least: 5 },
  ];
}

/** Traces of `REGIONSTORE_TRACES`, a folder, or those the project carries. */
export function alloc(bench: Bench): Section {
  const folder = process.env.REGIONSTORE_TRACES ?? TRACES;
  const files = readdirSync(folder).filter((name) => /\.vmt(\.gz)?$/.test(name)).sort();
  return within(bench, (dir) => {
    const { peers, missing } = findPeers(bench, compileReplayer(dir));
    for (const why of missing) process.stderr.write(`bench: left out ${why}\n`);
    const rows = files.flatMap((name) => race(bench, peers, join(folder, name), dir));
    const names = peers.map(({ name }) => name);
    const base = names.includes('glibc') ? 'glibc' : 'the JS loop alone';
    const { table, times } = crowd(bench);
    const stacked = stack(bench);
    return {
      name: 'alloc',
      title: `Allocation, ${files.length} recorded traces`,
      tables: [...tables(rows, names, base), table, stacked.table],
      targets: [...(names.includes('glibc') ? targets(rows, base) : []), ...stacked.targets],
      data: { rows, missing, crowd: times, stack: stacked.times },
    };
  });
}
