/**
 * One part of a torture run in a process of its own: `node job.js '<JSON>'` prints its result as
 * JSON. The compiled program beside it may be a mutant: whatever imports the store runs here, never
 * in the process that judges.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { enumerate } from './enumerate.ts';
import { examineStore } from './examine.ts';
import { type FaultSweep, sweepFaults, type SweepResult } from './faults.ts';
import { type KillOptions, killLoop } from './kills.ts';
import { announce, emptyLedger, judge } from './ledger.ts';
import { markOf, openMarks } from './marks.ts';
import { powercutLoop } from './powercuts.ts';
import { split } from './random.ts';
import { projectRoot, record, recorderEnv, type Recording } from './record.ts';
import { ringKillLoop } from './ring-kills.ts';
import { startSession } from './session.ts';
import { workloadNamed } from './workloads.ts';

/** What every job has: a scratch folder of its own, emptied at the end. */
interface Placed {
  readonly folder: string;
}

export interface EnumerateJob extends Placed {
  readonly kind: 'enumerate';
  readonly workload: string;
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly perOperation: number;
  /** Kill the workload before this operation and let a second life go on; 0 = never. */
  readonly killAt: number;
  readonly share: number;
  readonly stopAtLosses: number;
}

/** `fault: 'kill'` needs a process for each operation, the others are swept in one. */
export interface FaultJob extends Placed, FaultSweep {
  readonly kind: 'faults';
}

export interface KillJob extends Placed {
  readonly kind: 'kills';
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly kills: number;
  readonly seconds: number;
}

/** The same with a process that does nothing but append to a ring. */
export interface RingKillJob extends Omit<KillJob, 'kind'> {
  readonly kind: 'ringKills';
}

export interface PowercutJob extends Placed {
  readonly kind: 'powercuts';
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly fileSystem: 'ext4' | 'xfs';
  readonly cuts: number;
  readonly seconds: number;
}

/** Inside the recorder: a workload, or a sweep. */
type InnerJob =
  | { kind: 'workload'; workload: string; seed: number; mapper: 'shim' | 'file'; killAt: number;
      begun: number }
  | { kind: 'sweep'; sweep: FaultSweep };

export type Job = EnumerateJob | FaultJob | KillJob | RingKillJob | PowercutJob;

export interface JobResult {
  readonly cases: number;
  readonly losses: readonly string[];
  /** Operations of the workload, or checkpoints of the kill loop. */
  readonly operations: number;
  /** What showed a mutant. */
  readonly caught?: readonly string[];
  /** Why there were no cases. */
  readonly skipped?: string | null;
}

const self = import.meta.filename;
const root = projectRoot(import.meta.dirname);
/** The life after a kill counts its checkpoints from here. */
const SECOND_LIFE = 1000;

function inner(job: InnerJob): void {
  const disk = process.env.TORTURE_DIR;
  if (disk === undefined) throw new Error('torture: this runs under the recorder only');
  if (job.kind === 'sweep') {
    process.stdout.write(JSON.stringify(sweepFaults(job.sweep, disk)));
    return;
  }
  const marks = openMarks(process.env.TORTURE_MARK);
  if (job.killAt > 0) marks.fault(job.killAt, 'kill');
  const { options, run } = workloadNamed(job.workload);
  run(startSession({ dir: disk, marks, random: split(job.seed, job.workload), begun: job.begun,
    store: { ...options, mapper: job.mapper } }));
}

type Recorded = Pick<EnumerateJob, 'workload' | 'seed' | 'mapper' | 'folder'>;

function recordLife(job: Recorded, killAt: number, begun: number): Recording {
  const { workload, seed, mapper, folder } = job;
  const life: InnerJob = { kind: 'workload', workload, seed: seed + begun, mapper, killAt, begun };
  return record({ root, folder: join(folder, 'live'), args: [self, JSON.stringify(life)],
    again: begun > 0 });
}

/** Records one life, or two when the first is to be killed. */
function recordLives(job: EnumerateJob): Recording {
  const first = recordLife(job, job.killAt, 0);
  return first.ended === 'SIGKILL' && job.killAt > 0 ? recordLife(job, 0, SECOND_LIFE) : first;
}

