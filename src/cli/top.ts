/**
 * `regionstore top DIR`: what the program that writes a store is doing, again and again, from
 * outside. Ctrl-C ends it, with exit code 0.
 *
 * JSON: a line for each look: { path, at, writer: { pid, open, openedAt, updatedAt } | null,
 *   checkpoint, seconds: since the look before | null, rates: { checkpoints, pages, bytes, growth,
 *   busy } | null, counters: { checkpoints, pages, imageBytes, busyMs, lastMs, grownBytes,
 *   rollbacks } | null, dirtyBytes | null, regions: [{ name, kind, extent, busyBlocks | null,
 *   busyBytes | null, dirtyBytes | null, records | null }] }
 *
 * Rates are per second, `busy` the part of the time its thread spent in checkpoints; null at the
 *   first look, and after another writer came. `open` false = it closed the store, or died.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { setTimeout } from 'node:timers/promises';
import type { Store } from '../store/api.ts';
import { openTarget } from './open.ts';
import { type Column, counted, facts, figure, humanSize, isoDate, type Paint, percent, printable,
  table } from './table.ts';
import { storeOf } from './target.ts';
import { type RegionSample, type Sample, sampleOf } from './top-sample.ts';
import { type Common, type Console, verb } from './verb.ts';

interface Options extends Common {
  readonly interval: number;
  readonly samples?: number;
  readonly blocks: boolean;
}

/** Per second, between two looks at the same writer. */
interface Rates {
  readonly checkpoints: number;
  readonly pages: number;
  readonly bytes: number;
  readonly growth: number;
  readonly busy: number;
}

const COUNTED = ['checkpoints', 'pages', 'imageBytes', 'busyMs', 'lastMs', 'grownBytes',
  'rollbacks'] as const;
/** Looks that the line of bars shows. */
const BARS = 60;
const LEVELS = '▁▂▃▄▅▆▇█';
const CLEAR = '\x1b[H\x1b[2J';

export function top(program: Command, console: Console): void {
  verb(program, 'top', {
    summary: 'watch a store while a program writes it',
    details: 'Show, once a second, what the program that writes a store is doing: checkpoints ' +
      'and their bytes, how its files grow, memory that is not checkpointed yet, blocks and ' +
      'bytes that came or went in every region. It is watched from outside: the program counts ' +
      'in a page of shared memory as it works, and neither waits for anything nor is stopped. ' +
      'Live blocks are those of the newest checkpoint; counting them takes time in large ' +
      'regions, but not that of the program (--no-blocks leaves them out).',
    examples: ['top data', 'top data --interval 0.2 --no-blocks',
      "top data -n 10 --json | jq '.rates.bytes'"],
  })
    .option('-i, --interval <seconds>', 'time between two looks', seconds, 1)
    .option('-n, --samples <count>', 'end after so many looks', count)
    .option('--no-blocks', 'leave live blocks out')
    .action((dir: string, options: Options) => watch(console, dir, options));
}

function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value >= 0.05 && value <= 86_400) return value;
  throw new InvalidArgumentError('it must be a number of seconds, 0.05 to 86400.');
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it must be a number of looks, at least 1.');
}

async function watch(
  console: Console, dir: string, { interval, samples, blocks, json }: Options,
): Promise<void> {
  const target = await openTarget(dir, { mode: 'read', ofStore: 'writer' });
  const stop = new AbortController();
  const { signal } = stop;
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const store = storeOf(target);
    const { output } = console;
    const bars: number[] = [];
    let before: Sample | null = null;
    for (let i = 0; !signal.aborted; i += 1) {
      const sample = sampleOf(store, blocks, Date.now());
      const rates = ratesOf(before, sample);
      bars.push(rates?.bytes ?? 0);
      if (json === true) await output.print([JSON.stringify(view(store, before, sample, rates))]);
      else {
        const clear = output.isTerminal ? CLEAR : '';
        const lines = textOf(store, before, sample, rates, output.head);
        if (output.isTerminal) lines.splice(1, 0, `  ${barsOf(bars.slice(-BARS))}`);
        await output.print([`${clear}${lines[0]}`, ...lines.slice(1), '']);
      }
      before = sample;
      if (i + 1 === samples) break;
      await setTimeout(interval * 1000, null, { signal }).catch(() => {});
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    target.close(true);
  }
}

function ratesOf(before: Sample | null, now: Sample): Rates | null {
  const [old, counters] = [before?.counters ?? null, now.counters];
  if (before === null || old === null || counters === null) return null;
  const ms = now.at - before.at;
  const isSame = old.pid === counters.pid && old.openedAt === counters.openedAt;
  if (!isSame || ms <= 0) return null;
  const per = (field: 'checkpoints' | 'pages' | 'imageBytes' | 'grownBytes' | 'busyMs') =>
    (counters[field] - old[field]) * 1000 / ms;
  return { checkpoints: per('checkpoints'), pages: per('pages'), bytes: per('imageBytes'),
    growth: per('grownBytes'), busy: per('busyMs') / 1000 };
}

