/**
 * `regionstore replay TRACE…`: allocation traces through methods and disciplines, one row for each
 * combination; each trial in a process of its own.
 *
 * JSON: { touch, repeat, rows: [{ trace, path, method, discipline, operations, ms,
 *   nsPerOperation, operationsPerSecond, peakBytes, footprint, utilization, syncMs, times,
 *   findings: [{ id, address, detail }], refusal, crash }] }; ms is the median of `times`; what was
 *   not measured is null, and `refusal` or `crash` says why.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { RegionError } from '../errors.ts';
import { methodNamed, methodNames } from '../methods/registry.ts';
import { nearest } from '../options.ts';
import { packageFile } from '../package.ts';
import { TOUCHES, type Touch, utilization } from '../trace/replay.ts';
import type { Trace } from '../trace/trace.ts';
import { writeTrace } from '../trace/trace-file.ts';
import type { Finding } from '../types.ts';
import { PLACES } from '../study/places.ts';
import { NOTHING, type Outcome, replaysOf, runTrial, type Spec } from '../study/replay-run.ts';
import { type Column, counted, humanSize, percent, printable, table } from './table.ts';
import { readShown } from './trace.ts';
import { type Common, type Console, document, EXIT, type Report, tell, traceVerb } from './verb.ts';

interface Options extends Common {
  readonly method: readonly string[];
  readonly discipline: readonly string[];
  readonly repeat: number;
  readonly touch: Touch;
  readonly verify?: true;
  readonly sync?: true;
  readonly inProcess?: true;
  readonly dir: string;
}

interface Row {
  readonly trace: string;
  readonly path: string;
  readonly method: string;
  readonly discipline: string;
  readonly operations: number;
  readonly ms: number | null;
  readonly nsPerOperation: number | null;
  readonly operationsPerSecond: number | null;
  readonly peakBytes: number;
  readonly footprint: number | null;
  readonly utilization: number | null;
  readonly syncMs: number | null;
  readonly times: readonly number[];
  readonly findings: readonly Finding[];
  readonly refusal: string | null;
  readonly crash: string | null;
}

const SCRIPT = packageFile('dist/bundle/replay-trial.js');
const INTERRUPTED = 130;

export function replay(program: Command, console: Console): void {
  const verb = traceVerb(program, 'replay', {
    summary: 'run allocation traces through methods and disciplines',
    details: 'Replay allocation traces through regions and show time, operations per second, ' +
      'peak of live bytes, footprint and utilization (peak live bytes / footprint), for every ' +
      'trace, method and discipline. Each trial is a process of its own and starts with a new ' +
      'region. A method that cannot serve a trace is shown with the reason. Exit code 1 when a ' +
      'check found something or a trial crashed.',
    examples: ['replay gawk.vmt.gz', 'replay *.vmt.gz --method best,last --discipline heap,store',
      'replay app.trace --method best --verify --in-process --repeat 1'],
  });
  verb.option('--method <names>', 'methods, separated by commas', names, ['best'])
    .option('--discipline <names>', `disciplines: ${Object.keys(PLACES).join(', ')}`, names,
      ['heap'])
    .option('--repeat <n>', 'repetitions; the median counts', positive, 3)
    .addOption(new Option('--touch <bytes>', 'bytes of a block that are written')
      .choices(TOUCHES).default('ends'))
    .option('--verify', 'replay once more, untimed, and compare every byte of every block')
    .option('--sync', 'time also how long it takes to make the region durable afterwards')
    .option('--dir <dir>', 'where files of regions are put meanwhile', tmpdir())
    .option('--in-process', 'all trials in this process, one after the other')
    .action((paths: string[], options: Options) => run(console, paths, options));
}

function names(value: string): readonly string[] {
  const found = value.split(',').map((name) => name.trim()).filter((name) => name !== '');
  if (found.length > 0) return [...new Set(found)];
  throw new InvalidArgumentError('give names separated by commas');
}

function positive(value: string): number {
  const n = Number(value);
  if (/^\d+$/.test(value) && n >= 1 && n <= 1000) return n;
  throw new InvalidArgumentError('give a whole number from 1 to 1000');
}

async function run(console: Console, paths: readonly string[], options: Options): Promise<void> {
  for (const name of options.method) assertMethod(name);
  for (const name of options.discipline) assertDiscipline(name);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  // Trials in this process would not let a handler run; they end as the signal says.
  if (!options.inProcess) process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  // After the handler, so that an interrupt never leaves it behind.
  const scratch = scratchIn(options.dir);
  try {
    const rows = await rowsOf(console, paths, options, { dir: scratch.dir, stop: stop.signal });
    console.progress.clear();
    if (!stop.signal.aborted) await tell(console, options, reportOf(console, rows, options));
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    console.progress.clear();
    scratch.remove();
    if (stop.signal.aborted) process.exit(INTERRUPTED);
  }
}

function reportOf(console: Console, rows: readonly Row[], options: Options): Report {
  const { touch, repeat } = options;
  const isBad = rows.some((row) => row.findings.length > 0 || row.crash !== null);
  return {
    json: () => document({ touch, repeat, rows }),
    text: () => textRows(console, rows, options),
    exit: isBad ? EXIT.findings : EXIT.fine,
  };
}

export function assertMethod(name: string): void {
  try {
    methodNamed(name);
  } catch (error) {
    if (!(error instanceof RegionError) || error.code !== 'ERR_NOT_FOUND') throw error;
    throw unknownName('method', name, methodNames());
  }
}

export function assertDiscipline(name: string): void {
  const known = Object.keys(PLACES);
  if (!known.includes(name)) throw unknownName('discipline', name, known);
}

function unknownName(what: string, name: string, known: readonly string[]): RegionError {
  const guess = nearest(name, known);
  const hint = guess === null ? '' : `; did you mean '${guess}'?`;
  return new RegionError('ERR_BAD_OPTION',
    `there is no ${what} '${name}'${hint} (known: ${known.join(', ')})`);
}

function scratchIn(dir: string): { readonly dir: string; remove(): void } {
  try {
    mkdirSync(dir, { recursive: true });
    const made = mkdtempSync(join(resolve(dir), 'regionstore-replay-'));
    return { dir: made, remove: () => rmSync(made, { recursive: true, force: true }) };
  } catch (cause) {
    throw new RegionError('ERR_IO',
      `${dir} cannot hold the files of a replay; give another --dir`, cause);
  }
}

/** Where trials put files, and who ends them. */
interface Yard {
  readonly dir: string;
  readonly stop: AbortSignal;
}

