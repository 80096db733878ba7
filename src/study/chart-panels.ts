/**
 * The panels of the chart: time against space of every contender, both for each trace, and what
 * programs that were run directly cost. Each returns the SVG of what is inside its box.
 */
import {
  type Box, escaped, figureMark, line, type Look, octaves, px, type Scale, shape, shares, text,
  widthOf,
} from './chart-svg.ts';
import type { Direct, DirectRow, Study } from './study.ts';

/** Looks by contender. */
export type Looks = ReadonlyMap<string, Look>;

/** Slower than so many times the base stands at the edge, with its figure. */
const MOST_RATIO = 16;
/** Less utilization stands at the edge. */
const LEAST_SHARE = 0.5;

export function threeDigits(value: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(digits, 3));
}

interface Point {
  readonly name: string;
  readonly look: Look;
  readonly x: number;
  readonly y: number;
  readonly label: string;
  readonly mark: string;
}

export function scatter(study: Study, looks: Looks, box: Box): string {
  const means = study.means.flatMap(({ contender, ratio, utilization, isAtLeast }) => {
    const look = looks.get(contender);
    return look === undefined || ratio === null || utilization === null ? []
      : [{ contender, ratio, utilization, isAtLeast, look }];
  });
  const { x, y, width, height } = box;
  const across = octaves(means.map(({ ratio }) => ratio), MOST_RATIO, x, x + width);
  const up = shares(means.map(({ utilization }) => utilization), LEAST_SHARE, y + height, y);
  const points: Point[] = means.map(({ contender, ratio, utilization, isAtLeast, look }) => {
    const [px, py] = [across.at(ratio), up.at(utilization)];
    const over = `${isAtLeast ? '> ' : ''}${threeDigits(ratio)} ×`;
    const beyond = [across.isBeyond(ratio) ? over : '',
      up.isBeyond(utilization) ? utilization.toFixed(2) : ''].filter((part) => part !== '');
    return {
      name: contender, look, x: px, y: py,
      label: beyond.length === 0 ? contender : `${contender} (${beyond.join(', ')})`,
      mark: figureMark(shape(px, py, 6, look),
        `${contender}: ${over} the time of ${study.base}, utilization ${threeDigits(utilization)}`,
        { mean: contender, ratio, utilization }),
    };
  });
  const empty = points.length > 0 ? '' : text(x + width / 2, y + height / 2,
    'no trace of 4 MB live and more', 'soft mid');
  return [
    rulers(across, up, box),
    text(x + width / 2, y + height + 34, `time per operation, ${study.base} = 1`, 'soft mid'),
    text(x, y - 10, 'utilization: peak live payload / peak footprint', 'soft small'),
    text(x + 8, y + 18, '↖ faster, and less waste', 'soft small halo'),
    ...labels(points, box),
    ...points.map(({ mark }) => mark),
    empty,
  ].join('');
}

function rulers(across: Scale, up: Scale | null, { x, y, width, height }: Box): string {
  return [
    ...across.ticks.flatMap(({ value, text: label }) => [
      line(across.at(value), y, across.at(value), y + height,
        label === '1' ? 'axis' : 'grid'),
      text(across.at(value), y + height + 16, label, 'soft small mid num'),
    ]),
    ...(up?.ticks ?? []).flatMap(({ value, text: label }) => [
      line(x, up?.at(value) ?? 0, x + width, up?.at(value) ?? 0, 'grid'),
      text(x - 8, (up?.at(value) ?? 0) + 4, label, 'soft small end num'),
    ]),
  ].join('');
}

/** Where a name may stand beside its mark: how it is anchored, and from the mark to there. */
const SIDES = [
  ['start', 11, -7], ['end', -11, -7], ['mid', 0, -24], ['mid', 0, 10], ['start', 9, -20],
  ['start', 9, 7], ['end', -9, -20], ['end', -9, 7], ['start', 14, 20], ['start', 14, -34],
  ['end', -14, -34], ['end', -14, 20],
  // Farther away, with a line to the mark.
  ...[36, 52, 68, 84, 100].flatMap((far) => [-far, far - 14].flatMap((dy) =>
    [['start', 14, dy], ['end', -14, dy], ['mid', 0, dy]] as const)),
] as const;
const NEAR = 8;
/** Of a text's width, what is left of its anchor. */
const SHARE_BEFORE = { start: 0, mid: 0.5, end: 1 } as const;

