/**
 * The elements of lists: one block with a slot for each, and some to spare. A list that grows asks
 * for twice the room, in place where memory behind it is free, and uses what the block has to the
 * last byte; one that is three quarters empty gives half back.
 *
 * What is put in may run code of the program (iterators, getters), which may change the list under
 * it. Such values are first made in a block of their own, and then moved: see `stage`.
 */
import { RegionError } from '../../errors.ts';
import { ANY, ELEMENTS, LIST, ROLE } from '../../layout-objects.ts';
import type { Codec } from '../codec.ts';
import { type Core, isHandle, tagOf, type Type } from '../core.ts';
import { type Numbers, NUMBERS } from '../inline.ts';
import type { Kind } from '../kinds.ts';
import type { Memory, Views } from '../memory.ts';

const WORD_BYTES = 4;
const DATA_BYTES = ELEMENTS.data * WORD_BYTES;
/** Most elements of a list: positions are 32-bit integers. */
const MOST = 2 ** 31 - 1;
/** Below so many bytes a block is not shortened. */
const SMALL_BYTES = 64;

/** What the lists of one type have in common. */
export interface ListShape {
  readonly core: Core;
  readonly memory: Memory;
  readonly type: Type;
  /** Of the elements. */
  readonly kind: Kind;
  readonly codec: Codec;
  readonly width: number;
  /** Tag of blocks of elements. */
  readonly tag: number;
  readonly hasRefs: boolean;
  /** Can putting a value in run code of the program? */
  readonly runsCode: boolean;
}

const shapes = new WeakMap<Type, ListShape>();
const CALLING: ReadonlySet<string> = new Set(['any', 'list', 'map', 'set', 'sorted']);

export function shapeOf(core: Core, type: Type): ListShape {
  let shape = shapes.get(type);
  if (shape !== undefined) return shape;
  const kind = type.kind?.of as Kind;
  const codec = core.codecOf(kind);
  const runsCode = CALLING.has(kind.name) || CALLING.has(kind.of?.name ?? '');
  shape = { core, memory: core.memory, type, kind, codec, width: codec.width, runsCode,
    tag: tagOf(ROLE.elements, type.id), hasRefs: codec.holds !== 'nothing' };
  shapes.set(type, shape);
  return shape;
}

/** Is the value put in without running code of the program? */
export function isQuiet(shape: ListShape, value: unknown): boolean {
  return !shape.runsCode || typeof value !== 'object' || value === null || isHandle(value);
}

/**
 * The block of the elements of the list at word `at`, 0 where it has none. ERR_CORRUPT where the
 * header and the block contradict each other, or lead out of the segment.
 */
export function locate(shape: ListShape, { i32 }: Views, at: number): number {
  const { memory, core, width, tag } = shape;
  const ref = i32[at + LIST.elements];
  const room = i32[at + LIST.room];
  const length = i32[at + LIST.length];
  if ((ref | room | length) === 0) return 0;
  const { i32: words } = memory.views(ref);
  const word = memory.word(ref);
  const fits = words[word] === tag && words[word + ELEMENTS.room] === room && length >= 0
    && length <= room && (word + ELEMENTS.data) * WORD_BYTES + room * width <= words.byteLength;
  if (!fits) throw core.corrupt(ref, `it does not hold the ${length} elements of a list`);
  return ref;
}

/** First word of the slots of a block of elements. */
export function dataOf(memory: Memory, ref: number): number {
  return memory.word(ref) + ELEMENTS.data;
}

/** A new block for `count` elements or some more; its slots are not filled. */
function newBlock(shape: ListShape, count: number): number {
  const { memory, width } = shape;
  if (count > MOST) throw tooLong(count);
  const ref = memory.alloc(DATA_BYTES + count * width);
  const { i32 } = memory.views(ref);
  i32[memory.word(ref)] = shape.tag;
  i32[memory.word(ref) + ELEMENTS.room] = roomIn(shape, ref);
  return ref;
}

function tooLong(count: number): RegionError {
  return new RegionError('ERR_BAD_SIZE', `a list of ${count} elements: at most ${MOST}`);
}

/** Elements a block has room for, all its bytes used. */
function roomIn({ memory, width }: ListShape, ref: number): number {
  return Math.min(MOST, Math.floor((memory.room(ref) - DATA_BYTES) / width));
}

export function roomOf(memory: Memory, ref: number): number {
  return memory.views(ref).i32[memory.word(ref) + ELEMENTS.room];
}

