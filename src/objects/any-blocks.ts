/**
 * What a slot of kind `any` keeps in blocks of its own: big integers of every size, moments, bytes
 * and typed arrays; texts are in text.ts. Their blocks say what they are, so that nothing else has
 * to. Numbers in them are little-endian.
 */
import { BIGINT, BYTES, ELEMENT, MOMENT, ROLE, ROLE_MASK, ROLE_SHIFT } from '../layout-objects.ts';
import { type Core, tagOf } from './core.ts';
import { hashNumber } from './codecs.ts';
import type { Memory } from './memory.ts';
import { mix } from './text.ts';

const WORD_BYTES = 4;

export type TypedArray = Uint8Array | Int8Array | Uint8ClampedArray | Uint16Array | Int16Array
  | Uint32Array | Int32Array | Float32Array | Float64Array | BigInt64Array | BigUint64Array;
interface TypedArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, at: number, length: number): TypedArray;
}

/** By the name that the language gives an instance, whatever realm it is of. */
const ELEMENT_OF: Readonly<Record<string, number>> = {
  Uint8Array: ELEMENT.u8, Int8Array: ELEMENT.i8, Uint8ClampedArray: ELEMENT.u8c,
  Uint16Array: ELEMENT.u16, Int16Array: ELEMENT.i16, Uint32Array: ELEMENT.u32,
  Int32Array: ELEMENT.i32, Float32Array: ELEMENT.f32, Float64Array: ELEMENT.f64,
  BigInt64Array: ELEMENT.i64, BigUint64Array: ELEMENT.u64,
};
/** By the kind of elements. */
const CLASSES: readonly TypedArrayClass[] = [Uint8Array, Int8Array, Uint8ClampedArray, Uint16Array,
  Int16Array, Uint32Array, Int32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array];
const BYTES_OF: readonly number[] = [1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8];

const nameOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag)?.get as (this: unknown) => string | undefined;

/** The kind of a typed array's elements; -1 where the value is none, or of a kind not known. */
export function elementOf(value: unknown): number {
  return ELEMENT_OF[nameOf.call(value) ?? ''] ?? -1;
}

/** The class of typed arrays with such elements; ERR_CORRUPT-safe: undefined for unknown ones. */
export function classOfElement(element: number): TypedArrayClass | undefined {
  return CLASSES[element];
}

/** A new block with the contents of a typed array. ERR_NO_SPACE. */
export function newArray(memory: Memory, value: TypedArray, element: number): number {
  const { byteLength } = value;
  const ref = memory.alloc(BYTES.data * WORD_BYTES + byteLength);
  const { i32 } = memory.views(ref);
  const word = memory.word(ref);
  i32[word] = tagOf(ROLE.bytes, element);
  i32[word + BYTES.length] = byteLength;
  memory.bytes(ref, BYTES.data, byteLength).set(bytesOf(value));
  return ref;
}

/** The array in a block, not a copy. ERR_CORRUPT. */
export function arrayAt(core: Core, ref: number): TypedArray {
  const { memory } = core;
  const { u32 } = memory.views(ref);
  const word = memory.word(ref);
  const element = u32[word] >>> ROLE_SHIFT;
  const made = CLASSES[element];
  const length = u32[word + BYTES.length];
  const isInside = (word + BYTES.data) * WORD_BYTES + length <= u32.byteLength;
  if (made === undefined || !isInside || length % BYTES_OF[element] !== 0) {
    throw core.corrupt(ref, `${length} bytes of elements ${element}`);
  }
  const { buffer, byteOffset } = memory.bytes(ref, BYTES.data, length);
  return new made(buffer, byteOffset, length / BYTES_OF[element]);
}

