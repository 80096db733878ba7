/**
 * Copies of what is in a heap as plain JavaScript, deep: objects of structs become plain objects,
 * lists arrays, maps and sorted maps Maps, sets Sets; bytes are copied. What was there twice is
 * there twice again, and cycles close. Without recursion: first every copy is made empty, then it
 * is filled.
 */
import { isDate } from 'node:util/types';
import { placeOf } from './accessors.ts';
import type { TypedArray } from './any-blocks.ts';
import { isHandle, type Type } from './core.ts';
import { type Handle, refOf } from './handles.ts';
import type { Kind } from './kinds.ts';
import type { PersistentList, PersistentMap } from './persistent.ts';
import { type Field, isInline } from './record-layout.ts';

/** A deep copy of what a handle stands for. ERR_STALE. */
export function toPlain(handle: Handle): unknown {
  const { core } = handle.$bound;
  core.refOf(handle);
  return core.peek(() => new Copier().copyAll(handle));
}

type Copy = Record<string, unknown> | unknown[] | Map<unknown, unknown> | Set<unknown>;

class Copier {
  readonly #copies = new Map<number, Copy>();
  readonly #unfilled: { readonly source: Handle; readonly copy: Copy }[] = [];

  copyAll(root: Handle): Copy {
    const made = this.#copyOf(root);
    for (let next = this.#unfilled.pop(); next !== undefined; next = this.#unfilled.pop()) {
      this.#fill(next.source, next.copy);
    }
    return made;
  }

  #copyOf(source: Handle): Copy {
    const ref = refOf(source);
    const known = this.#copies.get(ref);
    if (known !== undefined) return known;
    const copy = emptyFor(source.$bound.type);
    this.#copies.set(ref, copy);
    this.#unfilled.push({ source, copy });
    return copy;
  }

  #fill(source: Handle, copy: Copy): void {
    const { layout } = source.$bound.type;
    if (layout !== null) {
      for (const field of layout.fields) {
        const value = isUnset(source, field) ? emptyOf(field.kind)
          : this.#value((source as unknown as Record<string, unknown>)[field.name]);
        (copy as Record<string, unknown>)[field.name] = value;
      }
    } else if (Array.isArray(copy)) {
      for (const value of source as unknown as PersistentList<unknown>) {
        copy.push(this.#value(value));
      }
    } else if (copy instanceof Set) {
      for (const value of source as unknown as Iterable<unknown>) copy.add(this.#value(value));
    } else this.#fillMap(source as unknown as PersistentMap<unknown, unknown>, copy);
  }

  #fillMap(source: PersistentMap<unknown, unknown>, copy: Exclude<Copy, Set<unknown>>): void {
    for (const [key, value] of source) {
      if (copy instanceof Map) copy.set(this.#value(key), this.#value(value));
      else setProperty(copy as Record<string, unknown>, key as string, this.#value(value));
    }
  }

  #value(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || isDate(value)) return value;
    return isHandle(value) ? this.#copyOf(value) : (value as TypedArray).slice();
  }
}

function setProperty(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') target[name] = value;
  else {
    Object.defineProperty(target, name,
      { value, writable: true, enumerable: true, configurable: true });
  }
}

function emptyFor({ layout, isPlain, kind }: Type): Copy {
  return layout !== null || isPlain ? {} : emptyOf(kind as Kind);
}

/** The fields of an object, one level deep: what nobody asked for yet is empty, and stays unset. */
export function fieldsOf(source: Handle): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of source.$bound.type.layout?.fields ?? []) {
    fields[field.name] = isUnset(source, field) ? emptyOf(field.kind)
      : (source as unknown as Record<string, unknown>)[field.name];
  }
  return fields;
}

function emptyOf(kind: Kind): Copy {
  if (kind.name === 'optional') return emptyOf(kind.of as Kind);
  if (kind.name === 'list') return [];
  return kind.name === 'set' ? new Set() : new Map();
}

/** Is it a collection that nobody asked for yet? Reading the field would make it. */
export function isUnset(source: Handle, field: Field): boolean {
  const { kind } = field;
  const name = kind.name === 'optional' ? kind.of?.name : kind.name;
  if (isInline(kind) || !COLLECTIONS.has(name ?? '')) return false;
  const { views } = source.$bound;
  return views.i32[source.$at + placeOf(field, 4).word] === 0;
}

const COLLECTIONS: ReadonlySet<string> = new Set(['list', 'map', 'set', 'sorted']);
