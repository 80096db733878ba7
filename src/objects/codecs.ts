/**
 * Slots of every kind but `any` and `optional`: numbers, bool, date, text, bytes, references and
 * collections.
 */
import { isDate, isUint8Array } from 'node:util/types';
import { BYTES, ELEMENT, ROLE, ROLE_MASK } from '../layout-objects.ts';
import type { Codec, KeyCodec, OrderedCodec } from './codec.ts';
import { type Core, isHandle, misfit, tagOf } from './core.ts';
import { type Kind, targetOf, textOf } from './kinds.ts';
import type { Memory, Views } from './memory.ts';
import { compareText, equalsText, hashText, loadText, mix, newText } from './text.ts';

const NOTHING = () => {};

/** What numbers of one width need: how they are read and written, which ones fit. */
interface NumberSlot {
  readonly width: 1 | 2 | 4 | 8;
  load(views: Views, base: number, i: number): number;
  write(views: Views, base: number, i: number, value: number): void;
  fits(value: number): boolean;
}

/** A slot of 8 or 16 bits inside its word. */
function small(bits: 8 | 16, isSigned: boolean): NumberSlot {
  const perWord = 32 / bits;
  const wordShift = bits === 8 ? 2 : 1;
  const bitShift = bits === 8 ? 3 : 4;
  const mask = 2 ** bits - 1;
  const unused = 32 - bits;
  const least = isSigned ? -(2 ** (bits - 1)) : 0;
  return {
    width: bits === 8 ? 1 : 2,
    load({ i32 }, base, i) {
      const shifted = i32[base + (i >> wordShift)] >>> ((i & (perWord - 1)) << bitShift);
      return isSigned ? (shifted << unused) >> unused : shifted & mask;
    },
    write({ i32 }, base, i, value) {
      const shift = (i & (perWord - 1)) << bitShift;
      const at = base + (i >> wordShift);
      i32[at] = (i32[at] & ~(mask << shift)) | ((value & mask) << shift);
    },
    fits: (value) => Number.isInteger(value) && value >= least && value <= least + mask,
  };
}

const NUMBER_SLOTS: Readonly<Record<string, NumberSlot>> = {
  u8: small(8, false),
  i8: small(8, true),
  u16: small(16, false),
  i16: small(16, true),
  u32: {
    width: 4,
    load: ({ u32 }, base, i) => u32[base + i],
    write: ({ u32 }, base, i, value) => { u32[base + i] = value; },
    fits: (value) => typeof value === 'number' && value >>> 0 === value,
  },
  i32: {
    width: 4,
    load: ({ i32 }, base, i) => i32[base + i],
    write: ({ i32 }, base, i, value) => { i32[base + i] = value; },
    fits: (value) => typeof value === 'number' && (value | 0) === value,
  },
  f32: {
    width: 4,
    load: ({ f32 }, base, i) => f32[base + i],
    write: ({ f32 }, base, i, value) => { f32[base + i] = value; },
    fits: (value) => typeof value === 'number',
  },
  f64: {
    width: 8,
    load: ({ f64 }, base, i) => f64[(base >> 1) + i],
    write: ({ f64 }, base, i, value) => { f64[(base >> 1) + i] = value; },
    fits: (value) => typeof value === 'number',
  },
};

/** Is it a number of the kind called so? */
export function fitsNumber(name: string, value: unknown): boolean {
  return NUMBER_SLOTS[name]?.fits(value as number) ?? false;
}

const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

/** -0 is 0, as in Map; every NaN is the same. */
export function hashNumber(value: number): number {
  if ((value | 0) === value) return mix(value | 0);
  // NaN has many forms, of which a program can have any: all are one key.
  scratch[0] = value === 0 ? 0 : Number.isNaN(value) ? Number.NaN : value;
  return mix(scratchWords[0] ^ Math.imul(scratchWords[1], 0x9e3779b1));
}

