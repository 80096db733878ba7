/**
 * Blocks that say what they hold, so that any thread can tell whether they are whole: how many
 * bytes, a seed, then bytes that follow from it.
 */
import type { Address, Region } from '../../src/types.ts';

const HEAD = 8;

/** Fills a block of at least 8 bytes, all of it, and returns its address. */
export function put(region: Region, address: Address, seed: number): Address {
  const bytes = region.bytes(address);
  const head = region.array(Int32Array, address, 2);
  head[0] = bytes.length;
  head[1] = seed;
  for (let i = HEAD; i < bytes.length; i++) bytes[i] = seed + i * 7;
  return address;
}

/** Bytes the block at an address says it was filled with. */
export function sizeIn(region: Region, address: Address): number {
  return region.array(Int32Array, address, 1)[0] as number;
}

/** Are its first bytes, by default all it was filled with, as they were written? */
export function isWhole(
  region: Region, address: Address, length = sizeIn(region, address),
): boolean {
  const bytes = region.bytes(address);
  if (length > bytes.length) return false;
  const seed = region.array(Int32Array, address, 2)[1] as number;
  for (let i = HEAD; i < length; i++) if (bytes[i] !== ((seed + i * 7) & 255)) return false;
  return true;
}
