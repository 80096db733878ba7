/**
 * A block of `debug`, as bytes: inside a block of the inner method lie a header of 32 bytes, the
 * payload of exactly the size that was asked for, and guard bytes up to the next word and three
 * words more.
 *
 *   inner block → | tag front sequence size allocatedAt freedAt check guard | payload | rear |
 *
 * The words before the payload are all known or hashed, so any of them that is written over shows.
 * The word next to the payload says whether the block is live or freed. Where the payload has to
 * lie further in, for its alignment, the inner block starts with a lead that says how far.
 *
 * `p` is the granule of a payload, `i` that of its inner block. What is read here may be hostile:
 * nothing leads outside the inner block, whose size the inner method knows.
 */
import { GRANULE } from '../layout.ts';
import { DEBUG_BLOCK, DEBUG_HEADER, GUARD, LEAD, LEAD_MAGIC } from '../layout-debug.ts';

const { tag: TAG, front: FRONT, sequence: SEQUENCE, size: SIZE, check: CHECK } = DEBUG_HEADER;
const { allocatedAt: ALLOCATED_AT, freedAt: FREED_AT, guard: GUARD_WORD } = DEBUG_HEADER;
const { live: LIVE, freed: FREED, rear: REAR } = GUARD;
export const HEAD = DEBUG_BLOCK.head;
const REAR_WORDS = DEBUG_BLOCK.rearWords;
const REAR_BYTES = REAR_WORDS * 4;
/** Below so many words a loop is faster than a call. */
const SHORT = 24;

export interface Header {
  readonly front: number;
  readonly sequence: number;
  readonly size: number;
  readonly allocatedAt: number;
  readonly freedAt: number;
}

/** Bytes of the inner block for `size` bytes of payload. */
export function paddedBytes(size: number, front: number): number {
  return front * GRANULE + Math.ceil(size / 4) * 4 + REAR_BYTES;
}

/** The largest payload in an inner block of so many bytes, or below 0. */
export function roomIn(bytes: number, front: number): number {
  return Math.floor(bytes / 4) * 4 - front * GRANULE - REAR_BYTES;
}

function mix(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a ^ 0x2545f491, 0x9e3779b1) ^ b;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) ^ c;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) ^ d;
  return (hash ^ (hash >>> 16)) | 0;
}

/** Writes the header, the state last. */
export function seal(words: Int32Array, p: number, header: Header, isLive: boolean): void {
  const w = p << 2;
  const { front, sequence } = header;
  words[w + FRONT] = front;
  words[w + SEQUENCE] = sequence;
  words[w + TAG] = mix(p, front, sequence, 0);
  sealRest(words, p, header, isLive);
}

/** The same without the words that free lists of the inner method may use. */
export function sealRest(words: Int32Array, p: number, header: Header, isLive: boolean): void {
  const w = p << 2;
  const { size, allocatedAt, freedAt } = header;
  words[w + SIZE] = size | 0;
  words[w + ALLOCATED_AT] = allocatedAt;
  words[w + FREED_AT] = freedAt;
  words[w + CHECK] = mix(p, size | 0, allocatedAt, freedAt);
  words[w + GUARD_WORD] = isLive ? LIVE : FREED;
}

export function readHeader(words: Int32Array, p: number): Header {
  const w = p << 2;
  return {
    front: words[w + FRONT],
    sequence: words[w + SEQUENCE] >>> 0,
    size: words[w + SIZE] >>> 0,
    allocatedAt: words[w + ALLOCATED_AT],
    freedAt: words[w + FREED_AT],
  };
}

export function sizeBefore(words: Int32Array, p: number): number {
  return words[(p << 2) + SIZE] >>> 0;
}

export function isTagged(words: Int32Array, p: number): boolean {
  const w = p << 2;
  return words[w + TAG] === mix(p, words[w + FRONT], words[w + SEQUENCE], 0);
}

/** Do size and call sites belong to a block at p? */
export function isChecked(words: Int32Array, p: number): boolean {
  const w = p << 2;
  const sum = mix(p, words[w + SIZE], words[w + ALLOCATED_AT], words[w + FREED_AT]);
  return words[w + CHECK] === sum;
}

export function guardBefore(words: Int32Array, p: number): 'live' | 'freed' | 'damaged' {
  const guard = words[(p << 2) + GUARD_WORD];
  return guard === LIVE ? 'live' : guard === FREED ? 'freed' : 'damaged';
}

/** Is every byte of the header of a live block as it was written? */
export function isWholeBefore(words: Int32Array, p: number): boolean {
  return words[(p << 2) + GUARD_WORD] === LIVE && isChecked(words, p) && isTagged(words, p)
    && isLeadWhole(words, p);
}