/** Makes room for `count` elements in all. ERR_NO_SPACE, ERR_BAD_SIZE; then nothing changed. */
export function reserve(shape: ListShape, { i32 }: Views, at: number, count: number): void {
  const { memory, core } = shape;
  const old = i32[at + LIST.elements];
  const room = i32[at + LIST.room];
  if (count <= room) return;
  if (old !== 0 && stretch(shape, old, Math.max(count, room * 2))) {
    i32[at + LIST.room] = roomOf(memory, old);
    return;
  }
  const fresh = larger(shape, count, room * 2);
  const length = i32[at + LIST.length];
  moveSlots(shape, old, 0, fresh, 0, length);
  clearSlots(shape, fresh, length, roomOf(memory, fresh));
  i32[at + LIST.room] = roomOf(memory, fresh);
  i32[at + LIST.elements] = fresh;
  memory.dropped(old);
  if (!core.pins.has(old)) memory.free(old);
}

/** Lengthens a block where it is, if that can be. */
function stretch(shape: ListShape, ref: number, count: number): boolean {
  const { memory, width } = shape;
  const room = roomOf(memory, ref);
  const bytes = DATA_BYTES + count * width;
  if (count > MOST || bytes < SMALL_BYTES || !memory.stretch(ref, bytes)) return false;
  const now = roomIn(shape, ref);
  memory.views(ref).i32[memory.word(ref) + ELEMENTS.room] = now;
  clearSlots(shape, ref, room, now);
  return true;
}

/** Twice the room, or, where there is not so much, what is needed. */
function larger(shape: ListShape, count: number, double: number): number {
  if (count >= double) return newBlock(shape, count);
  try {
    return newBlock(shape, Math.min(MOST, double));
  } catch (error) {
    const isFull = error instanceof RegionError
      && (error.code === 'ERR_NO_SPACE' || error.code === 'ERR_BAD_SIZE');
    if (!isFull) throw error;
    return newBlock(shape, count);
  }
}

/** Elements went, there were `before`: gives memory back if most of it is empty now. */
export function relax(shape: ListShape, { i32 }: Views, at: number, before: number): void {
  const { memory, width, core } = shape;
  const length = i32[at + LIST.length];
  const room = i32[at + LIST.room];
  const quarter = room >>> 2;
  // Only when the border is crossed, since not every method shortens what it is asked to.
  if (length > quarter || before <= quarter || room * width < SMALL_BYTES) return;
  const ref = i32[at + LIST.elements];
  if (core.pins.has(ref) || !memory.stretch(ref, DATA_BYTES + length * 2 * width)) return;
  const now = roomIn(shape, ref);
  memory.views(ref).i32[memory.word(ref) + ELEMENTS.room] = now;
  i32[at + LIST.room] = now;
}

/** Copies the bits of slots, within a block or to another one. */
export function moveSlots(
  { memory, width }: ListShape, from: number, i: number, to: number, j: number, count: number,
): void {
  if (count <= 0) return;
  const source = memory.views(from);
  const target = memory.views(to);
  const unit = width >= WORD_BYTES ? WORD_BYTES : 1;
  const start = (dataOf(memory, from) * WORD_BYTES + i * width) / unit;
  const end = start + count * width / unit;
  const place = (dataOf(memory, to) * WORD_BYTES + j * width) / unit;
  const read = unit === 1 ? source.u8 : source.i32;
  if (source === target) read.copyWithin(place, start, end);
  else (unit === 1 ? target.u8 : target.i32).set(read.subarray(start, end), place);
}

/** Zeros in slots that are not in use, where something else would be taken for a reference. */
function clearSlots(shape: ListShape, ref: number, from: number, to: number): void {
  if (!shape.hasRefs) return;
  const { memory, width } = shape;
  const data = dataOf(memory, ref);
  const perSlot = width / WORD_BYTES;
  memory.views(ref).i32.fill(0, data + from * perSlot, data + to * perSlot);
}

/**
 * Slots are about to be written over by the bits of others of the same list: a collection under way
 * that has seen those, and not yet these, would miss what is in them.
 */
export function tellMoved(shape: ListShape, ref: number, from: number, to: number): void {
  const { memory, codec } = shape;
  if (memory.watcher === null || !shape.hasRefs || ref === 0) return;
  const { i32, u32 } = memory.views(ref);
  const data = dataOf(memory, ref);
  for (let i = from; i < to; i++) {
    if (codec.holds === 'ref') memory.dropped(i32[data + i]);
    else if (u32[data + i * 2 + 1] === ANY.ref) memory.dropped(i32[data + i * 2]);
  }
}

