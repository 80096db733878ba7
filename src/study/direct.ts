/**
 * Direct measurement: programs run under each method, in processes of their own, in rounds. What is
 * compared is time, page faults and resident memory, and where `perf stat` can count them,
 * instructions and cache misses, less those of a process that starts and does no work.
 *
 * The programs are in tools/study; the same input gives the same checksum under every method.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageFile } from '../package.ts';
import {
  type Contender, type Direct, type DirectRow, median, type State,
} from './study.ts';
import { lessIdle, PERF_EVENTS, type PerfStat, readPerfStat } from './perf.ts';
import { type Ended, failureOf, runProcess } from './process.ts';

const SCRIPT = packageFile('dist/bundle/direct-trial.js');

export const PROGRAMS = [
  { name: 'words', what: 'an index of words, linked objects', passes: 16 },
  { name: 'tiles', what: 'changed image tiles, shrunk and freed', passes: 16 },
  { name: 'sort', what: 'merging sorted runs, grown and freed', passes: 8 },
] as const;

export interface Size {
  readonly passes: number;
  /** Texts that are read; null = all. */
  readonly texts: number | null;
}

const QUICK: Size = { passes: 1, texts: 8 };

export interface DirectRequest {
  /** '' = none. */
  readonly workload: string;
  readonly method: string;
  readonly discipline: string;
  /** How large the work is. */
  readonly size: Size;
  readonly dir: string;
}

export interface DirectResult {
  readonly ms: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly peakResident: number;
  readonly addedResident: number;
  readonly extent: number;
  readonly checksum: string;
  /** Why the method cannot serve this program, or ''. */
  readonly refused: string;
}

export interface DirectPlan {
  readonly methods: readonly string[];
  readonly disciplines: readonly string[];
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly limitMs: number;
  readonly dir: string;
  /** Whose turn it is, in which part, and how far that is. */
  readonly tell: (name: string, part: string, done: number, total: number) => void;
}

interface Way {
  readonly contender: Contender;
  readonly method: string;
  readonly discipline: string;
}

/** One process: what it found, or why there is nothing. */
interface Run {
  readonly state: State;
  readonly result: DirectResult | null;
  readonly why: string;
}

export async function runDirect(plan: DirectPlan): Promise<Direct> {
  const ways: Way[] = plan.disciplines.flatMap((discipline) => plan.methods.map((method) => {
    const name = discipline === 'heap' ? method : `${method}, ${discipline}`;
    return { contender: { name, family: 'region' as const, note: '' }, method, discipline };
  }));
  const workloads = PROGRAMS.map(({ name, what }) => ({ name, what }));
  const contenders = ways.map(({ contender }) => contender);
  if (!existsSync(SCRIPT)) {
    return { workloads: [], contenders, rows: [], perf: 'the programs are not installed' };
  }
  const counter = perfCounter(plan.dir);
  const idle = await counter.count(trialOf(plan, '', ways[0] as Way, QUICK), plan.limitMs);
  const rows: DirectRow[] = [];
  const total = PROGRAMS.length * ways.length * (plan.rounds + 1);
  for (const [i, program] of PROGRAMS.entries()) {
    let done = i * ways.length * (plan.rounds + 1);
    const tell = (name: string) => plan.tell(`${program.name}, ${name}`, 'run', done++, total);
    rows.push(...await race(plan, program, ways, counter, idle, tell));
  }
  return { workloads, contenders, rows: judged(rows), perf: counter.why };
}

async function race(
  plan: DirectPlan, { name, passes }: (typeof PROGRAMS)[number], ways: readonly Way[],
  counter: Counter, idle: Counts, tell: (name: string) => void,
): Promise<DirectRow[]> {
  const found = new Map<Way, Run[]>(ways.map((way) => [way, []]));
  const size = plan.isQuick ? QUICK : { passes, texts: null };
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const way of ways) {
      tell(way.contender.name);
      const runs = found.get(way) as Run[];
      if (runs.some(({ state }) => state !== 'measured')) continue;
      runs.push(await within(plan.dir, async (dir) =>
        runOf(await runProcess(trialOf({ dir }, name, way, size), plan.limitMs))));
    }
  }
  const rows: DirectRow[] = [];
  for (const way of ways) {
    tell(way.contender.name);
    const row = rowOf(name, way, found.get(way) as Run[]);
    const counts = row.state !== 'measured' ? {} : await within(plan.dir, (dir) =>
      counter.count(trialOf({ dir }, name, way, size), plan.limitMs));
    rows.push({ ...row, counters: lessIdle(counts, idle) });
  }
  return rows;
}

