/**
 * What DIR names, opened: a store or a region by itself, both as regions one by one. How they are
 * opened is in files of their own, each loaded when it is needed.
 */
import { assert, isDamage, RegionError } from '../errors.ts';
import type { ObjectHeap } from '../objects/heap.ts';
import type { HeapStat } from '../objects/heap-stat.ts';
import type { Store } from '../store/api.ts';
import type { Finding, Region, RegionStat } from '../types.ts';
import { type Paint, printable, someOf } from './table.ts';

export interface Access {
  readonly mode: 'read' | 'write';
  /** Reading: once, so that nothing is ever refreshed. */
  readonly isOnce?: boolean;
  /** Writing: use a file system whose locks and syncs are not known to hold. */
  readonly unsafeFileSystem?: boolean;
  /** Bytes of a store that may be changed before a checkpoint. */
  readonly dirtyLimit?: number;
  /** What the verb wants of a store; a region by itself, which has none, is refused unopened. */
  readonly ofStore?: string;
}

/** A region that a verb is about. */
export interface Subject {
  readonly name: string;
  readonly kind: string;
  /** Where its memory is from: `store`, or of a file `file` (as for mmap) or `compressed`. */
  readonly discipline: string;
  readonly region: Region;
  /** The heap of objects in it, or null. */
  heap(): ObjectHeap | null;
  /** `region.stat()` from a sample, NaN where that does not tell. */
  estimate(): RegionStat;
  /** `heap().stat()` from a sample. */
  estimateHeap(): HeapStat;
  /** Broken invariants of the region and of the heap in it. */
  check(): Finding[];
}

/** A region that cannot be opened or looked at. */
export interface Damage {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

export type OnDamage = (damage: Damage) => void;

/** Damage goes to `found` where all regions are looked at; what is named is shown or refused. */
export function damageIn(
  names: readonly string[],
): { readonly found: readonly Damage[]; readonly note: OnDamage | undefined } {
  const found: Damage[] = [];
  return { found, note: names.length > 0 ? undefined : (damage) => found.push(damage) };
}

/** Does `work`; damage of the region goes to `onDamage`, everything else is thrown. */
export function enduring<T>(name: string, onDamage: OnDamage | undefined, work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (onDamage === undefined || !isDamage(error)) throw error;
    onDamage({ name, code: error.code, message: error.message });
    return null;
  }
}

/** Lines about damaged regions, for people. */
export function* damageText(damaged: readonly Damage[], alarm: Paint): Generator<string> {
  for (const { name, message } of damaged) yield alarm(`${printable(name)}: ${printable(message)}`);
}

/** What DIR names, opened. */
export interface Target {
  readonly type: 'store' | 'region';
  /** Absolute path of the store directory or the region file. */
  readonly path: string;
  /** null for a region by itself. */
  readonly store: Store | null;
  /** How many regions `subjects()` yields. */
  count(names?: readonly string[]): number;
  /**
   * All regions, or those named, opened one by one. ERR_NOT_FOUND before the first. What is wrong
   * with regions that cannot be opened is told to `onDamage`, or thrown.
   */
  subjects(names?: readonly string[], onDamage?: OnDamage): Iterable<Subject>;
  /** `isDone` false = the verb failed: nothing it changed is kept. */
  close(isDone: boolean): void;
}

/** The store of a target that was opened with `ofStore`. */
export function storeOf(target: Target): Store {
  assert(target.store !== null, 'a target that is a store');
  return target.store;
}

/** The regions of `all` that are named; `what` = what they are called. ERR_NOT_FOUND. */
export function known(
  all: readonly string[], names: readonly string[], store: Store | null, what = 'region',
): readonly string[] {
  const missing = names.find((name) => !all.includes(name));
  if (missing === undefined) return [...new Set(names)];
  const where = store === null ? 'in this file' : `in ${store.dir}`;
  const there = all.length === 0 ? 'there is none' : `there is ${someOf(all)}`;
  throw new RegionError('ERR_NOT_FOUND',
    `there is no ${what} '${missing}' ${where}; ${there}`);
}
