/** What `inspect` shows of a heap of objects: how much there is of each type, its named values. */
import type { HeapCount, HeapStat } from '../objects/heap-stat.ts';
import { countText, ESTIMATED, sizeText } from './counting.ts';
import { type Column, type Paint, printable, table } from './table.ts';
import type { Subject } from './target.ts';

export interface HeapView {
  /** Structs and kinds of collections, then what has no type of its own. */
  readonly types: readonly TypeLine[];
  /** `types` are from a sample; rare ones may be missing. */
  readonly estimated: boolean;
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

const typeColumns = (isEstimate: boolean): readonly Column<TypeLine>[] => [
  { title: 'TYPE', text: (line) => printable(line.name) },
  { title: 'COUNT', text: (line) => countText(line.count, isEstimate), right: true },
  { title: 'BYTES', text: (line) => sizeText(line.bytes, isEstimate), right: true },
];
const ROOT_COLUMNS: readonly Column<NamedValue>[] = [
  { title: 'NAMED VALUE', text: (line) => printable(line.name) },
  { title: 'TYPE', text: (line) => printable(line.type) },
];
/** Named values that the text form shows. */
const SHOWN = 20;

/** `isEstimate` = types are counted in a sample of the blocks. */
export function heapViewOf(subject: Subject, isEstimate: boolean): HeapView | null {
  const heap = subject.heap();
  if (heap === null) return null;
  const root = [...heap.root].map(([name, value]) => ({ name, type: heap.typeOf(value) }));
  const stat = isEstimate ? subject.estimateHeap() : heap.stat();
  return { types: typesIn(stat), estimated: isEstimate, root };
}

function typesIn({ types, texts, bytes, bigints, moments }: HeapStat): TypeLine[] {
  const others = Object.entries({ texts, bytes, bigints, dates: moments });
  const lines = [...types, ...others].map(([name, { count, bytes: size }]: [string, HeapCount]) =>
    ({ name, count, bytes: size }));
  return lines.filter(({ count }) => count > 0);
}

export function* heapText(
  name: string, { types, estimated, root }: HeapView, head: Paint,
): Generator<string> {
  yield '';
  yield head(`heap ${printable(name)}`);
  yield* table(typeColumns(estimated), types, head);
  if (estimated) yield `${ESTIMATED}; rare types may be missing`;
  if (root.length === 0) return;
  yield '';
  yield* table(ROOT_COLUMNS, root.slice(0, SHOWN), head);
  if (root.length > SHOWN) yield `and ${root.length - SHOWN} more; --json lists them all`;
}
