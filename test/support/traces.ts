/** Random traces, and files to put them in. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRACE_RECORD } from '../../src/layout.ts';
import { SlotPool } from '../../src/trace/slots.ts';
import { type Trace, TraceBuilder } from '../../src/trace/trace.ts';
import type { Random } from './oracle.ts';
import { temporaryDirectory } from './temp.ts';

const { alloc: ALLOC, free: FREE, resize: RESIZE, align: ALIGN, zero: ZERO, slotShift: SLOT } =
  TRACE_RECORD;

/** A sound trace of about so many operations; every kind of record is in a long one. */
export function randomTrace(random: Random, operations: number): Trace {
  const builder = new TraceBuilder();
  const pool = new SlotPool();
  const live: number[] = [];
  const add = (slot: number, operation: number, value: number): void => {
    const broken = builder.add(slot * 2 ** SLOT + operation, value);
    if (broken !== '') throw new Error(broken);
  };
  for (let i = 0; i < operations; i += 1) {
    const what = random(100);
    const size = random(8) === 0 ? random(100_000) : random(200);
    if (what < 45 || live.length === 0) {
      const slot = pool.take();
      live.push(slot);
      // No line of .rep says both.
      const isAligned = random(10) === 0;
      if (isAligned) add(slot, ALIGN, 2 ** random(13));
      add(slot, ALLOC + (!isAligned && random(6) === 0 ? ZERO : 0), size);
    } else if (what < 85) {
      const [slot] = live.splice(random(live.length), 1);
      add(slot, FREE, 0);
      pool.give(slot);
    } else add(live[random(live.length)], RESIZE, size);
  }
  return builder.finish(false);
}

/** A file with these contents in a directory of its own. */
export function fileWith(contents: string | Uint8Array, name = 'some.trace'): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, contents);
  return path;
}
