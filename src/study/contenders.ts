/**
 * Who takes part in a study: methods over disciplines, the allocators of C that this machine has,
 * what JavaScript offers, and the replay loops alone, which say what of a time is not allocation.
 * What cannot take part is named with the reason.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { packageFile } from '../package.ts';
import type { Contender, Family } from './study.ts';
import { TraceBuilder } from '../trace/trace.ts';
import { writeTrace } from '../trace/trace-file.ts';
import { loadPool, POOL_PACKAGE, reallocFault } from './pool.ts';
import { outcomeOf, type Trial } from './process.ts';
import type { TrialRequest } from './trial.ts';

/** What is asked of every contender alike. */
export type Ask = Pick<TrialRequest,
  'trace' | 'repetitions' | 'budgetMs' | 'touch' | 'dir'>;

export interface Runner {
  readonly contender: Contender;
  readonly trial: (ask: Ask) => Trial;
}

export interface Field {
  readonly runners: readonly Runner[];
  readonly missing: readonly string[];
  /** Versions or files of the peers. */
  readonly peers: Readonly<Record<string, string>>;
}

export const JS_LOOP = 'JS loop alone';
export const C_LOOP = 'C loop alone';
const BUFFERS = 'Buffer.allocUnsafe';
const SCRIPT = packageFile('dist/bundle/trial.js');
const SOURCE = packageFile('tools/study/replay.c');