/**
 * A new block with these values in its slots, and zeros behind them. ERR_SCHEMA, ERR_NO_SPACE; then
 * there is no block. It is the caller's: a list's elements, or to be emptied and given up.
 */
export function stage(shape: ListShape, values: ArrayLike<unknown>): number {
  const { memory, core } = shape;
  const ref = newBlock(shape, values.length);
  clearSlots(shape, ref, 0, roomOf(memory, ref));
  core.building += 1;
  try {
    fillSlots(shape, ref, 0, values);
    return ref;
  } catch (error) {
    memory.free(ref);
    throw error;
  } finally {
    core.building -= 1;
  }
}

/** Puts values into slots that are not in use; all of them, or none. */
function fillSlots(
  shape: ListShape, ref: number, from: number, values: ArrayLike<unknown>,
): void {
  const { memory, codec, kind } = shape;
  const count = values.length;
  const OfKind = NUMBERS[kind.name];
  if (OfKind !== undefined && values instanceof OfKind) {
    (viewOf(shape, ref, from, count) as { set(from: ArrayLike<unknown>): void }).set(values);
    return;
  }
  const views = memory.views(ref);
  const data = dataOf(memory, ref);
  let i = 0;
  try {
    for (; i < count; i++) codec.init(views, data, from + i, values[i]);
  } catch (error) {
    dropSlots(shape, ref, from, from + i);
    clearSlots(shape, ref, from, from + i);
    throw error;
  }
}

/** Slots of numbers as a typed array. */
export function viewOf(
  { memory, kind, width }: ListShape, ref: number, from: number, count: number,
): Numbers {
  const { buffer, byteOffset } = memory.views(ref).u8;
  const at = byteOffset + dataOf(memory, ref) * WORD_BYTES + from * width;
  return new NUMBERS[kind.name](buffer, at, count);
}

/** Gives up a block, and what its first `count` slots own. */
export function discard(shape: ListShape, ref: number, count: number): void {
  if (ref === 0) return;
  dropSlots(shape, ref, 0, count);
  shape.memory.free(ref);
}

/** The elements go; their slots are not written. */
export function dropSlots(shape: ListShape, ref: number, from: number, to: number): void {
  if (!shape.hasRefs) return;
  const { memory, codec } = shape;
  const views = memory.views(ref);
  const data = dataOf(memory, ref);
  for (let i = from; i < to; i++) codec.drop(views, data, i);
}

/** Adds values whose making runs no code. All of them, or none. */
export function append(
  shape: ListShape, views: Views, at: number, values: ArrayLike<unknown>,
): void {
  if (values.length === 0) return;
  const { i32 } = views;
  const length = i32[at + LIST.length];
  reserve(shape, views, at, length + values.length);
  fillSlots(shape, i32[at + LIST.elements], length, values);
  i32[at + LIST.length] = length + values.length;
}

/**
 * Replaces `gone` elements from `index` on by the first `count` slots of a staged block, which is
 * empty then. The caller has dropped what was in the slots that go, and has made the room.
 */
export function replace(
  shape: ListShape, { i32 }: Views, at: number, index: number, gone: number, staged: number,
  count: number,
): void {
  const ref = i32[at + LIST.elements];
  const length = i32[at + LIST.length];
  const now = length + count - gone;
  if (count !== gone && index + gone < length) {
    tellMoved(shape, ref, index + gone, length);
    moveSlots(shape, ref, index + gone, ref, index + count, length - index - gone);
  }
  if (count > 0) moveSlots(shape, staged, 0, ref, index, count);
  if (now < length) clearSlots(shape, ref, now, length);
  i32[at + LIST.length] = now;
}

/** The list is empty from now on. */
export function vacate(shape: ListShape, { i32 }: Views, at: number): void {
  const { memory, core } = shape;
  const ref = i32[at + LIST.elements];
  const length = i32[at + LIST.length];
  i32[at + LIST.length] = 0;
  i32[at + LIST.room] = 0;
  i32[at + LIST.elements] = 0;
  dropSlots(shape, ref, 0, length);
  memory.dropped(ref);
  if (!core.pins.has(ref)) memory.free(ref);
}
