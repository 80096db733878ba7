/**
 * `regionstore/malloc`: C's allocation functions over a default region, chosen when the first of
 * them is called by the environment variable REGIONSTORE_OPTIONS (Vmalloc's malloc interface).
 *
 * Addresses are numbers, 0 is none. As in C a call that gets no memory returns 0 and leaves
 * everything as it was: no room, and sizes that no block can have (negative, fractional, NaN, 4 GiB
 * and more). An address that is not the start of a live block is told as a warning, never an
 * exception. What is wrong with REGIONSTORE_OPTIONS is thrown by the first call, and by every one
 * after it.
 */
import { RegionError } from '../errors.ts';
import type { Address, Region } from '../types.ts';
import { defaults } from './default-region.ts';

const NONE = 0 as Address;
const PAGE_BYTES = 4096;
/** Of a pointer in C. */
const POINTER_BYTES = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The region malloc allocates from: for everything a Region can do and C cannot. */
export function defaultRegion(): Region {
  return defaults().region;
}

/**
 * A block of at least `size` bytes, contents unspecified; 0 = there is no room. Size 0 is a block
 * of its own.
 *
 * @example const address = malloc(100); bytes(address).fill(7); free(address);
 */
export function malloc(size: number): Address {
  const { region } = defaults();
  try {
    return region.alloc(size);
  } catch (error) {
    return nothing('malloc', error);
  }
}

/** Gives a block back; 0 is ignored, what is no live block is told as a warning. */
export function free(address: Address | number): void {
  const { region, keeps, warnings } = defaults();
  if (keeps) return;
  const before = warnings.count;
  try {
    region.free(address);
  } catch (error) {
    nothing('free', error, before);
  }
}

/**
 * Grows or shrinks a block, contents kept; where it is now, or 0, and then it is as it was.
 * `realloc(0, size)` is malloc; `realloc(address, 0)` frees the block and returns 0, as glibc does.
 */
export function realloc(address: Address | number, size: number): Address {
  if (size === 0 && address !== 0) {
    free(address);
    return NONE;
  }
  const { region, warnings } = defaults();
  const before = warnings.count;
  try {
    return region.resize(address, size);
  } catch (error) {
    return nothing('realloc', error, before);
  }
}

/** A block for `count` elements of `size` bytes that reads as zeros; 0 when the product is none. */
export function calloc(count: number, size: number): Address {
  const { region } = defaults();
  const isProduct = isSize(count) && isSize(size) && isSize(count * size);
  if (!isProduct) return NONE;
  try {
    return region.resize(NONE, count * size, { zero: true });
  } catch (error) {
    return nothing('calloc', error);
  }
}

/** A block at a multiple of `alignment` bytes, any power of two; 0 for other alignments. */
export function memalign(alignment: number, size: number): Address {
  const { region } = defaults();
  try {
    return region.align(size, alignment);
  } catch (error) {
    return nothing('memalign', error);
  }
}

/**
 * POSIX: EINVAL unless the alignment is a power of two and a multiple of 8, the size of a pointer;
 * ENOMEM when there is no room. `address` is 0 then.
 *
 * @example const { error, address } = posixMemalign(64, 1000);
 */
export function posixMemalign(
  alignment: number, size: number,
): { error: 0 | 'EINVAL' | 'ENOMEM'; address: Address } {
  defaults();
  const isPower = isSize(alignment) && alignment > 0
    && 2 ** Math.round(Math.log2(alignment)) === alignment;
  if (!isPower || alignment % POINTER_BYTES !== 0) return { error: 'EINVAL', address: NONE };
  const address = memalign(alignment, size);
  return { error: address === NONE ? 'ENOMEM' : 0, address };
}

/** A block that starts a page of 4096 bytes. */
export function valloc(size: number): Address {
  return memalign(PAGE_BYTES, size);
}

/**
 * A new block with the text as UTF-8 and a NUL behind it; 0 = there is no room. As in C the text
 * ends before its first NUL character. ERR_BAD_OPTION for what is no string.
 *
 * @example string(strdup('held')) // 'held'
 */
export function strdup(text: string): Address {
  if (typeof text !== 'string') {
    throw new RegionError('ERR_BAD_OPTION', `strdup: ${typeof text} is no text; give a string`);
  }
  const [head] = text.split('\0', 1);
  const encoded = encoder.encode(head);
  const address = malloc(encoded.length + 1);
  if (address === NONE) return NONE;
  const block = bytes(address, encoded.length + 1);
  block.set(encoded);
  block[encoded.length] = 0;
  return address;
}

/** The text in a block, up to the first NUL. ERR_BAD_ADDRESS. */
export function string(address: Address | number): string {
  const block = bytes(address);
  const end = block.indexOf(0);
  return decoder.decode(end < 0 ? block : block.subarray(0, end));
}

/**
 * The memory of a live block, not a copy; `length` bytes, by default all usable ones. Throws
 * ERR_BAD_ADDRESS and ERR_BAD_SIZE: unlike C, what is no block cannot be looked at.
 */
export function bytes(address: Address | number, length?: number): Uint8Array {
  return defaults().region.bytes(address, length);
}

/** Fields of C's `struct mallinfo2` that have a meaning here. */
export interface MallocInfo {
  /** Bytes the region occupies, its bookkeeping included. */
  readonly arena: number;
  /** Free blocks. */
  readonly ordblks: number;
  /** Usable bytes of busy blocks. */
  readonly uordblks: number;
  /** Usable bytes of free blocks. */
  readonly fordblks: number;
}

/** What the default region holds. */
export function mallinfo(): MallocInfo {
  const { extent, freeBlocks, busyBytes, freeBytes } = defaults().region.stat();
  return { arena: extent, ordblks: freeBlocks, uordblks: busyBytes, fordblks: freeBytes };
}

function isSize(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

/**
 * The answer for a call that failed; `before` = warnings there were before it. An error that C has
 * no answer for is thrown on.
 */
function nothing(call: string, error: unknown, before = 0): Address {
  if (!(error instanceof RegionError)) throw error;
  const { warnings } = defaults();
  switch (error.code) {
    case 'ERR_NO_SPACE':
    case 'ERR_BAD_SIZE':
    case 'ERR_BAD_OPTION':
    case 'ERR_CLOSED':
      return NONE;
    case 'ERR_BAD_ADDRESS':
      // A debugging method may have told it already, and better.
      if (warnings.count === before) warnings.tell(`${call}: ${error.message}`);
      return NONE;
    case 'ERR_IO':
      warnings.tell(`${call}: ${error.message}`);
      return NONE;
    default:
      throw error;
  }
}
