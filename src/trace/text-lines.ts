/**
 * Lines of a text that comes in pieces, read byte by byte: a trace of gigabytes is read without
 * making a string of each line, which would take five times as long.
 */

/** A longer line is in no trace. */
const MOST_BYTES = 2 ** 16;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const TAB = 9;
const ZERO = 48;
const NINE = 9;
/** Makes a letter small. */
const SMALL = 32;
const X = 120;
const A = 97;
const NONE = new Uint8Array(0);

/** A line, and how far it was read. */
export class Line {
  bytes: Uint8Array = NONE;
  at = 0;
  /** One past its last byte, without its end of line. */
  end = 0;
  /** From 1. */
  number = 0;
  /** Its newline is there. */
  isWhole = true;

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  /** The byte here, -1 at the end. */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at] : -1;
  }

  /** Steps over this byte if it is here. */
  skip(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at += 1;
    return true;
  }

  /** Steps over spaces and tabs; false = there are none, and the line goes on. */
  skipSpaces(): boolean {
    const start = this.at;
    while (this.at < this.end && (this.bytes[this.at] === SPACE || this.bytes[this.at] === TAB)) {
      this.at += 1;
    }
    return this.at > start || this.isAtEnd;
  }

  /** The whole number that is here in decimal, or -1. */
  decimal(): number {
    const { bytes, end, at: start } = this;
    let at = start;
    let n = 0;
    for (; at < end; at += 1) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > NINE) break;
      n = n * 10 + digit;
    }
    this.at = at;
    return at > start && n <= Number.MAX_SAFE_INTEGER ? n : -1;
  }

  /** The whole number that is here in decimal or 0x hexadecimal, or -1. */
  integer(): number {
    const { bytes, at } = this;
    if (bytes[at] !== ZERO || at + 1 >= this.end || (bytes[at + 1] | SMALL) !== X) {
      return this.decimal();
    }
    this.at = at + 2;
    return this.#hexadecimal();
  }

  #hexadecimal(): number {
    const start = this.at;
    let n = 0;
    for (; this.at < this.end; this.at += 1) {
      const byte = this.bytes[this.at];
      const digit = byte <= ZERO + NINE ? byte - ZERO : (byte | SMALL) - A + 10;
      if (digit < 0 || digit > 15 || (digit > NINE && byte < A - SMALL)) break;
      n = n * 16 + digit;
    }
    return this.at > start && n <= Number.MAX_SAFE_INTEGER ? n : -1;
  }

  /** Does the rest of the line begin with this ASCII text? */
  startsWith(text: string): boolean {
    if (this.end - this.at < text.length) return false;
    for (let i = 0; i < text.length; i += 1) {
      if (this.bytes[this.at + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  /** The rest of the line, at most `most` bytes of it. */
  text(most = MOST_BYTES): string {
    const { buffer, byteOffset } = this.bytes;
    const length = Math.min(this.end - this.at, most);
    return Buffer.from(buffer, byteOffset + this.at, length).toString('utf8');
  }
}

/** `refuse` makes the error for a line by its number. The line is the same object each time. */
export function* linesOf(
  pieces: Iterable<Uint8Array>, refuse: (number: number, why: string) => Error,
): Generator<Line> {
  const line = new Line();
  let rest: Uint8Array = NONE;
  for (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      place(line, bytes, from, end);
      if (end - from > MOST_BYTES) throw refuse(line.number, 'it is longer than any line is');
      yield line;
      from = end + 1;
    }
    rest = bytes.slice(from);
    if (rest.length > MOST_BYTES) throw refuse(line.number + 1, 'it is longer than any line is');
  }
  if (rest.length === 0) return;
  place(line, rest, 0, rest.length);
  line.isWhole = false;
  yield line;
}

function place(line: Line, bytes: Uint8Array, from: number, end: number): void {
  line.bytes = bytes;
  line.at = from;
  line.end = end > from && bytes[end - 1] === RETURN ? end - 1 : end;
  line.number += 1;
}
