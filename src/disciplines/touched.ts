/**
 * Which parts of a window anybody ever wrote to, asked of the kernel: memory that was reserved and
 * never touched has no pages, so it is zero without being read. Reading it would map a page of
 * zeros for each 4 KiB: 1.5 s for 4 GiB, instead of a millisecond.
 */
import { loadShim } from '../native/load.ts';
import { PAGE } from '../layout.ts';

const RUNS = new Int32Array(2 * 16_384);

/**
 * For every `step` bytes of the first `bytes` of a window: 0 = never touched. Where it cannot be
 * known everything may have been.
 */
export function touchedParts({ buffer, byteOffset }: Uint8Array, bytes: number, step: number) {
  const parts = new Uint8Array(bytes / step).fill(1);
  const shim = loadShim();
  const isAskable = shim !== null && shim.scanner !== 'none' && buffer instanceof ArrayBuffer;
  if (!isAskable || byteOffset !== 0 || bytes === 0) return parts;
  try {
    const runCount = shim.dirtyRuns(buffer, 0, bytes, RUNS);
    if (runCount < 0) return parts;
    parts.fill(0);
    for (let i = 0; i < runCount; i++) {
      const from = RUNS[2 * i] * PAGE;
      const to = from + RUNS[2 * i + 1] * PAGE;
      parts.fill(1, Math.floor(from / step), Math.ceil(to / step));
    }
  } catch {
    // The kernel does not tell: then every part is read.
    parts.fill(1);
  }
  return parts;
}
