/**
 * `regionstore trace FILE…`: what allocation traces are like; or, with --convert, one of them in
 * another format.
 *
 * JSON: { traces: [{ path, operations, allocs, frees, resizes, peakBytes, peakBlocks, peakAt,
 *   leftBlocks, leftBytes, cutOff, strangers, sizes: SPREAD, distinctSizes, frequentSizes: [{ size,
 *   count }], lifetimes: SPREAD, freedAtOnce, zeroed: { count, bytes }, alignments: [{ alignment,
 *   count }], resizing: { grown, shrunk, same, grownBytes, blocks, longest }, sites: [{ region,
 *   method, site, allocs, bytes, leftBlocks, leftBytes }], distinctSites }] }
 * with SPREAD { count, sum, least, median, p90, most, histogram: [{ to, count, sum }] }; lifetimes
 * are counted in operations. With --convert: { path, converted, format, operations, bytes }.
 */
import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { RegionError } from '../errors.ts';
import { type Bucket, type SiteCount, type Spread, type Summary, summarize }
  from '../trace/summary.ts';
import type { Trace } from '../trace/trace.ts';
import { formatOfName, readTrace, TRACE_FORMATS, type TraceFormat, writeTrace }
  from '../trace/trace-file.ts';
import type { Output } from './output.ts';
import { barOf, type Column, counted, facts, humanSize, percent, printable, table }
  from './table.ts';
import { type Common, type Console, document, type Report, tell, traceVerb } from './verb.ts';

interface Options extends Common {
  readonly convert?: string;
  readonly format?: TraceFormat;
  readonly force?: true;
}

interface Subject {
  readonly path: string;
  readonly summary: Summary;
}

const FORMATS: readonly string[] = TRACE_FORMATS.flatMap((form) => [form, `${form}.gz`]);
const BAR_WIDTH = 32;

export function trace(program: Command, console: Console): void {
  traceVerb(program, 'trace', {
    summary: 'say what allocation traces are like, or convert one',
    details: 'Show operations by kind, sizes, lifetimes, the peak of live bytes, what is left at ' +
      'the end, alignment, zeroing, reallocation and, where the trace has them, the call sites ' +
      'that allocate most. The format of a file is found by looking into it. With --convert the ' +
      'trace is written in another format instead.',
    examples: ['trace gawk.vmt.gz', 'trace app.trace --json | jq .traces[0].lifetimes.median',
      'trace short1.rep --convert short1.vmt.gz'],
  })
    .option('--convert <out>', 'write the trace to this file; its ending says the format')
    .addOption(new Option('--format <format>', 'the format of --convert').choices(FORMATS))
    .option('--force', 'replace the file of --convert if it is there')
    .action(async (paths: string[], options: Options) => {
      try {
        await tell(console, options, reportOn(console, paths, options));
      } finally {
        console.progress.clear();
      }
    });
}

function reportOn(console: Console, paths: readonly string[], options: Options): Report {
  if (options.convert !== undefined) return converted(console, paths, options.convert, options);
  if (options.format !== undefined || options.force) {
    throw new RegionError('ERR_BAD_OPTION',
      '--format and --force belong to --convert; give it too');
  }
  const subjects = paths.map((path) => ({ path, summary: summaryOf(console, path) }));
  return {
    json: () => document({ traces: subjects.map(({ path, summary }) => ({ path, ...summary })) }),
    text: () => textOf(subjects, console.output),
  };
}

/** Reads a trace; how far it is stands on the terminal. */
export function readShown({ progress }: Pick<Console, 'progress'>, path: string): Trace {
  const what = `reading ${printable(basename(path))}`;
  return readTrace(path, (done, total) => progress.step(what, done, total, humanSize));
}

function summaryOf(console: Console, path: string): Summary {
  const read = readShown(console, path);
  const what = `counting ${printable(basename(path))}`;
  return summarize(read, (done, total) => console.progress.step(what, done, total));
}

function converted(
  console: Console, paths: readonly string[], out: string, options: Options,
): Report {
  const [path, second] = paths;
  const format = options.format ?? formatOfName(out);
  if (second !== undefined) {
    throw new RegionError('ERR_BAD_OPTION', '--convert takes one trace; give one at a time');
  }
  if (format === null) {
    throw new RegionError('ERR_BAD_OPTION', `the name ${out} says no format; end it in .vmt, ` +
      `.rep or .trace, or give --format ${FORMATS.join(', ')}`);
  }
  if (existsSync(out) && options.force !== true) {
    throw new RegionError('ERR_EXISTS', `${out} is there already; give --force to replace it`);
  }
  const read = readShown(console, path);
  const what = `writing ${printable(basename(out))}`;
  writeTrace(out, read, format, (done, total) => console.progress.step(what, done, total));
  const { operations } = read;
  const bytes = statSync(out).size;
  return {
    json: () => document({ path, converted: out, format, operations, bytes }),
    text: () => [`${printable(path)} → ${printable(out)}: ${format}, ` +
      `${counted(operations, 'operation')}, ${humanSize(bytes)}`],
  };
}

