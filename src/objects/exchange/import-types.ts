/**
 * Types an import speaks of: structs as its lines declare them, collections as their names say.
 * A struct the heap knows must have the same fields; one it does not know is recorded.
 */
import { RegionError } from '../../errors.ts';
import type { Core, Type } from '../core.ts';
import { PLAIN } from './export.ts';
import { type Kind, parseKind, textOf } from '../kinds.ts';
import { type Field, type Layout, layOut } from '../record-layout.ts';
import { type Plan, planOf } from '../records.ts';
import { struct } from '../struct.ts';
import type { TypeTable } from '../type-table.ts';

/** What a line about a struct says, none of it believed yet. */
export interface TypeLine {
  readonly $type?: unknown;
  readonly fields?: unknown;
  readonly previous?: unknown;
  readonly was?: unknown;
}

/** `Task`, or, of a former type, `Task@1`. */
const NAME = /^([^@]+)(?:@\d+)?$/;

export class ImportedTypes {
  readonly #core: Core;
  readonly #table: TypeTable;
  readonly #named = new Map<string, Type>();
  readonly #plans = new Map<Type, Plan>();
  /** Structs that the heap did not know. */
  readonly #fresh = new Set<string>();

  constructor(core: Core, table: TypeTable) {
    this.#core = core;
    this.#table = table;
  }

  /** The type of a name, former ones of a struct included. ERR_SCHEMA. */
  find(name: string): Type {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const made = this.#collection(name);
    if (made === null) throw new RegionError('ERR_SCHEMA', `there is no type ${show(name)}`);
    this.#named.set(name, made);
    return made;
  }

  /** How objects of a type of struct are filled. */
  planOf(type: Type): Plan {
    const plan = this.#plans.get(type) ?? planOf(this.#core, type, {});
    this.#plans.set(type, plan);
    return plan;
  }

  /** A line that declares a struct. ERR_SCHEMA, ERR_BAD_OPTION. */
  declare(line: TypeLine): void {
    const { $type: name, previous } = line;
    const base = typeof name === 'string' ? NAME.exec(name)?.[1] : undefined;
    if (base === undefined || this.#named.has(name as string)) {
      throw new RegionError('ERR_SCHEMA', `${show(name)} is no name for a type, or there twice`);
    }
    const kinds = kindsOf(base, line.fields);
    const before = previous === undefined ? null : this.#named.get(previous as string) ?? null;
    if (previous !== undefined && before?.text !== base) {
      throw new RegionError('ERR_SCHEMA', `${base} has no former type ${show(previous)}`);
    }
    const known = [...this.#table].filter((type) => type.layout !== null && type.text === base);
    const type = known.length === 0 || this.#fresh.has(base)
      ? this.#record(base, kinds, before, line.was) : sameOf(known, kinds);
    this.#named.set(name as string, type);
  }

  #record(name: string, kinds: readonly Pair[], before: Type | null, was: unknown): Type {
    const layout = layOut(name, kinds, (kind) => this.#core.codecOf(kind).width);
    this.#fresh.add(name);
    if (before === null) return this.#table.addStruct(layout);
    const fields = layout.fields.map((field) => formerly(field, before.layout as Layout, was));
    return this.#table.addStruct({ ...layout, fields, previous: before.id });
  }

  #collection(name: string): Type | null {
    const { types } = this.#core;
    if (name === PLAIN) return types.plain();
    const kind = parseKind(name);
    const isOne = kind !== null && COLLECTIONS.has(kind.name) && textOf(kind) === name;
    return isOne ? types.ofKind(kind) : null;
  }
}

const COLLECTIONS: ReadonlySet<string> = new Set(['list', 'map', 'set', 'sorted']);

type Pair = readonly [string, Kind];

/** The fields a line declares: names and kinds as a program could declare them. */
function kindsOf(name: string, fields: unknown): Pair[] {
  const kinds = Object.entries(isRecord(fields) ? fields : {}).map(([field, text]): Pair => {
    const kind = typeof text === 'string' ? parseKind(text) : null;
    if (kind !== null) return [field, kind];
    throw new RegionError('ERR_SCHEMA', `${name}.${field} has no kind ${show(text)}`);
  });
  if (!isRecord(fields)) throw new RegionError('ERR_SCHEMA', `${name} has no fields`);
  struct(name, Object.fromEntries(kinds));
  return kinds;
}

/** The field with the name it had in the type before. */
function formerly(field: Field, before: Layout, was: unknown): Field {
  const former = isRecord(was) && Object.hasOwn(was, field.name) ? was[field.name] : undefined;
  if (former === undefined) return field;
  if (before.fields.some(({ name }) => name === former)) return { ...field, was: former as string };
  throw new RegionError('ERR_SCHEMA',
    `${before.name}.${field.name} was ${show(former)}, which the former type does not have`);
}

/** The recorded type with these fields, in whatever order; the newest one where there are more. */
function sameOf(known: readonly Type[], kinds: readonly Pair[]): Type {
  const wanted = textOfFields(kinds);
  const found = known.filter(({ layout }) => wanted === textOfFields(
    (layout as Layout).fields.map(({ name, kind }) => [name, kind]))).at(-1);
  if (found !== undefined) return found;
  const { text, layout } = known.at(-1) as Type;
  const shown = (layout as Layout).fields.map(({ name, kind }) => `${name}: ${textOf(kind)}`);
  throw new RegionError('ERR_SCHEMA',
    `${text} is known here with other fields: ${shown.join(', ')}; import into a new heap, ` +
      'declare the struct afterwards');
}

function textOfFields(kinds: readonly Pair[]): string {
  return JSON.stringify(kinds.map(([name, kind]) => [name, textOf(kind)])
    .sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value of the text in a message. */
export function show(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 80);
}
