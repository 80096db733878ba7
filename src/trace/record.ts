/**
 * Recording: sinks that a region tells of its calls (`configure({ trace: sink })`).
 *
 * A file of lines can be used up to its last complete line however the process ends. A `.vmt` is
 * written in pieces, its header after each: it counts what is in the file, flagged as cut off,
 * until `close` takes the flag away.
 */
import { RegionError } from '../errors.ts';
import { TRACE_RECORD } from '../layout.ts';
import { flag, type Readers, readOptions, text } from '../options.ts';
import type { TraceEvent, TraceSink } from '../events.ts';
import { Account } from './account.ts';
import { AddressSpace, EventReader, type TakeRecord } from './events.ts';
import { LINES_HEAD, lineOf, linesEnd } from './line-format.ts';
import { TraceOutput } from './output.ts';
import { type Origin, type Trace, TraceBuilder } from './trace.ts';
import { formatOfName, partsOf, type TraceFormat, writeTrace } from './trace-file.ts';
import { bytesOf, vmtHeader } from './vmt.ts';

const { words: RECORD, operation: OPERATION, align: ALIGN } = TRACE_RECORD;
/** Records that are written at once. */
const PIECE_RECORDS = 8192;

/** A sink that has an end. */
export interface LineTrace extends TraceSink {
  /** The last line, by which a reader knows that nothing is missing. */
  end(): void;
}

/**
 * Vmalloc's line format: `write` gets one whole line a call, `old:new:size:align:region:method`,
 * and `:site` where `sites` is true.
 *
 * @example
 * region.configure({ trace: lineTrace((line) => log.write(line), { sites: true }) });
 */
export function lineTrace(
  write: (text: string) => void, options?: { readonly sites?: boolean },
): LineTrace {
  if (typeof write !== 'function') {
    throw new RegionError('ERR_BAD_OPTION', 'lineTrace: give a function that takes a line');
  }
  const { sites = false } = readOptions<{ sites: boolean }>(options, { sites: flag }, 'lineTrace');
  let events = 0;
  write(LINES_HEAD);
  return {
    sites,
    record(event) {
      write(lineOf(event));
      events += 1;
    },
    end: () => write(linesEnd(events)),
  };
}

/** A sink that keeps the trace in memory: 8 bytes a call. */
export interface TraceRecorder extends TraceSink {
  /** What was recorded so far; recording may go on. ERR_MISMATCH, which stopped it. */
  finish(): Trace;
}

/**
 * Records a trace in memory. An event that contradicts those before, as two regions of one name
 * do, stops it; `finish` throws ERR_MISMATCH then, the calls that are recorded do not.
 *
 * @example
 * const recorder = traceRecorder();
 * region.configure({ trace: recorder });
 * work(region);
 * writeTrace('work.vmt', recorder.finish());
 */
export function traceRecorder(options?: { readonly sites?: boolean }): TraceRecorder {
  const { sites = false } =
    readOptions<{ sites: boolean }>(options, { sites: flag }, 'traceRecorder');
  const builder = new TraceBuilder();
  const intake = new Intake((word, value, origin) => builder.add(word, value, origin));
  let failed: RegionError | null = null;
  return {
    sites,
    record(event) {
      if (failed !== null) return;
      try {
        intake.record(event);
      } catch (error) {
        failed = stoppedBy(error);
      }
    },
    finish() {
      if (failed !== null) throw failed;
      builder.strangers = intake.strangers;
      return builder.finish(false, intake.origins);
    },
  };
}

/** What ends a recording, not the program that is recorded; a bug of ours goes on. */
function stoppedBy(error: unknown): RegionError {
  if (error instanceof RegionError) return error;
  throw error;
}

/** Events of regions by name, on their way to records. */
class Intake {
  readonly origins: Origin[] = [];
  readonly #reader: EventReader;
  readonly #spaces = new Map<string, AddressSpace>();
  readonly #originOf = new Map<string, number>();

  constructor(take: TakeRecord) {
    this.#reader = new EventReader(take);
  }

  get strangers(): number {
    return this.#reader.strangers;
  }

  record({ old, new: now, size, align, zero, region, method, site }: TraceEvent): void {
    let space = this.#spaces.get(region);
    if (space === undefined) {
      space = new AddressSpace();
      this.#spaces.set(region, space);
    }
    const origin = this.#indexOf(region, method, site);
    const broken = this.#reader.read(space, old, now, size, align, zero, origin);
    if (broken === '') return;
    throw new RegionError('ERR_MISMATCH', `tracing region '${region}': ${broken}`);
  }

  #indexOf(region: string, method: string, site: string): number {
    const key = `${region}\n${method}\n${site}`;
    let index = this.#originOf.get(key);
    if (index !== undefined) return index;
    index = this.origins.push({ region, method, site }) - 1;
    this.#originOf.set(key, index);
    return index;
  }
}

export interface TraceFileOptions {
  /** Default: what the name ends in; lines where it says nothing. */
  readonly format?: TraceFormat;
  /** Record call sites, `file:line:function`; lines only. Default false. */
  readonly sites?: boolean;
}

