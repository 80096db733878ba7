/**
 * Replays without a region: a Buffer for each block, and the loop alone. They write the same bytes
 * as the replay of a region (src/trace/replay.ts) and that in C (tools/study/replay.c).
 */
import { TRACE_RECORD } from '../layout.ts';
import type { Heap, Touch } from '../trace/replay.ts';
import type { Trace } from '../trace/trace.ts';

const { words: RECORD, operation: OPERATION, zero: ZERO, slotShift: SLOT } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE } = TRACE_RECORD;

/** Blocks of the garbage collector: one Buffer each, the way most programs get memory. */
export function replayBuffers(trace: Trace, live: (Buffer | null)[], touch: Touch): void {
  const { records } = trace;
  for (let i = 0; i < records.length; i += RECORD) {
    const word = records[i] as number;
    const size = records[i + 1] as number;
    const slot = word >>> SLOT;
    const operation = word & OPERATION;
    if (operation === FREE) {
      live[slot] = null;
      continue;
    }
    if (operation !== ALLOC && operation !== RESIZE) continue;
    const block = (word & ZERO) !== 0 ? Buffer.alloc(size) : Buffer.allocUnsafe(size);
    const old = operation === RESIZE ? live[slot] : null;
    if (old) old.copy(block, 0, 0, Math.min(old.length, size));
    live[slot] = block;
    if (touch === 'all') block.fill(1);
    if (size > 0) {
      block[0] = 1;
      block[size - 1] = 2;
    }
  }
}

/** Bytes of the largest block of a trace, or its largest alignment. */
export function largestSize({ records }: Trace): number {
  let most = 0;
  for (let i = 1; i < records.length; i += RECORD) most = Math.max(most, records[i] as number);
  return most;
}

/** The loop alone: addresses that cost nothing, for blocks of at most so many bytes. */
export function emptyHeap(most: number): Heap {
  const at = (size: number) => size & 0x7ff0;
  const memory = new Uint8Array((most + 0x10000) & ~15);
  return {
    memory,
    doubles: new Float64Array(memory.buffer),
    alloc: at,
    align: at,
    free: () => {},
    resize: (_address, size) => at(size),
  };
}
