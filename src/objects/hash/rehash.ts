/** Hashes that find their entries by reference, when objects move. */
import { ROLE, ROLE_MASK, ROLE_SHIFT } from '../../layout-objects.ts';
import type { Core, Type } from '../core.ts';
import { wrongBlocks } from './hash-check.ts';
import type { Marks } from '../collector/marks.ts';

/** Every marked hash whose keys may be references is told that those changed. ERR_CORRUPT. */
export function rehash(core: Core, marks: Marks): void {
  assertHashes(core, marks);
  eachByReference(core, marks, (type, ref) => core.familyOf(type).moved?.(core, type, ref));
}

/** ERR_CORRUPT where one of them could not be told: its blocks are not what they should be. */
export function assertHashes(core: Core, marks: Marks): void {
  eachByReference(core, marks, (type, ref) => {
    const wrong = wrongBlocks(core, type, ref);
    if (wrong !== null) throw core.corrupt(ref, wrong);
  });
}

function eachByReference(
  core: Core, marks: Marks, visit: (type: Type, ref: number) => void,
): void {
  const { memory } = core;
  marks.eachDown((ref) => {
    const tag = memory.tag(ref);
    if ((tag & ROLE_MASK) !== ROLE.hash) return false;
    const type = core.types.at(tag >>> ROLE_SHIFT);
    const name = type.kind?.key?.name;
    if (name === 'ref' || name === 'any') visit(type, ref);
    return false;
  });
}
