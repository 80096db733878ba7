/** A copy of a ring: its whole records, in a circle of the same size. */
import type { Shim } from '../native/shim.ts';
import { createRingFile, type RingIdentity } from './ring-file.ts';
import { RingLog, type RingRecord } from './ring-log.ts';
import { ringMemory } from './ring-memory.ts';

/** Sequences stay; what is damaged or missing is missing in the copy. */
export function copyRing(
  records: Iterable<RingRecord>, path: string, identity: RingIdentity,
  { shim, fallocate }: { shim: Shim | null;
    fallocate: (fd: number, at: number, bytes: number) => void; },
): void {
  createRingFile(path, identity, fallocate);
  const memory = ringMemory(path, shim, false);
  try {
    const log = new RingLog(memory);
    for (const { seq, at, bytes } of records) {
      if (log.last !== seq - 1) log.reset(log.tail, log.head, seq - 1);
      log.append(bytes, at.getTime());
    }
    memory.sync();
  } finally {
    memory.close();
  }
}
