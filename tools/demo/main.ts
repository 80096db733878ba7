/**
 * `npm start`: a store is filled by a child process that is killed again and again; after each
 * kill everything in it is compared with what its last checkpoint must hold. Then the store is
 * inspected, compacted and left for the reader.
 *
 *   node main.js [DIR] [--seed N] [--quick]
 *
 * Exit code 0 = every byte was where it had to be, 1 = not, 2 = wrong use.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openStore, type Store } from '../../src/index.ts';
import { random } from '../torture/random.ts';
import { makePlan, type Plan, ROOT } from './plan.ts';
import { aim, judge, type Life, live, type Round } from './rounds.ts';
import { bytes, count, makeScreen, type Screen } from './screen.ts';
import { TraceJob } from './trace-job.ts';
import { Expected, verifyHeap } from './verify.ts';
import { WordIndex } from './word-index.ts';

interface Job {
  readonly dir: string;
  readonly plan: Plan;
  readonly isQuick: boolean;
  readonly seed: number;
  readonly screen: Screen;
}

const COLUMNS = [4, 12, 5, 23, 18, 18] as const;

function row(cells: readonly string[]): string {
  return `  ${cells.map((cell, i) => cell.padEnd(COLUMNS[i] ?? 0)).join('  ')}`.trimEnd();
}

function introduce({ dir, plan, seed, screen }: Job): void {
  const { faint, strong, say } = screen;
  const { trace } = plan;
  say(strong('regionstore: a store that is killed in the middle of its work'));
  say();
  say(`  store  ${dir}`);
  say(`  heap   ${count(plan.records)} allocations, resizes and frees that '${plan.traceName}' ` +
    `made, up to ${count(trace.peakBlocks)} blocks live`);
  say(`  words  an index of ${plan.documents.length} READMEs below node_modules: where each word ` +
    'stands, linked in memory');
  say(`  seed   ${seed}  ${faint('(repeats the run: --seed)')}`);
  say();
  say(`  A child process does both, with ${plan.steps} checkpoints on the way. It is killed`);
  say(`  ${plan.kills} times, by SIGKILL. What the store holds then must be, byte for byte, the`);
  say('  last checkpoint the child had acknowledged, or the one it was about to acknowledge.');
  say();
  const head = ['kill', 'acknowledged', 'found', 'replayed on opening', 'blocks', 'words',
    'all verified'];
  say(faint(row(head)));
}

function showRound({ screen }: Job, name: string, round: Round): void {
  const { life, verified, recovery, ms } = round;
  const acknowledged = life.acknowledged === null ? 'none' : `step ${life.acknowledged.step}`;
  const replayed = recovery === null
    ? 'was closed'
    : `${recovery.replayedCheckpoints} of ${bytes(recovery.replayedBytes)}, ${recovery.ms} ms`;
  const cells = [name, acknowledged, String(verified.step), replayed,
    `${count(verified.blocks)}, ${bytes(verified.blockBytes)}`,
    `${count(verified.words)} at ${count(verified.positions)}`];
  screen.say(row([...cells, `${screen.good('✓')} ${screen.faint(`${Math.round(ms)} ms`)}`]));
}

function expectEnd(life: Life, isShot: boolean): void {
  if (isShot && life.signal === 'SIGKILL') return;
  if (life.code === 0) return;
  throw new Error(`the child ended with ${life.signal ?? `exit code ${life.code}`}`);
}

interface Kills {
  readonly count: number;
  /** Between the commit of a checkpoint and its acknowledgement. */
  readonly unacknowledged: number;
}

/** All rounds; the last child is left to finish. */
async function killAndVerify(job: Job, expected: Expected): Promise<Kills> {
  const { dir, plan, isQuick, screen } = job;
  let kills = 0;
  let unacknowledged = 0;
  let step = 0;
  for (const shot of [...aim(plan, random(job.seed)), null]) {
    const life = await live(dir, plan, isQuick, shot, screen);
    expectEnd(life, shot !== null);
    if (life.signal === 'SIGKILL') kills += 1;
    const round = judge(dir, plan, expected, life, step);
    ({ step } = round.verified);
    if (step > (life.acknowledged?.step ?? 0)) unacknowledged += 1;
    showRound(job, life.signal === 'SIGKILL' ? String(kills) : 'done', round);
  }
  if (step !== plan.steps) throw new Error(`the job ended at step ${step} of ${plan.steps}`);
  if (kills < plan.kills) throw new Error(`only ${kills} of ${plan.kills} kills hit a child`);
  return { count: kills, unacknowledged };
}

/** A question the index can answer now, from memory that has survived every kill. */
function ask({ dir, plan, screen }: Job): void {
  using store = openStore(dir);
  const index = new WordIndex(store.region('words'), plan.documents.length);
  const long = [...index].filter(({ text }) => text.length >= 8);
  const word = long.reduce((most, other) => (other.count > most.count ? other : most));
  const { pairs } = index.occurrences(word);
  const documents = new Set(pairs.filter((_, i) => i % 2 === 0));
  screen.say(`  The most frequent long word, says the index, is '${word.text}': ` +
    `${count(word.count)} times in ${documents.size} documents,`);
  const [document, position] = pairs as [number, number];
  screen.say(`  first as word ${count(position + 1)} of ${index.nameOf(document)}`);
}

