/** What a discipline offers where several threads use its memory at once. */
import type { Finding } from './types.ts';

/**
 * Locks of a region that several threads use at once: one for its roots, one per segment. A thread
 * that needs several takes that of the roots first, then those of segments, ascending.
 */
export interface Sharing {
  /** Segments, all laid out when the region is made. */
  readonly shards: number;
  /** The segment that this thread asks first. */
  readonly home: number;
  /** Names the lock of a segment; -1 = of the roots. */
  lockOf(shard: number): number;
  /**
   * Waits for a lock. false = what it guards was left half done, by a thread that died or was cut
   * short: derive it again. ERR_CORRUPT when it is condemned; ERR_BUSY when its owner keeps it.
   */
  take(lock: number): boolean;
  /** Takes a lock that is free and whole; false = it is not. */
  tryTake(lock: number): boolean;
  leave(lock: number): void;
  /** Leaves a lock with what it guards half done. */
  abandon(lock: number): void;
  /** Leaves a lock for good: what it guards is damaged. */
  condemn(lock: number): void;
  isCondemned(lock: number): boolean;
  /** The region is laid out: from now on other threads may open it. */
  publish(): void;
  /** Broken invariants of the locks, by address. */
  check(report: (finding: Finding) => void): void;
}
