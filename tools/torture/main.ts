/**
 * `npm run torture -- [--minutes N] [--seed S] [--json] [--save]`: all classes of crash tests. Exit
 * code 1 on any loss, any mutant that was not caught, and any class without cases.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { basePlan, furtherPlan, type PlanOptions, type Task } from './plan.ts';
import { type Done, runTasks } from './pool.ts';
import { buildRecorder, projectRoot } from './record.ts';
import { emptySummary, isFailed, markdownOf, note, type Summary, tableOf } from './summary.ts';
import { WORKLOADS } from './workloads.ts';

const root = projectRoot(import.meta.dirname);
/** With this many minutes the base part is complete. */
const FULL_MINUTES = 40;

function optionsFrom(args: readonly string[]): { minutes: number; seed: number; json: boolean;
    save: boolean } {
  const { values } = parseArgs({ args: [...args], options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(process.pid * 7919 % 100_003) },
    json: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false } } });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
    throw new Error('usage: torture [--minutes N] [--seed S] [--json] [--save]');
  }
  return { minutes, seed, json: values.json, save: values.save };
}

/** The base part, then rounds until the time is over. */
function* tasks(plan: PlanOptions, until: number): Generator<Task> {
  yield* basePlan(plan);
  for (let round = 1; Date.now() < until; round++) {
    for (const task of furtherPlan(plan, round)) {
      if (Date.now() >= until) return;
      yield task;
    }
  }
}

function progress(summary: Summary, { task }: Done): void {
  const cases = summary.rows.reduce((n, row) => n + row.cases, 0);
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[K${cases} cases, ${summary.losses.length} losses; ` +
      `${task.class}: ${task.what}`);
  }
}

function save(summary: Summary): void {
  const folder = join(root, 'tools/results');
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  writeFileSync(join(folder, `torture-${date}.json`), `${JSON.stringify(summary, null, 2)}\n`);
  writeFileSync(join(folder, `torture-${date}.md`), markdownOf(summary));
}

async function main(): Promise<number> {
  const { minutes, seed, json, save: saves } = optionsFrom(process.argv.slice(2));
  buildRecorder(root);
  process.stderr.write(`torture: seed ${seed}, ${minutes} minutes\n`);
  const summary = emptySummary(seed, minutes);
  const until = Date.now() + minutes * 60_000;
  const plan = { seed, scale: Math.min(1, minutes / FULL_MINUTES),
    workloads: WORKLOADS.map((workload) => workload.name) };
  await runTasks(tasks(plan, until), {
    compiled: join(import.meta.dirname, '../..'),
    mutants: join(root, 'native-shim/build'),
    parallel: 2,
    onDone: (done) => {
      note(summary, done);
      progress(summary, done);
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  process.stdout.write(json ? `${JSON.stringify(summary)}\n` : `${tableOf(summary)}\n`);
  if (saves) save(summary);
  return summary.rows.some(isFailed) ? 1 : 0;
}

process.exitCode = await main();
