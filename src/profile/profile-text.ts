/** A profile as text: a table of call stacks, most first, each with its share. */
import type { Profile, SiteProfile } from '../profile.ts';
import { type By, labelOf, measureOf, printableSite, shortened } from './measures.ts';

export interface ProfileTextOptions {
  /** What is ranked and shared: live bytes, all bytes that were asked for, or allocations. */
  readonly by?: By;
  /** Stacks that are shown; default 20. */
  readonly top?: number;
  /** Frames of each stack that are shown; default 3. */
  readonly frames?: number;
}

const TITLES = ['%', 'LIVE', 'BLOCKS', 'PEAK', 'BYTES', 'ALLOCS', 'FREES', 'CALL STACK'];

/**
 * A table: totals, then the call stacks with the most live bytes, or what `by` says.
 *
 * @example const table = profileText(profileOf(region), { by: 'bytes', top: 10 });
 */
export function profileText(profile: Profile, options: ProfileTextOptions = {}): string {
  const { by = 'live', top = 20, frames = 3 } = options;
  const { total } = profile;
  const whole = measureOf(total, by);
  const ranked = profile.sites.filter((site) => measureOf(site, by) > 0)
    .toSorted((a, b) => measureOf(b, by) - measureOf(a, by));
  const rows = ranked.slice(0, top).map((site) => rowOf(site, whole, by, frames));
  const lines = [
    `live ${grouped(total.live)} bytes in ${grouped(total.liveBlocks)} blocks, at most ` +
      `${grouped(total.peak)}; extent at most ${grouped(total.peakExtent)}`,
    `${grouped(total.allocs)} allocations of ${grouped(total.bytes)} bytes, ` +
      `${grouped(total.frees)} frees; by ${labelOf(by)}`,
    '',
    ...table(rows),
  ];
  if (ranked.length > top) lines.push(`and ${grouped(ranked.length - top)} more call stacks`);
  return `${lines.join('\n')}\n`;
}

interface Row {
  readonly cells: readonly string[];
  readonly frames: readonly string[];
}

function rowOf(site: SiteProfile, whole: number, by: By, frames: number): Row {
  const share = whole === 0 ? 0 : (100 * measureOf(site, by)) / whole;
  const { live, liveBlocks, peak, bytes, allocs, frees } = site;
  const shown = site.stack.slice(0, frames).map((frame) => printableSite(shortened(frame)));
  const more = site.stack.length - shown.length;
  return {
    cells: [share.toFixed(1), ...[live, liveBlocks, peak, bytes, allocs, frees].map(grouped)],
    frames: more > 0 ? [...shown, `… ${more} more`] : shown,
  };
}

function table(rows: readonly Row[]): string[] {
  const widths = TITLES.slice(0, -1).map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[column].length)));
  const line = (cells: readonly string[], last: string) =>
    [...cells.map((cell, column) => cell.padStart(widths[column])), last].join('  ').trimEnd();
  const blank = widths.map(() => '');
  return [
    line(TITLES.slice(0, -1), TITLES.at(-1) as string),
    ...rows.flatMap(({ cells, frames }) => [
      line(cells, frames[0] ?? '(unknown)'),
      ...frames.slice(1).map((frame) => line(blank, `  ${frame}`)),
    ]),
  ];
}

/** 1234567 → '1,234,567'. */
function grouped(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
}
