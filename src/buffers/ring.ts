/**
 * A ring: a flight recorder. Records are appended to a circle in a file that is mapped shared, so
 * that each is safe from the death of the process when `append` returns, without a system call; the
 * oldest give way. It is outside of checkpoints and transactions.
 *
 * Invariants, reported by `check`:
 *   G1  the header is one of a ring of that size, and its positions can be
 *   G2  from the oldest record to the newest none is missing, none is damaged
 */
import { RegionError } from '../errors.ts';
import { crashOf } from '../files.ts';
import { ID_BYTES } from '../layout.ts';
import { RING, RING_START } from '../layout-ring.ts';
import type { Shim } from '../native/shim.ts';
import type { Crash, Finding } from '../types.ts';
import { Cursor } from './ring-cursor.ts';
import { identityOf } from './ring-file.ts';
import { RingLog, type RingRecord } from './ring-log.ts';
import { ringMemory, type RingMemory } from './ring-memory.ts';

/** What opening a ring that was not closed found. */
export interface RingRecovery {
  /**
   * 'process' = only the process died, and nothing is missing; 'machine' = the system went down:
   * what was appended after the last `sync` may be missing.
   */
  readonly crash: Crash;
  /** Whole records that were found, and how many between them are not. */
  readonly records: number;
  readonly damaged: number;
}

export interface FollowOptions {
  /** Ends it, quietly. */
  readonly signal?: AbortSignal;
  /** Sequence of the first record that is wanted; default: those that are appended from now on. */
  readonly from?: number;
}

export interface Ring extends Disposable, Iterable<RingRecord> {
  readonly name: string;
  /** Bytes of the circle: records take theirs, 32 more, and up to 15 to be aligned. */
  readonly size: number;
  readonly closed: boolean;
  /** Sequences of the oldest and of the newest record, 0 = there is none. */
  readonly first: number;
  readonly last: number;
  /** Records that were found damaged, or were lost in a crash, since it was opened. */
  readonly damaged: number;
  /** Records that `follow` missed because they were overwritten before it came to them. */
  readonly lost: number;
  /** null where it had been closed, or another process is writing it. */
  readonly recovery: RingRecovery | null;
  /**
   * Adds a record and returns its sequence: it survives the death of the process from here on.
   * Texts are stored in UTF-8. ERR_BAD_SIZE where it is larger than half of the ring;
   * ERR_READ_ONLY. Without the native shim also ERR_IO and ERR_NO_SPACE: it may be there or not.
   */
  append(record: Uint8Array | string): number;
  /** Everything appended survives power loss on return. ERR_IO. */
  sync(): void;
  /** The newest records, oldest first. */
  tail(count: number): RingRecord[];
  /** From the oldest record to the newest of now. Ones appended meanwhile may be seen as well. */
  [Symbol.iterator](): Iterator<RingRecord>;
  /**
   * Records as they are appended, by this process or another; ends when `signal` is aborted or the
   * ring is closed.
   *
   * @example for await (const { seq, bytes } of ring.follow({ signal })) console.log(seq, bytes);
   */
  follow(options?: FollowOptions): AsyncIterableIterator<RingRecord>;
  /** Broken invariants. */
  check(): Finding[];
  /** Ends it; what was appended is synced first. */
  close(): void;
}

export interface RingTies {
  readonly name: () => string;
  readonly readOnly: boolean;
  readonly shim: Shim | null;
  /** Identity of this boot of the machine, '' = unknown. */
  readonly boot: string;
  /** Milliseconds. */
  readonly now: () => number;
}

/** How long a follower waits between looks, ms: it grows while nothing comes. */
const LOOK_FIRST = 1;
const LOOK_MOST = 32;

/** A ring a store can end. */
export interface OpenRing extends Ring {
  /** As `close`; from then on every call throws `error`. */
  end(error: Error): void;
  /** From now on every call throws `error`; the memory goes. */
  retire(error: Error): void;
}

/** Opens the file of a ring. ERR_CORRUPT, ERR_VERSION, ERR_MISMATCH for one of another store. */
export function openRing(path: string, storeId: string, ties: RingTies): OpenRing {
  const memory = ringMemory(path, ties.shim, ties.readOnly);
  try {
    const identity = identityOf(memory.bytes.subarray(0, RING_START), path);
    if (identity.storeId !== storeId) {
      throw new RegionError('ERR_MISMATCH',
        `${path} belongs to store ${identity.storeId}; put the right file back`);
    }
    if (memory.bytes.length < RING_START + identity.size) {
      throw new RegionError('ERR_CORRUPT', `${path} is truncated; restore it from a backup`);
    }
    return new RingInFile(memory, identity.size, ties);
  } catch (error) {
    memory.close();
    throw error;
  }
}