/** NaN comes behind every number. */
export function compareNumbers(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

function numberCodec(kind: Kind, slot: NumberSlot): OrderedCodec<number> {
  const { load, write, fits } = slot;
  const init: Codec<number>['init'] = (views, base, i, value) => {
    if (!fits(value)) throw misfit(kind, value);
    write(views, base, i, value);
  };
  const same = (a: number, b: number) => a === b || (Number.isNaN(a) && Number.isNaN(b));
  return {
    kind, width: slot.width, holds: 'nothing', load, init, store: init, drop: NOTHING,
    hash(value) {
      if (!fits(value)) throw misfit(kind, value);
      return hashNumber(value);
    },
    equals: (views, base, i, value) => same(load(views, base, i), value),
    compare: (views, base, i, value) => compareNumbers(load(views, base, i), value),
  };
}

/** One of few values as a number: bool, date. */
function mapped<T>(
  kind: Kind, numbers: OrderedCodec<number>, from: (n: number) => T, to: (value: T) => number,
): OrderedCodec<T> {
  const { load } = numbers;
  const init: Codec<T>['init'] = (views, base, i, value) => {
    numbers.init(views, base, i, to(value));
  };
  return {
    kind, width: numbers.width, holds: 'nothing', init, store: init, drop: NOTHING,
    load: (views, base, i) => from(load(views, base, i)),
    hash: (value) => numbers.hash(to(value)),
    equals: (views, base, i, value) => numbers.equals(views, base, i, to(value)),
    compare: (views, base, i, value) => numbers.compare(views, base, i, to(value)),
  };
}

function numbersOf(kind: Kind, name: string): OrderedCodec<number> {
  return numberCodec(kind, NUMBER_SLOTS[name]);
}

function boolCodec(kind: Kind): OrderedCodec<boolean> {
  return mapped(kind, numbersOf(kind, 'u8'), (n) => n !== 0, (value) => {
    if (typeof value !== 'boolean') throw misfit(kind, value);
    return value ? 1 : 0;
  });
}

function dateCodec(kind: Kind): OrderedCodec<Date> {
  return mapped(kind, numbersOf(kind, 'f64'), (ms) => new Date(ms), (value) => {
    if (!isDate(value)) throw misfit(kind, value);
    return value.getTime();
  });
}

/** Two words, so that no view of big integers is needed. */
function bigintCodec(kind: Kind): OrderedCodec<bigint> {
  const isSigned = kind.name === 'i64';
  const assertFits = (value: bigint) => {
    const fits = typeof value === 'bigint'
      && (isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)) === value;
    if (!fits) throw misfit(kind, value);
  };
  const load: Codec<bigint>['load'] = ({ i32, u32 }, base, i) => {
    const high = isSigned ? i32[base + i * 2 + 1] : u32[base + i * 2 + 1];
    return (BigInt(high) << 32n) | BigInt(u32[base + i * 2]);
  };
  const init: Codec<bigint>['init'] = ({ u32 }, base, i, value) => {
    assertFits(value);
    u32[base + i * 2] = Number(BigInt.asUintN(32, value));
    u32[base + i * 2 + 1] = Number(BigInt.asUintN(32, value >> 32n));
  };
  return {
    kind, width: 8, holds: 'nothing', load, init, store: init, drop: NOTHING,
    hash(value) {
      assertFits(value);
      return mix(Number(BigInt.asIntN(32, value)) ^ Number(BigInt.asIntN(32, value >> 32n)));
    },
    equals: (views, base, i, value) => load(views, base, i) === value,
    compare(views, base, i, value) {
      const mine = load(views, base, i);
      return mine < value ? -1 : Number(mine > value);
    },
  };
}

/** Slots that own the block they name: what is overwritten is freed. */
function owning<T>(
  memory: Memory, make: (value: T) => number,
  free: (ref: number) => void = (ref) => memory.free(ref),
): Pick<Codec<T>, 'init' | 'store' | 'drop'> {
  const init: Codec<T>['init'] = (views, base, i, value) => {
    views.i32[base + i] = make(value);
  };
  const drop: Codec<T>['drop'] = ({ i32 }, base, i) => {
    const ref = i32[base + i];
    memory.dropped(ref);
    free(ref);
  };
  const store: Codec<T>['store'] = (views, base, i, value) => {
    const made = make(value);
    drop(views, base, i);
    views.i32[base + i] = made;
  };
  return { init, store, drop };
}

function textCodec(core: Core, kind: Kind): OrderedCodec<string> {
  const { memory } = core;
  const assertText = (value: string) => {
    if (typeof value !== 'string') throw misfit(kind, value);
  };
  const load: Codec<string>['load'] = ({ i32 }, base, i) => {
    const text = loadText(memory, i32[base + i]);
    if (text === null) throw core.corrupt(i32[base + i], 'it holds no text');
    return text;
  };
  const make = (value: string) => {
    assertText(value);
    return newText(memory, value);
  };
  return {
    kind, width: 4, holds: 'ref', load, ...owning(memory, make),
    hash(value) {
      assertText(value);
      return hashText(value);
    },
    equals: ({ i32 }, base, i, value) => equalsText(memory, i32[base + i], value),
    compare({ i32 }, base, i, value) {
      const found = compareText(memory, i32[base + i], value);
      if (Number.isNaN(found)) throw core.corrupt(i32[base + i], 'it holds no text');
      return found;
    },
  };
}

