/**
 * What REGIONSTORE_OPTIONS says, checked: the options of Vmalloc's VMALLOC_OPTIONS under their
 * names there, and a few of this project. Of an option that is given twice the last one counts;
 * `watch` adds up.
 */
import { RegionError } from '../errors.ts';
import { methodNames } from '../methods/registry.ts';
import {
  count, flag, listOf, nearest, type Reader, type Readers, readOptions, size, text,
} from '../options.ts';
import { wordsOf } from './words.ts';

export const VARIABLE = 'REGIONSTORE_OPTIONS';

/** Methods that watch another one: `debug` is `debug(best)`. */
const WATCHING: readonly string[] = ['debug', 'profile'];
/** Disciplines over a file. */
const FILE_DISCIPLINES = ['mmap', 'file', 'compressed'] as const;

export type DisciplineChoice =
  | { readonly kind: 'heap' }
  | { readonly kind: (typeof FILE_DISCIPLINES)[number]; readonly file: string };

export interface Settings {
  /**
   * As `methodNamed` knows it. Missing: best for a new region, what is stored for one that is
   * there.
   */
  method?: string;
  discipline?: DisciplineChoice;
  /** Bytes the region may grow to. */
  capacity?: number;
  /** Check the region at its operations; `period` and `start` ask for it too. */
  check?: boolean;
  period?: number;
  start?: number;
  /** After a warning the process ends by SIGABRT. */
  abort?: boolean;
  /** Where warnings go; missing: standard error. */
  warn?: string;
  watch?: readonly number[];
  /** free does nothing. */
  keep?: boolean;
  trace?: string;
  /** Lines of the trace name their call site. */
  sites?: boolean;
  profile?: string;
  /** Files are completed too when a signal ends the process that the program does not handle. */
  signals?: boolean;
}

const READERS: Readers<Settings> = {
  method: methodName,
  discipline: disciplineChoice,
  capacity: size,
  check: flag,
  period: number(count(1)),
  start: number(count(0)),
  abort: flag,
  warn: text,
  watch: listOf(number(count(1))),
  keep: flag,
  trace: text,
  sites: flag,
  profile: text,
  signals: flag,
};

/** Options that are on when they are there. */
const FLAGS: readonly string[] =
  ['check', 'abort', 'keep', 'sites', 'signals'] satisfies (keyof Settings)[];

/**
 * The settings a text asks for. ERR_BAD_OPTION says what it does not understand, and the nearest
 * name it knows.
 *
 * @example settingsFrom('method=debug,check') // { method: 'debug(best)', check: true }
 */
export function settingsFrom(given: string): Settings {
  const read: Record<string, unknown> = Object.create(null);
  const watch: string[] = [];
  for (const { name, value } of wordsOf(given, VARIABLE)) {
    if (name === 'watch') watch.push(value ?? '');
    else read[name] = valueFor(name, value);
  }
  if (watch.length > 0) read.watch = watch;
  return readOptions<Settings>(read, READERS, VARIABLE);
}

function valueFor(name: string, value: string | null): unknown {
  if (FLAGS.includes(name)) {
    if (value === null) return true;
    throw bad(`${VARIABLE}: '${name}' takes no value; it is on when it is there`);
  }
  if (value === null && Object.hasOwn(READERS, name)) {
    throw bad(`${VARIABLE}: '${name}' needs a value; write ${name}=…`);
  }
  return value ?? true;
}

/** Digits, decimal or after 0x, for a reader of numbers. */
function number(reader: Reader<number>): Reader<number> {
  return (value, name) => {
    const isNumber = /^(\d+|0x[0-9a-f]+)$/i.test(String(value));
    return reader(isNumber ? Number(value) : value, name);
  };
}

function methodName(value: unknown, name: string): string {
  const given = String(value);
  const [, outer = given, inner] = /^(\w+)(?:\((\w+)\))?$/.exec(given) ?? [];
  const plain = methodNames();
  if (WATCHING.includes(outer)) {
    if (plain.includes(inner ?? 'best')) return `${outer}(${inner ?? 'best'})`;
    throw unknownName(`${name} is '${given}'`, inner ?? '', plain);
  }
  if (plain.includes(given)) return given;
  throw unknownName(`${name} is '${given}'`, outer, [...plain, ...WATCHING]);
}

function disciplineChoice(value: unknown, name: string): DisciplineChoice {
  const whole = String(value);
  const at = whole.indexOf(':');
  const called = at < 0 ? whole : whole.slice(0, at);
  const path = at < 0 ? '' : whole.slice(at + 1);
  if (called === 'heap') {
    if (at < 0) return { kind: 'heap' };
    throw bad(`${name} is '${whole}', but heap has no file; write discipline=heap`);
  }
  const kind = FILE_DISCIPLINES.find((known) => known === called);
  if (kind === undefined) {
    throw unknownName(`${name} is '${whole}'`, called, ['heap', ...FILE_DISCIPLINES]);
  }
  if (path === '') throw bad(`${name} is '${whole}'; say which file: discipline=${kind}:FILE`);
  return { kind, file: path };
}

function unknownName(what: string, given: string, known: readonly string[]): RegionError {
  const guess = nearest(given, known);
  const hint = guess === null ? '' : `; did you mean '${guess}'?`;
  return bad(`${what}${hint} (known: ${known.join(', ')})`);
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
