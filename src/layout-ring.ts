/**
 * Every byte of a ring's file: a header page, then the records in a circle. A position is a count
 * of bytes since the ring was made, so it never comes again; where it lies is position % bytes.
 */

export const RING_MAGIC = 'RGNRING1';
export const RING_VERSION = 1;
/** First byte of the circle. */
export const RING_START = 4096;
/** Bytes of the circle: at least, at most. */
export const RING_LEAST = 4096;
export const RING_MOST = 2 ** 31 - 2 * 4096;

/** Page 0. Bytes 0 to 72 are written once; the rest changes with every record. */
export const RING = {
  magic: 0,
  version: 8,
  size: 16,
  ringId: 24,
  storeId: 40,
  createdAt: 56,
  identityBytes: 64,
  identityCrc: 64,
  /** 1 = closed in order, with everything on disk. */
  clean: 72,
  bootId: 80,
  /** Position of the oldest record, and where the next one goes. */
  tail: 128,
  head: 136,
  /** Sequence of the newest record, 0 = none yet. */
  last: 144,
  /** Low 32 bits of `last`, for those who wait. */
  turn: 152,
  liveEnd: 156,
  /** Positions of the first record that begins in each piece of the circle. */
  marks: 2048,
} as const;
export const RING_MARKS = 256;

/** A record begins at a multiple of 16 and never goes over the end of the circle. */
export const RING_RECORD = {
  /** Of everything behind it: the rest of the head and the payload. */
  crc: 0,
  length: 4,
  sequence: 8,
  time: 16,
  position: 24,
  payload: 32,
  align: 16,
} as const;
