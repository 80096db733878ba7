/**
 * Locks in shared memory, after Drepper's futex mutex ("Futexes Are Tricky", 2011) and the robust
 * futexes of Linux: a word that is 0 or names its owner. One exchange takes it, one leaves it. Who
 * has to wait turns a while, then sets a bit and sleeps; a sleeper looks every few milliseconds
 * whether the owner is still there, and takes the lock over from one that died, at any instant.
 *
 *   T1  the words about the buffer say what it is divided into
 *   T2  a lock is not condemned: what it guards could be derived again
 */
import { RegionError } from '../errors.ts';
import { LOCK, LOCK_WAITING, PAGE, SHARED } from '../layout.ts';
import type { Sharing } from '../sharing.ts';
import type { Finding } from '../types.ts';
import { placeOf, type ThreadTable } from './thread-table.ts';

// V8 folds constants of this module into the code, imported ones it loads and tests every time.
const FREE = LOCK.free + 0;
const LEFT = LOCK.left + 0;
const CONDEMNED = LOCK.condemned + 0;
const WAITING = LOCK_WAITING + 0;
/**
 * Looks before sleeping. A critical section is as long as ten of them, a sleep as thousands: with
 * 200, two threads at one lock took 300 ns a call where they take 85.
 */
const TURNS = 1000;
/** A sleeper looks so often whether the owner is alive, and gives up after so many looks. */
const LOOK_MS = 4;
const LOOKS = 7500;

/** How a buffer is divided. */
export interface Division {
  readonly shards: number;
  /** Address space of a shard is 2^slotShift bytes. */
  readonly slotShift: number;
  /** Bytes in all. */
  readonly capacity: number;
}

export class ThreadLocks implements Sharing {
  readonly shards: number;
  readonly home: number;
  readonly #words: Int32Array;
  readonly #threads: ThreadTable;
  readonly #division: Division;
  readonly #ticket: number;
  readonly #looks: number;

  /**
   * `words` are the whole buffer's; `ticket` is this opening's in the table of threads; `looks` at
   * an owner that lives, 4 ms apart, are as many as it is given.
   */
  constructor(
    words: Int32Array, threads: ThreadTable, division: Division, ticket: number, looks = LOOKS,
  ) {
    this.#words = words;
    this.#threads = threads;
    this.#division = division;
    this.#ticket = ticket;
    this.#looks = looks;
    this.shards = division.shards;
    this.home = placeOf(ticket) % division.shards;
  }

  lockOf(shard: number): number {
    if (shard < 0) return SHARED.rootsLock >>> 2;
    return (shard * 2 ** this.#division.slotShift + SHARED.lock) / 4;
  }

  take(lock: number): boolean {
    if (Atomics.compareExchange(this.#words, lock, FREE, this.#ticket) === FREE) return true;
    return this.#wait(lock);
  }

  tryTake(lock: number): boolean {
    return Atomics.compareExchange(this.#words, lock, FREE, this.#ticket) === FREE;
  }

  leave(lock: number): void {
    const held = Atomics.exchange(this.#words, lock, FREE);
    if ((held & WAITING) !== 0) Atomics.notify(this.#words, lock, 1);
  }

  abandon(lock: number): void {
    Atomics.store(this.#words, lock, LEFT);
    Atomics.notify(this.#words, lock, 1);
  }

  condemn(lock: number): void {
    Atomics.store(this.#words, lock, CONDEMNED);
    Atomics.notify(this.#words, lock);
  }

  isCondemned(lock: number): boolean {
    return Atomics.load(this.#words, lock) === CONDEMNED;
  }

  publish(): void {
    Atomics.store(this.#words, SHARED.isReady >>> 2, 1);
    Atomics.notify(this.#words, SHARED.isReady >>> 2);
  }

  check(report: (finding: Finding) => void): void {
    const { shards, slotShift, capacity } = this.#division;
    const found = divisionIn(this.#words);
    if (found.shards !== shards || found.slotShift !== slotShift || found.capacity !== capacity) {
      report({ id: 'T1', address: SHARED.shards,
        detail: 'the words about the buffer were changed' });
    }
    for (let shard = -1; shard < shards; shard++) {
      const lock = this.lockOf(shard);
      if (!this.isCondemned(lock)) continue;
      report({ id: 'T2', address: lock * 4, detail: `${whatOf(lock)} is condemned` });
    }
  }

  /** Only reads and exchanges words: valid wherever another waiter, or this one, dies. */
  #wait(lock: number): boolean {
    const words = this.#words;
    // Who has slept cannot know whether others still do.
    let mine = this.#ticket;
    let turns = TURNS;
    let looks = this.#looks;
    let last = FREE;
    for (;;) {
      const word = Atomics.load(words, lock);
      if ((word | WAITING) !== last) looks = this.#looks;
      last = word | WAITING;
      if (word === CONDEMNED) throw condemned(lock);
      const isHalf = word === LEFT || (word & ~WAITING) === this.#ticket;
      if (word === FREE || isHalf) {
        if (Atomics.compareExchange(words, lock, word, mine) !== word) continue;
        if (isHalf) this.#count();
        return !isHalf;
      }
      if (turns-- > 0) continue;
      const asleep = word | WAITING;
      if (word !== asleep && Atomics.compareExchange(words, lock, word, asleep) !== word) continue;
      mine = this.#ticket | WAITING;
      if (Atomics.wait(words, lock, asleep, LOOK_MS) !== 'timed-out') continue;
      if (this.#threads.isDead(word & ~WAITING)) {
        if (Atomics.compareExchange(words, lock, asleep, mine) !== asleep) continue;
        this.#count();
        return false;
      }
      if (--looks === 0) throw this.#busy(lock, word);
    }
  }

  /** Locks that were taken over, for whoever looks. */
  #count(): void {
    Atomics.add(this.#words, SHARED.takeovers >>> 2, 1);
  }

  #busy(lock: number, word: number): RegionError {
    return new RegionError('ERR_BUSY',
      `${whatOf(lock)} has been held by ${this.#threads.nameOf(word)} for ` +
        `${this.#looks * LOOK_MS / 1000} seconds; see what that thread does, or end it`);
  }
}

/** The division a buffer says it has. */
export function divisionIn(words: Int32Array): Division {
  return {
    shards: words[SHARED.shards >>> 2],
    slotShift: words[SHARED.slotShift >>> 2],
    capacity: words[SHARED.capacity >>> 2] * PAGE,
  };
}

function condemned(lock: number): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${whatOf(lock)} is condemned: a thread died in it and its blocks do not hold together; ` +
      'read what you can, and make another region');
}

function whatOf(lock: number): string {
  return lock === SHARED.rootsLock >>> 2 ? 'the lock of the roots'
    : `the lock of the shard at ${lock * 4 - SHARED.lock}`;
}
