/** Reading a ring record by record, while somebody may write it. */
import type { RingLog, RingRecord } from './ring-log.ts';

/** A record that another processor writes just now may be seen in part: it is looked at again. */
const LOOKS = 50;

/** A way through the records that stands between two of them. */
export class Cursor {
  readonly #log: RingLog;
  readonly #assertUsable: () => void;
  readonly #miss: (before: number, count: number) => void;
  #position = -1;
  /** Sequence of the record before, 0 = none yet. */
  #before = 0;
  #lost = 0;

  /** `start` = position of the record to begin with; by default that of the oldest. */
  constructor(
    log: RingLog, assertUsable: () => void, miss: (before: number, count: number) => void,
    start = -1,
  ) {
    this.#log = log;
    this.#assertUsable = assertUsable;
    this.#miss = miss;
    this.#position = start;
  }

  /** Records that were overwritten before they were read, since it was last asked. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** The next record, or null where there is none yet. */
  next(): RingRecord | null {
    this.#assertUsable();
    const log = this.#log;
    for (let looks = 0; ; ) {
      log.refresh();
      const isLapped = this.#position >= 0 && this.#position < log.tail;
      if (this.#position < log.tail) this.#position = log.tail;
      if (this.#position >= log.head) return null;
      const found = log.recordAt(this.#position);
      if (found !== null) return this.#take(found.record, found.next, isLapped);
      if (log.isFillerAt(this.#position)) this.#position = log.lapAfter(this.#position);
      else if (++looks > LOOKS) {
        const next = this.#passOver();
        if (next !== null) return next;
      }
    }
  }

  #take(record: RingRecord, next: number, isLapped: boolean): RingRecord {
    const missing = this.#before === 0 ? 0 : record.seq - this.#before - 1;
    if (missing > 0 && isLapped) this.#lost += missing;
    else if (missing > 0) this.#miss(this.#before, missing);
    this.#position = next;
    this.#before = record.seq;
    return record;
  }

  /** Behind what is damaged there may be whole records; null = overwritten meanwhile, or none. */
  #passOver(): RingRecord | null {
    const log = this.#log;
    const { head } = log;
    for (let at = log.candidate(this.#position + 16, head); at < head;
      at = log.candidate(at + 16, head)) {
      const found = log.recordAt(at);
      if (found !== null) {
        if (this.#before === 0) this.#miss(0, 1);
        return this.#take(found.record, found.next, false);
      }
      if (log.isFillerAt(at)) {
        this.#position = log.lapAfter(at);
        return null;
      }
    }
    log.refresh();
    if (this.#position < log.tail) return null;
    this.#miss(this.#before, Math.max(1, log.last - this.#before));
    this.#position = head;
    return null;
  }
}
