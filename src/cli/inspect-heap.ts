/** What `inspect` shows of a heap of objects: how much there is of each type, its named values. */
import type { ObjectHeap } from '../objects/heap.ts';
import type { HeapCount } from '../objects/heap-stat.ts';
import { type Column, humanSize, type Paint, printable, table } from './table.ts';

export interface HeapView {
  /** Structs and kinds of collections, then what has no type of its own. */
  readonly types: readonly TypeLine[];
  readonly root: readonly NamedValue[];
}

interface TypeLine {
  readonly name: string;
  readonly count: number;
  /** Without what it refers to. */
  readonly bytes: number;
}

interface NamedValue {
  readonly name: string;
  /** Of objects and collections what `types` calls them, else what JavaScript does. */
  readonly type: string;
}

const TYPE_COLUMNS: readonly Column<TypeLine>[] = [
  { title: 'TYPE', text: (line) => printable(line.name) },
  { title: 'COUNT', text: (line) => String(line.count), right: true },
  { title: 'BYTES', text: (line) => humanSize(line.bytes), right: true },
];
const ROOT_COLUMNS: readonly Column<NamedValue>[] = [
  { title: 'NAMED VALUE', text: (line) => printable(line.name) },
  { title: 'TYPE', text: (line) => printable(line.type) },
];
/** Named values that the text form shows. */
const SHOWN = 20;

export function heapViewOf(heap: ObjectHeap | null): HeapView | null {
  if (heap === null) return null;
  const { types, texts, bytes, bigints, moments } = heap.stat();
  const others = Object.entries({ texts, bytes, bigints, dates: moments });
  const lines = [...types, ...others].map(([name, { count, bytes: size }]: [string, HeapCount]) =>
    ({ name, count, bytes: size }));
  const root = [...heap.root].map(([name, value]) => ({ name, type: heap.typeOf(value) }));
  return { types: lines.filter(({ count }) => count > 0), root };
}

export function* heapText(
  name: string, { types, root }: HeapView, head: Paint,
): Generator<string> {
  yield '';
  yield head(`heap ${printable(name)}`);
  yield* table(TYPE_COLUMNS, types, head);
  if (root.length === 0) return;
  yield '';
  yield* table(ROOT_COLUMNS, root.slice(0, SHOWN), head);
  if (root.length > SHOWN) yield `and ${root.length - SHOWN} more; --json lists them all`;
}
