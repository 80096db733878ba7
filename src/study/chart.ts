/**
 * The chart of a study, one SVG file: whom it compares, time against utilization over all traces,
 * both for each trace, and programs that were run directly. It needs nothing from elsewhere, is
 * light or dark as its reader likes it, and every mark carries its figures: in a title to be
 * pointed at, and in data attributes that are those of the JSON.
 */
import {
  BAR_STEP, bars, directRows, GROUP_GAP, legend, type Looks, scatter, strips, threeDigits,
} from './chart-panels.ts';
import { type Box, escaped, line, px, styleSheet, text } from './chart-svg.ts';
import type { Contender, Study } from './study.ts';

const WIDTH = 1040;
const MARGIN = 36;
const ROW = 27;

interface Panel {
  readonly title: string;
  /** Of the content, without the title and the axis below. */
  readonly height: number;
  readonly below: number;
  readonly draw: (box: Box) => string;
}

/** The contenders that are drawn; the loops alone are no allocators. */
function drawn(study: Study): Contender[] {
  const direct = study.direct === null ? [] : directRows(study.direct);
  const served = (name: string) => direct.some(({ contender }) => contender === name)
    || study.cells.some(({ contender, ns }) => contender === name && ns !== null);
  const known = new Map([...study.contenders, ...study.direct?.contenders ?? []]
    .map((contender) => [contender.name, contender]));
  const all = [...known.values()].filter(({ family, name }) => family !== 'loop' && served(name));
  // Methods first: they are what is studied.
  return [...all.filter(({ family }) => family === 'region'),
    ...all.filter(({ family }) => family !== 'region')];
}

export function chartOf(study: Study): string {
  const contenders = drawn(study);
  const looks: Looks = new Map(contenders.map(({ name, family }, series) =>
    [name, { series, family }]));
  const parts: string[] = [heading(study)];
  const key = legend(looks, { x: MARGIN, y: 106, width: WIDTH - 2 * MARGIN, height: 0 });
  parts.push(key.svg);
  let y = 106 + key.height;
  for (const { title, height, below, draw } of panelsOf(study, looks)) {
    parts.push(line(MARGIN, y, WIDTH - MARGIN, y, 'grid'), text(MARGIN, y + 28, title, 'ink h2'));
    parts.push(draw({ x: MARGIN, y: y + 64, width: WIDTH - 2 * MARGIN, height }));
    y += 64 + height + below;
  }
  const height = y + 8;
  const first = study.traces.length === 0 ? 'Programs run directly' : 'Allocators compared';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${px(height)}" `
    + `width="${WIDTH}" height="${px(height)}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${first}: time and space</title>`,
    `<desc id="desc">${escaped(descriptionOf(study))}</desc>`,
    styleSheet(contenders.map(({ family }) => family)),
    `<rect width="${WIDTH}" height="${px(height)}" class="ground"/>`,
    ...parts,
    '</svg>',
  ].join('\n').concat('\n');
}

function heading({ setting, traces, base }: Study): string {
  const what = traces.length === 0 ? 'Programs run under each method'
    : 'Allocators on the same traces: time and space';
  const how = traces.length === 0 ? ''
    : `${traces.length} ${traces.length === 1 ? 'trace' : 'traces'}, `
      + `${setting.touch === 'all' ? 'every byte' : 'first and last byte'} of each block written, `
      + `replay loop included, ${base} = 1; `;
  const quick = setting.isQuick ? 'A quick run: its figures say nothing. ' : '';
  return [
    text(MARGIN, 44, what, 'ink h1'),
    text(MARGIN, 66, `${quick}${how}${setting.rounds === 1 ? 'one round'
      : `medians of ${setting.rounds} interleaved rounds`}`, 'soft'),
    text(MARGIN, 83, `${setting.date.slice(0, 10)} · ${setting.cpu} · Node ${setting.node}`,
      'soft small'),
  ].join('');
}

function panelsOf(study: Study, looks: Looks): Panel[] {
  const panels: Panel[] = [];
  if (study.traces.length > 0) {
    panels.push({
      title: 'Geometric mean over the traces', height: 300, below: 60,
      draw: (box) => scatter(study, looks, { ...box, x: box.x + 34, width: box.width - 64 }),
    }, {
      title: 'Trace by trace', height: study.traces.length * ROW, below: 40,
      draw: (box) => strips(study, looks, { ...box, width: box.width - 24 }),
    });
  }
  const { direct } = study;
  if (direct === null || direct.rows.length === 0) return panels;
  const height = directRows(direct).length * BAR_STEP + direct.workloads.length * GROUP_GAP;
  panels.push({
    title: 'Programs run directly under each method', height, below: 8,
    draw: (box) => bars(direct, looks, box),
  });
  return panels;
}

/** The chart in words. */
function descriptionOf(study: Study): string {
  const means = study.means.flatMap(({ contender, ratio, utilization, isAtLeast }) => {
    if (ratio === null) return [];
    const space = utilization === null ? '' : `, utilization ${threeDigits(utilization)}`;
    return [`${contender} ${isAtLeast ? 'more than ' : ''}${threeDigits(ratio)}${space}`];
  });
  const direct = study.direct === null ? [] : directRows(study.direct).map((row) =>
    `${row.workload} under ${row.contender} ${threeDigits(row.ms ?? 0)} ms, `
    + `${(row.minorFaults ?? 0) + (row.majorFaults ?? 0)} page faults`);
  return [
    ...(means.length === 0 ? [] : [`Time relative to ${study.base}: ${means.join('; ')}.`]),
    ...(direct.length === 0 ? [] : [`Run directly: ${direct.join('; ')}.`]),
  ].join(' ');
}