/** Bytes of any length, or of one length: a block of their own, seen through a view. */
function bytesCodec(core: Core, kind: Kind): Codec<Uint8Array> {
  const { memory, pins } = core;
  const make = (value: Uint8Array) => {
    if (!isUint8Array(value)) throw misfit(kind, value);
    if (kind.length !== undefined && value.length !== kind.length) throw misfit(kind, value);
    return newBytes(memory, value, ELEMENT.u8);
  };
  return {
    kind, width: 4, holds: 'ref',
    load({ i32 }, base, i) {
      const ref = i32[base + i];
      if (ref === 0) return new Uint8Array(kind.length ?? 0);
      const role = memory.tag(ref) & ROLE_MASK;
      if (role !== ROLE.bytes) throw core.corrupt(ref, 'it holds no bytes');
      const { u32 } = memory.views(ref);
      const word = memory.word(ref);
      const length = u32[word + BYTES.length];
      if ((word + BYTES.data) * 4 + length > u32.byteLength) {
        throw core.corrupt(ref, `${length} bytes lead out of the heap`);
      }
      return pins.add(ref, memory.bytes(ref, BYTES.data, length));
    },
    ...owning(memory, make, (ref) => {
      if (!pins.has(ref)) memory.free(ref);
    }),
  };
}

/** A new block with the bytes of a typed array; 0 for none. */
function newBytes(memory: Memory, value: ArrayBufferView, element: number): number {
  const { buffer, byteOffset, byteLength } = value;
  if (byteLength === 0 && element === ELEMENT.u8) return 0;
  const ref = memory.alloc(BYTES.data * 4 + byteLength);
  const { i32 } = memory.views(ref);
  const word = memory.word(ref);
  i32[word] = tagOf(ROLE.bytes, element);
  i32[word + BYTES.length] = byteLength;
  memory.bytes(ref, BYTES.data, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength));
  return ref;
}

/** Slots that share the block they name. */
function sharing<T>(memory: Memory, refOf: (value: T) => number):
  Pick<Codec<T>, 'init' | 'store' | 'drop'> {
  return {
    init({ i32 }, base, i, value) {
      i32[base + i] = refOf(value);
    },
    store({ i32 }, base, i, value) {
      const made = refOf(value);
      memory.dropped(i32[base + i]);
      i32[base + i] = made;
    },
    drop({ i32 }, base, i) {
      memory.dropped(i32[base + i]);
    },
  };
}

function refCodec(core: Core, kind: Kind): KeyCodec<unknown> {
  const target = targetOf(kind);
  const refOf = (value: unknown) => {
    if (value === null) return 0;
    if (!isHandle(value)) throw misfit(kind, value);
    const { text, layout } = value.$bound.type;
    if (layout === null || text !== target) throw misfit(kind, value);
    return core.refOf(value);
  };
  return {
    kind, width: 4, holds: 'ref',
    load({ i32 }, base, i) {
      const ref = i32[base + i];
      return ref === 0 ? null : core.handleOf(ref);
    },
    ...sharing(core.memory, refOf),
    hash: (value) => mix(refOf(value)),
    hashNow: ({ i32 }, base, i) => mix(i32[base + i]),
    equals: ({ i32 }, base, i, value) => core.leadsTo(i32[base + i], refOf(value)),
  };
}

/**
 * A collection: a handle of its kind is shared, anything else, also what is in another heap, is
 * copied into a new one.
 */
function collectionCodec(core: Core, kind: Kind): Codec<unknown> {
  const refOf = (value: unknown) => isHandle(value) && value.$bound.type === core.types.ofKind(kind)
    ? core.refOf(value) : core.create(kind, value);
  return {
    kind, width: 4, holds: 'ref',
    load({ i32 }, base, i) {
      const ref = i32[base + i];
      if (ref !== 0) return core.handleOf(ref);
      const made = core.create(kind, undefined);
      i32[base + i] = made;
      return core.handleOf(made);
    },
    ...sharing(core.memory, refOf),
  };
}

type Others = (core: Core, kind: Kind) => Codec;

/** Codecs of a heap, one a kind. `any` and `optional` make the two that are not here. */
export function codecs(core: Core, any: Others, optional: Others): (kind: Kind) => Codec {
  const made = new Map<string, Codec>();
  const codecOf = (kind: Kind): Codec => {
    const key = textOf(kind);
    const known = made.get(key);
    if (known !== undefined) return known;
    const codec = make(kind);
    made.set(key, codec);
    return codec;
  };
  const make = (kind: Kind): Codec => {
    const { name } = kind;
    if (name in NUMBER_SLOTS) return numbersOf(kind, name) as Codec;
    if (name === 'any') return any(core, kind);
    if (name === 'optional') return optional(core, kind);
    const maker = MAKERS[name];
    return maker === undefined ? collectionCodec(core, kind) : maker(core, kind);
  };
  return codecOf;
}

const MAKERS: Readonly<Record<string, (core: Core, kind: Kind) => Codec>> = {
  bool: (_, kind) => boolCodec(kind) as Codec,
  date: (_, kind) => dateCodec(kind) as Codec,
  i64: (_, kind) => bigintCodec(kind) as Codec,
  u64: (_, kind) => bigintCodec(kind) as Codec,
  str: (core, kind) => textCodec(core, kind) as Codec,
  bytes: (core, kind) => bytesCodec(core, kind) as Codec,
  ref: refCodec,
};
