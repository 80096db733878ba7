/**
 * A trial as seen from outside: a process that writes one line when it begins (`ready`, or
 * `malloc LIBRARY`), one for each repetition (nanoseconds per operation) and at its end
 * `footprint BYTES`, or `refused WHY`. It may be stopped at any line.
 */
import { spawn } from 'node:child_process';
import type { State } from './study.ts';

export interface Trial {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Outcome {
  readonly state: State;
  /** Nanoseconds per operation of each repetition that was finished. */
  readonly ns: readonly number[];
  /** Bytes at the peak; null = not known. */
  readonly footprint: number | null;
  /** Library that serves malloc, '' for JavaScript. */
  readonly library: string;
  /** Milliseconds from its first line to its end. */
  readonly ms: number;
  readonly why: string;
}

/** A process that has said nothing for so long never will. */
const START_MS = 120_000;

/** Everything a process writes, until it ends or has run `limitMs` since its first line. */
export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly isStopped: boolean;
  readonly status: number | null;
  readonly signal: string | null;
  readonly ms: number;
}

export function runProcess(trial: Trial, limitMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(trial.program, trial.args,
      { env: { ...process.env, ...trial.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    // Whatever ends this process ends its trial.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    let isStopped = false;
    let stdout = '';
    let stderr = '';
    let started = performance.now();
    const stop = () => {
      isStopped = true;
      kill();
    };
    let timer = setTimeout(stop, START_MS);
    child.stdout.setEncoding('utf8').once('data', () => {
      clearTimeout(timer);
      started = performance.now();
      timer = setTimeout(stop, limitMs);
    }).on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) => {
      process.off('exit', kill);
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      process.off('exit', kill);
      resolve({ stdout, stderr, isStopped, status, signal, ms: performance.now() - started });
    });
  });
}

/** A process that fails is a result too: hours of other trials are not lost for it. */
export async function runTrial(trial: Trial, limitMs: number): Promise<Outcome> {
  const ended = await runProcess(trial, limitMs);
  const outcome = outcomeOf(ended);
  if (ended.status === 0 || ended.isStopped) return outcome;
  return { ...outcome, state: 'failed', ns: [], footprint: null, why: failureOf(ended) };
}

export function failureOf({ status, signal, stderr }: Ended): string {
  const said = stderr.split('\n').find((line) => /Error: /.test(line)) ?? '';
  return `its process ended with ${status ?? signal}${said && `, ${said}`}`;
}

export function outcomeOf({ stdout, isStopped, ms }: Pick<Ended, 'stdout' | 'isStopped' | 'ms'>):
    Outcome {
  const lines = stdout.split('\n');
  const after = (word: string) =>
    lines.find((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
  // The last line of a stopped process may be cut off.
  const ns = lines.slice(0, -1).filter((line) => /^\d+\.\d+$/.test(line)).map(Number);
  const footprint = after('footprint');
  const refused = after('refused');
  const state = refused !== undefined ? 'refused' : isStopped && ns.length === 0 ? 'limit'
    : 'measured';
  return {
    state,
    ns,
    footprint: footprint === undefined || Number(footprint) <= 0 ? null : Number(footprint),
    library: after('malloc') ?? '',
    ms,
    why: refused ?? '',
  };
}
