/** A profile as people and programs read it: a table by call site, and JSON. */
import { type Profile, type SiteUse, UNKNOWN } from './profile.ts';

type Column = readonly [name: string, value: (site: SiteUse | Profile) => number];

const COLUMNS: readonly Column[] = [
  ['allocations', ({ allocations }) => allocations],
  ['frees', ({ frees }) => frees],
  ['bytes', ({ bytes }) => bytes],
  ['peak bytes', ({ peakBytes }) => peakBytes],
  ['live', ({ live }) => live],
  ['live bytes', ({ liveBytes }) => liveBytes],
];

/**
 * A line for each call site, most bytes first, under a line for all of them.
 *
 * @example writeFileSync('profile.txt', profileText(profile));
 */
export function profileText(profile: Profile): string {
  const rows = [
    [...COLUMNS.map(([name]) => name), 'site'],
    [...COLUMNS.map(([, value]) => String(value(profile))), `all of ${profile.name}`],
    ...profile.sites.map((site) =>
      [...COLUMNS.map(([, value]) => String(value(site))), site.site || UNKNOWN]),
  ];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) =>
    `${row.map((cell, i) => i < widths.length ? cell.padStart(widths[i]) : cell).join('  ')}\n`)
    .join('');
}

/** One object: the sums, `sites` and `stacks`. */
export function profileJson(profile: Profile): string {
  return `${JSON.stringify(profile, null, 1)}\n`;
}