async function rowsOf(
  console: Console, paths: readonly string[], options: Options, { dir, stop }: Yard,
): Promise<Row[]> {
  const rows: Row[] = [];
  const { touch, repeat, verify = false, sync = false } = options;
  const each = replaysOf({ repeat, verify });
  const total = paths.length * options.method.length * options.discipline.length * each;
  for (const [i, path] of paths.entries()) {
    const trace = readShown(console, path);
    const copy = join(dir, `${i}.vmt`);
    if (!options.inProcess) writeTrace(copy, trace);
    for (const method of options.method) {
      for (const discipline of options.discipline) {
        const spec: Spec = { path: copy, method, discipline, touch, repeat, verify, sync, dir };
        let done = rows.length * each;
        const step = (): void => console.progress.step('replay', done++, total);
        step();
        const outcome = options.inProcess ? runTrial(spec, trace, () => performance.now(), step)
          : await runApart(spec, step, stop);
        if (stop.aborted) return rows;
        rows.push(rowOf(path, trace, spec, outcome));
      }
    }
    rmSync(copy, { force: true });
  }
  return rows;
}

/** A trial in a process of its own. */
async function runApart(spec: Spec, step: () => void, signal: AbortSignal): Promise<Outcome> {
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(spec)],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], signal, killSignal: 'SIGKILL' });
  child.on('message', step);
  const ended = new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (status, signal) =>
      done(status === 0 ? '' : signal === null ? `exit code ${status}` : `killed by ${signal}`));
  });
  const [out, complaints, failure] =
    await Promise.all([contents(child.stdout), contents(child.stderr), ended]);
  if (failure === '') return JSON.parse(out) as Outcome;
  const reason = /^\w*Error.*$/m.exec(complaints)?.[0];
  return { ...NOTHING, crash: reason === undefined ? failure : `${failure}: ${reason}` };
}

