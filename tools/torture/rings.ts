/**
 * Rings under torture: every record says which one it is, so that whoever finds a ring knows what
 * has to be in it. Up to a sync nothing may be missing that was not overwritten since.
 */
import type { Ring } from '../../src/buffers/ring.ts';
import type { openStore } from '../../src/store/store.ts';

type Store = ReturnType<typeof openStore>;

export const RING_NAME = 'ring';
export const RING_BYTES = 16 * 1024;
/** Root of the region `plain` that says up to which record a ring was synced. */
export const SYNCED = 'synced';
const MOST_TEXT = 700;
/** A record in the circle: its head, and up to 15 bytes to be aligned. */
const AROUND = 32 + 15;
/** Bytes that may be appended after a sync, so that what it promised is still there. */
export const UNSYNCED_BYTES = RING_BYTES / 4;

export function ringText(seq: number): string {
  return `${seq} ${'x'.repeat((seq * 37) % MOST_TEXT)}`;
}

export function ringBytes(seq: number): number {
  return ringText(seq).length + AROUND;
}

/** Throws where a record is not what was appended; returns the sequences. */
function seqsOf(ring: Ring): number[] {
  return [...ring].map(({ seq, bytes }) => {
    const text = Buffer.from(bytes).toString();
    if (text === ringText(seq)) return seq;
    throw new Error(`record ${seq} of the ring is '${text.slice(0, 40)}'`);
  });
}

/** Every record is whole, and those that a sync promised and nothing overwrote are there. */
export function refuseBadRing(store: Store): void {
  if (!store.has(RING_NAME)) return;
  const there = new Set(seqsOf(store.ring(RING_NAME)));
  const synced = store.has('plain') ? store.region('plain').roots.get(SYNCED) / 16 : 0;
  // Behind the newest that is there, so much may have been appended and lost.
  const kept = RING_BYTES - UNSYNCED_BYTES - 2 * (MOST_TEXT + AROUND);
  let bytes = 0;
  for (let seq = Math.max(synced, ...there); seq > 0; seq--) {
    bytes += ringBytes(seq);
    if (bytes > kept) return;
    if (seq > synced || there.has(seq)) continue;
    throw new Error(`record ${seq} of the ring is gone; ${synced} was synced`);
  }
}