/** A sink into a file. */
export interface TraceFile extends TraceSink, Disposable {
  readonly path: string;
  /**
   * Writing failed (a full disk, say): recording has stopped, the region goes on; `close` throws
   * this. null = all is well.
   */
  readonly failed: RegionError | null;
  /** What is in the buffer goes to the file. */
  flush(): void;
  /**
   * Completes the file. Happens by itself when the process exits; one that is killed leaves a
   * trace that is marked as cut off. ERR_IO, ERR_NO_SPACE, ERR_MISMATCH: what stopped it before.
   */
  close(): void;
}

const OPTIONS: Readers<TraceFileOptions> = {
  format: (value, name) => {
    const given = text(value, name);
    partsOf(given, name);
    return given as TraceFormat;
  },
  sites: flag,
};

/**
 * Records into a file: lines, `.vmt` or `.rep`, compressed when the name ends in `.gz`. An existing
 * file is replaced. Regions may share it if their names differ. ERR_BAD_OPTION, ERR_IO.
 *
 * @example
 * using trace = traceFile('app.trace', { sites: true });
 * region.configure({ trace });
 */
export function traceFile(path: string, options?: TraceFileOptions): TraceFile {
  const name = text(path, 'traceFile: path');
  const { format = formatOfName(name) ?? 'lines', sites = false } =
    readOptions<TraceFileOptions>(options, OPTIONS, 'traceFile');
  const { form, isPacked } = partsOf(format, name);
  if (sites && form !== 'lines') {
    throw new RegionError('ERR_BAD_OPTION',
      `traceFile: the format ${form} has no call sites; record lines, as in app.trace`);
  }
  const output = new TraceOutput(name, isPacked);
  try {
    const writer = form === 'lines' ? lineWriter(output)
      : form === 'vmt' ? vmtWriter(output) : repWriter(output, format);
    return guarded(name, sites, writer);
  } catch (error) {
    output.abandon();
    throw error;
  }
}

/** One format of a file that is being recorded. */
interface Writer {
  record(event: TraceEvent): void;
  flush(): void;
  /** Completes and closes the file. */
  close(): void;
  /** Closes it as it is. */
  abandon(): void;
}

function lineWriter(output: TraceOutput): Writer {
  const lines = lineTrace((line) => output.write(line));
  output.flush();
  return {
    record: lines.record,
    flush: () => output.flush(),
    close() {
      lines.end();
      output.close();
    },
    abandon: () => output.abandon(),
  };
}

function vmtWriter(output: TraceOutput): Writer {
  const account = new Account();
  const piece = new Uint32Array((PIECE_RECORDS + 1) * RECORD);
  let held = 0;
  let records = 0;
  const writeHead = (cutOff: boolean): void => {
    const { slots, operations, peakBytes, peakBlocks, blocks, bytes } = account;
    output.writeHead(vmtHeader(records, { slots, operations, peakBytes, peakBlocks,
      leftBlocks: blocks, leftBytes: bytes, cutOff }));
  };
  const flush = (): void => {
    if (held === 0) return;
    output.write(bytesOf(piece.slice(0, held)));
    output.flush();
    records += held / RECORD;
    held = 0;
    writeHead(true);
  };
  const intake = new Intake((word, value) => {
    const broken = account.take(word, value);
    if (broken !== '') return broken;
    piece[held] = word;
    piece[held + 1] = value;
    held += RECORD;
    // An align stays with its alloc: there is room for one record more.
    if (held >= PIECE_RECORDS * RECORD && (word & OPERATION) !== ALIGN) flush();
    return '';
  });
  writeHead(true);
  return {
    record: (event) => intake.record(event),
    flush,
    close() {
      flush();
      writeHead(false);
      output.close();
    },
    abandon: () => output.abandon(),
  };
}

/** Its header counts what follows, so it is written at the end. */
function repWriter(output: TraceOutput, format: TraceFormat): Writer {
  const recorder = traceRecorder();
  output.close();
  return {
    record: recorder.record,
    flush: () => {},
    close: () => writeTrace(output.path, recorder.finish(), format),
    abandon: () => {},
  };
}

/** Files that are recorded into, to be completed when the process exits. */
const recording = new Set<TraceFile>();
/** What regions do while the process exits is not recorded any more. */
let isExiting = false;

function closeAll(): void {
  isExiting = true;
  for (const file of recording) {
    try {
      file.close();
    } catch {
      // Nobody is left to be told; the file says itself that it was cut off.
    }
  }
}

function guarded(path: string, sites: boolean, writer: Writer): TraceFile {
  let failed: RegionError | null = null;
  let isOpen = true;
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      failed = stoppedBy(error);
    }
  };
  const file: TraceFile = {
    path,
    sites,
    get failed() {
      return failed;
    },
    record(event) {
      if (!isOpen && isExiting) return;
      if (!isOpen) throw closed(path);
      if (failed === null) attempt(() => writer.record(event));
    },
    flush() {
      if (isOpen && failed === null) attempt(() => writer.flush());
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      recording.delete(file);
      if (recording.size === 0) process.off('exit', closeAll);
      if (failed === null) attempt(() => writer.close());
      if (failed === null) return;
      writer.abandon();
      throw failed;
    },
    [Symbol.dispose]: () => file.close(),
  };
  if (recording.size === 0) process.on('exit', closeAll);
  recording.add(file);
  return file;
}

function closed(path: string): RegionError {
  return new RegionError('ERR_CLOSED',
    `the trace ${path} is closed; configure({ trace: false }) first`);
}
