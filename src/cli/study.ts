/**
 * `regionstore study TRACES…`: Vo's comparison for today. Every method, the allocators of C that
 * this machine has and what JavaScript offers, on the same traces in one run; and real programs run
 * under each method. A table, JSON, and an SVG chart.
 *
 * JSON: a Study; see src/study/study.ts.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { basename, isAbsolute, join } from 'node:path';
import type { Command } from 'commander';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';
import { methodNames } from '../methods/registry.ts';
import { chartOf } from '../study/chart.ts';
import { cellsOf, type Direct, meansOf, type Setting, type Study } from '../study/study.ts';
import { assertDiscipline, assertMethod } from './replay.ts';
import { PLACES } from '../study/places.ts';
import { baseOf, type Field, findField } from '../study/contenders.ts';
import { runDirect } from '../study/direct.ts';
import { runStudy } from '../study/run.ts';
import { markdown, terminalText } from './study-text.ts';
import { prepareTrace, type StudyTrace, traceFiles } from '../study/traces.ts';
import { type Console, described, document, EXIT } from './verb.ts';

interface Options {
  readonly method?: string;
  readonly discipline: string;
  readonly touch: string;
  readonly rounds?: string;
  readonly limit?: string;
  readonly direct?: boolean;
  readonly quick?: true;
  readonly svg?: string;
  readonly save?: string;
  readonly json?: true;
}

/** The options, read. */
interface Wish {
  readonly files: readonly string[];
  readonly methods: readonly string[];
  readonly disciplines: readonly string[];
  readonly touch: 'ends' | 'all';
  readonly rounds: number;
  readonly limitSeconds: number;
  readonly isQuick: boolean;
  readonly isDirect: boolean;
}

const METHODS = ['best', 'slab', 'pool', 'last'];

export function study(program: Command, console: Console): void {
  described(program, 'study', {
    summary: 'compare allocators on traces, in time and space',
    details: 'Compare every method with the allocators of C that this machine has and with ' +
      'what JavaScript offers, on the same traces in one run, and run real programs under each ' +
      'method. Nothing else should run meanwhile. Exit code 1 when a trial failed or a program ' +
      'computed something wrong.',
    examples: ['study traces --svg study.svg',
      'study a.vmt.gz b.rep --method best --discipline heap,store --json'],
  })
    .argument('[traces...]', 'trace files of any format, or folders of them')
    .option('--method <list>', `methods, separated by commas; default ${METHODS.join(',')}`)
    .option('--discipline <list>', `disciplines: ${Object.keys(PLACES).join(', ')}`, 'heap')
    .option('--touch <what>', 'bytes of a block that are written: ends or all', 'ends')
    .option('--rounds <n>', 'rounds of trials; default 3, with --quick 1')
    .option('--limit <seconds>', 'stop a trial after so long; default 60, with --quick 10')
    .option('--direct', 'only run the programs, replay no trace')
    .option('--no-direct', 'only replay traces')
    .option('--quick', 'a short run that shows that everything works; its figures say nothing')
    .option('--svg <file>', 'write the chart')
    .option('--save <dir>', 'write study-DATE.md, .json and .svg')
    .action((paths: string[], options: Options) => act(console, paths, options));
}

async function act(console: Console, paths: string[], options: Options): Promise<void> {
  const wish = read(paths, options);
  // Not after hours of work.
  if (options.svg !== undefined) write(options.svg, '');
  if (options.save !== undefined) folderFor(options.save);
  let dir = '';
  const drop = () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  const interrupt = () => {
    // Last, behind what kills the trial that runs: it may be writing there.
    if (dir !== '') process.once('exit', drop);
    process.exit(130);
  };
  // Before there is something that an interrupt could leave behind.
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  dir = mkdtempSync(join(tmpdir(), 'regionstore-study-'));
  try {
    const found = await make(console, wish, dir);
    console.progress.clear();
    const svg = chartOf(found);
    if (options.svg !== undefined) write(options.svg, svg);
    if (options.save !== undefined) save(options.save, found, svg);
    const columns = console.output.isTerminal ? process.stdout.columns : 120;
    await console.output.print(options.json ? document(found)
      : terminalText(found, columns, console.output.head));
    const all = [...found.cells, ...found.direct?.rows ?? []];
    console.exit = all.some(({ state }) => state === 'failed') ? EXIT.findings : EXIT.fine;
  } finally {
    console.progress.clear();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    drop();
  }
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}

