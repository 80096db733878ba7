/**
 * Vmalloc's line format: one event a line,
 *
 *   old:new:size[z]:align:region:method[:site]
 *
 * Addresses are decimal or 0x hexadecimal, 0 = none: an alloc has no old, a free no new one; both 0
 * = the region was cleared. `z` behind the size: the block must read as zeros. In names, `%` `:`
 * and control characters are percent-encoded; the site is the rest of the line and keeps its
 * colons. Lines that are empty or begin with `#` are not looked at, but for the first and last of
 * our own: `# regionstore trace 1`, and `# end N` behind N events, which is missing where a
 * recording was cut off. Besides the rules of events.ts:
 *
 *   L4  a line has its fields, and they are numbers where they have to be
 *   L5  `# end N` stands behind N events, and nothing behind it
 */
import { RegionError } from '../errors.ts';
import { TRACE_END, TRACE_HEAD, TRACE_LINE_VERSION, TRACE_RECORD } from '../layout.ts';
import type { TraceEvent } from '../types.ts';
import { AddressSpace, EventReader } from './events.ts';
import type { Source } from './source.ts';
import { decimal, linesOf, numberIn } from './text-lines.ts';
import { type Origin, type Trace, TraceBuilder } from './trace.ts';

const { words: RECORD, operation: OPERATION, slotShift: SLOT, zero: ZERO } = TRACE_RECORD;
const { free: FREE, resize: RESIZE, align: ALIGN } = TRACE_RECORD;
/** Characters of text that are written at once. */
const PIECE = 2 ** 18;
/** A slot as an address: none is 0. */
const ADDRESS_STEP = 16;
const NOWHERE: Origin = { region: 'trace', method: '-', site: '' };

export const LINES_HEAD = `${TRACE_HEAD}${TRACE_LINE_VERSION}\n`;

export function linesEnd(events: number): string {
  return `${TRACE_END}${events}\n`;
}

const EVENT_START = /^(0x[\da-f]+|\d+):(0x[\da-f]+|\d+):/i;

/** Can a text that begins with this line be one? */
export function isEventLine(line: string): boolean {
  return line.startsWith(TRACE_HEAD) || EVENT_START.test(line);
}

/** The line of an event, with its newline. */
export function lineOf(event: TraceEvent): string {
  const { old, new: now, size, align, zero, region, method, site } = event;
  const tail = site === '' ? '' : `:${encodeText(site, SITE_MARKS)}`;
  return `${old}:${now}:${size}${zero ? 'z' : ''}:${align}:${encodeText(region, NAME_MARKS)}:` +
    `${encodeText(method, NAME_MARKS)}${tail}\n`;
}

const NAME_MARKS = /[%:\p{Cc}]/gu;
const SITE_MARKS = /[%\p{Cc}]/gu;

function encodeText(text: string, marks: RegExp): string {
  return text.replace(marks, encodeURIComponent);
}

