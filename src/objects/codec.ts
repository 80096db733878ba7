/**
 * Slots: how a value of a kind lies in memory, in a field, an element, a key or a value. A slot is
 * 1, 2, 4 or 8 bytes; an array of slots begins at a word (8 bytes: at an even word), and slot `i`
 * of it is found by every width from the same two numbers.
 *
 * What a slot refers to is either shared (objects, collections), and then the collector's, or it
 * belongs to that slot alone (texts, bytes, big integers), and is freed when it is overwritten.
 */
import type { Kind } from './kinds.ts';
import type { Views } from './memory.ts';

export interface Codec<T = unknown> {
  readonly kind: Kind;
  /** Bytes of a slot. */
  readonly width: 1 | 2 | 4 | 8;
  /** What the collector has to look for in a slot. */
  readonly holds: 'nothing' | 'ref' | 'any';
  /** The value of slot `i` of the array that begins at word `base`. */
  load(views: Views, base: number, i: number): T;
  /**
   * Writes a slot whose former contents do not matter. ERR_SCHEMA where the value does not fit,
   * ERR_NO_SPACE; the slot is unchanged then.
   */
  init(views: Views, base: number, i: number, value: T): void;
  /** Writes a slot; what belonged to it is freed, the collector told. The same errors. */
  store(views: Views, base: number, i: number, value: T): void;
  /** The slot goes: what belongs to it is freed, the collector told. It is not written. */
  drop(views: Views, base: number, i: number): void;
  /** Writes the value of a slot that was never set; where it is missing, that is zeros. */
  blank?(views: Views, base: number, i: number): void;
}

/** A codec whose values may be keys of maps and sets. Equality is SameValueZero, as in Map. */
export interface KeyCodec<T = unknown> extends Codec<T> {
  /** 32 bits, as a signed integer. ERR_SCHEMA where the value does not fit. */
  hash(value: T): number;
  equals(views: Views, base: number, i: number, value: T): boolean;
  /**
   * Where hashes come from places, which blocks that move change: the hash of the slot's key as it
   * is now; `known` = the one from before, for keys that have no place.
   */
  hashNow?(views: Views, base: number, i: number, known: number): number;
}

/** A codec whose values have an order: numbers by value, texts by UTF-16 units, as `<` does. */
export interface OrderedCodec<T = unknown> extends KeyCodec<T> {
  /** Negative, 0 or positive: is the slot's value before, equal to or behind `value`? */
  compare(views: Views, base: number, i: number, value: T): number;
}
