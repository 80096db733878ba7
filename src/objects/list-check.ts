/**
 * Checks the invariants of a list (list.ts, L1–L4) over arbitrary bytes: reads only, never throws.
 * What the elements refer to is not looked at: the heap's check follows the slots of every family.
 */
import { ANY, ELEMENTS, LIST } from '../layout-objects.ts';
import { RegionError } from '../errors.ts';
import type { Finding } from '../types.ts';
import type { Core } from './core.ts';
import { dataOf, type ListShape, shapeOf } from './list-elements.ts';
import { addressAt, type Views } from './memory.ts';

const WORD_BYTES = 4;

/** `ref` = a block that says it is the header of a list. */
export function checkList(core: Core, ref: number, report: (finding: Finding) => void): void {
  const { memory } = core;
  const shape = shapeOf(core, core.types.at(memory.tag(ref) >>> ROLE_SHIFT));
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const [length, room, elements] = [LIST.length, LIST.room, LIST.elements].map((k) => i32[at + k]);
  const found = (id: string, detail: string) => report({ id, address: addressAt(ref), detail });
  if (length < 0 || length > room) found('L1', `${length} elements, room for ${room}`);
}
