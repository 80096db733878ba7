/**
 * The crash tests in short: a few hundred disks, some mutants, a sample of faults, some kills.
 * `npm run torture` is the long form. The seed is in the name of every task and in what it reports.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MUTANTS, mutated, patched } from '../tools/torture/mutants.ts';
import { enumerateTasks, faultTasks, killTask, mutantTasks, type Task }
  from '../tools/torture/plan.ts';
import { type Done, runTasks } from '../tools/torture/pool.ts';
import { buildRecorder, projectRoot } from '../tools/torture/record.ts';
import { isFailed, emptySummary, note, tableOf } from '../tools/torture/summary.ts';

const SEED = 41;
const root = projectRoot(import.meta.dirname);
const compiled = join(root, 'dist');
const build = join(root, 'native-shim/build');
let mutants = '';

beforeAll(() => {
  if (!existsSync(join(compiled, 'tools/torture/job.js'))) throw new Error('run npm run build');
  mkdirSync(build, { recursive: true });
  mutants = mkdtempSync(join(build, 'torture-test-'));
  buildRecorder(root);
});

afterAll(() => rmSync(mutants, { recursive: true, force: true }));

async function results(tasks: readonly Task[]): Promise<Done[]> {
  const done: Done[] = [];
  await runTasks(tasks.values(), { compiled, mutants, parallel: 2,
    onDone: (one) => done.push(one) });
  return done;
}

function lossesOf(done: readonly Done[]): string[] {
  return done.flatMap(({ result }) => result.losses.map((loss) => `seed ${SEED}: ${loss}`));
}

function casesOf(done: readonly Done[]): number {
  return done.reduce((n, { result }) => n + result.cases, 0);
}

/** Disks after a share of the operations only. */
function shortened(task: Task, share: number): Task {
  const { job } = task;
  return job.kind === 'enumerate' ? { ...task, job: { ...job, share } } : task;
}

describe('the store after a crash', () => {
  it('holds exactly one checkpoint on every disk', async () => {
    const tasks = enumerateTasks({ seed: SEED, scale: 0.5,
      workloads: ['pages', 'regions', 'pending'] }, 0);
    // Every workload with both mappers, whole and after a killed life; not each with each.
    const some = tasks.filter((_, i) => [0, 3, 5, 6, 8, 11].includes(i));
    expect(new Set(some.map(({ class: name, what }) => `${name} ${what}`)).size).toBe(6);
    const done = await results(some.map((task) => shortened(task, 0.012)));
    expect(lossesOf(done)).toEqual([]);
    expect(casesOf(done)).toBeGreaterThan(35);
  });

  it('is complete when a process died while it made the store', async () => {
    const job = { kind: 'enumerate', workload: 'pages', seed: SEED, mapper: 'shim',
      perOperation: 2, share: 0.05, stopAtLosses: 1 } as const;
    const done = await results([3].map((killAt) => ({ class: 'states after a killed life',
      what: `killed at ${killAt}`, job: { ...job, killAt } })));
    expect(lossesOf(done)).toEqual([]);
    expect(casesOf(done)).toBeGreaterThan(7);
  });

  it('survives faults with a documented error', async () => {
    const sample = (fault: string): number => (fault === 'kill' ? 251 : 101);
    const tasks = faultTasks(SEED, 'pages', 'shim', 1).map((task) => (task.job.kind === 'faults'
      ? { ...task, job: { ...task.job, stride: sample(task.job.fault) } } : task));
    const done = await results(tasks);
    expect(lossesOf(done)).toEqual([]);
    for (const { task, result } of done) expect(result.cases, task.class).toBeGreaterThan(1);
  });

  it('survives SIGKILL at random times', async () => {
    const done = await results([killTask(SEED, 'shim', 3)]);
    expect(lossesOf(done)).toEqual([]);
    expect(casesOf(done)).toBe(3);
  });
});

describe('the crash tests', () => {
  it('catch mutants', async () => {
    const names = ['synchronous=NORMAL', 'missing directory fsync',
      'skip if equal to the file while an apply is pending'];
    const mutants = MUTANTS.filter(({ name }) => names.includes(name));
    expect(mutants.length).toBe(3);
    const done = await results(mutantTasks(SEED, mutants).map((task) => shortened(task, 0.5)));
    expect(lossesOf(done)).toEqual([]);
    for (const { result } of done) expect(result.caught?.length).toBeGreaterThan(0);
  });

  it('say so when a mutant is not caught', async () => {
    const harmless = { name: 'harmless', workloads: ['normal'], patches: [{ find: 'full: 2',
      put: 'full: 3' }] };
    const done = await results(mutantTasks(SEED, [harmless]).map((task) => shortened(task, 0.02)));
    expect(done[0]?.result.losses.join()).toMatch(/mutant 'harmless' was not caught/);
    const summary = emptySummary(SEED, 1);
    for (const one of done) note(summary, one);
    expect(summary.rows.filter(isFailed).map((row) => row.class)).toContain('mutants');
    expect(tableOf(summary)).toMatch(/^mutants +1 +0 +1 /m);
  });

  it('find the place of every mutant in the store as it is now', () => {
    for (const mutant of MUTANTS) expect(mutated(mutant, compiled).size).toBeGreaterThan(0);
    const texts = new Map([['x.js', 'a b'], ['y.js', 'a c']]);
    expect(() => patched(texts, { find: 'd', put: '' }, 'lost')).toThrow(/'lost': 0 places/);
    expect(() => patched(texts, { find: 'a', put: '' }, 'vague')).toThrow(/'vague': 2 places/);
    expect(patched(texts, { find: 'a c', put: 'd' }, 'fine')).toEqual({ path: 'y.js', text: 'd' });
  });
});
