/**
 * Text for people: aligned tables, sizes, dates, and names made safe to print. A name comes from a
 * file that may be hostile, so nothing of it reaches a terminal as a control character.
 */

/** Marks up a text for a terminal, or returns it as it is. */
export type Paint = (text: string) => string;

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** Numbers are aligned right. Default: left. */
  readonly right?: boolean;
  /** Fixed width in characters; without it the widest row decides. */
  readonly width?: number;
}

/**
 * Title line and one line a row. Where every column has a width, rows are taken one by one, so that
 * a table of a million rows needs the memory of one.
 */
export function* table<Row>(
  columns: readonly Column<Row>[], rows: Iterable<Row>, head: Paint,
): Generator<string> {
  const isFixed = columns.every((column) => column.width !== undefined);
  const source = isFixed ? rows : [...rows];
  const widths = columns.map((column) => column.width ?? widest(column, source));
  yield head(aligned(columns, widths, columns.map((column) => column.title)));
  for (const row of source) yield aligned(columns, widths, columns.map((c) => c.text(row)));
}

/** Two columns without titles, indented. */
export function facts(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

/** 1536 → '1.5 KiB'. */
export function humanSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1).replace(/\.0$/, '')} ${units[unit]}`;
}

/** 'a, b and 3 more' of names that may be many. */
export function someOf(names: readonly string[], limit = 10): string {
  const shown = names.slice(0, limit).map(printable).join(', ');
  return names.length > limit ? `${shown} and ${names.length - limit} more` : shown;
}

export function isoDate(at: Date): string {
  return Number.isNaN(at.getTime()) ? 'unknown' : at.toISOString();
}

export function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `part` × `width` characters, 0 … 1; eighths of one only where they can be shown. */
export function barOf(part: number, width: number, isTerminal: boolean): string {
  const eighths = Math.round(Math.min(1, Math.max(0, part)) * width * 8);
  if (!isTerminal) return '#'.repeat(Math.round(eighths / 8));
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** Three digits that count: 0.0123, 4.57, 1234. */
export function figure(n: number): string {
  return n >= 1000 ? String(Math.round(n)) : String(Number(n.toPrecision(3)));
}

/** 1 → '1 checkpoint', 2 → '2 checkpoints'. */
export function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** Control characters, and those that turn the direction of text, as \u escapes. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

function widest<Row>(column: Column<Row>, rows: Iterable<Row>): number {
  let width = column.title.length;
  for (const row of rows) width = Math.max(width, charactersOf(column.text(row)));
  return width;
}

function aligned<Row>(
  columns: readonly Column<Row>[], widths: readonly number[], cells: readonly string[],
): string {
  return cells
    .map((cell, i) => {
      const gap = ' '.repeat(Math.max(0, widths[i] - charactersOf(cell)));
      return columns[i].right ? gap + cell : cell + gap;
    })
    .join('  ')
    .trimEnd();
}

const ASCII = /^[ -~]*$/;

function charactersOf(text: string): number {
  return ASCII.test(text) ? text.length : [...text].length;
}
