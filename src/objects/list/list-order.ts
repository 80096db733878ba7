/**
 * Lists by their values: finding one, and bringing all into an order. What is put in order are the
 * bits of the slots: nothing is made or given up.
 */
import { isDate } from 'node:util/types';
import { RegionError } from '../../errors.ts';
import type { KeyCodec } from '../codec.ts';
import { dataOf, type ListShape, tellMoved } from './list-elements.ts';

/** What is equal where `NaN` is, too (includes), or is not (indexOf). */
export type Equality = 'SameValueZero' | '===';

/** Position of the first slot from `from` on with this value; -1 = there is none. */
export function search(
  shape: ListShape, ref: number, from: number, length: number, value: unknown, how: Equality,
): number {
  if (how === '===' && Number.isNaN(value)) return -1;
  const { codec, memory } = shape;
  const views = memory.views(ref);
  const data = dataOf(memory, ref);
  if ('equals' in codec) {
    const key = codec as KeyCodec;
    if (!mayHold(key, value)) return -1;
    for (let i = from; i < length; i++) if (key.equals(views, data, i, value)) return i;
    return -1;
  }
  for (let i = from; i < length; i++) if (isSame(codec.load(views, data, i), value)) return i;
  return -1;
}

/** Could a slot hold this value? Stale handles are ERR_STALE. */
function mayHold(codec: KeyCodec, value: unknown): boolean {
  try {
    codec.hash(value);
    return true;
  } catch (error) {
    const isOther = error instanceof RegionError
      && (error.code === 'ERR_SCHEMA' || error.code === 'ERR_MISMATCH');
    if (!isOther) throw error;
    return false;
  }
}

function isSame(a: unknown, b: unknown): boolean {
  if (isDate(a) && isDate(b)) return Object.is(a.getTime(), b.getTime());
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}

/** Positions of the values in their order. Stable, undefined last, as Array sorts. */
export function orderOf(
  values: readonly unknown[], compare: ((a: unknown, b: unknown) => number) | undefined,
): number[] {
  const there: number[] = [];
  const missing: number[] = [];
  values.forEach((value, i) => (value === undefined ? missing : there).push(i));
  if (compare !== undefined) there.sort((a, b) => compare(values[a], values[b]));
  else {
    const texts = values.map(String);
    there.sort((a, b) => texts[a] < texts[b] ? -1 : Number(texts[a] > texts[b]));
  }
  return there.concat(missing);
}

/** Moves the slot at `order[i]` to `i`, all at once. */
export function permute(shape: ListShape, ref: number, order: readonly number[]): void {
  if (order.length === 0) return;
  tellMoved(shape, ref, 0, order.length);
  const bits = bitsOf(shape, ref, order.length);
  const old = bits.slice();
  if (shape.width < 8) {
    for (let i = 0; i < order.length; i++) bits[i] = old[order[i]];
    return;
  }
  for (let i = 0; i < order.length; i++) {
    bits[i * 2] = old[order[i] * 2];
    bits[i * 2 + 1] = old[order[i] * 2 + 1];
  }
}

export function reverse(shape: ListShape, ref: number, length: number): void {
  if (length === 0) return;
  tellMoved(shape, ref, 0, length);
  const bits = bitsOf(shape, ref, length);
  if (shape.width < 8) bits.reverse();
  else new BigInt64Array(bits.buffer, bits.byteOffset, length).reverse();
}

/** The slots as numbers as wide as they are, or, where they take 8 bytes, as words. */
function bitsOf({ memory, width }: ListShape, ref: number, count: number):
  Uint8Array | Uint16Array | Int32Array {
  const { buffer, byteOffset } = memory.views(ref).u8;
  const at = byteOffset + dataOf(memory, ref) * Int32Array.BYTES_PER_ELEMENT;
  if (width === 1) return new Uint8Array(buffer, at, count);
  if (width === 2) return new Uint16Array(buffer, at, count);
  return new Int32Array(buffer, at, width === 8 ? count * 2 : count);
}
