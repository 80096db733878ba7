/**
 * Trace files of every format. Reading goes by what is in a file, writing by the name's ending.
 */
import { RegionError } from '../errors.ts';
import { TraceOutput } from './output.ts';
import { isEventLine, linesOfTrace, readLines } from './line-format.ts';
import { isRepLine, readRep, repOf } from './rep.ts';
import { type Source, type Watcher, withSource } from './source.ts';
import type { Trace } from './trace.ts';
import { isVmt, readVmt, vmtOf } from './vmt.ts';

/** `lines` is Vmalloc's line format. */
export const TRACE_FORMATS = ['vmt', 'rep', 'lines'] as const;
export type TraceForm = (typeof TRACE_FORMATS)[number];
/** With `.gz`: compressed. */
export type TraceFormat = TraceForm | `${TraceForm}.gz`;

const ENDINGS: Readonly<Record<string, TraceForm>> = {
  vmt: 'vmt', rep: 'rep', trace: 'lines', lines: 'lines', txt: 'lines', log: 'lines',
};

/** The format a file's name asks for: `.vmt`, `.rep`, `.trace`, each also with `.gz`; else null. */
export function formatOfName(path: string): TraceFormat | null {
  const match = /\.([a-z]+)(\.gz)?$/i.exec(path);
  const form = match === null ? undefined : ENDINGS[match[1].toLowerCase()];
  if (form === undefined) return null;
  return match?.[2] === undefined ? form : `${form}.gz`;
}

/**
 * The trace in a file of any format, compressed or not: binary `.vmt`, text `.rep`, or lines. It is
 * judged whole. Throws ERR_IO where it cannot be read, ERR_CORRUPT with the line or record and the
 * rule it breaks, ERR_VERSION where a newer version wrote it. `watch` hears of bytes read.
 *
 * @example
 * const { peakBytes, operations } = readTrace('gawk.vmt.gz');
 */
export function readTrace(path: string, watch: Watcher = () => {}): Trace {
  return withSource(path, watch, (source) => {
    const { head } = source;
    if (head.length === 0) throw noTrace(path, 'it is empty');
    return isVmt(head) ? unlessTorn(source, readVmt(path, source.whole())) : readText(source);
  });
}

/** Lines can be used as far as they go; so can a recording that says that it was cut off. */
function unlessTorn({ path, isTorn }: Source, trace: Trace): Trace {
  if (!isTorn || trace.cutOff) return trace;
  throw new RegionError('ERR_CORRUPT', `the end of the trace ${path} is missing; copy it again`);
}

/** Bytes at the start of a text in which something must stand. */
const LOOK = 64 * 1024;

function readText(source: Source): Trace {
  const { path, head } = source;
  const start = head.subarray(0, LOOK);
  const text = Buffer.from(start).toString('latin1');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these tell binary files from text.
  if (/[\0-\x08\x0e-\x1a]/.test(text)) throw noTrace(path, 'it holds binary data without VMT1');
  for (const line of text.split(/\r?\n/)) {
    if (isEventLine(line)) return readLines(source);
    if (line === '' || line.startsWith('#')) continue;
    if (isRepLine(line)) return unlessTorn(source, readRep(source));
    throw noTrace(path, `it begins with ${JSON.stringify(line.slice(0, 40))}`);
  }
  throw noTrace(path, 'no event stands in it');
}

function noTrace(path: string, why: string): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${path} is no allocation trace: ${why}; give a .vmt, a .rep or lines old:new:size:…`);
}

/**
 * Writes a trace; the name's ending says how, unless `format` does. A `.rep` has no call sites and
 * regions, a `.vmt` neither; lines have everything. `watch` hears of words written. ERR_BAD_OPTION
 * for an unknown format, ERR_IO, ERR_NO_SPACE.
 *
 * @example
 * writeTrace('gawk.trace', readTrace('gawk.vmt.gz'));
 */
export function writeTrace(
  path: string, trace: Trace, format?: TraceFormat, watch: Watcher = () => {},
): void {
  const { form, isPacked } = partsOf(format ?? formatOfName(path), path);
  const output = new TraceOutput(path, isPacked);
  try {
    for (const piece of piecesOf(trace, form, watch)) output.write(piece);
  } catch (error) {
    output.abandon();
    throw error;
  }
  output.close();
}

/** ERR_BAD_OPTION where there is no such format. */
export function partsOf(
  format: string | null, path: string,
): { readonly form: TraceForm; readonly isPacked: boolean } {
  const form = TRACE_FORMATS.find((name) => format === name || format === `${name}.gz`);
  if (form !== undefined) return { form, isPacked: format !== form };
  throw new RegionError('ERR_BAD_OPTION', format === null
    ? `the name ${path} says no trace format; end it in .vmt, .rep or .trace, or give a format`
    : `${String(format)} is no trace format; give one of ${TRACE_FORMATS.join(', ')}, or with .gz`);
}

function piecesOf(
  trace: Trace, form: TraceForm, watch: Watcher,
): Iterable<Uint8Array | string> {
  if (form === 'vmt') return vmtOf(trace, watch);
  return form === 'rep' ? repOf(trace, watch) : linesOfTrace(trace, watch);
}
