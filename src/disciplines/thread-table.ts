/**
 * The threads that have a region open: a table in the region's memory. An entry is claimed by one
 * exchange of its identity word and then gets its next generation, so that a ticket (place and
 * generation) names one opening of the region, never a later one in the same place. The entries of
 * threads that died are claimed when there are no others.
 */
import { threadId } from 'node:worker_threads';
import { RegionError } from '../errors.ts';
import { MAX_THREADS, SHARED, THREAD, TICKET } from '../layout.ts';
import { mayRun, thisThread } from '../native/threads.ts';

const PLACES = 2 ** TICKET.placeBits - 1;
const GENERATIONS = 2 ** TICKET.generationBits - 1;
const BIG = BigInt64Array.BYTES_PER_ELEMENT;
const WORD = Int32Array.BYTES_PER_ELEMENT;

export class ThreadTable {
  readonly #identities: BigInt64Array;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    const bytes = MAX_THREADS * THREAD.bytes;
    this.#identities = new BigInt64Array(buffer, SHARED.threads, bytes / BIG);
    this.#words = new Int32Array(buffer, SHARED.threads, bytes / WORD);
  }

  /** The ticket of a new entry for this thread; ERR_BUSY when the table is full. */
  enter(): number {
    const place = this.#claim();
    if (place < 0) {
      throw new RegionError('ERR_BUSY',
        `${MAX_THREADS} threads have this region open already; close it in one of them`);
    }
    const at = place * THREAD.bytes;
    Atomics.store(this.#words, (at + THREAD.threadId) / WORD, threadId);
    Atomics.add(this.#words, (at + THREAD.generation) / WORD, 1);
    return this.#ticketOf(place);
  }

  leave(ticket: number): void {
    Atomics.store(this.#identities, placeOf(ticket) * THREAD.bytes / BIG, 0n);
  }

  /** Can nobody hold this ticket any longer? */
  isDead(ticket: number): boolean {
    const place = placeOf(ticket);
    if (place < 0 || place >= MAX_THREADS || this.#ticketOf(place) !== ticket) return true;
    const identity = this.#identityAt(place);
    return identity === 0n || !mayRun(identity);
  }

  /** How messages call the holder of a ticket. */
  nameOf(ticket: number): string {
    const at = placeOf(ticket) * THREAD.bytes;
    return `thread ${this.#words[(at + THREAD.threadId) / WORD] ?? '?'}`;
  }

  #claim(): number {
    const me = thisThread();
    for (let place = 0; place < MAX_THREADS; place++) if (this.#swap(place, 0n, me)) return place;
    for (let place = 0; place < MAX_THREADS; place++) {
      const identity = this.#identityAt(place);
      const isFree = identity === 0n || !mayRun(identity);
      if (isFree && this.#swap(place, identity, me)) return place;
    }
    return -1;
  }

  #swap(place: number, from: bigint, to: bigint): boolean {
    const at = place * THREAD.bytes / BIG;
    return Atomics.compareExchange(this.#identities, at, from, to) === from;
  }

  #identityAt(place: number): bigint {
    return Atomics.load(this.#identities, place * THREAD.bytes / BIG);
  }

  #ticketOf(place: number): number {
    const at = (place * THREAD.bytes + THREAD.generation) / WORD;
    const generation = Atomics.load(this.#words, at) & GENERATIONS;
    return (generation << TICKET.generationShift) | ((place + 1) << TICKET.placeShift);
  }
}

/** Place in the table, -1 = the ticket has none. */
export function placeOf(ticket: number): number {
  return ((ticket >>> TICKET.placeShift) & PLACES) - 1;
}