function read(paths: readonly string[], options: Options): Wish {
  const isDirectOnly = options.direct === true;
  if (isDirectOnly && paths.length > 0) throw bad('--direct replays no trace; give none');
  if (!isDirectOnly && paths.length === 0) throw bad('give traces, or --direct');
  if (options.touch !== 'ends' && options.touch !== 'all') {
    throw bad(`--touch is ${options.touch}; give ends or all`);
  }
  const isQuick = options.quick === true;
  return {
    files: traceFiles(paths),
    methods: options.method === undefined
      ? METHODS.filter((name) => methodNames().includes(name))
      : namesIn(options.method, assertMethod),
    disciplines: namesIn(options.discipline, assertDiscipline),
    touch: options.touch,
    rounds: number('--rounds', options.rounds, isQuick ? 1 : 3, Number.isSafeInteger),
    limitSeconds: number('--limit', options.limit, isQuick ? 10 : 60, Number.isFinite),
    isQuick,
    isDirect: options.direct !== false,
  };
}

function number(
  name: string, given: string | undefined, usual: number, isFit: (value: number) => boolean,
): number {
  const value = given === undefined ? usual : Number(given);
  if (given?.trim() !== '' && isFit(value) && value > 0) return value;
  throw bad(`${name} is ${given}; give a number above 0`);
}

function namesIn(text: string, assert: (name: string) => void): string[] {
  const all = [...new Set(text.split(',').map((name) => name.trim()))];
  all.forEach(assert);
  return all;
}

async function make(console: Console, wish: Wish, dir: string): Promise<Study> {
  const traces: StudyTrace[] = [];
  for (const file of wish.files) {
    console.progress.step('reading traces:', traces.length, wish.files.length);
    traces.push(prepareTrace(file, dir, traces.map(({ name }) => name)));
  }
  const field: Field = traces.length === 0 ? { runners: [], missing: [], peers: {} }
    : await findField(wish.methods, wish.disciplines, dir);
  const { runners } = field;
  const limitMs = wish.limitSeconds * 1000;
  const tell = (name: string, kind: string, done: number, total: number) =>
    console.progress.step(kind, done, total, (n) => (n === total ? `${n}, ${name}` : String(n)));
  const samples = await runStudy({ ...wish, ...field, traces, limitMs, dir, tell });
  const direct: Direct | null = wish.isDirect
    ? await runDirect({ ...wish, limitMs, dir, tell }) : null;
  const contenders = runners.map(({ contender }) => contender);
  const base = traces.length === 0 ? '' : baseOf(runners);
  const cells = cellsOf(samples, traces, contenders, base);
  return {
    setting: settingOf(wish, field),
    base,
    traces: traces.map(({ path: _, ...facts }) => facts),
    contenders,
    cells,
    means: meansOf(cells, traces, contenders),
    missing: field.missing,
    direct,
  };
}

function settingOf({ isQuick, touch, rounds, limitSeconds }: Wish, { peers }: Field): Setting {
  const [first] = cpus();
  return {
    date: new Date().toISOString(),
    command: ['regionstore', ...process.argv.slice(2).map(withoutFolder)].join(' '),
    node: process.version,
    system: `${process.platform} ${release()} ${process.arch}`,
    cpu: `${cpus().length} × ${first?.model.trim() || 'unknown'}`,
    memoryBytes: totalmem(),
    peers,
    isQuick,
    touch,
    rounds,
    limitSeconds,
  };
}

/** Where things are on this machine is nobody's business in a result. */
function withoutFolder(argument: string): string {
  return isAbsolute(argument) ? `…/${basename(argument)}` : argument;
}

function save(folder: string, found: Study, svg: string): void {
  const name = `study-${found.setting.date.slice(0, 16).replaceAll(/[-:]/g, '')}`;
  write(join(folder, `${name}.md`), markdown(found, `${name}.svg`));
  write(join(folder, `${name}.json`), `${JSON.stringify(found, null, 1)}\n`);
  write(join(folder, `${name}.svg`), svg);
  process.stderr.write(`saved ${join(folder, name)}.md, .json and .svg\n`);
}

function folderFor(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw systemError(`making ${path}`, cause);
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw systemError(`writing ${path}`, cause);
  }
}
