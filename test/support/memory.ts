/** A discipline of a user's own, over bytes that are kept: durable memory without a disk. */
import type { Discipline } from '../../src/types.ts';

/** `image` = the bytes that are there; the discipline works on a copy of them. */
export function memoryOf(
  image: Uint8Array, capacity: number,
): Discipline & { bytes(): Uint8Array } {
  const window = new Uint8Array(capacity);
  window.set(image);
  let size = image.length;
  return {
    name: 'memory',
    round: 4096,
    capacity,
    durable: true,
    bootId: '',
    open: () => (size === 0 ? [] : [size]),
    window: () => window,
    resize(segment, bytes) {
      if (segment !== 0 || bytes > capacity) return false;
      size = bytes;
      return true;
    },
    sync() {},
    close() {},
    bytes: () => window.subarray(0, size),
  };
}