function isLeadWhole(words: Int32Array, p: number): boolean {
  const front = words[(p << 2) + FRONT];
  return front === HEAD || leadAt(words, p - front) === front;
}

/** Was a block at p freed, as far as memory that is nobody's now still says? */
export function isRetired(words: Int32Array, p: number): boolean {
  return words[(p << 2) + GUARD_WORD] === FREED && isChecked(words, p);
}

export function writeLead(words: Int32Array, i: number, front: number): void {
  const w = i << 2;
  words[w + LEAD.front] = front;
  words[w + LEAD.check] = mix(i, front, LEAD_MAGIC, 1);
  words[w + LEAD.tag] = LEAD_MAGIC;
}

/** Old headers between a lead and its payload, where one is looked for if the lead is damaged. */
export function wipeOld(words: Int32Array, i: number, front: number): void {
  for (let old = HEAD; old < front; old *= 2) {
    const w = (i + old) << 2;
    words[w + TAG] = 0;
    words[w + CHECK] = ~mix(i + old, words[w + SIZE], words[w + ALLOCATED_AT], words[w + FREED_AT]);
  }
}

/**
 * Granules from the start of the inner block to its payload as a lead there says, or 0. It is more
 * than the header has.
 */
export function leadAt(words: Int32Array, i: number, head: number = HEAD): number {
  const w = i << 2;
  const front = words[w + LEAD.front];
  if (words[w + LEAD.tag] !== LEAD_MAGIC || front <= head) return 0;
  return words[w + LEAD.check] === mix(i, front, LEAD_MAGIC, 1) ? front : 0;
}

export function writeRear(words: Int32Array, p: number, size: number): void {
  let w = (p << 2) + (size >>> 2);
  const rest = size & 3;
  if (rest !== 0) {
    const mask = -1 << (8 * rest);
    words[w] = (words[w] & ~mask) | (REAR & mask);
    w += 1;
  }
  for (let k = 0; k < REAR_WORDS; k++) words[w + k] = REAR;
}

export function isRearWhole(words: Int32Array, p: number, size: number): boolean {
  let w = (p << 2) + (size >>> 2);
  const rest = size & 3;
  if (rest !== 0) {
    if (((words[w] ^ REAR) & (-1 << (8 * rest))) !== 0) return false;
    w += 1;
  }
  for (let k = 0; k < REAR_WORDS; k++) if (words[w + k] !== REAR) return false;
  return true;
}

/** Fills bytes `from` … `to` of a payload with a pattern of four equal bytes. */
export function fillPayload(
  words: Int32Array, p: number, from: number, to: number, pattern: number,
): void {
  let w = (p << 2) + (from >>> 2);
  const end = (p << 2) + Math.ceil(to / 4);
  const skipped = from & 3;
  if (skipped !== 0 && w < end) {
    const mask = -1 << (8 * skipped);
    words[w] = (words[w] & ~mask) | (pattern & mask);
    w += 1;
  }
  if (end - w > SHORT) words.fill(pattern, w, end);
  else for (; w < end; w++) words[w] = pattern;
}

/** The first bytes of a payload, and of the guard behind it, that are not what they should be. */
export interface Disturbed {
  readonly from: number;
  readonly count: number;
}

/** The bytes of a freed payload that no longer hold the pattern, from first to last; or null. */
export function disturbedIn(
  words: Int32Array, p: number, size: number, pattern: number,
): Disturbed | null {
  const w = p << 2;
  const whole = size >>> 2;
  const mask = ~(-1 << (8 * (size & 3)));
  let first = 0;
  while (first < whole && words[w + first] === pattern) first += 1;
  const isTail = first === whole;
  if (isTail && ((words[w + whole] ^ pattern) & mask) === 0) return null;
  return between((at) => byteAt(words, w, at) !== (pattern & 0xff), first * 4, size);
}

/** The bytes of a rear guard that were written over, counted from the end of the payload. */
export function disturbedBehind(words: Int32Array, p: number, size: number): Disturbed {
  const w = p << 2;
  const end = Math.ceil(size / 4) * 4 + REAR_BYTES;
  const isWrong = (at: number) => byteAt(words, w, at) !== ((REAR >>> (8 * (at & 3))) & 0xff);
  const { from, count } = between(isWrong, size, end);
  return { from: from - size, count };
}

function between(isWrong: (at: number) => boolean, from: number, end: number): Disturbed {
  let first = from;
  let last = end - 1;
  while (first < last && !isWrong(first)) first += 1;
  while (last > first && !isWrong(last)) last -= 1;
  return { from: first, count: last - first + 1 };
}

function byteAt(words: Int32Array, w: number, at: number): number {
  return (words[w + (at >>> 2)] >>> (8 * (at & 3))) & 0xff;
}
