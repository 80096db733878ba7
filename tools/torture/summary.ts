/** What a torture run found, as a table for people and as JSON. */
import type { Done } from './pool.ts';
import { CLASSES, type Class } from './plan.ts';

export interface Row {
  readonly class: Class;
  cases: number;
  /** Operations of the workloads; checkpoints in the classes that kill and cut. */
  operations: number;
  losses: number;
  /** Of process time; two run at a time. */
  seconds: number;
  /** Why there were no cases, or what else is to be said. */
  note: string;
}

export interface Summary {
  readonly seed: number;
  readonly minutes: number;
  readonly node: string;
  readonly rows: Row[];
  readonly losses: string[];
  /** What showed each mutant. */
  readonly caught: { mutant: string; by: string }[];
}

export function emptySummary(seed: number, minutes: number): Summary {
  const rows = CLASSES.map((name) => ({ class: name, cases: 0, operations: 0, losses: 0,
    seconds: 0, note: '' }));
  return { seed, minutes, node: process.version, rows, losses: [], caught: [] };
}

export function note(summary: Summary, { task, result, seconds }: Done): void {
  const row = summary.rows.find((candidate) => candidate.class === task.class);
  if (row === undefined) throw new Error(`torture: no class ${task.class}`);
  row.cases += result.cases;
  row.operations += result.operations;
  row.losses += result.losses.length;
  row.seconds += seconds;
  if (result.skipped) row.note += `${row.note && '; '}${task.what}: ${result.skipped}`;
  summary.losses.push(...result.losses.map(shortened));
  if (task.mutant !== undefined && result.caught !== undefined) {
    summary.caught.push({ mutant: task.mutant.name, by: firstLine(result.caught[0] ?? '') });
  }
}

/** The message and the nearest frames. */
function shortened(loss: string): string {
  return loss.split('\n').slice(0, 6).join('\n').slice(0, 1500);
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.slice(0, 200) ?? '';
}

/** A class without cases is a failure, except where the machine cannot do it and says why. */
export function isFailed(row: Row): boolean {
  return row.losses > 0 || (row.cases === 0 && row.note === '');
}

const COLUMNS = ['class', 'cases', 'operations', 'losses', 'seconds', ''] as const;

function cellsOf(row: Row): string[] {
  return [row.class, String(row.cases), String(row.operations), String(row.losses),
    row.seconds.toFixed(0), row.note];
}

export function tableOf(summary: Summary): string {
  const lines = [[...COLUMNS], ...summary.rows.map(cellsOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  const padded = (cell: string, i: number): string =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell === '' ? '' : cell.padStart(widths[i] ?? 0);
  const table = lines.map((line) => line.map(padded).join('  ').trimEnd());
  return [...table, ...summary.losses.map((loss) => `LOSS ${firstLine(loss)}`)].join('\n');
}

export function markdownOf(summary: Summary): string {
  const { seed, minutes, node, rows, caught, losses } = summary;
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    '# Torture run', '',
    `Seed ${seed}, ${minutes} minutes, Node ${node}.`, '',
    line(COLUMNS), '| --- | --: | --: | --: | --: | --- |',
    ...rows.map((row) => line(cellsOf(row))),
    '', '| mutant | caught by |', '| --- | --- |',
    ...caught.map(({ mutant, by }) => line([mutant, by])), '',
    ...losses.map((loss) => `- ${firstLine(loss)}`), '',
  ].join('\n');
}
