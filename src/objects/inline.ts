/** What lies inside objects: `bytes(n)` and `array(f64, n)`, seen as typed arrays. */
import { fitsNumber } from './codecs.ts';
import { misfit } from './core.ts';
import type { Kind } from './kinds.ts';
import type { Memory } from './memory.ts';
import { type Field, inlineBytes } from './record-layout.ts';

export type Numbers = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array
  | Float32Array | Float64Array | BigInt64Array | BigUint64Array;
type NumbersClass = new (buffer: ArrayBufferLike, at: number, length: number) => Numbers;

/** The typed arrays of kinds of numbers. */
export const NUMBERS: Readonly<Record<string, NumbersClass>> = { u8: Uint8Array, i8: Int8Array,
  u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array, f32: Float32Array,
  f64: Float64Array, i64: BigInt64Array, u64: BigUint64Array };

/** The field of an object as a typed array, not a copy. */
export function inlineView(memory: Memory, ref: number, { kind, at }: Field): Numbers {
  const bytes = memory.bytes(ref, at / 4, inlineBytes(kind, () => 0));
  if (kind.name === 'bytes') return bytes;
  return new NUMBERS[kind.of?.name ?? ''](bytes.buffer, bytes.byteOffset, kind.length ?? 0);
}

/** Copies what was given; it must be as long. ERR_SCHEMA, the field unchanged. */
export function setInline(memory: Memory, ref: number, field: Field, value: unknown): void {
  const { kind } = field;
  if (!isListOf(value, kind)) throw misfit(kind, value);
  const view = inlineView(memory, ref, field);
  (view as { set(from: ArrayLike<unknown>): void }).set(value);
}

/** As many as the kind says, and each one fits. */
function isListOf(value: unknown, { of, length }: Kind): value is ArrayLike<unknown> {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return false;
  const list = value as unknown as ArrayLike<unknown>;
  const name = of?.name ?? 'u8';
  const fits = BIG[name] ?? ((one: unknown) => fitsNumber(name, one));
  if (list.length !== length) return false;
  for (let i = 0; i < list.length; i++) if (!fits(list[i])) return false;
  return true;
}

const BIG: Readonly<Record<string, (one: unknown) => boolean>> = {
  i64: (one) => typeof one === 'bigint' && BigInt.asIntN(64, one) === one,
  u64: (one) => typeof one === 'bigint' && BigInt.asUintN(64, one) === one,
};
