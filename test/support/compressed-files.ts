/** Compressed region files to be opened, damaged and rewritten. */
import { readFileSync, writeFileSync } from 'node:fs';
import { compressed } from '../../src/disciplines/compressed.ts';
import { COMPRESSED, COMPRESSED_SLOTS } from '../../src/layout.ts';
import { best } from '../../src/methods/best.ts';
import { crc32c } from '../../src/native/crc32c.ts';
import { createRegion } from '../../src/region/region.ts';
import { randomFrom } from './oracle.ts';

/** A region with six blocks and some chunks, closed. */
export function filled(path: string, size = 100_000, capacity = '64MiB'): void {
  const region = createRegion(compressed(path, { capacity }), best);
  const random = randomFrom(7);
  for (let i = 0; i < 6; i++) {
    const bytes = region.bytes(region.alloc(size));
    for (let at = 0; at < bytes.length; at++) bytes[at] = random(4);
  }
  region.roots.set('text', region.strdup('packed'));
  region.close();
}

/** Changes both slots of a file, with the right checksums; the bytes of the file then. */
export function rewriteSlots(path: string, change: (slot: Buffer) => void): Buffer {
  const bytes = readFileSync(path);
  for (const at of COMPRESSED_SLOTS) {
    const slot = bytes.subarray(at, at + COMPRESSED.bytes);
    change(slot);
    slot.writeUInt32LE(crc32c(slot, 0, COMPRESSED.crc, 0), COMPRESSED.crc);
  }
  writeFileSync(path, bytes);
  return bytes;
}