function runEnumeration(job: EnumerateJob): JobResult {
  const recording = recordLives(job);
  const what = `${job.workload}/${job.mapper}${job.killAt > 0 ? `, killed at ${job.killAt}` : ''}`;
  if (recording.ended !== 0) {
    const detail = `the workload ended with ${recording.ended}: ${recording.stderr}`;
    return { cases: 1, losses: [`${what}: ${detail}`], operations: 0 };
  }
  let count = 0;
  const examine = (folder: string): string =>
    examineStore(folder, job.mapper, count++ % 2 === 0 ? 'abandon' : 'close');
  const { seed, perOperation, share, stopAtLosses } = job;
  const result = enumerate(recording.operations, { seed, perOperation, examine, share,
    stopAtLosses, folder: join(job.folder, 'disk'),
    mayLoseLast: workloadNamed(job.workload).mayLoseLast ?? false });
  const losses = result.losses.map(({ operation, after, how, detail }) =>
    `${what} after operation ${operation} (${after}), ${how}: ${detail}`);
  return { cases: result.states, losses, operations: result.operations };
}

/** The n-th operation kills the process; what is on disk then is opened. */
function killedAt(job: FaultJob, n: number): { over: boolean; loss: string | null } {
  const recording = recordLife(job, n, 0);
  if (recording.ended === 0) return { over: true, loss: null };
  if (recording.ended !== 'SIGKILL') return { over: false, loss: recording.stderr };
  const ledger = emptyLedger();
  for (const op of recording.operations) {
    if (op.kind === 'mark') announce(ledger, markOf(op.text));
  }
  try {
    const digest = examineStore(join(job.folder, 'live', 'disk'), job.mapper, 'abandon');
    // Killed before the first line of the workload: an empty store.
    const loss = ledger.numbers.size === 0 ? null : judge(ledger, digest, ledger.acked);
    return { over: false, loss };
  } catch (error) {
    return { over: false, loss: error instanceof Error ? (error.stack ?? '') : String(error) };
  }
}

function runKillSweep(job: FaultJob): JobResult {
  const losses: string[] = [];
  let cases = 0;
  for (let n = 1; losses.length < 20; n += job.stride) {
    const { over, loss } = killedAt(job, n);
    if (over) return { cases, losses, operations: n - 1 };
    cases += 1;
    if (loss !== null) losses.push(`${job.workload}/${job.mapper}, killed at ${n}: ${loss}`);
  }
  return { cases, losses, operations: cases };
}

/** The sweep runs in a child under the recorder, so that a crash or a hang of it is a finding. */
function runFaults(job: FaultJob): JobResult {
  if (job.fault === 'kill') return runKillSweep(job);
  const { kind: _, folder, ...sweep } = job;
  mkdirSync(join(folder, 'disk'), { recursive: true });
  const run = spawnSync(process.execPath, [self, JSON.stringify({ kind: 'sweep', sweep })], {
    env: { ...process.env, ...recorderEnv(root, folder, false) }, encoding: 'utf8',
    timeout: 300_000, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 });
  if (run.status === 0) return JSON.parse(run.stdout) as SweepResult;
  const how = run.signal ?? run.status;
  return { cases: 1, operations: 0,
    losses: [`${job.workload}/${job.mapper}, ${job.fault}: the process ended with ${how}: ` +
      run.stderr.slice(-2000)] };
}

async function runKills(job: KillJob): Promise<JobResult> {
  const { seed, mapper, kills, seconds } = job;
  const options: KillOptions = { seed, mapper, kills, until: Date.now() + seconds * 1000,
    folder: join(job.folder, 'kills'), child: join(import.meta.dirname, 'kill-child.js') };
  const { cases, losses, checkpoints } = await killLoop(options);
  return { cases, losses, operations: checkpoints };
}

async function runRingKills({ folder, seconds, ...job }: RingKillJob): Promise<JobResult> {
  const { records, ...result } = await ringKillLoop({ ...job, folder: join(folder, 'rings'),
    until: Date.now() + seconds * 1000 });
  return { ...result, operations: records };
}

async function runPowercuts(job: PowercutJob): Promise<JobResult> {
  const { checkpoints, ...result } = await powercutLoop({ ...job, root,
    until: Date.now() + job.seconds * 1000, child: join(import.meta.dirname, 'kill-child.js') });
  return { ...result, operations: checkpoints };
}

async function resultOf(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case 'enumerate': return runEnumeration(job);
    case 'faults': return runFaults(job);
    case 'kills': return runKills(job);
    case 'ringKills': return runRingKills(job);
    case 'powercuts': return runPowercuts(job);
  }
}

async function main(text: string): Promise<void> {
  const job = JSON.parse(text) as Job | InnerJob;
  if (job.kind === 'workload' || job.kind === 'sweep') {
    inner(job);
    return;
  }
  mkdirSync(job.folder, { recursive: true });
  try {
    process.stdout.write(JSON.stringify(await resultOf(job)));
  } finally {
    rmSync(job.folder, { recursive: true, force: true });
  }
}

const [, script, text] = process.argv;
if (script === self && text !== undefined) await main(text);
