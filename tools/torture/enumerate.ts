/**
 * Goes through a recorded workload and, after every operation, builds disks that a crash at that
 * moment may leave (disk.ts); each distinct disk is put into a folder and examined. It must hold
 * exactly one checkpoint between the last acknowledged and the last begun.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { type Choice, crashed, emptyDisk, type Fate, KEEP, LOSE, perform, type Tree,
  unsynced } from './disk.ts';
import { announce, emptyLedger, judge } from './ledger.ts';
import type { Operation } from './log.ts';
import { markOf } from './marks.ts';
import { type Random, split } from './random.ts';

export interface Loss {
  /** Number of the operation after which the machine stopped. */
  readonly operation: number;
  readonly after: string;
  readonly how: string;
  readonly detail: string;
}

export interface Enumeration {
  readonly operations: number;
  /** Distinct disks that were examined. */
  readonly states: number;
  readonly losses: Loss[];
}

export interface EnumerateOptions {
  readonly seed: number;
  /** Random disks after each operation, besides all and none of the unsynced changes. */
  readonly perOperation: number;
  /** Where disks are put. */
  readonly folder: string;
  /** Digest of what a reopened disk holds; throws when it is not sound. */
  readonly examine: (folder: string) => string;
  /** May acknowledged checkpoints be lost (`sync: 'normal'`)? Torn is never allowed. */
  readonly mayLoseLast: boolean;
  readonly stopAtLosses: number;
  /** After which share of the operations disks are built, chosen at random; 1 = after every one. */
  readonly share: number;
}

type Strategy = 'byFile' | 'byChange' | 'torn' | 'oneLost' | 'cut';
const STRATEGIES: readonly Strategy[] = ['byFile', 'byChange', 'torn', 'oneLost', 'cut'];

function fateOf(strategy: Strategy, random: Random): Choice['fate'] {
  const files = new Map<object, number>();
  const perFile = (file: object, draw: () => number): number => {
    const known = files.get(file) ?? draw();
    files.set(file, known);
    return known;
  };
  const probability = random.pick([0.1, 0.5, 0.9]);
  const lost = (): Fate => (random.chance(0.3) ? 'sized' : 'lost');
  switch (strategy) {
    case 'byFile':
      return (file) => (perFile(file, () => random.int(2)) === 1 ? 'kept' : 'lost');
    case 'byChange': return () => (random.chance(probability) ? 'kept' : lost());
    case 'torn':
      return () => (random.chance(probability) ? 'torn' : random.chance(0.5) ? 'kept' : lost());
    case 'oneLost':
      return (file, i, n) => (i === perFile(file, () => random.int(n)) ? lost() : 'kept');
    case 'cut':
      return (file, i, n) => {
        const at = perFile(file, () => random.int(n + 1));
        return i < at ? 'kept' : i === at ? 'torn' : 'lost';
      };
  }
}

function randomChoice(random: Random): { how: string; choice: Choice } {
  const strategy = random.pick(STRATEGIES);
  const names = random.int(3);
  const choice: Choice = {
    fate: fateOf(strategy, random),
    sector: () => random.chance(0.5),
    names: (n) => (names === 0 ? n : names === 1 ? 0 : random.int(n + 1)),
  };
  return { how: strategy, choice };
}

const known = new WeakMap<Buffer, string>();

function hashed(content: Buffer): string {
  const hash = known.get(content) ?? createHash('md5').update(content).digest('base64');
  known.set(content, hash);
  return hash;
}

function keyOf(tree: Tree): string {
  return [...tree].map(([path, content]) =>
    `${path}\0${content === null ? 'folder' : hashed(content)}`).sort().join('\0');
}

/** Makes `folder` hold exactly this tree. */
export function materialise(tree: Tree, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [path, content] of tree) {
    if (content === null) mkdirSync(`${folder}/${path}`, { mode: 0o700 });
    else writeFileSync(`${folder}/${path}`, content, { mode: 0o600 });
  }
}

/** What a disk holds, or why it cannot be opened. */
type Outcome = { readonly digest: string } | { readonly error: string };

function outcomeOf(tree: Tree, options: EnumerateOptions): Outcome {
  materialise(tree, options.folder);
  try {
    return { digest: options.examine(options.folder) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function described(op: Operation): string {
  return 'path' in op ? `${op.kind} ${op.path}` : 'at' in op ? `${op.kind} at ${op.at}` : op.kind;
}

function candidates(random: Random, pending: number, options: EnumerateOptions):
    { how: string; choice: Choice }[] {
  const list = [{ how: 'all kept', choice: KEEP }];
  if (pending === 0) return list;
  list.push({ how: 'none kept', choice: LOSE });
  for (let i = 0; i < options.perOperation; i++) list.push(randomChoice(random));
  return list;
}

/** Runs the whole enumeration. The same seed gives the same disks. */
export function enumerate(operations: readonly Operation[], options: EnumerateOptions):
    Enumeration {
  const disk = emptyDisk();
  const random = split(options.seed, 'disks');
  const ledger = emptyLedger();
  const outcomes = new Map<string, Outcome>();
  const losses: Loss[] = [];
  const outcomeFor = (tree: Tree): Outcome => {
    const key = keyOf(tree);
    const outcome = outcomes.get(key) ?? outcomeOf(tree, options);
    outcomes.set(key, outcome);
    return outcome;
  };
  operations.forEach((op, i) => {
    if (losses.length >= options.stopAtLosses) return;
    if (op.kind === 'mark') announce(ledger, markOf(op.text));
    perform(disk, op);
    if (!random.chance(options.share)) return;
    for (const { how, choice } of candidates(random, unsynced(disk), options)) {
      const outcome = outcomeFor(crashed(disk, choice));
      const least = options.mayLoseLast ? 0 : ledger.acked;
      const detail = 'error' in outcome ? outcome.error : judge(ledger, outcome.digest, least);
      if (detail !== null) losses.push({ operation: i, after: described(op), how, detail });
    }
  });
  return { operations: operations.length, states: outcomes.size, losses };
}
