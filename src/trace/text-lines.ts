/** Lines of a text that comes in pieces, and the numbers in them. */

/** A longer line is in no trace. */
const MOST_BYTES = 2 ** 16;
const NEWLINE = 10;

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** Its newline is there. */
  readonly isWhole: boolean;
}

/** `refuse` makes the error for a line by its number. The line is the same object each time. */
export function* linesOf(
  pieces: Iterable<Uint8Array>, refuse: (number: number, why: string) => Error,
): Generator<Line> {
  const line = { text: '', number: 0, isWhole: true };
  let rest = Buffer.alloc(0);
  for (const piece of pieces) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    const end = bytes.lastIndexOf(NEWLINE);
    if (end < 0) {
      rest = Buffer.concat([rest, bytes]);
      if (rest.length > MOST_BYTES) throw refuse(line.number + 1, 'it is longer than any line is');
      continue;
    }
    const whole = rest.length === 0 ? bytes.subarray(0, end)
      : Buffer.concat([rest, bytes.subarray(0, end)]);
    for (const text of whole.toString('utf8').split('\n')) {
      line.number += 1;
      line.text = text.endsWith('\r') ? text.slice(0, -1) : text;
      if (text.length > MOST_BYTES) throw refuse(line.number, 'it is longer than any line is');
      yield line;
    }
    rest = Buffer.from(bytes.subarray(end + 1));
  }
  if (rest.length === 0) return;
  line.number += 1;
  line.text = rest.toString('utf8');
  line.isWhole = false;
  yield line;
}

const DECIMAL = /^\d{1,16}$/;
const NUMBER = /^(?:\d{1,16}|0[xX][0-9a-fA-F]{1,14})$/;

/** A whole number in decimal, or -1. */
export function decimal(text: string): number {
  const n = DECIMAL.test(text) ? Number(text) : -1;
  return Number.isSafeInteger(n) ? n : -1;
}

/** A whole number in decimal or 0x hexadecimal, or -1. */
export function numberIn(text: string): number {
  const n = NUMBER.test(text) ? Number(text) : -1;
  return Number.isSafeInteger(n) ? n : -1;
}
