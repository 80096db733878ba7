/**
 * One part of a torture run in a process of its own: `node job.js '<JSON>'` prints its result as
 * JSON. The compiled program beside it may be a mutant: whatever imports the store runs here, never
 * in the process that judges.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { enumerate } from './enumerate.ts';
import { examineStore } from './examine.ts';
import { openMarks } from './marks.ts';
import { split } from './random.ts';
import { projectRoot, record, type Recording } from './record.ts';
import { startSession } from './session.ts';
import { workloadNamed } from './workloads.ts';

export interface EnumerateJob {
  readonly kind: 'enumerate';
  readonly workload: string;
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly perOperation: number;
  /** Kill the workload before this operation and let a second life go on; 0 = never. */
  readonly killAt: number;
  readonly maxStates: number;
  readonly stopAtLosses: number;
  /** Scratch folder of this job alone. */
  readonly folder: string;
}

export interface LiveJob {
  readonly kind: 'workload';
  readonly workload: string;
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly killAt: number;
  readonly begun: number;
}

export interface JobResult {
  readonly cases: number;
  readonly losses: string[];
  readonly operations: number;
}

/** In a process under the recorder: the workload itself. */
function live(job: LiveJob): void {
  const marks = openMarks(process.env.TORTURE_MARK);
  const dir = process.env.TORTURE_DIR;
  if (dir === undefined) throw new Error('torture: the workload runs under the recorder only');
  if (job.killAt > 0) marks.fault(job.killAt, 'kill');
  const { options, run } = workloadNamed(job.workload);
  run(startSession({ dir, marks, random: split(job.seed, job.workload), begun: job.begun,
    store: { ...options, mapper: job.mapper } }));
}

function recordLife(job: EnumerateJob, killAt: number, begun: number): Recording {
  const live: LiveJob = { kind: 'workload', workload: job.workload, seed: job.seed + begun,
    mapper: job.mapper, killAt, begun };
  return record({ root: projectRoot(import.meta.dirname), folder: join(job.folder, 'live'),
    args: [import.meta.filename, JSON.stringify(live)], again: begun > 0 });
}

/** Records one life, or two when the first is to be killed. */
function recordLives(job: EnumerateJob): Recording {
  const first = recordLife(job, job.killAt, 0);
  if (job.killAt === 0) return first;
  if (first.ended !== 'SIGKILL') return first;
  return recordLife(job, 0, 100);
}

function runEnumeration(job: EnumerateJob): JobResult {
  const recording = recordLives(job);
  if (recording.ended !== 0) {
    const detail = `the workload ended with ${recording.ended}: ${recording.stderr}`;
    return { cases: 1, losses: [`${job.workload}/${job.mapper}: ${detail}`], operations: 0 };
  }
  let count = 0;
  const disk = join(job.folder, 'disk');
  const examine = (folder: string): string =>
    examineStore(folder, job.mapper, count++ % 2 === 0 ? 'abandon' : 'close');
  const { seed, perOperation, maxStates, stopAtLosses } = job;
  const result = enumerate(recording.operations, { seed, perOperation, folder: disk, examine,
    maxStates, stopAtLosses, mayLoseLast: workloadNamed(job.workload).mayLoseLast ?? false });
  const losses = result.losses.map(({ operation, after, how, detail }) =>
    `${job.workload}/${job.mapper} after operation ${operation} (${after}), ${how}: ${detail}`);
  return { cases: result.states, losses, operations: result.operations };
}

function main(text: string): void {
  const job = JSON.parse(text) as EnumerateJob | LiveJob;
  if (job.kind === 'workload') {
    live(job);
    return;
  }
  mkdirSync(job.folder, { recursive: true });
  try {
    process.stdout.write(JSON.stringify(runEnumeration(job)));
  } finally {
    rmSync(job.folder, { recursive: true, force: true });
  }
}

const [, script, text] = process.argv;
if (script === import.meta.filename && text !== undefined) main(text);
