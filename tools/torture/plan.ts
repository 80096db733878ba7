/**
 * What a torture run does: a base part that covers every class, then rounds of more of the same
 * with new seeds until the time is over.
 */
import type { Job } from './job.ts';
import type { Fault } from './marks.ts';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';
import { split } from './random.ts';
import { workloadNamed } from './workloads.ts';

export const CLASSES = ['enumerated states', 'states after a killed life', 'mutants',
  'faults: EIO once', 'faults: EIO for good', 'faults: disk full', 'faults: short write',
  'faults: SIGKILL', 'random SIGKILL', 'SIGKILL while appending', 'power cuts'] as const;
export type Class = (typeof CLASSES)[number];

type Bare<J> = J extends Job ? Omit<J, 'folder'> : never;

export interface Task {
  readonly class: Class;
  readonly what: string;
  readonly job: Bare<Job>;
  /** Run it with this mutant of the store; then a loss is what is wanted. */
  readonly mutant?: Mutant;
}

export interface PlanOptions {
  readonly seed: number;
  /** 1 = the full base part, less = a share of it. */
  readonly scale: number;
  /** Names of src/store workloads. */
  readonly workloads: readonly string[];
}

const MAPPERS = ['shim', 'file'] as const;
const FAULT_CLASSES: readonly (readonly [Class, Fault])[] = [
  ['faults: EIO once', 'eioOnce'], ['faults: EIO for good', 'eioForever'],
  ['faults: disk full', 'full'], ['faults: short write', 'short'], ['faults: SIGKILL', 'kill']];

function enumerateTask(workload: string, mapper: 'shim' | 'file', seed: number,
                       scale: number, killAt: number): Task {
  const perOperation = Math.max(1, Math.round(3 * scale));
  const share = Math.min(1, 2 * scale) * (killAt > 0 ? 0.4 : 1);
  return {
    class: killAt > 0 ? 'states after a killed life' : 'enumerated states',
    what: `${workload}/${mapper}`,
    job: { kind: 'enumerate', workload, seed, mapper, perOperation, killAt, share,
      stopAtLosses: 3 },
  };
}

function mappersOf(workload: string): readonly ('shim' | 'file')[] {
  const { mapper } = workloadNamed(workload);
  return mapper === undefined ? MAPPERS : [mapper];
}

export function enumerateTasks(options: PlanOptions, round: number): Task[] {
  const random = split(options.seed, `round ${round}`);
  const seed = options.seed + round;
  const count = options.workloads.length;
  // The first operations, where a store comes to be, one after the other; the later ones by chance.
  const early = (i: number): number => 1 + ((round * count + i) % 60);
  return options.workloads.flatMap((workload, i) => mappersOf(workload).flatMap((mapper) => [
    enumerateTask(workload, mapper, seed, options.scale, 0),
    enumerateTask(workload, mapper, seed, options.scale,
      mapper === 'file' ? early(i) : 1 + random.int(200)),
  ]));
}

export function mutantTasks(seed: number, mutants = MUTANTS): Task[] {
  return mutants.map((mutant) => ({
    class: 'mutants',
    what: mutant.name,
    mutant,
    job: { kind: 'enumerate', workload: mutant.workloads[0] ?? '', seed,
      mapper: mutant.mapper ?? 'shim', perOperation: 4, killAt: 0, share: 1,
      stopAtLosses: 1 },
  }));
}

export function faultTasks(seed: number, workload: string, mapper: 'shim' | 'file',
                           stride: number): Task[] {
  return FAULT_CLASSES.map(([name, fault]) => ({ class: name, what: `${workload}/${mapper}`,
    job: { kind: 'faults', workload, seed, mapper, fault, stride } }));
}

export function killTask(seed: number, mapper: 'shim' | 'file', kills: number): Task {
  return { class: 'random SIGKILL', what: mapper,
    job: { kind: 'kills', seed, mapper, kills, seconds: 300 } };
}

function ringKillTasks(seed: number, kills: number): Task[] {
  return MAPPERS.map((mapper) => ({ class: 'SIGKILL while appending', what: mapper,
    job: { kind: 'ringKills', seed, mapper, kills, seconds: 120 } }));
}

function powercutTasks(seed: number, cuts: number): Task[] {
  return (['ext4', 'xfs'] as const).map((fileSystem) => ({ class: 'power cuts', what: fileSystem,
    job: { kind: 'powercuts', seed, mapper: 'shim', fileSystem, cuts, seconds: 120 } }));
}

/** Everything once; long tasks first, so that two at a time end together. */
export function basePlan(options: PlanOptions): Task[] {
  const { seed, scale } = options;
  const stride = Math.max(1, Math.round(1 / scale));
  return [
    killTask(seed, 'shim', Math.ceil(240 * scale)),
    killTask(seed + 1, 'file', Math.ceil(80 * scale)),
    ...ringKillTasks(seed, Math.ceil(60 * scale)),
    ...faultTasks(seed, 'pages', 'shim', stride),
    ...mutantTasks(seed),
    ...powercutTasks(seed, Math.ceil(20 * scale)),
    ...enumerateTasks(options, 0),
    ...faultTasks(seed, 'regions', 'shim', stride * 2),
    ...faultTasks(seed, 'growth', 'file', stride * 3),
    ...faultTasks(seed, 'rings', 'file', stride * 3),
    ...faultTasks(seed, 'copies', 'shim', stride * 4),
    ...['buffers', 'transactions', 'history', 'flights', 'readers'].flatMap((workload, i) =>
      faultTasks(seed, workload, MAPPERS[i % 2] ?? 'shim', stride * 5)),
  ];
}

/** More of it, while there is time. */
export function furtherPlan(options: PlanOptions, round: number): Task[] {
  const workload = options.workloads[round % options.workloads.length] ?? 'pages';
  return [...enumerateTasks(options, round), killTask(options.seed + 2 * round, 'shim', 30),
    ...faultTasks(options.seed + round, workload,
      mappersOf(workload)[round % mappersOf(workload).length] ?? 'shim', 3)];
}
