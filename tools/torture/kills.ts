/**
 * A child works on a store and is killed at random moments; whoever opens the store next, the judge
 * or the next child, must find a checkpoint between the last acknowledged and the last begun. The
 * same store is inherited by hundreds of children.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { examineStore } from './examine.ts';
import { announce, emptyLedger, type Ledger } from './ledger.ts';
import { markOf } from './marks.ts';
import { type Random, split } from './random.ts';
import { EMPTY_DIGEST } from './session.ts';

export interface KillOptions {
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  /** Folder of the store, on the file system to be tried. */
  readonly folder: string;
  /** The compiled kill-child.js. */
  readonly child: string;
  readonly kills: number;
  readonly until: number;
  readonly progress?: (kills: number) => void;
}

export interface KillResult {
  cases: number;
  losses: string[];
  /** Kills that came before the child had opened the store. */
  early: number;
  checkpoints: number;
}

/** One child, and what it says. */
export interface Life {
  readonly child: ChildProcess;
  readonly ledger: Ledger;
  opened: boolean;
  stderr: string;
  /** What it said that cannot be. */
  loss: string | null;
}

export function startLife(options: Pick<KillOptions, 'folder' | 'mapper' | 'child'>,
                          ledger: Ledger, seed: number): Life {
  const argument = JSON.stringify({ dir: options.folder, mapper: options.mapper, seed,
    begun: ledger.begun });
  const child = spawn(process.execPath, [options.child, argument],
    { stdio: ['ignore', 'pipe', 'pipe'] });
  const life: Life = { child, ledger, opened: false, stderr: '', loss: null };
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) hear(life, line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    life.stderr += text;
  });
  return life;
}

/** A line is a mark, or empty: the program is loaded and begins. */
function hear(life: Life, line: string): void {
  if (line === '') return;
  const mark = markOf(line);
  if ('seen' in mark) life.opened = true;
  try {
    announce(life.ledger, mark);
  } catch (error) {
    life.loss ??= (error as Error).message;
  }
}

/** Waits for the child's end and for the last of what it said. */
export async function ended(life: Life): Promise<string> {
  if (!life.child.stdout?.closed || life.child.exitCode === null) await once(life.child, 'close');
  return life.child.signalCode ?? `exit code ${life.child.exitCode}`;
}

export function kill(life: Life): void {
  if (life.child.pid !== undefined) process.kill(life.child.pid, 'SIGKILL');
}

/** Until the child begins to work, or has ended. */
export async function begins(life: Life): Promise<void> {
  const { child } = life;
  await Promise.race([once(child.stdout as Readable, 'data'), once(child, 'exit')]);
}

async function opens(life: Life): Promise<void> {
  while (!life.opened && life.child.exitCode === null) await sleep(1);
}

async function killOnce(options: KillOptions, random: Random, ledger: Ledger): Promise<Life> {
  const life = startLife(options, ledger, options.seed + ledger.begun);
  const over = ended(life);
  await begins(life);
  // Some die while they open the store, most while they work.
  if (random.chance(0.7)) await opens(life);
  await sleep(1 + random.int(60));
  if (life.child.exitCode === null) kill(life);
  const end = await over;
  if (end !== 'SIGKILL') life.loss ??= `the child ended by itself (${end}): ${life.stderr}`;
  return life;
}

/** Opens what the dead left; what is seen there counts as acknowledged from now on. */
export function inspectStore(options: Pick<KillOptions, 'folder' | 'mapper'>, ledger: Ledger,
                             end: 'close' | 'abandon'): string | null {
  try {
    announce(ledger, { seen: examineStore(options.folder, options.mapper, end) });
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

export async function killLoop(options: KillOptions): Promise<KillResult> {
  const random = split(options.seed, 'kills');
  const result: KillResult = { cases: 0, losses: [], early: 0, checkpoints: 0 };
  const ledger = emptyLedger();
  announce(ledger, { begun: 0, digest: EMPTY_DIGEST });
  rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(options.folder, { recursive: true });
  while (result.cases < options.kills && Date.now() < options.until) {
    const life = await killOnce(options, random, ledger);
    result.cases += 1;
    result.checkpoints = ledger.numbers.size;
    if (!life.opened) result.early += 1;
    // Now and then the next child is the first to see what the last one left.
    const end = random.chance(0.5) ? 'close' : 'abandon';
    const loss = life.loss ?? (random.chance(0.7) ? inspectStore(options, ledger, end) : null);
    if (loss !== null) {
      result.losses.push(`after kill ${result.cases} (seed ${options.seed}): ${loss}`);
      break;
    }
    options.progress?.(result.cases);
  }
  return result;
}
