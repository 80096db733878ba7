/**
 * A trace in memory: the sequence of allocation calls a program made, with slots instead of
 * addresses. Whatever format it came from, it is sound: all rules of account.ts hold.
 */
import { TRACE_RECORD } from '../layout.ts';
import { Account } from './account.ts';

const { words: RECORD } = TRACE_RECORD;

/** Records of 2^28 are 2 GiB; what is more is a mistake or an attack. */
export const MOST_RECORDS = 2 ** 28;
const FIRST_RECORDS = 4096;

/** Where a call came from. */
export interface Origin {
  readonly region: string;
  readonly method: string;
  /** `file:line:function`, or ''. */
  readonly site: string;
}

/**
 * The calls of a program: what `readTrace` gives and `writeTrace` takes.
 *
 * @example
 * for (let i = 0; i < trace.records.length; i += 2) {
 *   const operation = trace.records[i] & 3; // 0 alloc, 1 free, 2 resize, 3 align
 *   const slot = trace.records[i] >>> 3, size = trace.records[i + 1];
 * }
 */
export interface Trace {
  /** Two words a record: slot × 8 + zero × 4 + operation; size, alignment or 0. */
  readonly records: Uint32Array;
  readonly slots: number;
  /** Records less align records. */
  readonly operations: number;
  readonly peakBytes: number;
  readonly peakBlocks: number;
  readonly leftBlocks: number;
  readonly leftBytes: number;
  /** Only the beginning of the program was recorded. */
  readonly cutOff: boolean;
  /**
   * Calls on blocks from before the recording: their frees are left out, a resize counts as an
   * alloc. 0 unless read from lines.
   */
  readonly strangers: number;
  /** Regions, methods and call sites of the records; [] where the format has none. */
  readonly origins: readonly Origin[];
  /** Index into `origins` of each record; null = it is 0 for all, or there are none. */
  readonly originOf: Uint32Array | null;
}

/** Takes records one by one and makes a trace of them. */
export class TraceBuilder {
  readonly account: Account;
  strangers = 0;
  #records = new Uint32Array(FIRST_RECORDS * RECORD);
  #originOf: Uint32Array | null = null;
  #count = 0;

  constructor(account = new Account()) {
    this.account = account;
  }

  /** The rule this record breaks, or ''. */
  add(word: number, value: number, origin = 0): string {
    const broken = this.account.take(word, value);
    if (broken !== '') return broken;
    if (this.#count * RECORD === this.#records.length) {
      if (this.#count >= MOST_RECORDS) return `there are more than ${MOST_RECORDS} records`;
      this.#records = grown(this.#records);
      if (this.#originOf !== null) this.#originOf = grown(this.#originOf);
    }
    this.#records[this.#count * RECORD] = word;
    this.#records[this.#count * RECORD + 1] = value;
    if (origin > 0) this.#originOf ??= new Uint32Array(this.#records.length / RECORD);
    if (this.#originOf !== null) this.#originOf[this.#count] = origin;
    this.#count += 1;
    return '';
  }

  finish(cutOff: boolean, origins: readonly Origin[] = []): Trace {
    const { slots, operations, peakBytes, peakBlocks, blocks, bytes } = this.account;
    return {
      records: this.#records.slice(0, this.#count * RECORD),
      slots,
      operations,
      peakBytes,
      peakBlocks,
      leftBlocks: blocks,
      leftBytes: bytes,
      cutOff,
      strangers: this.strangers,
      origins,
      originOf: this.#originOf?.slice(0, this.#count) ?? null,
    };
  }
}

function grown(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(words.length * 2);
  more.set(words);
  return more;
}
