/**
 * The replay loops of a study, one per kind of memory. All write the first and the last byte of
 * each block, or every byte, as the C replayer (tools/study/replay.c) does.
 */
import { TRACE_RECORD } from '../layout.ts';
import type { Trace } from '../trace/trace-file.ts';

const { words: RECORD, operation: OPERATION, zero: ZERO, slotShift: SLOT } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE } = TRACE_RECORD;

export type Touch = 'ends' | 'all';

/** What a replay needs: addresses are byte offsets into `memory`. */
export interface Heap {
  readonly memory: Uint8Array;
  /** The same memory. */
  readonly doubles: Float64Array;
  alloc(size: number): number;
  align(size: number, alignment: number): number;
  free(address: number): void;
  resize(address: number, size: number): number;
}

/** Replays the trace once; `live` has the address of each slot's block, 0 = none. */
export function replayHeap(trace: Trace, heap: Heap, live: Float64Array, touch: Touch): void {
  const { records } = trace;
  const { memory } = heap;
  const isAll = touch === 'all';
  let alignment = 0;
  for (let i = 0; i < records.length; i += RECORD) {
    const word = records[i] as number;
    const size = records[i + 1] as number;
    const slot = word >>> SLOT;
    const operation = word & OPERATION;
    let at = 0;
    if (operation === FREE) {
      heap.free(live[slot] as number);
      live[slot] = 0;
      continue;
    }
    if (operation === ALLOC) {
      at = alignment > 16 ? heap.align(size, alignment) : heap.alloc(size);
      alignment = 0;
      if ((word & ZERO) !== 0) clear(heap, at, size);
    } else if (operation === RESIZE) {
      at = heap.resize(live[slot] as number, size);
    } else {
      alignment = size;
      continue;
    }
    live[slot] = at;
    if (isAll) memory.fill(1, at, at + size);
    if (size > 0) {
      memory[at] = 1;
      memory[at + size - 1] = 2;
    }
  }
}

/** Usable sizes are whole granules, so eight bytes at a time; a call of fill costs 128 of them. */
function clear(heap: Heap, at: number, size: number): void {
  const { doubles } = heap;
  if (size > 1024) heap.memory.fill(0, at, at + size);
  else for (let i = at >>> 3, end = (at + size + 7) >>> 3; i < end; i += 1) doubles[i] = 0;
}

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

/** The loop alone: addresses that cost nothing. */
export function emptyHeap(trace: Trace): Heap {
  const at = (size: number) => size & 0x7ff0;
  let most = 0;
  for (let i = 1; i < trace.records.length; i += RECORD) {
    most = Math.max(most, trace.records[i] as number);
  }
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
