/**
 * A fault at every operation. The process runs under the recorder, which counts operations and
 * makes the n-th fail; the workload must end well or with a documented error, and a store opened
 * afterwards must hold a checkpoint between the last acknowledged and the last begun.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { ERROR_CODES, RegionError } from '../../src/errors.ts';
import { examineStore } from './examine.ts';
import { announce, emptyLedger, judge, type Ledger } from './ledger.ts';
import { type Fault, type Marks, openMarks } from './marks.ts';
import { split } from './random.ts';
import { type Session, startSession } from './session.ts';
import { workloadNamed } from './workloads.ts';

export interface FaultSweep {
  readonly workload: string;
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly fault: Fault;
  /** Every so many operations; 1 = all. */
  readonly stride: number;
}

export interface SweepResult {
  /** Runs in which the fault happened. */
  cases: number;
  operations: number;
  losses: string[];
}

/** Announces to a ledger in the same process; commands still go to the recorder. */
function ledgerMarks(marks: Marks, ledger: Ledger): Marks {
  return {
    ...marks,
    begun: (k, digest) => announce(ledger, { begun: k, digest }),
    acked: (k) => announce(ledger, { acked: k }),
    seen: (digest) => announce(ledger, { seen: digest }),
  };
}

function refuseUndocumented(error: unknown): void {
  if (error instanceof RegionError && ERROR_CODES.includes(error.code)) return;
  const what = error instanceof Error ? error.stack : String(error);
  throw new Error(`an error that is not documented: ${what}`);
}

/** A documented error is fine; anything else is not. Returns the error, if any. */
function attempt(work: () => void): unknown {
  try {
    work();
    return null;
  } catch (error) {
    refuseUndocumented(error);
    return error;
  }
}

/** After a full disk has room again, the store goes on unless it says that it has stopped. */
function expectRetry(session: Session, marks: Marks): void {
  marks.clear();
  const { poisoned } = session.store.stat();
  if (poisoned === null) session.checkpoint();
}

function isOpen(session: Session): boolean {
  try {
    return !session.store.closed;
  } catch {
    return false;
  }
}

function sessionOf(sweep: FaultSweep, disk: string, base: Marks, ledger: Ledger):
    { session: Session; run: () => void } {
  const { options, run } = workloadNamed(sweep.workload);
  const session = startSession({ dir: disk, marks: ledgerMarks(base, ledger), begun: 0,
    random: split(sweep.seed, sweep.workload), store: { ...options, mapper: sweep.mapper } });
  return { session, run: () => run(session) };
}

/** Runs the workload once with the n-th operation failing; returns why it is a loss, or null. */
function faulted(sweep: FaultSweep, disk: string, base: Marks, n: number): string | null {
  const ledger = emptyLedger();
  const { session, run } = sessionOf(sweep, disk, base, ledger);
  try {
    base.fault(n, sweep.fault);
    const failure = attempt(run);
    if (isOpen(session)) {
      if (failure !== null && sweep.fault === 'full') expectRetry(session, base);
      attempt(() => session.abandon());
    }
    base.clear();
    session.leaveAll();
    const digest = examineStore(disk, sweep.mapper, n % 2 === 0 ? 'close' : 'abandon');
    return judge(ledger, digest, ledger.acked);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

/** In a process under the recorder. */
export function sweepFaults(sweep: FaultSweep, disk: string): SweepResult {
  const marks = openMarks(process.env.TORTURE_MARK);
  const fresh = (): void => {
    marks.clear();
    rmSync(disk, { recursive: true, force: true });
    mkdirSync(disk, { recursive: true });
  };
  fresh();
  const result: SweepResult = { cases: 0, operations: countOperations(sweep, disk, marks),
    losses: [] };
  for (let n = 1; n <= result.operations && result.losses.length < 20; n += sweep.stride) {
    fresh();
    const loss = faulted(sweep, disk, marks, n);
    const { fired, what } = marks.count();
    if (fired > 0) result.cases += 1;
    if (loss === null) continue;
    result.losses.push(`${sweep.workload}/${sweep.mapper}, ${sweep.fault} at operation ${n} ` +
      `(${what.replace(disk, '')}): ${loss}`);
  }
  return result;
}

/** Operations of the workload itself, without the examination after it. */
function countOperations(sweep: FaultSweep, disk: string, marks: Marks): number {
  marks.fault(Number.MAX_SAFE_INTEGER, 'eioOnce');
  const { session, run } = sessionOf(sweep, disk, marks, emptyLedger());
  run();
  if (isOpen(session)) session.abandon();
  return marks.count().operations;
}
