/**
 * Keys of sorted maps: how they lie in the nodes and how they are searched for. A probe is a key in
 * the form in which it is compared: a number for numbers, dates and booleans, a bigint, a string.
 *
 * A search goes through the keys of one node in one call, with a loop for each wide kind: a call a
 * comparison costs more than the comparison.
 *
 * Numbers are keys as in Map: -0 is 0, NaN is one key; it comes last.
 */
import { isDate } from 'node:util/types';
import type { Codec } from '../codec.ts';
import { compareNumbers, fitsNumber } from '../codecs.ts';
import { type Core, misfit } from '../core.ts';
import { f64, type Kind, u8 } from '../kinds.ts';
import type { Views } from '../memory.ts';
import { findHinted } from './tree-hints.ts';

export type Probe = number | bigint | string;

export interface TreeKeys<P = Probe> {
  /** How the slots are read, written and given up. */
  readonly codec: Codec<P>;
  /** Are there hints beside them (tree-hints.ts)? */
  readonly isHinted?: true;
  /** What is searched for. ERR_SCHEMA where the value is no key of the kind. */
  probe(value: unknown): P;
  /** The same for the bound of a range, which need not be a possible key; null = no place. */
  bound(value: unknown): P | null;
  /** What a program sees of a key. */
  keyOf(probe: P): unknown;
  /** Place of a key among `count` slots, or ~place where it would be. */
  find(views: Views, base: number, count: number, probe: P): number;
  isBefore(a: P, b: P): boolean;
  /** What parts two neighbours: behind `left`, not behind `right`. */
  between(left: P, right: P): P;
}

type Find<P> = TreeKeys<P>['find'];

/** How keys of a kind are kept, for one heap. */
export function keysOf(core: Core, kind: Kind): TreeKeys {
  return (MAKERS[kind.name] ?? numberKeys)(core, kind) as TreeKeys;
}

const MAKERS: Readonly<Record<string, (core: Core, kind: Kind) => unknown>> = {
  bool: boolKeys, date: dateKeys, i64: bigintKeys, u64: bigintKeys, str: textKeys,
};

function same<T>(value: T): T {
  return value;
}

function second<T>(_: T, right: T): T {
  return right;
}

/** What all kinds have in common whose probes are numbers. */
function numbers(codec: Codec): Pick<TreeKeys<number>, 'codec' | 'isBefore' | 'between' | 'find'> {
  return {
    codec: codec as Codec<number>,
    isBefore: (a, b) => compareNumbers(a, b) < 0,
    between: second,
    find: FINDERS[codec.kind.name] ?? findBy(codec as Codec<number>),
  };
}

function numberKeys(core: Core, kind: Kind): TreeKeys<number> {
  const { name } = kind;
  const isFloat = name === 'f32' || name === 'f64';
  // The sum makes 0 of -0.
  const normal = name === 'f32' ? (n: number) => Math.fround(n) + 0 : (n: number) => n + 0;
  const fits = isFloat ? (value: unknown) => typeof value === 'number'
    : name === 'u32' ? (value: unknown) => typeof value === 'number' && value >>> 0 === value
      : (value: unknown) => fitsNumber(name, value);
  return {
    ...numbers(core.codecOf(kind)),
    probe(value) {
      if (!fits(value)) throw misfit(kind, value);
      return normal(value as number);
    },
    bound(value) {
      if (typeof value !== 'number') return null;
      return isFloat || !Number.isNaN(value) ? normal(value) : Number.POSITIVE_INFINITY;
    },
    keyOf: same,
  };
}

function boolKeys(core: Core, kind: Kind): TreeKeys<number> {
  return {
    ...numbers(core.codecOf(u8)),
    probe(value) {
      if (typeof value !== 'boolean') throw misfit(kind, value);
      return Number(value);
    },
    bound: (value) => typeof value === 'boolean' ? Number(value) : null,
    keyOf: (probe) => probe !== 0,
  };
}

function dateKeys(core: Core, kind: Kind): TreeKeys<number> {
  return {
    ...numbers(core.codecOf(f64)),
    probe(value) {
      if (!isDate(value)) throw misfit(kind, value);
      return value.getTime();
    },
    bound: (value) => isDate(value) ? value.getTime() : null,
    keyOf: (probe) => new Date(probe),
  };
}

