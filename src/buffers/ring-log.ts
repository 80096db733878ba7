/**
 * The records of a ring, over its memory. Written by one, read by many, also by other processes
 * while it is written: a reader copies first and checks afterwards, so what it returns is whole.
 *
 * Order of writes, so that this holds at every instant: `tail` moves past what will be overwritten;
 * the record is written, its checksum last; `head` and `last` take it in. Nobody trusts `head` and
 * `tail` after a machine crash: then the records themselves say where they belong.
 */
import { assert } from '../errors.ts';
import { RING, RING_MARKS, RING_RECORD, RING_START } from '../layout-ring.ts';
import type { RingMemory } from './ring-memory.ts';

const { crc: CRC, length: LENGTH, sequence: SEQUENCE, time: AT, position: POSITION,
  payload: PAYLOAD, align: ALIGN } = RING_RECORD;
const HEAD = RING.head / 8;
const TAIL = RING.tail / 8;
const LAST = RING.last / 8;
const TURN = RING.turn / 4;
const MARKS = RING.marks / 8;
/** The length of what fills up the circle where a record does not fit before its end. */
const FILLER = 0xffffffff;

/** A record as it is read. */
export interface RingRecord {
  /** Increases by one with every record. */
  readonly seq: number;
  readonly at: Date;
  /** A copy. */
  readonly bytes: Uint8Array;
}

/** A record and where the next one begins. */
interface Found {
  readonly record: RingRecord;
  readonly next: number;
}

export class RingLog {
  readonly #memory: RingMemory;
  readonly #bytes: Uint8Array;
  readonly #buffer: Buffer;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  /** Bytes of the circle. */
  readonly size: number;
  /** Largest payload, bytes: half of the circle is always there to be read. */
  readonly most: number;
  /** The circle is marked in pieces of 2^shift bytes. */
  readonly #shift: number;

  constructor(memory: RingMemory) {
    const { buffer, byteOffset, length } = memory.bytes;
    this.#memory = memory;
    this.#bytes = memory.bytes;
    this.#buffer = Buffer.from(buffer, byteOffset, length);
    this.#words = new Int32Array(buffer, byteOffset, length / 4);
    this.#numbers = new Float64Array(buffer, byteOffset, length / 8);
    this.size = length - RING_START;
    this.most = Math.floor(this.size / 2 / ALIGN) * ALIGN - PAYLOAD;
    this.#shift = Math.max(4, Math.ceil(Math.log2(this.size / RING_MARKS)));
  }

  get head(): number {
    return this.#numbers[HEAD] as number;
  }

  get tail(): number {
    return this.#numbers[TAIL] as number;
  }

  /** Sequence of the newest record, 0 = none yet. */
  get last(): number {
    return this.#numbers[LAST] as number;
  }

  /** Takes the positions that another process wrote. */
  refresh(): void {
    this.#memory.load(RING.tail, RING.liveEnd - RING.tail);
    Atomics.load(this.#words, TURN);
  }

  /** Positions that can be; false = the header is damaged. */
  get isSound(): boolean {
    const { head, tail, last } = this;
    return [head, tail, last].every((n) => Number.isSafeInteger(n) && n >= 0)
      && head % ALIGN === 0 && tail % ALIGN === 0 && tail <= head && head - tail <= this.size;
  }

  append(payload: Uint8Array, at: number): number {
    const start = this.#begin(payload.length);
    this.#bytes.set(payload, start + PAYLOAD);
    return this.#finish(start, payload.length, at);
  }

  /** `length` = its bytes in UTF-8. */
  appendText(text: string, length: number, at: number): number {
    const start = this.#begin(length);
    const written = this.#buffer.write(text, start + PAYLOAD, length, 'utf8');
    assert(written === length, 'a text as long as it was counted');
    return this.#finish(start, length, at);
  }

  /** Makes room; returns the byte of the file where the record begins. */
  #begin(length: number): number {
    const total = PAYLOAD + Math.ceil(length / ALIGN) * ALIGN;
    let head = this.#numbers[HEAD] as number;
    const rest = this.size - (head % this.size);
    if (rest < total) {
      this.#makeRoom(head + rest);
      this.#fill(head, rest);
      head += rest;
      this.#numbers[HEAD] = head;
      this.#memory.store(RING.tail, RING.liveEnd - RING.tail);
    }
    this.#makeRoom(head + total);
    return RING_START + (head % this.size);
  }

