/** Hashes that find their entries by reference, after objects moved. */
import { ROLE, ROLE_MASK, ROLE_SHIFT } from '../layout-objects.ts';
import type { Core } from './core.ts';
import type { Marks } from './marks.ts';

/** Every marked hash whose keys may be references is told that those changed. */
export function rehash(core: Core, marks: Marks): void {
  const { memory } = core;
  marks.eachDown((ref) => {
    const tag = memory.tag(ref);
    if ((tag & ROLE_MASK) !== ROLE.hash) return false;
    const type = core.types.at(tag >>> ROLE_SHIFT);
    const name = type.kind?.key?.name;
    if (name === 'ref' || name === 'any') core.familyOf(type).moved?.(core, type, ref);
    return false;
  });
}