/** A name beside each mark, on the first side where nothing else is. */
function labels(points: readonly Point[], box: Box): string[] {
  const taken: Box[] = points.map(({ x, y }) => ({ x: x - 7, y: y - 7, width: 14, height: 14 }));
  return points.map(({ label, look, x, y }) => {
    const width = widthOf(label);
    const sides = SIDES.map(([anchor, dx, dy]) => ({
      anchor, dx, x: x + dx - width * SHARE_BEFORE[anchor], y: y + dy, width, height: 14,
    }));
    const free = sides.find((side) => side.x >= box.x && side.x + width <= box.x + box.width + 20
      && side.y >= box.y - 6 && side.y + 14 <= box.y + box.height + 6
      && taken.every((other) => !overlap(side, other))) ?? sides[0] as typeof sides[0];
    taken.push(free);
    const weight = look.family === 'region' ? ' bold' : '';
    const isNear = sides.indexOf(free) < NEAR;
    const leader = isNear ? '' : line(x, y, x + free.dx, free.y + 7, 'axis');
    return leader + text(x + free.dx, free.y + 11, label, `ink halo ${free.anchor}${weight}`);
  });
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Rows are traces; time on the left of the box, utilization on its right. */
export function strips(study: Study, looks: Looks, box: Box): string {
  const cells = study.cells.filter(({ contender }) => looks.has(contender));
  const nameWidth = 128;
  const gap = 48;
  const half = (box.width - nameWidth - gap) / 2;
  const left: Box = { ...box, x: box.x + nameWidth, width: half };
  const right: Box = { ...left, x: left.x + half + gap };
  const time = octaves(cells.flatMap(({ ratio }) => ratio ?? []), MOST_RATIO,
    left.x, left.x + half);
  const space = shares(cells.flatMap(({ utilization }) => utilization ?? []), LEAST_SHARE,
    right.x, right.x + half);
  const step = box.height / study.traces.length;
  const rows = study.traces.map(({ name }, i) => {
    const y = box.y + step * (i + 0.5);
    const own = cells.filter(({ trace }) => trace === name);
    return [
      text(box.x + nameWidth - 14, y + 4, shortened(name), 'ink end'),
      dots(own, 'ratio', time, looks, y),
      dots(own, 'utilization', space, looks, y),
    ].join('');
  });
  return [
    rulers(time, null, left), rulers(space, null, right),
    text(left.x, box.y - 10, `time per operation, ${study.base} = 1`, 'soft small'),
    text(right.x, box.y - 10, 'utilization', 'soft small'),
    ...rows,
  ].join('');
}

function shortened(name: string): string {
  return name.length <= 17 ? name : `${name.slice(0, 16)}…`;
}

function dots(
  cells: Study['cells'], key: 'ratio' | 'utilization', scale: Scale, looks: Looks, y: number,
): string {
  const known = cells.flatMap((cell) => {
    const value = cell[key];
    return value === null ? [] : [{ ...cell, value, look: looks.get(cell.contender) as Look }];
  });
  if (known.length === 0) return '';
  const places = known.map(({ value }) => scale.at(value));
  const range = line(Math.min(...places), y, Math.max(...places), y, 'range');
  // Methods on top of the others.
  const order = known.sort((a, b) => rank(a.look) - rank(b.look));
  return range + order.map(({ trace, contender, value, state, look }) => {
    const x = scale.at(value);
    const is = `${state === 'limit' ? '> ' : ''}${threeDigits(value)}`;
    const about = `${contender} on ${trace}: ${key === 'ratio' ? `${is} ×` : `utilization ${is}`}`;
    const edge = scale.isBeyond(value) || (state === 'limit' && key === 'ratio')
      ? chevron(x + (key === 'ratio' ? 9 : -9), y, key === 'ratio' ? 1 : -1, look) : '';
    return figureMark(shape(x, y, look.family === 'region' ? 5.5 : 4.5, look) + edge, about,
      { trace, contender, [key]: value });
  }).join('');
}

function rank({ family }: Look): number {
  return family === 'region' ? 1 : 0;
}

/** It is farther than this edge. */
function chevron(x: number, y: number, way: 1 | -1, { series }: Look): string {
  return `<path d="M${px(x)} ${px(y - 4)}l${5 * way} 4l${-5 * way} 4z" class="s${series}"/>`;
}

const MEASURES = [
  { key: 'ms', title: 'time, ms', of: (row: DirectRow) => row.ms },
  { key: 'faults', title: 'page faults', of: (row: DirectRow) => row.minorFaults === null ? null
    : row.minorFaults + (row.majorFaults ?? 0) },
  { key: 'resident', title: 'memory it made resident, MiB',
    of: (row: DirectRow) => (row.addedResident === null ? null : row.addedResident / 2 ** 20) },
] as const;

export const BAR_STEP = 18;
export const GROUP_GAP = 14;

/** Rows of the direct panel: methods that served at least one program. */
export function directRows(direct: Direct): DirectRow[] {
  return direct.rows.filter(({ ms }) => ms !== null);
}

/** Bars: a group for each program, a column for each measure, all from zero. */
export function bars(direct: Direct, looks: Looks, box: Box): string {
  const nameWidth = 128;
  const gap = 72;
  const width = (box.width - nameWidth - gap * MEASURES.length) / MEASURES.length;
  const rows = directRows(direct);
  const parts = MEASURES.map(({ title }, i) =>
    text(box.x + nameWidth + i * (width + gap), box.y - 10, title, 'soft small'));
  let y = box.y;
  for (const { name } of direct.workloads) {
    const own = rows.filter(({ workload }) => workload === name);
    const middle = y + (own.length * BAR_STEP) / 2;
    parts.push(text(box.x + nameWidth - 14, middle + 4, name, 'ink end'));
    MEASURES.forEach((measure, i) => {
      const most = Math.max(...own.map((row) => measure.of(row) ?? 0)) || 1;
      const x = box.x + nameWidth + i * (width + gap);
      own.forEach((row, j) => parts.push(bar(row, measure, looks, most,
        { x, y: y + j * BAR_STEP, width, height: BAR_STEP - 4 })));
    });
    y += own.length * BAR_STEP + GROUP_GAP;
  }
  return parts.join('');
}

function bar(
  row: DirectRow, { key, title, of }: (typeof MEASURES)[number], looks: Looks, most: number,
  { x, y, width, height }: Box,
): string {
  const value = of(row);
  const look = looks.get(row.contender);
  if (value === null || look === undefined) return '';
  const length = Math.max(1, (value / most) * width);
  const shown = value >= 1000 ? Math.round(value).toLocaleString('en') : threeDigits(value);
  const content = `<rect x="${px(x)}" y="${px(y)}" width="${px(length)}" height="${px(height)}" `
    + `rx="2" class="s${look.series}"/>`
    + text(x + length + 6, y + height - 3, shown, 'soft small num');
  return figureMark(content, `${row.workload} under ${row.contender}: ${title} ${shown}`,
    { workload: row.workload, contender: row.contender, [key]: value });
}

/** What the marks mean, in lines that fit; returns its height too. */
export function legend(looks: Looks, { x, y, width }: Box): { svg: string; height: number } {
  let [left, top] = [x, y];
  const parts: string[] = [];
  for (const [name, look] of looks) {
    const needed = widthOf(name) + 40;
    if (left + needed > x + width) [left, top] = [x, top + 22];
    parts.push(shape(left + 6, top - 4, 5.5, look));
    parts.push(`<text x="${px(left + 18)}" y="${px(top)}" class="ink">${escaped(name)}</text>`);
    left += needed;
  }
  return { svg: parts.join(''), height: top - y + 22 };
}
