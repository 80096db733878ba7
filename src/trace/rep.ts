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
import { SlotPool, SlotTable } from './slots.ts';
import type { Source } from './source.ts';
import { decimal, linesOf } from './text-lines.ts';
import { type Trace, TraceBuilder } from './trace.ts';

const { words: RECORD, operation: OPERATION, slotShift: SLOT, zero: ZERO } = TRACE_RECORD;
const { alloc: ALLOC, free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;
const SIZES = 2 ** 32;
const WEIGHT = 1;
/** Characters of text that are written at once. */
const PIECE = 2 ** 18;

/** Numbers after the id, by operation. */
const ARGUMENTS: Readonly<Record<string, number>> = { a: 1, z: 1, m: 2, r: 1, f: 0 };

/** Can a text that begins with this line be one? */
export function isRepLine(line: string): boolean {
  return /^\s*\d+\s*$/.test(line) || /^[azmrf] -?\d/.test(line);
}

export function readRep(source: Source): Trace {
  const refuse = (number: number, why: string) => new RegionError('ERR_CORRUPT',
    `${source.path} is not a sound allocation trace: line ${number}: ${why}`);
  const header: number[] = [];
  const reader = new RepReader();
  let last = 0;
  for (const { text, number } of linesOf(source.pieces(), refuse)) {
    last = number;
    const line = text.trim();
    if (line === '' || line.startsWith('#')) continue;
    const broken = reader.isEmpty && decimal(line) >= 0 ? headerLine(header, decimal(line))
      : reader.read(line, header);
    if (broken !== '') throw refuse(number, broken);
  }
  const said = header.at(header.length === 2 ? 1 : 2) ?? 0;
  if (header.length !== 2 && header.length !== 4) throw refuse(last, badHeader(header));
  if (said !== reader.lines && said !== reader.lines - reader.skipped) {
    throw refuse(last, `R5: the header says ${said} operations, there are ${reader.lines}; ` +
      'copy the file again');
  }
  return reader.builder.finish(false);
}

function headerLine(header: number[], n: number): string {
  header.push(n);
  return header.length > 4 ? badHeader(header) : '';
}

function badHeader(header: readonly number[]): string {
  return `R1: a header of ${header.length} numbers; it has four (a size, ids, operations, 1), ` +
    'or the two in its middle';
}

class RepReader {
  readonly builder = new TraceBuilder();
  lines = 0;
  skipped = 0;
  readonly #pool = new SlotPool();
  readonly #table = new SlotTable();

  get isEmpty(): boolean {
    return this.lines === 0;
  }

  /** An operation; the rule it breaks, or ''. */
  read(line: string, header: readonly number[]): string {
    if (header.length !== 2 && header.length !== 4) return badHeader(header);
    const ids = header.length === 2 ? header[0] : header[1];
    const [operation, idText, ...rest] = line.split(/\s+/);
    const wanted = Object.hasOwn(ARGUMENTS, operation) ? ARGUMENTS[operation] : -1;
    this.lines += 1;
    if (operation === 'f' && idText === '-1' && rest.length === 0) {
      this.skipped += 1;
      return '';
    }
    const id = decimal(idText ?? '');
    const [size = 0, align = 0] = rest.map(decimal);
    if (rest.length !== wanted || id < 0 || size < 0 || align < 0) {
      return `R2: ${JSON.stringify(line.slice(0, 40))} is no operation such as a ID SIZE`;
    }
    if (id >= ids) return `R3: id ${id}, but the header says ${ids} ids`;
    if (size >= SIZES || align >= SIZES) return `R4: ${Math.max(size, align)} bytes is no size`;
    return this.#take(operation, id, size, align);
  }

  #take(operation: string, id: number, size: number, align: number): string {
    const key = id + 1;
    const slot = this.#table.find(key);
    if (operation === 'f') {
      if (slot < 0) return `R3: id ${id} is not live`;
      this.#table.set(key, -1);
      this.#pool.give(slot);
      return this.builder.add(slot * 2 ** SLOT + FREE, 0);
    }
    if (slot >= 0) {
      if (operation !== 'r') return `R3: id ${id} is live already`;
      return this.builder.add(slot * 2 ** SLOT + RESIZE, size);
    }
    const fresh = this.#pool.take();
    this.#table.set(key, fresh);
    const word = fresh * 2 ** SLOT;
    const broken = operation === 'm' ? this.builder.add(word + ALIGN, align) : '';
    return broken || this.builder.add(word + (operation === 'z' ? ZERO : 0) + ALLOC, size);
  }
}

/**
 * The file, in pieces. A block that is aligned and zeroed is written as aligned: there is no line
 * for both.
 */
export function* repOf(trace: Trace): Generator<string> {
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
