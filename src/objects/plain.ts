/** Copies of what is in a heap as plain JavaScript. */
import type { Handle } from './handles.ts';

/** The fields of an object as a plain object. */
export function toPlain(handle: Handle): unknown {
  const { layout } = handle.$bound.type;
  return Object.fromEntries(layout?.fields.map(({ name }) =>
    [name, (handle as unknown as Record<string, unknown>)[name]]) ?? []);
}