  #finish(start: number, length: number, at: number): number {
    const total = PAYLOAD + Math.ceil(length / ALIGN) * ALIGN;
    const head = this.#numbers[HEAD] as number;
    const sequence = (this.#numbers[LAST] as number) + 1;
    this.#words[(start + LENGTH) / 4] = length;
    this.#numbers[(start + SEQUENCE) / 8] = sequence;
    this.#numbers[(start + AT) / 8] = at;
    this.#numbers[(start + POSITION) / 8] = head;
    const from = start + LENGTH;
    this.#words[start / 4] = this.#memory.crc(this.#bytes, from, PAYLOAD - LENGTH + length, 0);
    this.#memory.store(start, total);
    this.#mark(head, start - RING_START);
    this.#numbers[HEAD] = head + total;
    this.#numbers[LAST] = sequence;
    Atomics.store(this.#words, TURN, sequence | 0);
    this.#memory.store(RING.tail, RING.liveEnd - RING.tail);
    return sequence;
  }

  /** The first record of this lap in its piece; `at` = where in the circle it begins. */
  #mark(position: number, at: number): void {
    const piece = MARKS + (at >>> this.#shift);
    const mark = this.#numbers[piece] as number;
    if (mark !== 0 && mark >= position - at) return;
    this.#numbers[piece] = position;
    this.#memory.store(piece * 8, 8);
  }

  /** Positions of records that can be begun with, the newest first; they may be wrong. */
  marks(): number[] {
    this.#memory.load(RING.marks, RING_MARKS * 8);
    const { head, tail } = this;
    return [...this.#numbers.subarray(MARKS, MARKS + RING_MARKS)]
      .filter((position) => position > tail && position < head && position % ALIGN === 0)
      .sort((a, b) => b - a);
  }

  /** The oldest records go, as far as the circle is to be written. */
  #makeRoom(end: number): void {
    let tail = this.#numbers[TAIL] as number;
    if (end - tail <= this.size) return;
    while (end - tail > this.size) tail = this.#after(tail, end - this.size);
    this.#numbers[TAIL] = tail;
    this.#memory.store(RING.tail, RING.liveEnd - RING.tail);
    Atomics.store(this.#words, TURN, this.#words[TURN] as number);
  }

  /** Where the record behind the one at `position` begins; a damaged one is passed over. */
  #after(position: number, least: number): number {
    const rest = this.size - (position % this.size);
    if (rest < PAYLOAD) return position + rest;
    const start = RING_START + (position % this.size);
    const length = (this.#words[(start + LENGTH) / 4] as number) >>> 0;
    const isItself = this.#numbers[(start + POSITION) / 8] === position;
    if (isItself && length === FILLER) return position + rest;
    if (isItself && length <= rest - PAYLOAD) {
      return position + PAYLOAD + Math.ceil(length / ALIGN) * ALIGN;
    }
    return least;
  }

  /** The end of the circle is no record: where there is room to say so, it is said. */
  #fill(position: number, rest: number): void {
    if (rest < PAYLOAD) return;
    const start = RING_START + (position % this.size);
    this.#words[(start + LENGTH) / 4] = FILLER | 0;
    this.#numbers[(start + SEQUENCE) / 8] = 0;
    this.#numbers[(start + AT) / 8] = 0;
    this.#numbers[(start + POSITION) / 8] = position;
    const from = start + LENGTH;
    this.#words[start / 4] = this.#memory.crc(this.#bytes, from, PAYLOAD - LENGTH, 0);
    this.#memory.store(start, PAYLOAD);
  }

  /** The whole record at a position, null = there is none (damaged, overwritten, or no start). */
  recordAt(position: number): Found | null {
    const rest = this.size - (position % this.size);
    if (rest < PAYLOAD) return null;
    const start = RING_START + (position % this.size);
    this.#memory.load(start, PAYLOAD);
    const length = (this.#words[(start + LENGTH) / 4] as number) >>> 0;
    if (this.#numbers[(start + POSITION) / 8] !== position || length > rest - PAYLOAD) return null;
    this.#memory.load(start + PAYLOAD, length);
    const copy = this.#bytes.slice(start, start + PAYLOAD + length);
    const head = new DataView(copy.buffer, copy.byteOffset, PAYLOAD);
    const crc = this.#memory.crc(copy, LENGTH, PAYLOAD - LENGTH + length, 0);
    const isWhole = head.getUint32(CRC, true) === crc && head.getUint32(LENGTH, true) === length
      && head.getFloat64(POSITION, true) === position;
    if (!isWhole) return null;
    const record = { seq: head.getFloat64(SEQUENCE, true),
      at: new Date(head.getFloat64(AT, true)), bytes: copy.subarray(PAYLOAD) };
    return { record, next: position + PAYLOAD + Math.ceil(length / ALIGN) * ALIGN };
  }

  /** The circle is filled up from here to its end. */
  isFillerAt(position: number): boolean {
    const rest = this.size - (position % this.size);
    if (rest < PAYLOAD) return true;
    const start = RING_START + (position % this.size);
    this.#memory.load(start, PAYLOAD);
    return (this.#words[(start + LENGTH) / 4] as number) >>> 0 === FILLER
      && this.#numbers[(start + POSITION) / 8] === position
      && (this.#words[start / 4] as number) >>> 0
        === this.#memory.crc(this.#bytes, start + LENGTH, PAYLOAD - LENGTH, 0);
  }

  /** The end of the circle behind a position. */
  lapAfter(position: number): number {
    return position + this.size - (position % this.size);
  }

  /**
   * The next position from here on, below `end`, where a record could begin: one that says it lies
   * there. What it holds is not looked at.
   */
  candidate(from: number, end: number): number {
    for (let position = from; position < end; position += ALIGN) {
      const rest = this.size - (position % this.size);
      if (rest < PAYLOAD) continue;
      const start = RING_START + (position % this.size);
      this.#memory.load(start + POSITION, 8);
      if (this.#numbers[(start + POSITION) / 8] === position) return position;
    }
    return end;
  }

  /** Every whole record of the circle, wherever `head` and `tail` say it begins and ends. */
  *everything(): Generator<Found & { readonly position: number }> {
    this.#memory.load(RING_START, this.size);
    for (let at = 0; at <= this.size - PAYLOAD; at += ALIGN) {
      const position = this.#numbers[(RING_START + at + POSITION) / 8] as number;
      if (!Number.isSafeInteger(position) || position < 0 || position % this.size !== at) continue;
      const found = this.recordAt(position);
      if (found === null || found.record.seq === 0) continue;
      yield { ...found, position };
      // What a payload says is no record.
      at += found.next - position - ALIGN;
    }
  }

  /** Takes positions that were found by looking at the records. */
  reset(tail: number, head: number, last: number): void {
    this.#numbers[TAIL] = tail;
    this.#numbers[HEAD] = head;
    this.#numbers[LAST] = last;
    Atomics.store(this.#words, TURN, last | 0);
    this.#numbers.fill(0, MARKS, MARKS + RING_MARKS);
    this.#memory.store(RING.marks, RING_MARKS * 8);
    this.#memory.store(RING.tail, RING.liveEnd - RING.tail);
  }
}
