/**
 * Option objects, read once: every key is known and of its type, or ERR_BAD_OPTION says which is
 * not and what was probably meant.
 */
import { RegionError } from './errors.ts';
import { parseSize } from './size.ts';

/** Turns what was given for one key into the value that is used; throws when it cannot. */
export type Reader<T> = (value: unknown, name: string) => T;
export type Readers<T> = { readonly [K in keyof T]-?: Reader<NonNullable<T[K]>> };

/**
 * The given options, checked. Keys that are missing or undefined are left out.
 *
 * @example readOptions(given, { capacity: size, sparse: flag }, 'mmap')
 */
export function readOptions<T extends object>(
  given: unknown,
  readers: Readers<T>,
  where: string,
): Partial<T> {
  const out: Partial<T> = {};
  if (given === undefined) return out;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw bad(`${where}: options are ${String(given)}; give an object`);
  }
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(readers, key)) throw unknownKey(key, Object.keys(readers), where);
    const known = key as keyof T & string;
    if (value !== undefined) out[known] = readers[known](value, `${where}: ${key}`);
  }
  return out;
}

export const size: Reader<number> = parseSize;

export const flag: Reader<boolean> = (value, name) => {
  if (typeof value === 'boolean') return value;
  throw bad(`${name} is ${String(value)}; give true or false`);
};

export const text: Reader<string> = (value, name) => {
  if (typeof value === 'string' && value.length > 0) return value;
  throw bad(`${name} is ${JSON.stringify(value) ?? String(value)}; give a string`);
};

/** A whole number from `least` up. */
export function count(least: number): Reader<number> {
  return (value, name) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
    throw bad(`${name} is ${String(value)}; give a whole number, at least ${least}`);
  };
}

/** A list, each element read by `element`. */
export function listOf<T>(element: Reader<T>): Reader<readonly T[]> {
  return (value, name) => {
    if (Array.isArray(value)) return value.map((one, i) => element(one, `${name}[${i}]`));
    throw bad(`${name} is ${String(value)}; give an array`);
  };
}

export function oneOf<T extends string>(...choices: readonly T[]): Reader<T> {
  return (value, name) => {
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    throw bad(`${name} is ${String(value)}; give one of ${choices.join(', ')}`);
  };
}

function unknownKey(key: string, known: readonly string[], where: string): RegionError {
  const all = known.length === 0 ? 'it has no options' : `known: ${known.join(', ')}`;
  const guess = nearest(key, known);
  const hint = guess === null ? '' : `; did you mean '${guess}'?`;
  return bad(`${where}: unknown option '${key}'${hint} (${all})`);
}

/** The known name closest to `key`, or null when none is close. */
export function nearest(key: string, known: readonly string[]): string | null {
  const limit = Math.max(2, Math.floor(key.length / 2));
  let best: string | null = null;
  let least = limit + 1;
  for (const name of known) {
    const steps = editSteps(key.toLowerCase(), name.toLowerCase());
    if (steps < least) {
      least = steps;
      best = name;
    }
  }
  return best;
}

/** Levenshtein's distance. */
function editSteps(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = above[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1);
      row.push(Math.min(change, above[j] + 1, row[j - 1] + 1));
    }
  }
  return row[to.length];
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
