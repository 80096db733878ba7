/** What a direct region's header says of itself before the region is opened. */
import { HEADER, MAGIC, MAX_SEGMENTS, PAGE, SLOT_BYTES, VERSION } from '../layout.ts';
import { readWhole } from '../files.ts';
import { crc32c } from '../native/crc32c.ts';

/** The capacity a region's header names, or 0 where there is no header this program understands. */
export function storedCapacity(fd: number): number {
  const page = Buffer.alloc(PAGE);
  return readWhole(fd, page, 0) < PAGE ? 0 : capacityIn(page);
}

/** The same, of a header page. */
export function capacityIn(page: Buffer): number {
  if (page.toString('latin1', HEADER.magic, HEADER.magic + MAGIC.length) !== MAGIC) return 0;
  if (page.readUInt32LE(HEADER.version) !== VERSION) return 0;
  const crc = crc32c(page, 0, HEADER.identityBytes, 0);
  if (page.readUInt32LE(HEADER.identityCrc) !== crc) return 0;
  const capacity = page.readDoubleLE(HEADER.capacity);
  const isPossible = Number.isSafeInteger(capacity) && capacity > 0
    && capacity <= MAX_SEGMENTS * SLOT_BYTES;
  return isPossible ? capacity : 0;
}
