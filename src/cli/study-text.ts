/** A study for people: tables for a terminal, and the same as Markdown for the record. */
import {
  type Cell, type Contender, type DirectRow, isServed, LARGE, type Study,
} from '../study/study.ts';
import { humanSize, printable } from './table.ts';

/** Rows of text; the first column is aligned left. */
export interface Grid {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Three significant digits; – for what is not known. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

const times = (value: number | null) => (value === null ? '–' : `${figure(value)} ×`);
const space = (bytes: number | null) => (bytes === null ? '–' : humanSize(bytes));

/** Every table of a study. Traces go into as many tables as `columns` characters ask for. */
export function gridsOf(study: Study, columns: number): Grid[] {
  const perTable = Math.max(3, Math.floor((columns - 22) / 11));
  const pieces: string[][] = [];
  const names = study.traces.map(({ name }) => name);
  for (let i = 0; i < names.length; i += perTable) pieces.push(names.slice(i, i + perTable));
  return [
    ...(names.length === 0 ? [] : [meanGrid(study)]),
    ...pieces.map((traces, i) => timeGrid(study, traces, i)),
    ...pieces.map((traces, i) => spaceGrid(study, traces, i)),
    ...(study.direct?.workloads ?? []).map((workload) => directGrid(study, workload)),
  ].filter((grid) => grid.rows.length > 0);
}

function meanGrid(study: Study): Grid {
  const rows = study.means.map((mean) => {
    const own = study.cells.filter((cell) => cell.contender === mean.contender);
    const ratios = own.flatMap(({ ratio }) => ratio ?? []);
    const served = mean.traces < study.traces.length ? `${mean.traces} of ${own.length}` : 'all';
    if (mean.traces === 0) return [mean.contender, '–', '–', '–', '–', 'none'];
    const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map(times);
    const ratio = `${mean.isAtLeast ? '> ' : ''}${times(mean.ratio)}`;
    return [mean.contender, ratio, least ?? '–', most ?? '–', figure(mean.utilization), served];
  });
  return {
    title: `Geometric means; time relative to ${study.base}`,
    head: ['', 'time', 'least', 'most', 'utilization', 'traces'],
    rows,
  };
}

const CONTINUED = ', continued';

function timeGrid(study: Study, traces: readonly string[], piece: number): Grid {
  const limit = `> ${study.setting.limitSeconds} s`;
  const text = (cell: Cell) => {
    if (cell.state === 'limit') return limit;
    return cell.contender === study.base ? `${figure(cell.ns)} ns` : times(cell.ratio);
  };
  const title = `Time per operation, relative to ${study.base}${piece > 0 ? CONTINUED : ''}`;
  return perTrace(study, traces, title, text);
}

function spaceGrid(study: Study, traces: readonly string[], piece: number): Grid {
  const title = `Utilization: peak live payload / peak footprint${piece > 0 ? CONTINUED : ''}`;
  return perTrace(study, traces, title, (cell) => figure(cell.utilization));
}

function perTrace(
  study: Study, traces: readonly string[], title: string, text: (cell: Cell) => string,
): Grid {
  const cell = (contender: string, trace: string) =>
    study.cells.find((c) => c.contender === contender && c.trace === trace) as Cell;
  const all = study.contenders.map(({ name }) =>
    [name, ...traces.map((trace) => text(cell(name, trace)))]);
  const rows = all.filter((row) => row.slice(1).some((one) => one !== '–'));
  return { title, head: ['', ...traces.map(printable)], rows };
}

function directGrid(study: Study, workload: { name: string; what: string }): Grid {
  const rows = study.direct?.rows.filter((row) => row.workload === workload.name) ?? [];
  const events = [...new Set(rows.flatMap(({ counters }) => Object.keys(counters)))];
  const first = rows.find(({ ms }) => ms !== null)?.ms ?? null;
  const line = (row: DirectRow) => [row.contender, figure(row.ms),
    times(row.ms === null || first === null ? null : row.ms / first), count(row.minorFaults),
    count(row.majorFaults), space(row.peakResident), space(row.addedResident), space(row.extent),
    ...events.map((event) => count(row.counters[event] ?? null))];
  return {
    title: `Run directly: ${workload.name}, ${workload.what}`,
    head: ['', 'ms', 'relative', 'minor faults', 'major', 'peak RSS', 'by the work', 'extent',
      ...events],
    rows: rows.filter(isServed).map(line),
  };
}

function count(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en');
}

/** What has to be known to read the tables, a sentence each. */
export function notesOf(study: Study): string[] {
  const about = ({ name, note }: Contender) => (note === '' ? [] : [`${name}: ${note}.`]);
  return [
    ...refusals(study.cells.map(({ contender, state, why, trace }) =>
      ({ contender, state, why, of: trace })), study.traces.length, 'trace'),
    ...refusals(study.direct?.rows.map(({ contender, state, why, workload }) =>
      ({ contender, state, why, of: workload })) ?? [], study.direct?.workloads.length ?? 0,
    'program'),
    ...study.contenders.flatMap(about),
    ...(study.cells.some(({ state }) => state === 'limit')
      ? [`> ${study.setting.limitSeconds} s: stopped there; the means take it as that long.`] : []),
    ...(study.traces.some(({ peakBytes }) => peakBytes < LARGE)
      ? ['Means of utilization are over traces of 4 MB live and more; below, only the extent of a '
        + 'region is exact.'] : []),
    ...study.missing.map((text) => `Left out: ${text}.`),
    ...(study.direct?.perf ? [`No hardware counters: ${study.direct.perf}.`] : []),
  ];
}

interface Refusal {
  readonly contender: string;
  readonly state: string;
  readonly why: string;
  readonly of: string;
}

/** One sentence for each contender that was refused. */
function refusals(all: readonly Refusal[], total: number, what: string): string[] {
  const odd = all.filter(({ state }) => state === 'refused' || state === 'failed');
  const kinds = [...new Set(odd.map(({ contender, state }) => `${contender}\n${state}`))];
  return kinds.map((kind) => {
    const [name = '', state] = kind.split('\n');
    const own = odd.filter((one) => one.contender === name && one.state === state);
    const isAll = own.length === total;
    const names = own.map(({ of }) => printable(of)).join(', ');
    const which = state === 'failed' ? `failed on ${isAll ? `every ${what}` : names}`
      : `serves ${isAll ? `no ${what}` : `not ${names}`}`;
    return `${name} ${which}: ${printable(own[0]?.why.split(';')[0] ?? '')}.`;
  });
}

export function placeOf({ setting }: Study): string[] {
  const { system, cpu, memoryBytes, node, peers } = setting;
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  const parts = [system, cpu, humanSize(memoryBytes), `Node ${node}`, ...versions];
  const rounds = setting.rounds === 1 ? 'One round' : `${setting.rounds} rounds`;
  const bytes = setting.touch === 'all' ? 'every byte' : 'the first and last byte';
  const quick = setting.isQuick ? '; a quick run: its figures say nothing' : '';
  return [`${setting.date} · \`${setting.command}\``, parts.join(' · '),
    `${rounds}, ${bytes} of each block written, at most ${setting.limitSeconds} s a trial${quick}`];
}

export function* terminalText(
  study: Study, columns: number, head: (text: string) => string,
): Generator<string> {
  for (const { title, head: titles, rows } of gridsOf(study, columns)) {
    const widths = widthsOf([titles, ...rows]);
    yield head(title);
    yield lineOf(titles, widths);
    for (const row of rows) yield lineOf(row, widths);
    yield '';
  }
  yield* notesOf(study);
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
}

function lineOf(cells: readonly string[], widths: readonly number[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number)
    : cell.padStart(widths[i] as number))).join('  ').trimEnd();
}

export function markdown(study: Study, chart: string): string {
  const tables = gridsOf(study, Infinity).map(({ title, head, rows }) => {
    const widths = widthsOf([head, ...rows]);
    const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => (i === 0
      ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join(' | ')} |`;
    const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(Math.max(1, width))
      : `${'-'.repeat(Math.max(1, width - 1))}:`));
    return [`## ${title}`, '', line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
  });
  return ['# The study: allocators on the same traces', placeOf(study).join('  \n'),
    `![Time and space of every contender](${chart})`, ...tables,
    notesOf(study).map((note) => `- ${note}`).join('\n')].join('\n\n').concat('\n');
}