function bigintKeys(core: Core, kind: Kind): TreeKeys<bigint> {
  const clip = kind.name === 'i64' ? BigInt.asIntN : BigInt.asUintN;
  return {
    codec: core.codecOf(kind) as Codec<bigint>,
    probe(value) {
      if (typeof value !== 'bigint' || clip(64, value) !== value) throw misfit(kind, value);
      return value;
    },
    bound: (value) => typeof value === 'bigint' ? value : null,
    keyOf: same,
    find: kind.name === 'i64' ? (views, base, count, probe) => findWide(views, views.i32, base,
      count, probe) : (views, base, count, probe) => findWide(views, views.u32, base, count, probe),
    isBefore: (a, b) => a < b,
    between: second,
  };
}

function textKeys(core: Core, kind: Kind): TreeKeys<string> {
  return {
    codec: core.codecOf(kind) as Codec<string>,
    isHinted: true,
    probe(value) {
      if (typeof value !== 'string') throw misfit(kind, value);
      return value;
    },
    bound: (value) => typeof value === 'string' ? value : null,
    keyOf: same,
    find: findText(core),
    isBefore: (a, b) => a < b,
    between: shortest,
  };
}

/** The shortest text behind `left` that `right` begins with. */
function shortest(left: string, right: string): string {
  let i = 0;
  while (i < left.length && left.charCodeAt(i) === right.charCodeAt(i)) i++;
  return right.slice(0, i + 1);
}

const FINDERS: Readonly<Record<string, Find<number>>> = {
  u32({ u32 }, base, count, probe) {
    const end = base + count;
    let low = base;
    let high = end;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (u32[mid] < probe) low = mid + 1;
      else high = mid;
    }
    return low < end && u32[low] === probe ? low - base : ~(low - base);
  },
  i32({ i32 }, base, count, probe) {
    const end = base + count;
    let low = base;
    let high = end;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (i32[mid] < probe) low = mid + 1;
      else high = mid;
    }
    return low < end && i32[low] === probe ? low - base : ~(low - base);
  },
  /** No number is before NaN, so that it is found last; it is searched for by what it is. */
  f64({ f64: floats }, base, count, probe) {
    const from = base >> 1;
    const end = from + count;
    if (Number.isNaN(probe)) return count > 0 && Number.isNaN(floats[end - 1]) ? count - 1 : ~count;
    let low = from;
    let high = end;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (floats[mid] < probe) low = mid + 1;
      else high = mid;
    }
    return low < end && floats[low] === probe ? low - from : ~(low - from);
  },
};

/** For numbers of other widths. */
function findBy({ load }: Codec<number>): Find<number> {
  return (views, base, count, probe) => {
    let low = 0;
    let high = count;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (compareNumbers(load(views, base, mid), probe) < 0) low = mid + 1;
      else high = mid;
    }
    return low < count && compareNumbers(load(views, base, low), probe) === 0 ? low : ~low;
  };
}

/**
 * Numbers of 64 bits, by their halves; `highs` = the words as the upper halves are to be read. A
 * probe may be wider: its upper half is then like none.
 */
function findWide({ u32 }: Views, highs: Int32Array | Uint32Array, base: number, count: number,
                  probe: bigint): number {
  const high = Number(probe >> 32n);
  const low = Number(BigInt.asUintN(32, probe));
  let from = 0;
  let to = count;
  while (from < to) {
    const mid = (from + to) >>> 1;
    const at = base + mid * 2;
    if (highs[at + 1] < high || (highs[at + 1] === high && u32[at] < low)) from = mid + 1;
    else to = mid;
  }
  const at = base + from * 2;
  return from < count && highs[at + 1] === high && u32[at] === low ? from : ~from;
}

function findText(core: Core): Find<string> {
  const { memory } = core;
  return (views, base, count, probe) => {
    const found = findHinted(memory, views, base, count, probe);
    if (Number.isNaN(found)) throw core.corrupt(views.i32[base], 'a key is no text');
    return found;
  };
}