function view(store: Store, before: Sample | null, sample: Sample, rates: Rates | null): object {
  const { at, counters, isOpen, checkpoint, dirtyBytes, regions } = sample;
  const writer = counters === null ? null : { pid: counters.pid, open: isOpen,
    openedAt: new Date(counters.openedAt), updatedAt: new Date(counters.updatedAt) };
  const figures = counters === null ? null
    : Object.fromEntries(COUNTED.map((field) => [field, counters[field]]));
  return { path: store.dir, at: new Date(at), writer, checkpoint,
    seconds: before === null ? null : (at - before.at) / 1000, rates, counters: figures,
    dirtyBytes, regions };
}

function textOf(
  store: Store, before: Sample | null, sample: Sample, rates: Rates | null, head: Paint,
): string[] {
  const { at, counters, checkpoint, dirtyBytes, regions } = sample;
  const lines: [string, string][] = [['writer', writerText(sample)],
    ['checkpoint', counters === null || counters.checkpoints === 0 ? String(checkpoint)
      : `${checkpoint}, ${counted(counters.checkpoints, 'checkpoint')} of ` +
        `${humanSize(counters.imageBytes)} since it was opened`]];
  if (rates !== null && counters !== null) {
    lines.push(['rate', `${figure(rates.checkpoints)} checkpoints/s, ` +
      `${humanSize(Math.round(rates.bytes))}/s, the last took ${figure(counters.lastMs)} ms; ` +
      `${percent(rates.busy)} of its time`],
    ['growth', `${humanSize(Math.round(rates.growth))}/s`]);
  }
  lines.push(['changed', dirtyBytes === null ? 'not to be seen from here'
    : `${humanSize(dirtyBytes)} of memory in no region file yet`]);
  const old = new Map(before?.regions.map((region) => [region.name, region]));
  const per = before === null ? 0 : 1000 / Math.max(1, at - before.at);
  const rows = regions.map((region) => ({ region, before: old.get(region.name), per }));
  return [head(`store ${store.dir}, ${isoDate(new Date(at))}`), ...facts(lines), '',
    ...table(COLUMNS, rows, head)];
}

function writerText({ counters, isOpen }: Sample): string {
  if (counters === null) {
    return isOpen ? 'there is one, and it does not say what it does' : 'none has counted yet';
  }
  const { pid, openedAt, closedAt, updatedAt } = counters;
  if (isOpen && closedAt === 0) return `process ${pid}, since ${isoDate(new Date(openedAt))}`;
  if (isOpen) return 'another one is just opening it';
  const end = closedAt === 0 ? `died, it was last heard of ${isoDate(new Date(updatedAt))}`
    : `closed it ${isoDate(new Date(closedAt))}`;
  return `none; process ${pid} ${end}`;
}

interface Row {
  readonly region: RegionSample;
  readonly before: RegionSample | undefined;
  /** Changes × this = changes per second. */
  readonly per: number;
}

function changed({ region, before, per }: Row, field: 'busyBlocks' | 'busyBytes' | 'records') {
  const [old, now] = [before?.[field] ?? null, region[field]];
  return old === null || now === null ? null : (now - old) * per;
}

function signed(change: number | null, show: (n: number) => string): string {
  if (change === null) return '-';
  return change === 0 ? '0' : `${change < 0 ? '-' : '+'}${show(Math.abs(change))}`;
}

function orNone(value: number | null, show: (n: number) => string = String): string {
  return value === null ? '-' : show(value);
}

const sizeOf = (n: number) => humanSize(Math.round(n));

const COLUMNS: readonly Column<Row>[] = [
  { title: 'REGION', text: ({ region }) => printable(region.name) },
  { title: 'KIND', text: ({ region }) => region.kind },
  { title: 'EXTENT', text: ({ region }) => humanSize(region.extent), right: true },
  { title: 'LIVE', text: ({ region }) => orNone(region.busyBlocks), right: true },
  { title: 'PER S', text: (row) => signed(changed(row, 'busyBlocks'), figure), right: true },
  { title: 'BYTES', text: ({ region }) => orNone(region.busyBytes, humanSize), right: true },
  { title: 'PER S', text: (row) => signed(changed(row, 'busyBytes'), sizeOf), right: true },
  { title: 'CHANGED', text: ({ region }) => orNone(region.dirtyBytes, humanSize), right: true },
  { title: 'RECORDS', text: ({ region }) => orNone(region.records), right: true },
  { title: 'PER S', text: (row) => signed(changed(row, 'records'), figure), right: true },
];

/** Bytes of checkpoints at each look, the highest as a full block. */
function barsOf(values: readonly number[]): string {
  const most = Math.max(...values, 1);
  const line = values.map((value) => LEVELS[Math.round(value / most * (LEVELS.length - 1))]);
  return `${line.join('')} ${humanSize(Math.round(values.at(-1) ?? 0))}/s in checkpoints`;
}
