/** Arguments of lists, taken as Array takes them. */
import { misfit } from '../core.ts';
import type { Kind } from '../kinds.ts';
import type { ListShape } from './list-elements.ts';

/** A whole number; 0 for what is none. */
export function whole(given: unknown): number {
  const n = Math.trunc(Number(given));
  return Number.isNaN(n) ? 0 : n;
}

/** A place from 0 to `length`; negative ones count from the end. `absent` = where none is given. */
export function placeIn(length: number, given: number | undefined, absent: number): number {
  if (given === undefined) return absent;
  const n = whole(given);
  return n < 0 ? Math.max(0, length + n) : Math.min(n, length);
}

export function assertFunction(given: unknown): void {
  if (typeof given !== 'function') throw new TypeError(`${String(given)} is not a function`);
}

/** What is to be put into a list, as an array: taken before anything changes. ERR_SCHEMA. */
export function valuesOf({ type }: Pick<ListShape, 'type'>, given: unknown): ArrayLike<unknown> {
  if (ArrayBuffer.isView(given) && 'length' in given) return given as unknown as ArrayLike<unknown>;
  if (typeof given === 'object' && given !== null && Symbol.iterator in given) {
    return [...given as Iterable<unknown>];
  }
  throw misfit(type.kind as Kind, given);
}
