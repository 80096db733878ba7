/**
 * One trial of the allocation benchmark, a process of its own: replays a trace several times
 * through one allocator and prints JSON: nanoseconds per operation of each repetition, the peak
 * footprint.
 *
 *   node alloc-replay.js TRACE REPETITIONS blocks|loop|buffer
 */
import { TRACE_RECORD } from '../../src/layout.ts';
import type { Trace } from '../../src/trace/trace-file.ts';

const { words: RECORD, operation: OPERATION, zero: ZERO, slotShift: SLOT } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE } = TRACE_RECORD;

/** What a replay needs: addresses are byte offsets into `memory`. */
export interface Heap {
  readonly memory: Uint8Array;
  alloc(size: number): number;
  align(size: number, alignment: number): number;
  free(address: number): void;
  resize(address: number, size: number): number;
}

/** Replays the trace once; returns what is left live, by slot. */
export function replay(trace: Trace, heap: Heap, live: Float64Array): void {
  const { records } = trace;
  const { memory } = heap;
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
      if ((word & ZERO) !== 0) clear(memory, at, size);
    } else if (operation === RESIZE) {
      at = heap.resize(live[slot] as number, size);
    } else {
      alignment = size;
      continue;
    }
    live[slot] = at;
    if (size > 0) {
      memory[at] = 1;
      memory[at + size - 1] = 2;
    }
  }
}

function clear(memory: Uint8Array, at: number, size: number): void {
  if (size > 64) memory.fill(0, at, at + size);
  else for (let i = at; i < at + size; i += 1) memory[i] = 0;
}
