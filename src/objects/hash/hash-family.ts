/** Hash maps and sets as a part of a heap: how they are made, and what a collector sees of them. */
import { CHUNK_SHIFT, DEAD, DIRECTORY, ENTRIES, ENTRY, HASH, ROLE, ROLE_MASK, ROLE_SHIFT,
  ROOM_SHIFT } from '../../layout-objects.ts';
import { type Core, type Family, misfit, SLOTS, type SlotVisitor, type Type } from '../core.ts';
import { type HashTable, tableOf } from './hash.ts';
import type { Kind } from '../kinds.ts';
import { bindMap } from './map.ts';
import type { Views } from '../memory.ts';
import { isPlainObject } from '../realms.ts';
import { bindSet } from './set.ts';

/** A new map or set; where that fails, nothing is left of it. */
function create(core: Core, type: Type, value: unknown): number {
  const table = tableOf(core, type);
  const entries = value === undefined ? [] : entriesOf(type, value);
  const ref = table.create();
  try {
    const { size, length } = (value ?? {}) as { size?: unknown; length?: unknown };
    const count = size ?? length ?? (Array.isArray(entries) ? entries.length : 0);
    if (Number.isSafeInteger(count)) table.expect(ref, count as number);
    if (table.shape.value === null) for (const key of entries) add(table, ref, key, undefined);
    else for (const pair of entries) addPair(type, table, ref, pair);
    return ref;
  } catch (error) {
    table.destroy(ref);
    throw error;
  }
}

/** Values of a set, pairs of a map. ERR_SCHEMA where that is not what was given. */
function entriesOf({ kind }: Type, value: unknown): Iterable<unknown> {
  if (typeof value !== 'object' || value === null) throw misfit(kind as Kind, value);
  const { [Symbol.iterator]: iterate } = value as Partial<Iterable<unknown>>;
  if (typeof iterate === 'function') return value as Iterable<unknown>;
  if (!isPlainObject(value) || kind?.name !== 'map') throw misfit(kind as Kind, value);
  return Object.entries(value);
}

function addPair({ kind }: Type, table: HashTable, ref: number, pair: unknown): void {
  if (typeof pair !== 'object' || pair === null) throw misfit(kind as Kind, pair);
  const { 0: key, 1: value } = pair as Record<number, unknown>;
  add(table, ref, key, value);
}

function add(table: HashTable, ref: number, key: unknown, value: unknown): void {
  const normal = table.normal(key);
  table.put(ref, table.shape.key.hash(normal), normal, table.stage(value));
}

function slots(
  core: Core, type: Type, views: Views, word: number, from: number, visit: SlotVisitor,
): number {
  const role = views.i32[word] & ROLE_MASK;
  if (role === ROLE.directory) return directorySlots(views, word, from, visit);
  if (type.role !== ROLE.hash) return 0;
  if (role === ROLE.entries) entrySlots(tableOf(core, type), views, word, visit);
  if (role === ROLE.hash) {
    visit(views, word + HASH.entries, false);
    visit(views, word + HASH.heads, false);
  }
  return 0;
}

function directorySlots(views: Views, word: number, from: number, visit: SlotVisitor): number {
  const { i32 } = views;
  const first = word + DIRECTORY.entries;
  const count = Math.min(i32[word] >>> ROLE_SHIFT, i32.length - first);
  const end = Math.min(count, from + SLOTS);
  for (let i = from; i < end; i++) visit(views, first + i, false);
  return end < count ? end : 0;
}

/** All in one go: there are at most 2^CHUNK_SHIFT. */
function entrySlots({ shape }: HashTable, views: Views, word: number, visit: SlotVisitor): void {
  const { key, value, stride, keyAt, valueAt } = shape;
  const { i32 } = views;
  const first = word + ENTRIES.data;
  const room = Math.min(i32[word + ENTRIES.counts] >>> ROOM_SHIFT, 2 ** CHUNK_SHIFT);
  const end = Math.min(first + room * stride, i32.length - stride + 1);
  const isKeySeen = key.holds !== 'nothing';
  const isValueSeen = value !== null && value.holds !== 'nothing';
  for (let entry = first; entry < end; entry += stride) {
    if (i32[entry + ENTRY.next] === DEAD) continue;
    if (isKeySeen) visit(views, entry + keyAt, key.holds === 'any');
    if (isValueSeen) visit(views, entry + valueAt, value.holds === 'any');
  }
}

export const hashes: Family = {
  roles: [ROLE.hash, ROLE.entries, ROLE.buckets, ROLE.directory],
  bind(bound) {
    const table = tableOf(bound.core, bound.type);
    return table.shape.value === null ? bindSet(bound, table) : bindMap(bound, table);
  },
  create,
  slots,
  moved: (core, type, ref) => tableOf(core, type).rehash(ref),
};
