/**
 * Simulated power cuts: a child works on a store in a loop-mounted file system, which is shut down
 * without flushing anything; then it is mounted again and the store opened. Only what was
 * acknowledged before the cut counts. Needs root, losetup and mkfs; says why when it cannot run.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { begins, ended, inspectStore, kill, type Life, startLife } from './kills.ts';
import { announce, emptyLedger, type Ledger } from './ledger.ts';
import { type Random, split } from './random.ts';
import { buildProgram } from './record.ts';
import { EMPTY_DIGEST } from './session.ts';

export interface PowercutOptions {
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  readonly fileSystem: 'ext4' | 'xfs';
  /** Scratch folder on a real disk. */
  readonly folder: string;
  readonly root: string;
  readonly child: string;
  readonly cuts: number;
  readonly until: number;
}

export interface PowercutResult {
  cases: number;
  losses: string[];
  checkpoints: number;
  /** Why there were no cases, or null. */
  skipped: string | null;
}

const DISK_BYTES = { ext4: 96 * 1024 * 1024, xfs: 320 * 1024 * 1024 } as const;

/** Runs a program; why it failed, or null. */
function run(command: string, args: readonly string[]): string | null {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return `${command}: ${error.message}`;
  return status === 0 ? null : `${command}: ${stderr.trim()}`;
}

interface Place {
  readonly image: string;
  readonly mount: string;
  readonly powercut: string;
}

function mount(place: Place): string | null {
  return run('mount', ['-o', 'loop', place.image, place.mount]);
}

function prepare(options: PowercutOptions, place: Place): string | null {
  if (process.getuid?.() !== 0) return 'not root';
  mkdirSync(place.mount, { recursive: true });
  writeFileSync(place.image, '');
  truncateSync(place.image, DISK_BYTES[options.fileSystem]);
  const quiet = options.fileSystem === 'ext4' ? '-F' : '-f';
  return run(`mkfs.${options.fileSystem}`, ['-q', quiet, place.image]) ?? mount(place);
}

/** Lets the child work, cuts the power, and mounts again. Returns why it is a loss, or null. */
async function cutOnce(options: PowercutOptions, place: Place, random: Random, ledger: Ledger):
    Promise<string | null> {
  const store = { ...options, folder: place.mount };
  const life: Life = startLife(store, ledger, options.seed + ledger.begun);
  const over = ended(life);
  await begins(life);
  await sleep(40 + random.int(150));
  const { acked } = ledger;
  const problem = run(place.powercut, [place.mount]);
  kill(life);
  await over;
  if (life.loss !== null) return life.loss;
  ledger.acked = acked;
  const again = problem ?? run('umount', [place.mount]) ?? mount(place);
  if (again !== null) throw new Error(`torture: power cut: ${again}`);
  return inspectStore(store, ledger, random.chance(0.5) ? 'close' : 'abandon');
}

export async function powercutLoop(options: PowercutOptions): Promise<PowercutResult> {
  const result: PowercutResult = { cases: 0, losses: [], checkpoints: 0, skipped: null };
  const place: Place = { image: join(options.folder, 'disk.img'),
    mount: join(options.folder, 'mount'), powercut: buildProgram(options.root, 'powercut') };
  result.skipped = prepare(options, place);
  if (result.skipped !== null) return result;
  const random = split(options.seed, 'cuts');
  const ledger = emptyLedger();
  announce(ledger, { begun: 0, digest: EMPTY_DIGEST });
  try {
    while (result.cases < options.cuts && Date.now() < options.until) {
      const loss = await cutOnce(options, place, random, ledger);
      result.cases += 1;
      result.checkpoints = ledger.numbers.size;
      if (loss === null) continue;
      result.losses.push(`${options.fileSystem}, after cut ${result.cases}: ${loss}`);
      break;
    }
  } finally {
    run('umount', ['-l', place.mount]);
    rmSync(place.image, { force: true });
  }
  return result;
}
