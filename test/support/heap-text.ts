/** A heap with some of everything, and its text. */
import type { ObjectHeap } from '../../src/objects/heap.ts';
import * as kinds from '../../src/objects/kinds.ts';
import { struct } from '../../src/objects/struct.ts';
import { newHeap } from './heaps.ts';

const { list, map, ref, set, sorted, str, u32 } = kinds;
const anything = kinds.any;

export const Task = struct('Task', { id: u32, title: str, parent: ref(() => Task), tags: list(str),
  extra: anything });
export const Every = struct('Every', { u8: kinds.u8, i8: kinds.i8, u16: kinds.u16, i16: kinds.i16,
  u32, i32: kinds.i32, f32: kinds.f32, f64: kinds.f64, i64: kinds.i64, u64: kinds.u64,
  bool: kinds.bool, date: kinds.date, str, bytes: kinds.bytes(), four: kinds.bytes(4),
  task: ref(Task), maybe: kinds.optional(u32), maybeTask: kinds.optional(ref(Task)),
  maybeBig: kinds.optional(kinds.u64), list: list(list(u32)), map: map(ref(Task), anything),
  set: set(kinds.date), sorted: sorted(str, list(str)), numbers: kinds.array(kinds.f64, 3),
  bigs: kinds.array(kinds.i64, 2), extra: anything, never: list(str) });

/** A heap with some of everything; without `isLong` nothing that takes several lines. */
export function sample(isLong = true, { heap } = newHeap('4MiB')): ObjectHeap {
  const parent = heap.create(Task, { id: 1, title: 'über \ud800 𝄞', tags: ['a', ''] });
  const child = heap.create(Task, { id: 2, parent, extra: parent });
  parent.extra = { child, list: [child, [], {}], map: new Map<unknown, unknown>([[child, NaN]]) };
  heap.root.set('task', child);
  heap.root.set('every', heap.create(Every, { u8: 255, i8: -128, u16: 65535, i16: -32768,
    u32: 2 ** 32 - 1, i32: -(2 ** 31), f32: 0.5, f64: -0, i64: -(2n ** 63n), u64: 2n ** 64n - 1n,
    bool: true, date: new Date(8.64e15), str: '\0', bytes: new Uint8Array([0, 255]),
    four: new Uint8Array([1, 2, 3, 4]), task: child, maybe: 0, maybeBig: 5n,
    list: [[1, 2], [], [3]], map: [[child, 'x'], [parent, undefined]], set: [new Date(1)],
    sorted: [['b', ['x']], ['a', []]], numbers: [NaN, -0, 0.1], bigs: [1n, -1n],
    extra: [new Float32Array([0.5]), new Date(NaN), 2n ** 100n, -Infinity, '__proto__'] }));
  heap.root.set('empty', heap.create(Every));
  heap.root.set('self', heap.root);
  heap.root.set('', JSON.parse('{"__proto__":1,"$ref":2}'));
  if (!isLong) return heap;
  heap.root.set('long', Array.from({ length: 2500 }, (_, i) => i));
  heap.root.set('longer', new Map(Array.from({ length: 1000 }, (_, i) => [i, 'x'.repeat(200)])));
  heap.root.set('longest', new Set(Array.from({ length: 2000 }, (_, i) => `${i}`)));
  return heap;
}

export function imported(lines: Iterable<string>): ObjectHeap {
  const { heap } = newHeap('4MiB');
  heap.importLines(lines);
  return heap;
}

export function contents(heap: ObjectHeap): unknown {
  return (heap.root as unknown as { toJS(): unknown }).toJS();
}

/** Lines of the sample. */
export const LINES: readonly string[] = [...sample().exportLines()];
