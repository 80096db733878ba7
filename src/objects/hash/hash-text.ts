/** Maps and sets as a program prints them. */
import { refOf } from '../handles.ts';
import type { HashHandle } from './hash-iterator.ts';

/** Entries that are shown, unless the options say otherwise. */
const SHOWN = 100;

export function inspectHash(
  handle: HashHandle & Iterable<unknown>, depth: number | null, options: object,
  inspect: (value: unknown, options: object) => string,
): string {
  const { $bound: { type }, $table: table } = handle;
  if (handle.$at < 0) return `${type.text} (stale)`;
  if (depth !== null && depth < 0) return `[${type.text}]`;
  const { maxArrayLength } = options as { maxArrayLength?: number | null };
  const most = maxArrayLength === undefined ? SHOWN : maxArrayLength ?? Number.POSITIVE_INFINITY;
  const some: unknown[] = [];
  for (const entry of handle) {
    if (some.length >= most) break;
    some.push(entry);
  }
  const hidden = table.size(refOf(handle)) - some.length;
  const text = inspect(contentsOf(handle, some), { ...options, depth });
  return `${type.text} ${text}${hidden > 0 ? ` and ${hidden} more` : ''}`;
}

function contentsOf({ $bound: { type }, $table: table }: HashHandle, some: unknown[]): unknown {
  if (table.shape.value === null) return new Set(some);
  const pairs = some as [string, unknown][];
  return type.isPlain ? Object.fromEntries(pairs) : new Map(pairs);
}
