/** What calls of a region share: arguments that are checked, blocks that are copied. */
import { RegionError } from '../errors.ts';
import { GRANULE, METHOD_START, SLOT_BYTES } from '../layout.ts';
import type { Blocks, Finding } from '../types.ts';

/** Below so many words a loop is faster than a call. */
const SHORT = 64;

/** Moves a block within its arena, contents kept; 0 = the slow path has to look at it. */
export function moveWithin(
  blocks: Pick<Blocks, 'alloc' | 'free' | 'sizeOf' | 'discard'>, words: Int32Array,
  granule: number, size: number,
): number {
  const old = blocks.sizeOf(granule);
  if (old < 0) return 0;
  const fresh = blocks.alloc(size);
  if (fresh === 0) return 0;
  copyWords(words, granule, fresh, size < old ? Math.min(old, blocks.sizeOf(fresh)) : old);
  if (blocks.discard === undefined) blocks.free(granule);
  else blocks.discard(granule);
  return fresh;
}

/** Copies `bytes` of a block to another of the same arena; places are granules. */
function copyWords(words: Int32Array, from: number, to: number, bytes: number): void {
  const count = bytes >>> 2;
  const source = from << 2;
  const target = to << 2;
  if (count > SHORT) words.copyWithin(target, source, source + count);
  else copyFew(words, source, target, count);
  const rest = bytes & 3;
  if (rest === 0) return;
  const mask = (1 << (8 * rest)) - 1;
  words[target + count] = (words[target + count] & ~mask) | (words[source + count] & mask);
}

/** A granule at a time: a loop that ends sooner is predicted better. */
function copyFew(words: Int32Array, source: number, target: number, count: number): void {
  let i = 0;
  for (; i < count - 3; i += 4) {
    const at = source + i;
    const to = target + i;
    words[to] = words[at];
    words[to + 1] = words[at + 1];
    words[to + 2] = words[at + 2];
    words[to + 3] = words[at + 3];
  }
  for (; i < count; i++) words[target + i] = words[source + i];
}

type Taking = Pick<Blocks, 'alloc' | 'align' | 'hide' | 'allocHidden'>;

/** `alignment` 0 = a hidden block. */
export function take(blocks: Taking, size: number, alignment: number): number {
  if (alignment === 0) return takeHidden(blocks, size);
  return alignment > GRANULE ? blocks.align(size, alignment) : blocks.alloc(size);
}

export function takeHidden(blocks: Taking, size: number): number {
  if (blocks.allocHidden !== undefined) return blocks.allocHidden(size);
  const granule = blocks.alloc(size);
  if (granule !== 0) blocks.hide(granule);
  return granule;
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

export function assertAlignment(alignment: number): void {
  if (alignment > 0 && (alignment & (alignment - 1)) === 0 && alignment >>> 0 === alignment) return;
  const isPower = Number.isSafeInteger(alignment) && alignment >= 1
    && 2 ** Math.round(Math.log2(alignment)) === alignment;
  if (isPower) return;
  throw new RegionError('ERR_BAD_OPTION',
    `alignment ${String(alignment)} is not a power of two; give 1, 2, 4, 8, …`);
}

/** Bytes of an array with something behind it; ERR_BAD_SIZE where that is no size. */
export function arrayBytes(
  type: { readonly BYTES_PER_ELEMENT: number }, length: number, extra: number,
): number {
  const isCount = (n: number) => Number.isSafeInteger(n) && n >= 0;
  if (isCount(length) && isCount(extra)) return length * type.BYTES_PER_ELEMENT + extra;
  throw new RegionError('ERR_BAD_SIZE',
    `${String(length)} elements and ${String(extra)} bytes are no size; give whole numbers`);
}

/** `finding` = what a debugging method knows about it. */
export function badAddress(address: unknown, finding: Finding | null = null): RegionError {
  const why = finding === null ? 'it may have been freed' : `${finding.id}: ${finding.detail}`;
  return new RegionError('ERR_BAD_ADDRESS',
    `${String(address)} is not the start of a live block of this region; ${why}`);
}