/** null = it cannot be decoded. */
function decodeText(text: string): string | null {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export function readLines(source: Source): Trace {
  const refuse = (number: number, why: string) => new RegionError('ERR_CORRUPT',
    `${source.path} is not a sound allocation trace: line ${number}: ${why}`);
  const reader = new LineReader();
  for (const { text, number, isWhole } of linesOf(source.pieces(), refuse)) {
    if (number === 1 && text.startsWith(TRACE_HEAD)) reader.begin(source.path, text, isWhole);
    else if (!isWhole && (reader.isOurs || source.isTorn || text.startsWith('#'))) break;
    else {
      const broken = reader.read(text);
      if (broken !== '' && isWhole) throw refuse(number, broken);
      if (broken !== '') reader.isTorn = true;
    }
  }
  return reader.finish(source.isTorn);
}

class LineReader {
  /** It began with our own first line. */
  isOurs = false;
  isTorn = false;
  #isEnded = false;
  #events = 0;
  readonly #builder = new TraceBuilder();
  readonly #reader = new EventReader((word, value, origin) =>
    this.#builder.add(word, value, origin));
  readonly #origins: Origin[] = [];
  readonly #originOf = new Map<string, number>();
  readonly #spaces = new Map<string, AddressSpace>();
  readonly #spaceOf: AddressSpace[] = [];
  /** The end of the line before, its origin. */
  #tail = '';
  #origin = -1;

  begin(path: string, line: string, isWhole: boolean): void {
    const version = decimal(line.slice(TRACE_HEAD.length));
    this.isOurs = true;
    if (version === TRACE_LINE_VERSION || !isWhole) return;
    throw new RegionError('ERR_VERSION',
      `${path} is an allocation trace of version ${line.slice(TRACE_HEAD.length)}, ` +
        `not ${TRACE_LINE_VERSION}; read it with a newer regionstore`);
  }

  /** The rule a line breaks, or ''. */
  read(line: string): string {
    if (line === '') return '';
    if (line.startsWith('#')) {
      return this.isOurs && line.startsWith(TRACE_END) ? this.#end(line) : '';
    }
    if (this.#isEnded) return 'L5: an event behind the end of the trace';
    const a = line.indexOf(':');
    const b = line.indexOf(':', a + 1);
    const c = line.indexOf(':', b + 1);
    const d = line.indexOf(':', c + 1);
    if (a < 0 || b < 0 || c < 0 || d < 0) return noFields(line);
    const zero = line.charCodeAt(c - 1) === ZERO_MARK;
    const old = numberIn(line.slice(0, a));
    const now = numberIn(line.slice(a + 1, b));
    const size = numberIn(line.slice(b + 1, zero ? c - 1 : c));
    const align = numberIn(line.slice(c + 1, d));
    if (old < 0 || now < 0 || size < 0 || align < 0) return noFields(line);
    const tail = line.slice(d + 1);
    if (tail !== this.#tail || this.#origin < 0) {
      const broken = this.#meet(tail);
      if (broken !== '') return broken;
    }
    this.#events += 1;
    const space = this.#spaceOf[this.#origin];
    return this.#reader.read(space, old, now, size, align, zero, this.#origin);
  }

  finish(isTorn: boolean): Trace {
    this.#builder.strangers = this.#reader.strangers;
    const cutOff = isTorn || this.isTorn || (this.isOurs && !this.#isEnded);
    return this.#builder.finish(cutOff, this.#origins);
  }

  #end(line: string): string {
    const said = decimal(line.slice(TRACE_END.length));
    if (said !== this.#events || this.#isEnded) {
      return `L5: ${JSON.stringify(line.slice(0, 40))} behind ${this.#events} events`;
    }
    this.#isEnded = true;
    return '';
  }

  /** Looks up region, method and site; the rule they break, or ''. */
  #meet(tail: string): string {
    let index = this.#originOf.get(tail);
    if (index === undefined) {
      const origin = originIn(tail);
      if (origin === null) return `L4: ${JSON.stringify(tail.slice(0, 40))} is not region:method`;
      index = this.#origins.push(origin) - 1;
      this.#originOf.set(tail, index);
      const space = this.#spaces.get(origin.region) ?? new AddressSpace();
      this.#spaces.set(origin.region, space);
      this.#spaceOf.push(space);
    }
    this.#tail = tail;
    this.#origin = index;
    return '';
  }
}

const ZERO_MARK = 'z'.charCodeAt(0);

function noFields(line: string): string {
  return `L4: ${JSON.stringify(line.slice(0, 40))} is not old:new:size:align:region:method`;
}

function originIn(tail: string): Origin | null {
  const colon = tail.indexOf(':');
  if (colon < 0) return null;
  const end = tail.indexOf(':', colon + 1);
  const region = decodeText(tail.slice(0, colon));
  const method = decodeText(tail.slice(colon + 1, end < 0 ? tail.length : end));
  const site = decodeText(end < 0 ? '' : tail.slice(end + 1));
  return region === null || method === null || site === null ? null : { region, method, site };
}

/** The file, in pieces. A block's address is its slot: 16 for the first, 32 … */
export function* linesOfTrace(trace: Trace): Generator<string> {
  const { records, origins, originOf } = trace;
  let text = LINES_HEAD;
  let align = 0;
  for (let i = 0; i < records.length; i += RECORD) {
    const word = records[i];
    const operation = word & OPERATION;
    const value = records[i + 1];
    if (operation === ALIGN) {
      align = value;
      continue;
    }
    const at = ((word >>> SLOT) + 1) * ADDRESS_STEP;
    const origin = origins[originOf === null ? 0 : originOf[i / RECORD]] ?? NOWHERE;
    const old = operation === FREE || operation === RESIZE ? at : 0;
    const now = operation === FREE ? 0 : at;
    text += lineOf({ old, new: now, size: value, align, zero: (word & ZERO) !== 0, ...origin });
    align = 0;
    if (text.length < PIECE) continue;
    yield text;
    text = '';
  }
  yield trace.cutOff ? text : text + linesEnd(trace.operations);
}
