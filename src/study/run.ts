/**
 * Runs the trials of a study: trace by trace, in rounds in which every contender has its turn, a
 * process each. Of a process the fastest repetition counts, of the rounds the median. Space is
 * measured apart, in one more process that writes every byte of every block.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Touch } from '../trace/replay.ts';
import type { Sample } from './study.ts';
import type { Runner } from './contenders.ts';
import { type Outcome, runTrial } from './process.ts';
import type { StudyTrace } from './traces.ts';

export interface RunPlan {
  readonly runners: readonly Runner[];
  readonly traces: readonly StudyTrace[];
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly limitMs: number;
  readonly touch: Touch;
  /** For files of regions. */
  readonly dir: string;
  /** Whose turn it is, in which part, and how far that is. */
  readonly tell: (name: string, part: string, done: number, total: number) => void;
}

/** A short trace is repeated so often that a repetition is not all start-up. */
const ENOUGH_OPERATIONS = 5_000_000;
const BUDGET_MS = 5_000;

export async function runStudy(plan: RunPlan): Promise<Sample[]> {
  const perTrace = plan.runners.length * (plan.rounds + 1);
  const samples: Sample[] = [];
  for (const [i, trace] of plan.traces.entries()) {
    let done = i * perTrace;
    const tell = (name: string) =>
      plan.tell(`${trace.name}, ${name}`, 'trial', done++, plan.traces.length * perTrace);
    samples.push(...await race(plan, trace, tell));
  }
  return samples;
}

async function race(
  plan: RunPlan, trace: StudyTrace, tell: (name: string) => void,
): Promise<Sample[]> {
  const found = new Map<Runner, Outcome[]>(plan.runners.map((runner) => [runner, []]));
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const runner of plan.runners) {
      tell(runner.contender.name);
      const outcomes = found.get(runner) as Outcome[];
      // What was refused or stopped once will be again.
      if (outcomes.some(({ state }) => state !== 'measured')) continue;
      outcomes.push(await turn(plan, runner, trace, plan.touch, repetitionsOf(plan, trace)));
    }
  }
  const samples: Sample[] = [];
  for (const runner of plan.runners) {
    tell(`${runner.contender.name}, space`);
    const outcomes = found.get(runner) as Outcome[];
    const isSound = outcomes.every(({ state }) => state === 'measured');
    const space = isSound && runner.contender.family !== 'loop'
      ? await turn(plan, runner, trace, 'all', 1) : null;
    if (space?.state === 'failed') outcomes.push(space);
    samples.push(sampleOf(runner, trace, outcomes, space?.footprint ?? null));
  }
  return samples;
}

function repetitionsOf({ isQuick }: RunPlan, { operations }: StudyTrace): number {
  if (isQuick) return 3;
  return Math.max(3, Math.min(20, Math.ceil(ENOUGH_OPERATIONS / Math.max(1, operations))));
}

async function turn(
  { dir, limitMs }: RunPlan, { trial }: Runner, { path }: StudyTrace, touch: Touch,
  repetitions: number,
): Promise<Outcome> {
  const own = mkdtempSync(join(dir, 'trial-'));
  const budgetMs = Math.min(BUDGET_MS, limitMs / 2);
  try {
    return await runTrial(trial({ trace: path, repetitions, budgetMs, touch, dir: own }), limitMs);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function sampleOf(
  { contender }: Runner, trace: StudyTrace, outcomes: readonly Outcome[], footprint: number | null,
): Sample {
  const rounds = outcomes.filter(({ ns }) => ns.length > 0).map(({ ns }) => Math.min(...ns));
  const odd = outcomes.find(({ state }) => state === 'failed')
    ?? (rounds.length > 0 ? undefined : outcomes.find(({ state }) => state !== 'measured'));
  return {
    trace: trace.name,
    contender: contender.name,
    state: odd?.state ?? 'measured',
    footprint,
    rounds,
    atLeast: odd?.state === 'limit' ? (odd.ms * 1e6) / Math.max(1, trace.operations) : null,
    why: odd?.why ?? '',
  };
}
