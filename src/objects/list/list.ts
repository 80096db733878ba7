/**
 * Lists: a header that stays where it is, so that its handle and references to it stay good, and a
 * block with the elements, which is replaced when the list outgrows it.
 *
 * Invariants, checked by list-check.ts:
 * L1  the list has no more elements than it has room for;
 * L2  its elements are a block of its own type, and there is none if there is room for none;
 * L3  both say the same room, and the block is large enough for it;
 * L4  slots behind the last element hold no references.
 */
import { ELEMENTS, LIST, ROLE } from '../../layout-objects.ts';
import { type Bound, type Core, type Family, SLOTS, type SlotVisitor, tagOf, type Type }
  from '../core.ts';
import type { HandleClass } from '../handles.ts';
import { valuesOf } from './list-arguments.ts';
import { discard, roomOf, shapeOf, stage } from './list-elements.ts';
import { ListHandle } from './list-handle.ts';
import type { Views } from '../memory.ts';

const WORD_BYTES = 4;

/** A class for each type and segment, as objects have. */
function bind(bound: Bound): HandleClass {
  const made = class extends ListHandle {};
  Object.defineProperty(made.prototype, '$bound', { value: bound });
  Object.defineProperty(made.prototype, '$shape', { value: shapeOf(bound.core, bound.type) });
  return made;
}

/** A new list of what an iterable gives. The elements first: what fails leaves nothing behind. */
function create(core: Core, type: Type, value: unknown): number {
  const { memory } = core;
  const shape = shapeOf(core, type);
  const values = value === undefined ? [] : valuesOf({ type }, value);
  const elements = values.length === 0 ? 0 : stage(shape, values);
  try {
    const ref = memory.alloc(LIST.words * WORD_BYTES);
    const { i32 } = memory.views(ref);
    const word = memory.word(ref);
    i32[word] = tagOf(ROLE.list, type.id);
    i32[word + LIST.length] = values.length;
    i32[word + LIST.room] = elements === 0 ? 0 : roomOf(memory, elements);
    i32[word + LIST.elements] = elements;
    return ref;
  } catch (error) {
    discard(shape, elements, values.length);
    throw error;
  }
}

/** Of a header: the elements; of a block of elements: what it has room for, inside the segment. */
function slots(
  core: Core, type: Type, views: Views, word: number, from: number, visit: SlotVisitor,
): number {
  const { i32 } = views;
  if (i32[word] !== shapeOf(core, type).tag) {
    visit(views, word + LIST.elements, false);
    return 0;
  }
  const { hasRefs, width, codec } = shapeOf(core, type);
  if (!hasRefs) return 0;
  const perSlot = width / WORD_BYTES;
  const data = word + ELEMENTS.data;
  const most = Math.floor((i32.length - data) / perSlot);
  const end = Math.min(i32[word + ELEMENTS.room], most, from + SLOTS);
  for (let i = from; i < end; i++) visit(views, data + i * perSlot, codec.holds === 'any');
  return end < Math.min(i32[word + ELEMENTS.room], most) ? end : 0;
}

export const lists: Family = { roles: [ROLE.list, ROLE.elements], bind, create, slots };
