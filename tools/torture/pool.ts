/** Runs tasks in processes of their own, so many at a time, and collects what they found. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobResult } from './job.ts';
import { buildMutant } from './mutants.ts';
import type { Task } from './plan.ts';

export interface Done {
  readonly task: Task;
  readonly result: JobResult;
  readonly seconds: number;
}

export interface PoolOptions {
  /** Folder of the compiled program: it has src/ and tools/. */
  readonly compiled: string;
  /** Where mutants of it are built; inside the project, so that packages are found. */
  readonly mutants: string;
  readonly parallel: number;
  readonly onDone: (done: Done) => void;
}

/** A job that takes longer hangs. */
const LONGEST_MS = 20 * 60_000;

/** Disks that are built by the thousand go to memory, the others to a real disk. */
function scratchFor(task: Task): string {
  const inMemory = task.job.kind === 'enumerate' || task.job.kind === 'faults';
  const base = inMemory && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  return mkdtempSync(join(base, 'regionstore-torture-'));
}

async function outputOf(child: ChildProcess): Promise<{ out: string; err: string }> {
  const texts = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    texts.err += text;
  });
  await once(child, 'close');
  return texts;
}

async function runJob(task: Task, compiled: string, workload: string | null): Promise<JobResult> {
  const folder = scratchFor(task);
  const job = { ...task.job, folder, ...(workload === null ? {} : { workload }) };
  try {
    const script = join(compiled, 'tools/torture/job.js');
    const child = spawn(process.execPath, [script, JSON.stringify(job)],
      { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS, killSignal: 'SIGKILL' });
    const { out, err } = await outputOf(child);
    if (child.exitCode === 0) return JSON.parse(out) as JobResult;
    const how = child.signalCode ?? `exit code ${child.exitCode}`;
    return { cases: 1, operations: 0, losses: [`${task.what}: ${how}: ${err.slice(-2000)}`] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lives of every workload in which a mutant has to be caught. */
const SEEDS = 5;

function* livesFor(seed: number, workloads: readonly string[]): Generator<[number, string]> {
  for (let life = 0; life < SEEDS; life++) {
    for (const workload of workloads) yield [seed + life, workload];
  }
}

/** A mutant is caught when one of its workloads shows a loss: here a loss is what is right. */
async function runMutant(task: Task, options: PoolOptions, place: string): Promise<JobResult> {
  const { mutant } = task;
  if (mutant === undefined) throw new Error('torture: not a mutant');
  let states = 0;
  try {
    buildMutant(mutant, options.compiled, place);
    // What a workload does is drawn: one life may do nothing that the mutant does wrong.
    for (const [seed, workload] of livesFor(task.job.seed, mutant.workloads)) {
      const result = await runJob({ ...task, job: { ...task.job, seed } }, place, workload);
      const { losses } = result;
      refuseBroken(mutant.name, losses[0] ?? '');
      if (losses.length > 0) return { ...result, cases: 1, losses: [], caught: losses };
      states += result.cases;
    }
  } catch (error) {
    return { cases: 1, operations: 0, losses: [(error as Error).message] };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  return { cases: 1, operations: 0,
    losses: [`mutant '${mutant.name}' was not caught in ${states} states`] };
}

/** A patch that makes nonsense of the program would be "caught" by every test. */
function refuseBroken(name: string, loss: string): void {
  if (!/\b(SyntaxError|ReferenceError|TypeError)\b|: exit code/.test(loss)) return;
  throw new Error(`torture: mutant '${name}' does not run: ${loss}`);
}

/** Takes tasks from the iterator until it ends. */
export async function runTasks(tasks: Iterator<Task>, options: PoolOptions): Promise<void> {
  const worker = async (number: number): Promise<void> => {
    for (let next = tasks.next(); next.done !== true; next = tasks.next()) {
      const started = performance.now();
      const task = next.value;
      const result = task.mutant === undefined ? await runJob(task, options.compiled, null)
        : await runMutant(task, options, join(options.mutants, `mutant-${process.pid}-${number}`));
      options.onDone({ task, result, seconds: (performance.now() - started) / 1000 });
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, (_, i) => worker(i)));
}
