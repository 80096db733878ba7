/** What the golden heap holds: every kind of field and collection, a struct for each change. */
import type { ObjectHeap } from '../src/objects/heap.ts';
import { any, array, bool, bytes, date, f32, f64, i16, i32, i64, i8, type Kind, list, map, optional,
  ref, set, sorted, str, u16, u32, u64, u8 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';

const WHEN = new Date(1_790_000_000_000);
const TEXTS = ['', 'plain', 'Größe', '世界', '🜚', 'lone \ud800', 'long '.repeat(60)] as const;

/** Every kind; `all.toJS()` gives GOLDEN. */
const KINDS = {
  u8, i8, u16, i16, u32, i32, f32, f64, i64, u64, bool, date, str, bytes: bytes(),
  four: bytes(4), three: array(f64, 3), maybe: optional(u32), never: optional(str),
  texts: list(str), numbers: list(f64), byName: map(str, any), unique: set(i32),
  ordered: sorted(str, u32), any,
  get self() { return ref(All); },
};
const All = struct('All', KINDS);

export const GOLDEN = {
  u8: 255, i8: -128, u16: 65535, i16: -32768, u32: 2 ** 32 - 1, i32: -(2 ** 31), f32: 1.5,
  f64: -0.1, i64: -(2n ** 63n), u64: 2n ** 64n - 1n, bool: true, date: WHEN, str: TEXTS.join('|'),
  bytes: new Uint8Array([1, 2, 3]), four: new Uint8Array([9, 8, 7, 6]),
  three: new Float64Array([0.5, -1, 2]), maybe: 7, never: undefined,
  texts: [...TEXTS], numbers: Array.from({ length: 50 }, (_, i) => i / 4),
  byName: new Map<string, unknown>([['null', null], ['nothing', undefined], ['no', false],
    ['nan', Number.NaN], ['big', 12345678901234567890n], ['when', WHEN],
    ['floats', new Float32Array([1, 2])], ['plain', { a: [1, { b: 'c' }] }],
    ['map', new Map([[1, 'one']])], ['set', new Set(['x'])]]),
  unique: new Set(Array.from({ length: 40 }, (_, i) => i * i - 100)),
  ordered: new Map(Array.from({ length: 300 }, (_, i) => [`key ${String(i).padStart(3, '0')}`, i])),
  any: { deep: { er: [1n, [2n]] } },
};

/** A struct as it was declared when the file was written; the object is under its name. */
export interface Stored {
  readonly name: string;
  readonly fields: Record<string, Kind>;
  readonly values: Record<string, unknown>;
}

export const STORED: readonly Stored[] = [
  { name: 'Added', fields: { id: u32 }, values: { id: 1 } },
  { name: 'Removed', fields: { id: u32, gone: str, alsoGone: list(str) },
    values: { id: 2, gone: 'text', alsoGone: ['a'] } },
  { name: 'Reordered', fields: { a: u8, b: str, c: f64 }, values: { a: 1, b: 'two', c: 3 } },
  { name: 'Renamed', fields: { name: str }, values: { name: 'kept' } },
  { name: 'Widened', fields: { a: u8, b: i16, c: u32, d: f32, e: str, f: bytes(2), g: date },
    values: { a: 255, b: -32768, c: 2 ** 32 - 1, d: 0.5, e: 'text', f: new Uint8Array([1, 2]),
      g: WHEN } },
  { name: 'Refused', fields: { id: str }, values: { id: 'text' } },
];

export function fillHeap(heap: ObjectHeap): void {
  const all = heap.create(All, GOLDEN as object);
  all.self = all;
  heap.root.set('all', all);
  for (const { name, fields, values } of STORED) {
    heap.root.set(name, heap.create(struct(name, fields), values));
  }
  // A struct that changed already: objects of both its types, the older never looked at since.
  heap.root.set('first', heap.create(struct('Twice', { n: u8 }), { n: 1 }));
  const Twice = struct('Twice', { n: u16, more: str }, { defaults: { more: 'default' } });
  heap.root.set('second', heap.create(Twice, { n: 2, more: 'own' }));
}
