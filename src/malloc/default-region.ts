/**
 * The region behind malloc: made, or opened, when it is first asked for, as REGIONSTORE_OPTIONS
 * says, once for each thread. When the process ends traces are completed, leaks are told and a file
 * is closed.
 */
import { existsSync, statSync } from 'node:fs';
import { compressed } from '../disciplines/compressed.ts';
import { file } from '../disciplines/file.ts';
import { heap } from '../disciplines/heap.ts';
import { mmap } from '../disciplines/mmap.ts';
import { RegionError } from '../errors.ts';
import { methodNamed } from '../methods/registry.ts';
import { profileFor } from '../profile/write.ts';
import { createRegion, openRegion, type RegionOptions } from '../region/region.ts';
import type { RegionFlags, TraceSink } from '../events.ts';
import type { Discipline, Region } from '../types.ts';
import { atEnd } from './ending.ts';
import { expanded, type Output, outputTo, standardError } from './output.ts';
import { counting, Profiling } from './profiling.ts';
import { type DisciplineChoice, type Settings, settingsFrom, VARIABLE } from './settings.ts';
import { traceTarget } from './trace-target.ts';
import { Warnings } from './warnings.ts';

const OVER_FILE = { mmap, file, compressed };

/** The default region and what goes with it. */
export interface Default {
  readonly region: Region;
  readonly warnings: Warnings;
  /** free does nothing. */
  readonly keeps: boolean;
}

/** What is known after the first call, or why there is nothing. */
let known: Default | null = null;
let problem: unknown = null;

/**
 * The default region, made at the first call. Throws what is wrong with REGIONSTORE_OPTIONS
 * (ERR_BAD_OPTION) or with the file it names (ERR_LOCKED, ERR_CORRUPT, ERR_MISMATCH, ERR_IO), and
 * the same at every later call.
 */
export function defaults(): Default {
  if (known !== null) return known;
  if (problem !== null) throw problem;
  try {
    known = start(settingsFrom(process.env[VARIABLE] ?? ''));
    return known;
  } catch (error) {
    problem = error;
    throw error;
  }
}

function start(settings: Settings): Default {
  const { abort = false, keep: keeps = false, signals = false } = settings;
  const sinks: TraceSink[] = [];
  const ends: (() => void)[] = [];
  const finish = (): void => {
    for (const end of ends.splice(0)) end();
  };
  const warnings = new Warnings(warningsTo(settings.warn), abort, finish);
  const region = regionFor(settings, warnings);
  // Before a trace is opened, which wants to complete itself at the end too.
  atEnd(() => {
    warnings.isLate = true;
    finish();
    if (isClosedAtExit(settings, region)) closeAtExit(region, warnings);
  }, signals);
  addTrace(settings, sinks, ends);
  addProfile(settings, region, sinks, ends);
  region.configure({ ...flagsFrom(settings), trace: oneOf(sinks) });
  return { region, warnings, keeps };
}

function addTrace({ trace, sites = false }: Settings, sinks: TraceSink[], ends: (() => void)[]) {
  if (trace === undefined) return;
  const target = traceTarget(trace, sites);
  sinks.push(target);
  ends.push(() => target.close());
}

/** What `method=profile` found out is told in any case. */
function addProfile(
  { profile }: Settings, region: Region, sinks: TraceSink[], ends: (() => void)[],
) {
  const target = profile ?? (region.method.startsWith('profile(') ? '&2' : undefined);
  if (target === undefined) return;
  const output = outputTo(target, 'profile');
  const counts = new Profiling();
  sinks.push(counting(counts));
  ends.push(() => {
    output.add(profileFor(target, counts.finish(), 'malloc by call stack'));
    output.flush();
  });
}

function oneOf(sinks: readonly TraceSink[]): TraceSink | false {
  if (sinks.length < 2) return sinks[0] ?? false;
  return {
    sites: sinks.some(({ sites }) => sites === true),
    record(event) {
      for (const sink of sinks) sink.record(event);
    },
  };
}

function warningsTo(target: string | undefined): Output {
  return target === undefined ? standardError() : outputTo(target, 'warn');
}

function flagsFrom(settings: Settings): Partial<RegionFlags> {
  const { check = false, period, start, watch = [] } = settings;
  const flags: Partial<RegionFlags> = {
    check: check || period !== undefined || start !== undefined,
    watch,
  };
  if (period !== undefined) flags.period = period;
  if (start !== undefined) flags.start = start;
  return flags;
}

function regionFor(settings: Settings, warnings: Warnings): Region {
  const { discipline: choice = { kind: 'heap' }, method } = settings;
  const discipline = disciplineFrom(choice, settings.capacity);
  const on = { warning: warnings.find.bind(warnings) };
  const options: RegionOptions = { name: 'malloc', on };
  if (choice.kind !== 'heap' && holdsSomething(expanded(choice.file))) {
    return opened(discipline, options, method);
  }
  return createRegion(discipline, methodNamed(method ?? 'best'), options);
}

function disciplineFrom(choice: DisciplineChoice, capacity: number | undefined): Discipline {
  const options = capacity === undefined ? {} : { capacity };
  if (choice.kind === 'heap') return heap(options);
  return OVER_FILE[choice.kind](expanded(choice.file), options);
}

function holdsSomething(path: string): boolean {
  return existsSync(path) && statSync(path).size > 0;
}

/** The region in a file, which has a method already. */
function opened(discipline: Discipline, options: RegionOptions, wanted?: string): Region {
  const region = openRegion(discipline, options);
  const { method } = region;
  if (wanted === undefined || method === wanted) return region;
  region.close();
  throw new RegionError('ERR_MISMATCH',
    `${VARIABLE}: the region is there with method '${method}', not '${wanted}'; leave method= ` +
      'out, or name another file');
}

/**
 * A file has to be closed, a debugging method tells leaks then. Other memory stays, for handlers of
 * the program that run after this.
 */
function isClosedAtExit({ discipline }: Settings, region: Region): boolean {
  return (discipline?.kind ?? 'heap') !== 'heap' || region.method.startsWith('debug(');
}

function closeAtExit(region: Region, warnings: Warnings): void {
  try {
    region.close();
  } catch (error) {
    warnings.tell(`closing the default region: ${(error as Error).message}`);
    process.exitCode ??= 1;
  }
}