function* textOf(subjects: readonly Subject[], output: Output): Generator<string> {
  for (const [i, { path, summary }] of subjects.entries()) {
    if (i > 0) yield '';
    yield output.head(printable(path));
    yield* facts(factsOf(summary));
    yield '';
    yield* histogram('SIZE', summary.sizes, humanSize, output);
    yield '';
    yield* histogram('LIFETIME', summary.lifetimes, String, output);
    const named = summary.sites.filter(({ site }) => site !== '');
    if (named.length === 0 && summary.sites.length < 2) continue;
    yield '';
    yield* table(named.length > 0 ? SITE_COLUMNS : REGION_COLUMNS, summary.sites, output.head);
    const hidden = summary.distinctSites - summary.sites.length;
    if (hidden > 0) yield `and ${hidden} more`;
  }
}

function factsOf(summary: Summary): [string, string][] {
  const { operations, allocs, frees, resizes, cutOff, strangers } = summary;
  const cut = cutOff ? '; only the beginning of the program' : '';
  const known: [string, string][] = [
    ['operations', `${operations}: ${counted(allocs, 'alloc')}, ${counted(frees, 'free')}, ` +
      `${counted(resizes, 'resize')}${cut}`],
    ['peak', `${humanSize(summary.peakBytes)} live at operation ${summary.peakAt}; ` +
      `at most ${counted(summary.peakBlocks, 'block')}`],
    ['at the end', `${humanSize(summary.leftBytes)} in ${counted(summary.leftBlocks, 'block')}`],
    ['sizes', sizesText(summary)],
    ['frequent', frequentText(summary)],
    ['lifetimes', lifetimesText(summary)],
    ['resizing', resizingText(summary)],
    ['aligned', alignedText(summary)],
    ['zeroed', `${counted(summary.zeroed.count, 'block')}, ${humanSize(summary.zeroed.bytes)}`],
  ];
  if (strangers > 0) {
    known.push(['strangers', `${counted(strangers, 'call')} on blocks from before the recording`]);
  }
  return known;
}

function sizesText({ sizes, distinctSizes }: Summary): string {
  if (sizes.count === 0) return 'none';
  return `${humanSize(sizes.least)} to ${humanSize(sizes.most)}, ` +
    `median ${humanSize(sizes.median)}, 90 % up to ${humanSize(sizes.p90)}; ` +
    `${distinctSizes} different, ${humanSize(sizes.sum)} in all`;
}

function frequentText({ frequentSizes, allocs }: Summary): string {
  return frequentSizes.slice(0, 5)
    .map(({ size, count }) => `${size} B ${percent(count / allocs)}`).join(', ') || 'none';
}

function lifetimesText({ lifetimes, freedAtOnce, leftBlocks }: Summary): string {
  if (lifetimes.count === 0) return 'nothing is freed';
  return `median ${counted(lifetimes.median, 'operation')}, 90 % up to ${lifetimes.p90}; ` +
    `${percent(freedAtOnce / lifetimes.count)} freed at once, ` +
    `${leftBlocks === 0 ? 'none' : leftBlocks} never`;
}

function resizingText({ resizing }: Summary): string {
  const { grown, shrunk, same, grownBytes, blocks, longest } = resizing;
  if (blocks === 0) return 'none';
  return `${grown} grown by ${humanSize(grownBytes)} in all, ${shrunk} shrunk, ${same} neither; ` +
    `${counted(blocks, 'block')}, one of them ${counted(longest, 'time')}`;
}

function alignedText({ alignments }: Summary): string {
  return alignments.map(({ alignment, count }) =>
    `${counted(count, 'block')} to ${humanSize(alignment)}`).join(', ') || 'none';
}

function histogram(
  title: string, { histogram: buckets, count }: Spread, show: (n: number) => string,
  { head, isTerminal }: Output,
): Iterable<string> {
  const most = Math.max(...buckets.map((bucket) => bucket.count));
  const columns: Column<Bucket>[] = [
    { title, text: ({ to }) => `≤ ${show(to)}`, right: true },
    { title: 'BLOCKS', text: (bucket) => String(bucket.count), right: true },
    { title: 'SHARE', text: (bucket) => percent(bucket.count / count), right: true },
    { title: '', text: (bucket) => barOf(bucket.count / most, BAR_WIDTH, isTerminal) },
  ];
  return table(columns, buckets, head);
}

const COUNT_COLUMNS: readonly Column<SiteCount>[] = [
  { title: 'ALLOCS', text: (row) => String(row.allocs), right: true },
  { title: 'BYTES', text: (row) => humanSize(row.bytes), right: true },
  { title: 'LEFT', text: (row) => String(row.leftBlocks), right: true },
  { title: 'LEFT BYTES', text: (row) => humanSize(row.leftBytes), right: true },
  { title: 'REGION', text: (row) => printable(row.region) },
];
const SITE_COLUMNS: readonly Column<SiteCount>[] = [
  ...COUNT_COLUMNS,
  { title: 'SITE', text: (row) => printable(row.site === '' ? '-' : row.site) },
];
const REGION_COLUMNS: readonly Column<SiteCount>[] = [
  ...COUNT_COLUMNS,
  { title: 'METHOD', text: (row) => printable(row.method) },
];