/** Debian and its kin have a folder per architecture; others, musl among them, have one. */
const FOLDERS = [
  `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  '/usr/lib64', '/usr/lib', '/usr/local/lib64', '/usr/local/lib', '/lib64', '/lib',
];
/** Names by which distributions ship them, the usual one first. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  mimalloc: ['libmimalloc.so.2', 'libmimalloc.so.3', 'libmimalloc.so'],
  jemalloc: ['libjemalloc.so.2', 'libjemalloc.so'],
  tcmalloc: ['libtcmalloc_minimal.so.4', 'libtcmalloc_minimal.so', 'libtcmalloc.so.4',
    'libtcmalloc.so'],
};

function script(request: Partial<TrialRequest>): (ask: Ask) => Trial {
  return (ask) => ({
    program: process.execPath,
    args: [SCRIPT, JSON.stringify({ method: '', discipline: '', ...request, ...ask })],
  });
}

function runner(name: string, family: Family, note: string, trial: Runner['trial']): Runner {
  return { contender: { name, family, note }, trial };
}

/** `best` over heap is `best`; over others it says over what. */
export function regionRunners(
  methods: readonly string[], disciplines: readonly string[],
): Runner[] {
  return disciplines.flatMap((discipline) => methods.map((method) => {
    const name = discipline === 'heap' ? method : `${method}, ${discipline}`;
    return runner(name, 'region', '', script({ kind: 'region', method, discipline }));
  }));
}

/** The allocator of the C library, as this process has it. */
export function libcName(): { name: string; version: string } {
  const report = process.report as { excludeNetwork?: boolean } & typeof process.report;
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as
    { header: { glibcVersionRuntime?: string } };
  const version = header.glibcVersionRuntime;
  return version === undefined ? { name: 'libc', version: 'not glibc' }
    : { name: 'glibc', version };
}

/** Every contender of C; without a compiler, one sentence. */
function cRunners(dir: string): Field {
  const binary = join(dir, 'replay');
  const compiler = process.env.CC ?? 'cc';
  const made = spawnSync(compiler, ['-O2', '-o', binary, SOURCE, '-ldl'], { encoding: 'utf8' });
  if (made.status !== 0) {
    const why = made.error === undefined ? made.stderr.trim().split('\n')[0] ?? ''
      : `no C compiler (${compiler})`;
    return { runners: [], missing: [`every allocator of C: ${why}`], peers: {} };
  }
  const { name, version } = libcName();
  const runners = [runner(name, 'c', '', replayer(binary, [], null))];
  if (name === 'glibc') {
    const note = 'keeps what is freed: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD are 1 GiB';
    runners.push(runner('glibc, no trim', 'c', note, replayer(binary, ['notrim'], null)));
  }
  const peers: Record<string, string> = { [name]: version };
  const missing: string[] = [];
  for (const [peer, names] of Object.entries(LIBRARIES)) {
    const path = findLibrary(names);
    const why = path === null ? `${names[0]} is not installed` : refusal(binary, path, dir);
    if (path !== null && why === '') {
      runners.push(runner(peer, 'c', '', replayer(binary, [], path)));
      peers[peer] = basename(realpathSync(path));
    } else missing.push(`${peer}: ${why}`);
  }
  runners.push(runner(C_LOOP, 'loop', '', replayer(binary, ['loop'], null)));
  return { runners, missing, peers };
}

function replayer(binary: string, flags: readonly string[], preload: string | null) {
  return ({ trace, repetitions, touch }: Ask): Trial => {
    const all = touch === 'all' ? ['all'] : [];
    const args = [trace, String(repetitions), ...flags, ...all];
    return { program: binary, args, env: preload === null ? {} : { LD_PRELOAD: preload } };
  };
}

function findLibrary(names: readonly string[]): string | null {
  const paths = names.flatMap((name) => FOLDERS.map((folder) => join(folder, name)));
  return paths.find((path) => existsSync(path)) ?? null;
}

/** The loader ignores a library it cannot use, and glibc would be measured under its name. */
function refusal(binary: string, preload: string, dir: string): string {
  const empty = join(dir, 'empty.vmt');
  writeTrace(empty, new TraceBuilder().finish(false));
  const { stdout } = spawnSync(binary, [empty, '0'],
    { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: preload } });
  const { library } = outcomeOf({ stdout, isStopped: false, ms: 0 });
  const isServing = library !== '' && existsSync(library)
    && realpathSync(library) === realpathSync(preload);
  return isServing ? '' : `${preload} does not take the place of malloc here`;
}

async function poolRunner(): Promise<Field> {
  const make = await loadPool();
  if (make === null) {
    return { runners: [], missing: [`${POOL_PACKAGE}: the package is not installed`], peers: {} };
  }
  const fault = reallocFault(make);
  const note = fault === '' ? 'its time grows with the number of its blocks'
    : `its time grows with the number of its blocks; resized by malloc, copy and free, since its ` +
      `realloc ${fault}`;
  return {
    runners: [runner(POOL_PACKAGE, 'js', note, script({ kind: 'pool' }))],
    missing: [],
    peers: { [POOL_PACKAGE]: versionOf(POOL_PACKAGE) },
  };
}

function versionOf(name: string): string {
  const path = createRequire(import.meta.url).resolve(name);
  const folder = path.slice(0, path.lastIndexOf(`node_modules/${name}/`));
  const text = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Everyone: peers of C first, then regions, then JavaScript, then the loop. */
export async function findField(
  methods: readonly string[], disciplines: readonly string[], dir: string,
): Promise<Field> {
  const c = cRunners(dir);
  const pool = await poolRunner();
  const garbage = runner(BUFFERS, 'js', 'a Buffer per block, freed by the garbage collector',
    script({ kind: 'buffer' }));
  const loop = runner(JS_LOOP, 'loop', '', script({ kind: 'loop' }));
  const isLoop = ({ contender }: Runner) => contender.family === 'loop';
  return {
    runners: [...c.runners.filter((r) => !isLoop(r)), ...regionRunners(methods, disciplines),
      ...pool.runners, garbage, loop, ...c.runners.filter(isLoop)],
    missing: [...c.missing, ...pool.missing],
    peers: { ...c.peers, ...pool.peers },
  };
}

/** What times are relative to: the C library, or else the loop. */
export function baseOf(runners: readonly Runner[]): string {
  const first = runners.find(({ contender }) => contender.family === 'c');
  return first?.contender.name ?? JS_LOOP;
}