/** The same class and the same bytes: NaNs are equal where their bits are. */
export function sameArray(a: TypedArray, b: TypedArray): boolean {
  return elementOf(a) === elementOf(b) && a.byteLength === b.byteLength
    && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

/** Of at most the first SAMPLE bytes, and the length. */
export function hashArray(value: TypedArray): number {
  const bytes = bytesOf(value);
  let hash = elementOf(value) ^ Math.imul(bytes.length, 0x9e3779b1);
  const end = Math.min(bytes.length, SAMPLE);
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return mix(hash);
}

const SAMPLE = 256;

/** No view is made of an empty array: its buffer may be gone. */
function bytesOf({ buffer, byteOffset, byteLength }: TypedArray): Uint8Array {
  return byteLength === 0 ? NO_BYTES : new Uint8Array(buffer, byteOffset, byteLength);
}

const NO_BYTES = new Uint8Array(0);

/** A new block with a big integer of any size. ERR_NO_SPACE. */
export function newBigint(memory: Memory, value: bigint): number {
  const isNegative = value < 0n;
  const magnitude = isNegative ? -value : value;
  const count = magnitude <= 0xffffffffn ? 1
    : magnitude <= 0xffffffffffffffffn ? 2 : Math.ceil(magnitude.toString(16).length / 8);
  const ref = memory.alloc((BIGINT.magnitude + count) * WORD_BYTES);
  const { u32 } = memory.views(ref);
  const word = memory.word(ref);
  u32[word] = tagOf(ROLE.bigint, Number(isNegative));
  u32[word + BIGINT.count] = count;
  if (count > 2) {
    // Through text: shifts would take time of the square of the size.
    const text = magnitude.toString(16).padStart(count * 8, '0');
    memory.bytes(ref, BIGINT.magnitude, count * WORD_BYTES).set(Buffer.from(text, 'hex').reverse());
    return ref;
  }
  u32[word + BIGINT.magnitude] = Number(BigInt.asUintN(32, magnitude));
  if (count === 2) u32[word + BIGINT.magnitude + 1] = Number(magnitude >> 32n);
  return ref;
}

/** ERR_CORRUPT. */
export function bigintAt(core: Core, ref: number): bigint {
  const { memory } = core;
  const { u32 } = memory.views(ref);
  const word = memory.word(ref);
  const count = u32[word + BIGINT.count];
  if (count > MAX_BIGINT || word + BIGINT.magnitude + count > u32.length) {
    throw core.corrupt(ref, `a big integer of ${count} words`);
  }
  let magnitude: bigint;
  if (count <= 2) {
    magnitude = BigInt(count === 0 ? 0 : u32[word + BIGINT.magnitude]);
    if (count === 2) magnitude |= BigInt(u32[word + BIGINT.magnitude + 1]) << 32n;
  } else {
    const bytes = memory.bytes(ref, BIGINT.magnitude, count * WORD_BYTES);
    magnitude = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  }
  return u32[word] >>> ROLE_SHIFT === 0 ? magnitude : -magnitude;
}

/** Words of the largest big integer that V8 has. */
const MAX_BIGINT = 2 ** 25;

export function hashBigint(value: bigint): number {
  return mix(Number(BigInt.asIntN(32, value)) ^ Number(BigInt.asIntN(32, value >> 32n)));
}

/** A new block with a moment. ERR_NO_SPACE. */
export function newMoment(memory: Memory, time: number): number {
  const ref = memory.alloc((MOMENT.time + 2) * WORD_BYTES);
  const { i32, f64 } = memory.views(ref);
  const word = memory.word(ref);
  i32[word] = tagOf(ROLE.moment, 0);
  f64[(word + MOMENT.time) >> 1] = time;
  return ref;
}

export function momentAt(memory: Memory, ref: number): number {
  return memory.views(ref).f64[(memory.word(ref) + MOMENT.time) >> 1];
}

/** A moment is not the number of its milliseconds. */
export function hashMoment(time: number): number {
  return mix(hashNumber(time) ^ ROLE.moment);
}

/** The role of a block; 0 where the reference leads nowhere. */
export function roleAt(memory: Memory, ref: number): number {
  return memory.tag(ref) & ROLE_MASK;
}
