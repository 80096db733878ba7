/** What calls of a region share: arguments that are checked, blocks that are copied. */
import { RegionError } from '../errors.ts';
import { GRANULE, METHOD_START, SLOT_BYTES } from '../layout.ts';
import type { Blocks } from '../types.ts';

/** Below so many words a loop is faster than a call. */
const SHORT = 48;

/** Copies the words of a block to another of the same arena; usable sizes are whole words. */
export function copyWords(words: Int32Array, from: number, to: number, bytes: number): void {
  const count = bytes >>> 2;
  const source = from << 2;
  const target = to << 2;
  if (count > SHORT) words.copyWithin(target, source, source + count);
  else for (let i = 0; i < count; i++) words[target + i] = words[source + i];
}

export function take(blocks: Blocks, size: number, alignment: number): number {
  return alignment > GRANULE ? blocks.align(size, alignment) : blocks.alloc(size);
}

export function copyBytes(from: Uint8Array, to: Uint8Array): void {
  to.set(from.length > to.length ? from.subarray(0, to.length) : from);
}

export function assertSize(size: number): void {
  if (Number.isSafeInteger(size) && size >= 0 && size < SLOT_BYTES - METHOD_START) return;
  throw new RegionError('ERR_BAD_SIZE',
    `${String(size)} is not the size of a block: give whole bytes, 0 to just below 4 GiB`);
}

export function assertLength(length: number, width: number, usable: number, address: number): void {
  if (Number.isSafeInteger(length) && length >= 0 && length * width <= usable) return;
  throw new RegionError('ERR_BAD_SIZE',
    `a view of ${String(length)} elements of ${width} bytes does not fit block ${address}, ` +
      `which has ${usable} bytes; resize it first`);
}

export function badAddress(address: unknown): RegionError {
  return new RegionError('ERR_BAD_ADDRESS',
    `${String(address)} is not the start of a live block of this region; it may have been freed`);
}
