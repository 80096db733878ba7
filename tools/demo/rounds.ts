/**
 * The rounds of the main job: a child works, is killed at a random moment, and the store it left is
 * opened and judged. What a store may hold then is exactly one checkpoint: the last one the child
 * acknowledged, or the one it had begun and not yet acknowledged.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';
import { openStore, type Store } from '../../src/index.ts';
import type { Random } from '../torture/random.ts';
import type { Note } from './child.ts';
import { goalOf, type Plan } from './plan.ts';
import { count, type Screen } from './screen.ts';
import { differs, type Expected, type Verified, verifyStore } from './verify.ts';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));
/** A kill falls at most so many milliseconds after the note that triggers it. */
const JITTER_MS = { begin: 6, done: 15 } as const;

/** When to kill: so long after the first note of this kind, at this step or later. */
export interface Shot {
  readonly step: number;
  readonly kind: Note['kind'];
  readonly delayMs: number;
}

/** What the child said before it ended. */
export interface Life {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly acknowledged: Note | null;
  readonly begun: Note | null;
}

export interface Round {
  readonly life: Life;
  readonly verified: Verified;
  readonly recovery: Store['recovery'];
  /** Time to verify everything, milliseconds. */
  readonly ms: number;
}

/** Spread over the job, each at its own random place. */
export function aim(plan: Plan, random: Random): Shot[] {
  return Array.from({ length: plan.kills }, (_, i) => {
    const share = (i + 0.2 + random.int(600) / 1000) / (plan.kills + 1);
    const kind = random.chance(0.5) ? 'begin' : 'done';
    const delayMs = random.int(JITTER_MS[kind] * 10) / 10;
    return { step: 1 + Math.floor(plan.steps * share), kind, delayMs };
  });
}

/** Lets a child work until it is done or shot. */
export async function live(
  dir: string, plan: Plan, isQuick: boolean, shot: Shot | null, screen: Screen,
): Promise<Life> {
  const args = [CHILD, dir, ...(isQuick ? ['--quick'] : [])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const last: { begin: Note | null; done: Note | null } = { begin: null, done: null };
  let isShot = false;
  const lines = createInterface({ input: child.stdio[3] as Readable });
  lines.on('line', (line) => {
    const note = readNote(line);
    if (note === null) return;
    last[note.kind] = note;
    if (note.kind === 'done') showProgress(plan, note.step, screen);
    if (shot === null || isShot || note.kind !== shot.kind || note.step < shot.step) return;
    isShot = true;
    setTimeout(() => child.kill('SIGKILL'), shot.delayMs);
  });
  const { code, signal } = await ended(child);
  return { code, signal, acknowledged: last.done, begun: last.begin };
}

function showProgress(plan: Plan, step: number, screen: Screen): void {
  const { record, document } = goalOf(plan, step);
  screen.progress(step / plan.steps,
    `${count(record)} operations replayed, ${document} documents indexed`);
}

/** A line that death cut off is no promise. */
function readNote(line: string): Note | null {
  return line.endsWith('}') ? JSON.parse(line) as Note : null;
}

/** Resolves when it is dead and everything it wrote has been read. */
function ended(child: ChildProcess): Promise<Pick<Life, 'code' | 'signal'>> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Opens what the child left and holds it against what it promised. */
export function judge(
  dir: string, plan: Plan, expected: Expected, life: Life, before: number,
): Round {
  using store = openStore(dir);
  const started = performance.now();
  const verified = verifyStore(store, plan, expected);
  const ms = performance.now() - started;
  const least = life.acknowledged?.step ?? before;
  const most = Math.max(least, life.begun?.step ?? before);
  const { step } = verified;
  if (step < least) differs(`step ${least} was acknowledged, the store is at ${step}`);
  if (step > most) differs(`the store is at step ${step}, but only ${most} was begun`);
  const note = [life.acknowledged, life.begun].find((said) => said?.step === step) ?? null;
  if (note !== null && note.digest !== expected.digest) {
    differs(`the child committed ${note.digest} at step ${step}, not ${expected.digest}`);
  }
  return { life, verified, recovery: store.recovery, ms };
}
