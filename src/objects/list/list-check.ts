/**
 * Checks the invariants of a list (list.ts, L1–L4) over arbitrary bytes: reads only, never throws.
 * What the elements refer to is not looked at: that is the same for every family.
 */
import { RegionError } from '../../errors.ts';
import { ELEMENTS, LIST } from '../../layout-objects.ts';
import type { Finding } from '../../types.ts';
import type { Core, Type } from '../core.ts';
import { dataOf, type ListShape, shapeOf } from './list-elements.ts';
import { addressAt, type Memory } from '../memory.ts';

const WORD_BYTES = 4;

/** `ref` = a live block whose tag is that of lists of this type. */
export function checkList(
  core: Core, type: Type, ref: number, report: (finding: Finding) => void,
): void {
  const { memory } = core;
  const found = (id: string, detail: string) => report({ id, address: addressAt(ref), detail });
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const length = i32[at + LIST.length];
  const room = i32[at + LIST.room];
  if (length < 0 || length > room) found('L1', `${length} elements, but room for ${room}`);
  checkElements(shapeOf(core, type), i32[at + LIST.elements], length, room, found);
}

function checkElements(
  shape: ListShape, ref: number, length: number, room: number,
  found: (id: string, detail: string) => void,
): void {
  const { memory, type, width, tag } = shape;
  if (ref === 0) {
    if (room !== 0) found('L2', `room for ${room}, but no elements`);
    return;
  }
  const bytes = usable(memory, ref);
  if (bytes < ELEMENTS.data * WORD_BYTES || memory.tag(ref) !== tag) {
    found('L2', `at ${addressAt(ref)} are no elements of a ${type.text}`);
    return;
  }
  const said = memory.views(ref).i32[memory.word(ref) + ELEMENTS.room];
  if (said !== room || room < 0 || ELEMENTS.data * WORD_BYTES + room * width > bytes) {
    found('L3', `room for ${room}, its elements say ${said} and have ${bytes} bytes`);
    return;
  }
  const used = firstUsed(shape, ref, Math.max(0, length), room);
  if (used < room) found('L4', `element ${used} of ${length} may hold a reference`);
}

/** The first slot from `from` on that is not zeros, where those may be references; else `room`. */
function firstUsed(shape: ListShape, ref: number, from: number, room: number): number {
  if (!shape.hasRefs) return room;
  const perSlot = shape.width / WORD_BYTES;
  const { i32 } = shape.memory.views(ref);
  const data = dataOf(shape.memory, ref);
  for (let i = from * perSlot; i < room * perSlot; i++) {
    if (i32[data + i] !== 0) return Math.floor(i / perSlot);
  }
  return room;
}

/** Usable bytes of a block; -1 where none is alive. */
function usable(memory: Memory, ref: number): number {
  try {
    return memory.room(ref);
  } catch (error) {
    if (error instanceof RegionError) return -1;
    throw error;
  }
}
