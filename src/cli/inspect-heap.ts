/** What `inspect` shows of a heap of objects: how much there is of each type, its named values. */
import type { ObjectHeap } from '../objects/heap.ts';
import type { HeapCount } from '../objects/heap-stat.ts';
import { type Column, humanSize, type Paint, printable, table } from './table.ts';

export interface HeapView {
  /**
   * Structs and kinds of collections, then what has no type of its own; null = not counted.
   */
  readonly types: readonly TypeLine[] | null;
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

/** `isCounted` false = without what every block has to be looked at for. */
export function heapViewOf(heap: ObjectHeap | null, isCounted: boolean): HeapView | null {
  if (heap === null) return null;
  const root = [...heap.root].map(([name, value]) => ({ name, type: heap.typeOf(value) }));
  return { types: isCounted ? typesOf(heap) : null, root };
}

function typesOf(heap: ObjectHeap): TypeLine[] {
  const { types, texts, bytes, bigints, moments } = heap.stat();
  const others = Object.entries({ texts, bytes, bigints, dates: moments });
  const lines = [...types, ...others].map(([name, { count, bytes: size }]: [string, HeapCount]) =>
    ({ name, count, bytes: size }));
  return lines.filter(({ count }) => count > 0);
}

export function* heapText(
  name: string, { types, root }: HeapView, head: Paint,
): Generator<string> {
  yield '';
  yield head(`heap ${printable(name)}`);
  if (types !== null) yield* table(TYPE_COLUMNS, types, head);
  else yield `too many blocks to count by type on the way: inspect it by name`;
  if (root.length === 0) return;
  yield '';
  yield* table(ROOT_COLUMNS, root.slice(0, SHOWN), head);
  if (root.length > SHOWN) yield `and ${root.length - SHOWN} more; --json lists them all`;
}
