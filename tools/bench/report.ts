/**
 * What every part of the benchmark hands back and how it is shown: tables, targets met or missed,
 * and where it ran. Ratios are what counts; times vary from machine to machine.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem } from 'node:os';

export interface Table {
  readonly title: string;
  /** Title of each column; those that begin with '<' are left-aligned. */
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A figure that has to be at most, or at least, something. */
export interface Target {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly most?: number;
  readonly least?: number;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** Every figure of the tables and what they were made from. */
  readonly data: unknown;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (value === undefined) throw new Error('bench: no values');
  return value;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Three significant digits. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

export function isMet({ value, most, least }: Target): boolean {
  return value <= (most ?? Infinity) && value >= (least ?? -Infinity);
}

/** What is left to reach, as a factor. */
function missedBy({ value, most, least }: Target): string {
  return figure(most === undefined ? (least ?? 0) / value : value / most);
}

function targetRow(target: Target): string[] {
  const { what, value, unit, most, least } = target;
  const bound = most === undefined ? `≥ ${figure(least ?? 0)}` : `≤ ${figure(most)}`;
  const verdict = isMet(target) ? 'met' : `MISSED, ${missedBy(target)} ×`;
  return [what, `${figure(value)}${unit}`, `${bound}${unit}`, verdict];
}

export function targetTable(targets: readonly Target[]): Table {
  return { title: 'Targets', head: ['<', 'measured', 'target', '<'], rows: targets.map(targetRow) };
}

/** A table in Markdown, which reads well as plain text too. */
export function renderTable({ title, head, rows }: Table): string {
  const titles = head.map((text) => text.replace(/^</, ''));
  const widths = titles.map((text, i) =>
    Math.max(3, text.length, ...rows.map((cells) => (cells[i] ?? '').length)));
  const isLeft = (i: number) => head[i]?.startsWith('<') ?? true;
  const pad = (text: string, i: number) => (isLeft(i)
    ? text.padEnd(widths[i] as number) : text.padStart(widths[i] as number));
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, i) => '-'.repeat(width - 1) + (isLeft(i) ? '-' : ':'));
  const lines = [line(titles), `| ${rule.join(' | ')} |`, ...rows.map(line)];
  return [`**${title}**`, '', ...lines].join('\n');
}

export function renderSection({ title, tables, targets }: Section): string {
  const all = targets.length === 0 ? tables : [...tables, targetTable(targets)];
  return [`## ${title}`, ...all.map(renderTable)].join('\n\n');
}

export interface Environment {
  readonly date: string;
  readonly command: string;
  readonly node: string;
  readonly system: string;
  readonly cpu: string;
  readonly memory: string;
  readonly fileSystem: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** What statfs calls them. */
const FILE_SYSTEMS = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'XFS'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlayfs'],
]);

/** `dir` = where the files of the benchmark are. Memory file systems are refused. */
export function environment(dir: string, command: string, now: Date): Environment {
  const type = Number(statfsSync(dir).type) >>> 0;
  const fileSystem = FILE_SYSTEMS.get(type) ?? `type 0x${type.toString(16)}`;
  if (fileSystem === 'tmpfs') throw new Error(`${dir} is in memory; choose a directory on a disk`);
  const [first] = cpus();
  return {
    date: now.toISOString(),
    command,
    node: process.version,
    system: `${process.platform} ${release()} ${process.arch}`,
    cpu: `${cpus().length} × ${first?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    fileSystem,
    versions: versions(['better-sqlite3', 'lmdb', 'pino']),
  };
}

function versions(names: readonly string[]): Record<string, string> {
  const require = createRequire(import.meta.url);
  return Object.fromEntries(names.map((name) => {
    const path = require.resolve(name).replace(new RegExp(`(/node_modules/${name}/).*`), '$1');
    const text = readFileSync(`${path}package.json`, 'utf8');
    return [name, (JSON.parse(text) as { version: string }).version];
  }));
}

export function renderEnvironment(where: Environment): string {
  const peers = Object.entries(where.versions).map(([name, version]) => `${name} ${version}`);
  const { date, command, system, cpu, memory, fileSystem, node } = where;
  const parts = [system, cpu, memory, fileSystem, `Node ${node}`, ...peers];
  return `${date} · \`${command}\`\n${parts.join(' · ')}`;
}
