/** What a nested region's block says of it. */
import { STATE } from '../../src/layout.ts';
import type { Region } from '../../src/types.ts';

/** Its durable state: was it closed? */
export function isClean(outer: Region, root = 'nested'): boolean {
  const block = outer.bytes(outer.roots.get(root));
  return new DataView(block.buffer, block.byteOffset).getUint32(STATE.at + STATE.clean, true) === 1;
}
