/**
 * The text format `.rep` of the CS:APP malloc lab, with the lines z and m (FORMAT.md): a header of
 * four numbers, or of the two in its middle, then one operation a line. An id may be reused after
 * its free; `f -1` is skipped; `r` of an id that is not live is an alloc. Besides the rules of
 * account.ts:
 *
 *   R1  a header has two or four lines of one number
 *   R2  an operation is `a ID SIZE`, `z ID SIZE`, `m ID SIZE ALIGN`, `r ID SIZE` or `f ID`
 *   R3  an id is below the number of ids; `a`, `z`, `m` take one that is not live, `f` one that is
 *   R4  a size is below 4 GiB
 *   R5  there are as many operations as the header says
 */
import { RegionError } from '../errors.ts';
import { TRACE_RECORD } from '../layout.ts';
import { FREED, SlotPool, SlotTable } from './slots.ts';
import type { Source, Watcher } from './source.ts';
import { type Line, linesOf } from './text-lines.ts';
import { type Trace, TraceBuilder } from './trace.ts';

const { words: RECORD, operation: OPERATION, slotShift: SLOT, zero: ZERO } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;
const SIZES = 2 ** 32;
const WEIGHT = 1;
/** Characters of text that are written at once. */
const PIECE = 2 ** 18;

const [A, Z, M, R, F] = [...'azmrf'].map((letter) => letter.charCodeAt(0));
const COMMENT = '#'.charCodeAt(0);
const MINUS = '-'.charCodeAt(0);

/** Can a text that begins with this line be one? */
export function isRepLine(line: string): boolean {
  return /^\s*\d+\s*$/.test(line) || /^[azmrf] -?\d/.test(line);
}

export function readRep(source: Source): Trace {
  const refuse = (number: number, why: string) => new RegionError('ERR_CORRUPT',
    `${source.path} is not a sound allocation trace: line ${number}: ${why}`);
  const reader = new RepReader();
  let last = 0;
  for (const line of linesOf(source.pieces(), refuse)) {
    last = line.number;
    line.skipSpaces();
    if (line.isAtEnd || line.peek() === COMMENT) continue;
    const start = line.at;
    const broken = reader.read(line);
    if (broken === '') continue;
    line.at = start;
    throw refuse(last, `${broken}: ${JSON.stringify(line.text(SHOWN))}`);
  }
  const broken = reader.end();
  if (broken !== '') throw refuse(last, broken);
  return reader.builder.finish(false);
}

/** Bytes of a wrong line that are shown. */
const SHOWN = 40;

class RepReader {
  readonly builder = new TraceBuilder();
  readonly #header: number[] = [];
  /** Known when the first operation is read. */
  #ids = -1;
  #lines = 0;
  #skipped = 0;
  readonly #pool = new SlotPool();
  readonly #table = new SlotTable();

  /** A line; the rule it breaks, or ''. */
  read(line: Line): string {
    const operation = line.peek();
    if (operation < A) return this.#headerLine(line);
    if (this.#ids < 0) {
      const count = this.#header.length;
      if (count !== 2 && count !== 4) return this.#badHeader();
      this.#ids = this.#header[count === 2 ? 0 : 1];
    }
    this.#lines += 1;
    line.at += 1;
    if (!line.skipSpaces()) return NO_OPERATION;
    if (operation === F && line.skip(MINUS)) return this.#skip(line);
    const id = line.decimal();
    const size = operation === F ? 0 : numberBehind(line);
    const align = operation === M ? numberBehind(line) : 0;
    if (id < 0 || size < 0 || align < 0 || !line.skipSpaces() || !line.isAtEnd) {
      return NO_OPERATION;
    }
    if (id >= this.#ids) return `R3: id ${id}, but the header says ${this.#ids} ids`;
    if (size >= SIZES || align >= SIZES) return `R4: ${Math.max(size, align)} bytes is no size`;
    return this.#take(operation, id, size, align);
  }

  /** The rule the file breaks as a whole, or ''. */
  end(): string {
    const header = this.#header;
    if (header.length !== 2 && header.length !== 4) return this.#badHeader();
    const said = header[header.length === 2 ? 1 : 2];
    if (said === this.#lines || said === this.#lines - this.#skipped) return '';
    return `R5: the header says ${said} operations, there are ${this.#lines}; copy the file again`;
  }

  #headerLine(line: Line): string {
    const n = line.decimal();
    if (n < 0 || !line.skipSpaces() || !line.isAtEnd || this.#ids >= 0) return NO_OPERATION;
    this.#header.push(n);
    return this.#header.length > 4 ? this.#badHeader() : '';
  }

  #badHeader(): string {
    return `R1: a header of ${this.#header.length} numbers; it has four (a size, ids, ` +
      'operations, 1), or the two in its middle';
  }

  /** `f -1`: free of a null pointer. */
  #skip(line: Line): string {
    this.#skipped += 1;
    return line.decimal() === 1 && line.skipSpaces() && line.isAtEnd ? '' : NO_OPERATION;
  }

  #take(operation: number, id: number, size: number, align: number): string {
    const key = id + 1;
    const slot = this.#table.find(key);
    if (operation === F) {
      if (slot < 0) return `R3: id ${id} is not live`;
      this.#table.set(key, FREED);
      this.#pool.give(slot);
      return this.builder.add(slot * 2 ** SLOT + FREE, 0);
    }
    if (operation === R && slot >= 0) return this.builder.add(slot * 2 ** SLOT + RESIZE, size);
    if (operation !== A && operation !== Z && operation !== M && operation !== R) {
      return NO_OPERATION;
    }
    if (slot >= 0) return `R3: id ${id} is live already`;
    const fresh = this.#pool.take();
    this.#table.set(key, fresh);
    const word = fresh * 2 ** SLOT;
    const broken = operation === M ? this.builder.add(word + ALIGN, align) : '';
    return broken || this.builder.add(word + (operation === Z ? ZERO : 0) + ALLOC, size);
  }
}

const NO_OPERATION = 'R2: no operation such as a ID SIZE';

/** A number behind spaces, or -1. */
function numberBehind(line: Line): number {
  return line.skipSpaces() ? line.decimal() : -1;
}

/**
 * The file, in pieces. A block that is aligned and zeroed is written as aligned: there is no line
 * for both.
 */
export function* repOf(trace: Trace, watch: Watcher): Generator<string> {
  const { records } = trace;
  let text = `${trace.peakBytes}\n${trace.slots}\n${trace.operations}\n${WEIGHT}\n`;
  let align = 0;
  for (let i = 0; i < records.length; i += RECORD) {
    const word = records[i];
    const operation = word & OPERATION;
    if (operation === ALIGN) {
      align = records[i + 1];
      continue;
    }
    text += repLine(operation, word >>> SLOT, records[i + 1], (word & ZERO) !== 0, align);
    align = 0;
    if (text.length < PIECE) continue;
    watch(i, records.length);
    yield text;
    text = '';
  }
  yield text;
}

function repLine(op: number, id: number, size: number, zero: boolean, align: number): string {
  if (op === FREE) return `f ${id}\n`;
  if (op === RESIZE) return `r ${id} ${size}\n`;
  if (align !== 0) return `m ${id} ${size} ${align}\n`;
  return `${zero ? 'z' : 'a'} ${id} ${size}\n`;
}