class RingInFile implements OpenRing {
  readonly size: number;
  readonly recovery: RingRecovery | null;
  readonly #memory: RingMemory;
  readonly #ties: RingTies;
  readonly #log: RingLog;
  readonly #view: DataView;
  /** Missing records by the sequence before them. */
  readonly #missing = new Map<number, number>();
  readonly #waiting = new Set<() => void>();
  #lost = 0;
  #gone: Error | null = null;

  constructor(memory: RingMemory, size: number, ties: RingTies) {
    const { buffer, byteOffset } = memory.bytes;
    const bytes = new Uint8Array(buffer, byteOffset, RING_START + size);
    this.#memory = memory;
    this.#ties = ties;
    this.size = size;
    this.#view = new DataView(buffer, byteOffset, RING_START);
    this.#log = new RingLog({
      bytes, crc: memory.crc,
      store: (at, count) => memory.store(at, count), load: (at, count) => memory.load(at, count),
      sync: () => memory.sync(), faults: () => memory.faults(), close: () => {},
    });
    this.recovery = ties.readOnly ? null : this.#begin();
  }

  get name(): string {
    return this.#ties.name();
  }

  get closed(): boolean {
    return this.#gone !== null;
  }

  get first(): number {
    const [record] = this;
    return record?.seq ?? 0;
  }

  get last(): number {
    this.#assertUsable();
    this.#log.refresh();
    return this.#log.last;
  }

  get damaged(): number {
    return [...this.#missing.values()].reduce((n, count) => n + count, 0);
  }

  get lost(): number {
    return this.#lost;
  }

  append(record: Uint8Array | string): number {
    if (this.#gone !== null) throw this.#gone;
    if (this.#ties.readOnly) throw this.#readOnly();
    const log = this.#log;
    let sequence: number;
    if (typeof record === 'string') {
      const length = Buffer.byteLength(record);
      if (length > log.most) throw this.#tooLarge(length);
      sequence = log.appendText(record, length, this.#ties.now());
    } else {
      if (!(record instanceof Uint8Array)) record = asBytes(record);
      if (record.length > log.most) throw this.#tooLarge(record.length);
      sequence = log.append(record, this.#ties.now());
    }
    if (this.#waiting.size > 0) this.#wake();
    return sequence;
  }

  sync(): void {
    this.#assertUsable();
    this.#memory.sync();
    if (this.#memory.faults() > 0) {
      throw new RegionError('ERR_IO',
        `pages of the file of ring '${this.name}' cannot be read or written; replace the disk`);
    }
  }

  tail(count: number): RingRecord[] {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new RegionError('ERR_BAD_OPTION', `tail: ${String(count)} is no count of records`);
    }
    this.#assertUsable();
    this.#log.refresh();
    // Twice as far back each time, until there are enough behind a mark.
    const marks = this.#log.marks();
    for (let back = 1; back <= marks.length; back *= 2) {
      const start = marks[back - 1] as number;
      const found = this.#log.recordAt(start) === null ? [] : this.#newest(count, start);
      if (found.length === count) return found;
    }
    return this.#newest(count, -1);
  }

  /** The newest `count` records of those from `start` on; -1 = of all. */
  #newest(count: number, start: number): RingRecord[] {
    const newest: RingRecord[] = [];
    const cursor = this.#cursor(start);
    for (let record = cursor.next(); record !== null; record = cursor.next()) {
      newest.push(record);
      // Now and then as many as there are too many.
      if (newest.length === 2 * count + 1) newest.splice(0, count + 1);
    }
    return newest.slice(Math.max(0, newest.length - count));
  }

  *[Symbol.iterator](): Generator<RingRecord> {
    this.#assertUsable();
    const cursor = this.#cursor();
    for (let record = cursor.next(); record !== null; record = cursor.next()) yield record;
  }

  async *follow(options: FollowOptions = {}): AsyncGenerator<RingRecord> {
    this.#assertUsable();
    const { signal, from } = followOptions(options);
    const cursor = this.#cursor();
    let wanted = from ?? this.last + 1;
    let pause = LOOK_FIRST;
    while (signal?.aborted !== true && this.#gone === null) {
      const record = cursor.next();
      if (record === null) {
        await this.#change(pause, signal);
        pause = Math.min(LOOK_MOST, pause * 2);
        continue;
      }
      pause = LOOK_FIRST;
      if (record.seq < wanted) continue;
      this.#lost += cursor.takeLost();
      wanted = record.seq + 1;
      yield record;
    }
  }

  check(): Finding[] {
    this.#assertUsable();
    this.#log.refresh();
    if (!this.#log.isSound) {
      return [{ id: 'G1', address: RING.tail, detail: 'its positions cannot be' }];
    }
    const before = this.damaged;
    for (const _ of this);
    const count = Math.max(before, this.damaged);
    if (count === 0) return [];
    return [{ id: 'G2', address: 0, detail: `${count} records are damaged or missing` }];
  }

  close(): void {
    this.end(new RegionError('ERR_CLOSED', `ring '${this.name}' is closed; open it again`));
  }

  end(error: Error): void {
    if (this.#gone !== null) return;
    try {
      if (!this.#ties.readOnly) this.#leave();
    } finally {
      this.retire(error);
    }
  }

  retire(error: Error): void {
    if (this.#gone !== null) return;
    this.#gone = error;
    this.#wake();
    this.#memory.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** From now on it counts as not closed. */
  #begin(): RingRecovery | null {
    const wasClosed = this.#view.getUint32(RING.clean, true) === 1 && this.#log.isSound;
    const found = wasClosed ? null : this.#recover();
    const boot = new Uint8Array(ID_BYTES);
    boot.set(Buffer.from(this.#ties.boot, 'hex').subarray(0, ID_BYTES));
    this.#memory.bytes.set(boot, RING.bootId);
    this.#view.setUint32(RING.clean, 0, true);
    this.#memory.store(RING.clean, RING.bootId + ID_BYTES - RING.clean);
    return found;
  }

  /** Data first, then the mark that says so. */
  #leave(): void {
    this.#memory.sync();
    this.#view.setUint32(RING.clean, 1, true);
    this.#memory.store(RING.clean, RING.bootId - RING.clean);
    this.#memory.sync();
  }

  /** The records say where they belong; the newest one says what the others are worth. */
  #recover(): RingRecovery {
    const log = this.#log;
    const kept: { position: number; seq: number }[] = [];
    let [head, last] = [0, 0];
    for (const { position, next, record } of log.everything()) {
      kept.push({ position, seq: record.seq });
      if (record.seq > last) [head, last] = [next, record.seq];
    }
    const live = kept.filter(({ position }) => position >= head - log.size)
      .sort((a, b) => a.position - b.position);
    log.reset(live[0]?.position ?? head, head, last);
    live.forEach(({ seq }, i) => {
      const before = live[i - 1]?.seq ?? seq - 1;
      if (seq > before + 1) this.#missing.set(before, seq - before - 1);
    });
    const stored = Buffer.from(this.#memory.bytes.subarray(RING.bootId, RING.bootId + ID_BYTES))
      .toString('hex');
    const crash = crashOf(stored, this.#ties.boot);
    return { crash, records: live.length, damaged: this.damaged };
  }

  #cursor(start = -1): Cursor {
    return new Cursor(this.#log, () => this.#assertUsable(), (before, count) => {
      this.#missing.set(before, count);
    }, start);
  }

  /** Something may have been appended, or it is to end. */
  #change(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  #assertUsable(): void {
    if (this.#gone !== null) throw this.#gone;
  }

  #readOnly(): RegionError {
    return new RegionError('ERR_READ_ONLY', `ring '${this.name}' is open for reading only`);
  }

  #tooLarge(bytes: number): RegionError {
    return new RegionError('ERR_BAD_SIZE', `a record of ${bytes} bytes is too large for ring ` +
      `'${this.name}' of ${this.size}: ${this.#log.most} are the most`);
  }
}

function followOptions({ signal, from, ...rest }: FollowOptions): FollowOptions {
  const [unknown] = Object.keys(rest);
  const isSound = unknown === undefined
    && (signal === undefined || typeof signal?.addEventListener === 'function')
    && (from === undefined || (Number.isSafeInteger(from) && from >= 0));
  if (isSound) return { ...(signal && { signal }), ...(from !== undefined && { from }) };
  throw new RegionError('ERR_BAD_OPTION',
    `follow: give { signal: an AbortSignal, from: a sequence }, not ${unknown ?? 'other values'}`);
}

/** What is no Uint8Array but holds bytes. */
function asBytes(record: unknown): Uint8Array {
  if (ArrayBuffer.isView(record)) {
    return new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
  }
  throw new RegionError('ERR_BAD_OPTION', 'append: give bytes or a string');
}