/** Disk of all files of the store. */
function diskOf(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((n, entry) => n + statSync(join(entry.parentPath, entry.name)).blocks * 512, 0);
}

/** Frees what the trace's second half left behind, and gives the memory back. */
function compact({ dir, plan, screen }: Job, expected: Expected): void {
  const half = plan.records / 2;
  const keeps = (slot: number) => (expected.trace.stamps[slot] as number) <= half;
  const before = diskOf(dir);
  const store = openStore(dir);
  const job = new TraceJob(store.region('heap'), plan.trace);
  let freed = 0;
  for (let slot = 0; slot < plan.trace.slots; slot += 1) {
    if (job.addresses[slot] === 0 || keeps(slot)) continue;
    job.free(slot);
    freed += 1;
  }
  const back = job.region.compact();
  verifyHeap(job, expected.trace, keeps);
  store.checkpoint('compacted');
  let history = 0;
  closeAndVerify(store, dir, (again) => {
    verifyHeap(new TraceJob(again.region('heap'), plan.trace), expected.trace, keeps);
    history = again.stat().historyBytes;
  });
  screen.say(`  Freed ${count(freed)} blocks of the second half of the trace; compact() gave ` +
    `${bytes(back)} back.`);
  screen.say(`  On disk the store was ${bytes(before)} and is ${bytes(diskOf(dir))}, of which ` +
    `${bytes(history)} lead back to earlier`);
  screen.say(`  checkpoints. The other blocks are untouched ${screen.good('✓')}`);
}

function closeAndVerify(store: Store, dir: string, verify: (store: Store) => void): void {
  store.close();
  using again = openStore(dir);
  if (again.recovery !== null) throw new Error('a store that was closed had to be recovered');
  verify(again);
}

/** The command line tool, as the reader would use it. */
function inspect({ dir, screen }: Job): void {
  const cli = join(ROOT, 'dist', 'bundle', 'cli.js');
  screen.say(screen.faint(`  $ npx regionstore inspect ${dir}`));
  const { status, stdout } = spawnSync(process.execPath, [cli, 'inspect', dir],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  screen.say(stdout.trimEnd().replace(/^(?=.)/gm, '  '));
  if (status !== 0) throw new Error(`regionstore inspect ended with exit code ${status}`);
}

function farewell({ dir, screen }: Job): void {
  const commands = [['ls', dir, ''], ['inspect', dir, ''], ['blocks', dir, 'words | head'],
    ['checkpoints', dir, ''], ['check', dir, '']];
  screen.say('  The store is yours to explore:');
  for (const parts of commands) {
    screen.say(screen.strong(`    npx regionstore ${parts.filter((p) => p !== '').join(' ')}`));
  }
}

/** An own directory, empty. Refuses to remove what is not a store. */
function startAfresh(dir: string, screen: Screen): void {
  if (!existsSync(dir)) return;
  const isStore = existsSync(join(dir, 'catalog.db'));
  if (!isStore && readdirSync(dir).length > 0) {
    throw new Error(`${dir} is not a store and not empty; choose another directory`);
  }
  screen.say(screen.faint(`  (removing the store of the last run in ${dir})`));
  rmSync(dir, { recursive: true });
}

async function run(job: Job): Promise<void> {
  const { screen } = job;
  const started = performance.now();
  introduce(job);
  const expected = new Expected(job.plan);
  const kills = await killAndVerify(job, expected);
  screen.say();
  ask(job);
  screen.say();
  inspect(job);
  screen.say();
  compact(job, expected);
  screen.say();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  screen.say(`  ${screen.good(`${kills.count} kills, nothing lost.`)} ${kills.unacknowledged} of ` +
    `them hit between a commit and its acknowledgement. ${seconds} s`);
  screen.say();
  farewell(job);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false }, seed: { type: 'string' } },
  });
  const { stdout, stderr, env } = process;
  const screen = makeScreen(stdout, stderr, env.NO_COLOR !== undefined);
  const path = resolve(positionals[0] ?? join(ROOT, '.regionstore', 'demo'));
  const dir = relative(process.cwd(), path).startsWith('..') ? path : relative(process.cwd(), path);
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  try {
    startAfresh(dir, screen);
    await run({ dir, plan: makePlan(values.quick), isQuick: values.quick, seed, screen });
  } catch (error) {
    screen.say();
    screen.say(screen.bad(`  FAILED: ${(error as Error).message}`));
    screen.say(`  The store is left in ${dir}; the same run again: npm start -- --seed ${seed}`);
    process.exitCode = 1;
  }
}

await main();
