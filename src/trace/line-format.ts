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
import type { TraceEvent } from '../events.ts';
import { AddressSpace, EventReader } from './events.ts';
import type { Source, Watcher } from './source.ts';
import { type Line, linesOf } from './text-lines.ts';
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

const EVENT_START = /^\d\w*:\w*:/;

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
/** Names that need no encoding, which most are. */
const PLAIN = /^[\w. -]*$/;

function encodeText(text: string, marks: RegExp): string {
  return PLAIN.test(text) ? text : text.replace(marks, encodeURIComponent);
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
  for (const line of linesOf(source.pieces(), refuse)) {
    if (line.number === 1 && line.startsWith(TRACE_HEAD)) {
      reader.begin(source.path, line);
      continue;
    }
    // What is behind the last newline is half a line, unless somebody wrote the file by hand.
    if (!line.isWhole && (reader.isOurs || source.isTorn)) break;
    const start = line.at;
    const broken = reader.read(line);
    if (broken === '') continue;
    line.at = start;
    if (line.isWhole) throw refuse(line.number, `${broken}: ${JSON.stringify(line.text(SHOWN))}`);
    reader.isTorn = true;
  }
  return reader.finish(source.isTorn);
}

/** Bytes of a wrong line that are shown. */
const SHOWN = 60;
const [COLON, ZERO_MARK, COMMENT] = [...':z#'].map((mark) => mark.charCodeAt(0));
const NO_FIELDS = 'L4: not old:new:size:align:region:method';
const NO_BYTES = new Uint8Array(0);

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
  /** Region, method and site of the line before, their origin. */
  #tail: Uint8Array = NO_BYTES;
  #origin = -1;

  begin(path: string, line: Line): void {
    this.isOurs = true;
    line.at += TRACE_HEAD.length;
    const said = line.text(SHOWN);
    if (said === String(TRACE_LINE_VERSION) || !line.isWhole) return;
    throw new RegionError('ERR_VERSION',
      `${path} is an allocation trace of version ${said}, not ${TRACE_LINE_VERSION}; ` +
        'read it with a newer regionstore');
  }

  /** The rule a line breaks, or ''. */
  read(line: Line): string {
    if (line.isAtEnd) return '';
    if (line.peek() === COMMENT) return this.isOurs ? this.#comment(line) : '';
    if (this.#isEnded) return 'L5: an event behind the end of the trace';
    const old = line.integer();
    if (!line.skip(COLON)) return NO_FIELDS;
    const now = line.integer();
    if (!line.skip(COLON)) return NO_FIELDS;
    const size = line.integer();
    const zero = line.skip(ZERO_MARK);
    if (!line.skip(COLON)) return NO_FIELDS;
    const align = line.integer();
    if (!line.skip(COLON)) return NO_FIELDS;
    if (old < 0 || now < 0 || size < 0 || align < 0) return NO_FIELDS;
    if (!this.#isSameTail(line)) {
      const broken = this.#meet(line);
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

  #comment(line: Line): string {
    if (!line.startsWith(TRACE_END)) return '';
    line.at += TRACE_END.length;
    const said = line.decimal();
    if (said !== this.#events || this.#isEnded || !line.isAtEnd) {
      return `L5: the end of another trace than of these ${this.#events} events`;
    }
    this.#isEnded = true;
    return '';
  }

  #isSameTail({ bytes, at, end }: Line): boolean {
    const tail = this.#tail;
    if (end - at !== tail.length || this.#origin < 0) return false;
    for (let i = 0; i < tail.length; i += 1) if (bytes[at + i] !== tail[i]) return false;
    return true;
  }

  /** Looks up region, method and site; the rule they break, or ''. */
  #meet(line: Line): string {
    const tail = line.text();
    let index = this.#originOf.get(tail);
    if (index === undefined) {
      const origin = originIn(tail);
      if (origin === null) return NO_FIELDS;
      index = this.#origins.push(origin) - 1;
      this.#originOf.set(tail, index);
      const space = this.#spaces.get(origin.region) ?? new AddressSpace();
      this.#spaces.set(origin.region, space);
      this.#spaceOf.push(space);
    }
    this.#tail = line.bytes.slice(line.at, line.end);
    this.#origin = index;
    return '';
  }
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
export function* linesOfTrace(trace: Trace, watch: Watcher): Generator<string> {
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
    watch(i, records.length);
    yield text;
    text = '';
  }
  yield trace.cutOff ? text : text + linesEnd(trace.operations);
}
