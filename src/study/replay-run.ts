/**
 * A trial of `regionstore replay`: one trace through one method over one discipline, each
 * repetition in a new region. In a process of its own it is replay-trial.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { methodNamed } from '../methods/registry.ts';
import { measure, refusal, type Touch, verify } from '../trace/replay.ts';
import type { Trace } from '../trace/trace.ts';
import type { Finding, Method } from '../types.ts';
import { PLACES, type Stand } from './places.ts';

/** What a trial does. */
export interface Spec {
  /** File of the trace. */
  readonly path: string;
  readonly method: string;
  readonly discipline: string;
  readonly touch: Touch;
  readonly repeat: number;
  readonly verify: boolean;
  /** Time how long it takes to make the replay durable. */
  readonly sync: boolean;
  /** Where files of regions go, each repetition in a directory of its own. */
  readonly dir: string;
}

/** What came of it. */
export interface Outcome {
  /** Milliseconds of each repetition. */
  readonly times: readonly number[];
  /** Milliseconds of sync; [] where it was not asked for. */
  readonly syncTimes: readonly number[];
  /** Bytes the region occupied at its largest. */
  readonly footprint: number;
  readonly findings: readonly Finding[];
  /** Why the method cannot serve this trace, or null. */
  readonly refusal: string | null;
  /** How the trial failed otherwise, or null. */
  readonly crash: string | null;
}

export const NOTHING: Outcome = {
  times: [], syncTimes: [], footprint: 0, findings: [], refusal: null, crash: null,
};

/** Replays of a trial. */
export function replaysOf({ repeat, verify: isVerified }: Pick<Spec, 'repeat' | 'verify'>): number {
  return repeat + (isVerified ? 1 : 0);
}

/** `clock` gives milliseconds; `step` hears of each replay that is done. */
export function runTrial(
  spec: Spec, trace: Trace, clock: () => number, step: () => void = () => {},
): Outcome {
  const times: number[] = [];
  const syncTimes: number[] = [];
  const found: Finding[] = [];
  let footprint = 0;
  const method = methodNamed(spec.method);
  try {
    for (let i = 0; i < spec.repeat; i += 1) {
      onStand(spec, method, ({ region }) => {
        const measured = measure(trace, region, spec.touch, clock);
        times.push(measured.ms);
        footprint = Math.max(footprint, measured.footprint);
        const started = clock();
        if (spec.sync) region.sync();
        if (spec.sync) syncTimes.push(clock() - started);
        if (i === 0) found.push(...region.check());
      });
      step();
    }
    if (spec.verify) onStand(spec, method, ({ region }) => found.push(...verify(trace, region)));
  } catch (error) {
    const why = refusal(error);
    if (why !== null) return { ...NOTHING, refusal: why };
    return { ...NOTHING, crash: error instanceof Error ? error.message : String(error) };
  }
  return { times, syncTimes, footprint, findings: found, refusal: null, crash: null };
}

function onStand(spec: Spec, method: Method, work: (stand: Stand) => void): void {
  const dir = mkdtempSync(join(spec.dir, 'region-'));
  try {
    const stand = PLACES[spec.discipline](dir, method);
    try {
      work(stand);
    } finally {
      stand.close();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
