/** How large a block of a heap has to be for what it says it holds. */
import { BIGINT, BYTES, HASH, LIST, MOMENT, ROLE, ROLE_MASK, ROLE_SHIFT, TEXT, TREE }
  from '../layout-objects.ts';
import { classOfElement } from './any-blocks.ts';
import type { Core } from './core.ts';
import { typeAt } from './demand.ts';

const WORD_BYTES = 4;

/** Bytes a block must have; infinitely many where it says what cannot be. */
export function leastBytes(core: Core, ref: number): number {
  const { memory } = core;
  const { u32 } = memory.views(ref);
  const word = memory.word(ref);
  const tag = memory.tag(ref);
  const detail = tag >>> ROLE_SHIFT;
  switch (tag & ROLE_MASK) {
    case ROLE.latin1: case ROLE.utf8: return TEXT.bytes * WORD_BYTES + detail;
    case ROLE.utf16: return detail % 2 === 0 ? TEXT.bytes * WORD_BYTES + detail : Infinity;
    case ROLE.bytes: {
      const length = u32[word + BYTES.length];
      const width = classOfElement(detail)?.BYTES_PER_ELEMENT ?? 0;
      return length % width === 0 ? BYTES.data * WORD_BYTES + length : Infinity;
    }
    case ROLE.bigint: return (BIGINT.magnitude + u32[word + BIGINT.count]) * WORD_BYTES;
    case ROLE.moment: return (MOMENT.time + 2) * WORD_BYTES;
    case ROLE.object: return typeAt(core, detail)?.layout?.bytes ?? Infinity;
    case ROLE.list: return LIST.words * WORD_BYTES;
    case ROLE.hash: return HASH.words * WORD_BYTES;
    case ROLE.tree: return TREE.words * WORD_BYTES;
    default: return WORD_BYTES;
  }
}