function trialOf({ dir }: { dir: string }, workload: string, way: Way, size: Size) {
  const { method, discipline } = way;
  const request: DirectRequest = { workload, method, discipline, size, dir };
  return { program: process.execPath, args: ['--expose-gc', SCRIPT, JSON.stringify(request)] };
}

async function within<T>(parent: string, work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(parent, 'direct-'));
  try {
    return await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function runOf(ended: Ended): Run {
  if (ended.isStopped) return { state: 'limit', result: null, why: '' };
  if (ended.status !== 0) return { state: 'failed', result: null, why: failureOf(ended) };
  const { stdout } = ended;
  const result = JSON.parse(stdout.slice(stdout.indexOf('\n'))) as DirectResult;
  return { state: result.refused === '' ? 'measured' : 'refused', result, why: result.refused };
}

function rowOf(workload: string, { contender }: Way, runs: readonly Run[]): DirectRow {
  const failed = runs.find(({ state }) => state === 'failed');
  const sound = runs.flatMap(({ state, result }) =>
    (state === 'measured' && result !== null && failed === undefined ? [result] : []));
  const of = (key: 'ms' | 'minorFaults' | 'majorFaults' | 'peakResident' | 'addedResident'
    | 'extent') =>
    (sound.length === 0 ? null : median(sound.map((result) => result[key])));
  const odd = failed
    ?? (sound.length > 0 ? undefined : runs.find(({ state }) => state !== 'measured'));
  return {
    workload,
    contender: contender.name,
    state: odd?.state ?? 'measured',
    ms: of('ms'),
    minorFaults: of('minorFaults'),
    majorFaults: of('majorFaults'),
    peakResident: of('peakResident'),
    addedResident: of('addedResident'),
    extent: of('extent'),
    checksum: sound[0]?.checksum ?? null,
    counters: {},
    why: odd?.why ?? '',
  };
}

/** A method under which a program computes something else than under the first is no allocator. */
export function judged(rows: readonly DirectRow[]): DirectRow[] {
  return rows.map((row) => {
    const first = rows.find((r) => r.workload === row.workload && r.checksum !== null);
    if (row.checksum === null || first === undefined || row.checksum === first.checksum) return row;
    const why = `it computed ${row.checksum}, ${first.contender} ${first.checksum}`;
    return { ...row, state: 'failed', ms: null, why };
  });
}

type Counts = Readonly<Record<string, number>>;

interface Counter {
  /** Why it counts nothing, or not everything; ''. */
  readonly why: string;
  readonly count: (trial: { program: string; args: readonly string[] }, limitMs: number) =>
    Promise<Counts>;
}

/** What perf can count here, tried on a program that does nothing. */
function perfCounter(dir: string): Counter {
  const out = join(dir, 'perf.csv');
  const command = (events: readonly string[]) => ['stat', '-x,', '-o', out, '-e', events.join(',')];
  const stat = (): PerfStat => (existsSync(out) ? readPerfStat(readFileSync(out, 'utf8'))
    : { counts: {}, missing: [] });
  const tried = spawnSync('perf', [...command(PERF_EVENTS), '--', 'true'],
    { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (tried.error !== undefined) return idleCounter('perf is not installed');
  if (tried.status !== 0) {
    return idleCounter(tried.stderr.trim().split('\n')[0] || 'perf failed');
  }
  const { counts, missing } = stat();
  const events = Object.keys(counts);
  const why = missing.length === 0 ? '' : `perf does not support ${missing.join(', ')} here`;
  if (events.length === 0) return idleCounter(why);
  return {
    why,
    count: async ({ program, args }, limitMs) => {
      const { isStopped } = await runProcess({ program: 'perf',
        args: [...command(events), '--', program, ...args], env: { LC_ALL: 'C' } }, limitMs);
      return isStopped ? {} : stat().counts;
    },
  };
}

function idleCounter(why: string): Counter {
  return { why, count: async () => ({}) };
}