/** Pipes are there, since they were asked for. */
function contents(pipe: Readable | null): Promise<string> {
  return pipe === null ? Promise.resolve('') : text(pipe);
}

function rowOf(path: string, trace: Trace, spec: Spec, outcome: Outcome): Row {
  const { operations, peakBytes } = trace;
  const { method, discipline } = spec;
  const { times, syncTimes, footprint, findings, refusal, crash } = outcome;
  const ms = medianOf(times);
  const isTimed = ms !== null && operations > 0;
  return {
    trace: basename(path),
    path,
    method,
    discipline,
    operations,
    ms,
    nsPerOperation: isTimed ? ms * 1e6 / operations : null,
    operationsPerSecond: isTimed ? operations / ms * 1e3 : null,
    peakBytes,
    footprint: ms === null ? null : footprint,
    utilization: ms === null ? null : utilization(trace, footprint),
    syncMs: medianOf(syncTimes),
    times,
    findings,
    refusal,
    crash,
  };
}

function medianOf(times: readonly number[]): number | null {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What was not measured. */
const GAP = '–';

function shown(value: number | null, show: (value: number) => string): string {
  return value === null ? GAP : show(value);
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'TRACE', text: (row) => printable(row.trace) },
  { title: 'METHOD', text: (row) => printable(row.method) },
  { title: 'DISCIPLINE', text: (row) => row.discipline },
  { title: 'TIME', text: ({ ms }) => shown(ms, (n) => `${n.toFixed(1)} ms`), right: true },
  { title: 'NS/OP', text: (row) => shown(row.nsPerOperation, (n) => n.toFixed(1)), right: true },
  { title: 'MOPS/S', text: (row) => shown(row.operationsPerSecond, (n) => (n / 1e6).toFixed(2)),
    right: true },
  { title: 'PEAK LIVE', text: (row) => humanSize(row.peakBytes), right: true },
  { title: 'FOOTPRINT', text: (row) => shown(row.footprint, humanSize), right: true },
  { title: 'UTILIZATION', text: (row) => shown(row.utilization, percent), right: true },
];
const SYNC: Column<Row> =
  { title: 'SYNC', text: (row) => shown(row.syncMs, (n) => `${n.toFixed(1)} ms`), right: true };
const NOTE: Column<Row> = { title: 'FINDINGS', text: noteOf };

function noteOf({ findings, refusal, crash }: Row): string {
  if (crash !== null) return `failed: ${printable(crash)}`;
  if (refusal !== null) return printable(refusal);
  return findings.length === 0 ? 'none' : String(findings.length);
}

/** Findings of a row that the text form shows. */
const FINDINGS_SHOWN = 5;

function* textRows(
  { output }: Console, rows: readonly Row[], { sync }: Options,
): Generator<string> {
  const columns = sync ? [...COLUMNS, SYNC, NOTE] : [...COLUMNS, NOTE];
  yield* table(columns, rows, output.head);
  for (const { trace, method, discipline, findings } of rows) {
    if (findings.length === 0) continue;
    yield output.alarm(`${printable(trace)} ${printable(method)} ${discipline}: ` +
      counted(findings.length, 'finding'));
    for (const { id, address, detail } of findings.slice(0, FINDINGS_SHOWN)) {
      yield `  ${id} at ${address}: ${printable(detail)}`;
    }
    if (findings.length > FINDINGS_SHOWN) {
      yield `  and ${findings.length - FINDINGS_SHOWN} more; --json lists them all`;
    }
  }
}
