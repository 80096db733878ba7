/**
 * A store as one HTML file that needs nothing from elsewhere: its figures are those of `inspect
 * --json`. Everything but the maps is there without the script, in tables, for every reader. Names
 * come from files that may be hostile: all text is escaped, and the page may load nothing.
 */
import type { Checkpoint } from '../../types.ts';
import { escaped } from '../markup.ts';
import type { RingView } from '../ring-view.ts';
import { humanSize, isoDate, percent } from '../table.ts';
import type { Bin, Keeper, RegionReport } from './gather.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';
import { timeline } from './timeline.ts';

/** What `inspect` says of a region, and the rest. */
export interface ReportedRegion {
  readonly name: string;
  readonly kind: string;
  readonly method: string;
  readonly segments: number;
  readonly extent: number;
  readonly capacity: number;
  readonly busyBlocks: number;
  readonly busyBytes: number;
  readonly largestBusy: number;
  readonly freeBlocks: number;
  readonly freeBytes: number;
  readonly largestFree: number;
  readonly fragmentation: number;
  readonly roots: readonly { readonly name: string; readonly address: number }[];
  readonly heap: { readonly types: readonly { readonly name: string; readonly count: number;
    readonly bytes: number }[] | null; } | null;
  readonly fits: readonly { readonly size: number; readonly count: number }[] | null;
}

export interface Reported {
  readonly type: string;
  readonly path: string;
  readonly at: Date;
  /** Lines as `inspect` prints them. */
  readonly facts: readonly (readonly [string, string])[];
  readonly checkpoints: readonly Checkpoint[];
  readonly rings: readonly RingView[];
}

/** Regions are given one by one, and are not kept. */
export function* htmlOf(
  about: Reported, names: readonly string[],
  regions: Iterable<{ readonly region: ReportedRegion; readonly more: RegionReport }>,
): Generator<string> {
  yield* head(about, names);
  const maps: string[] = [];
  let number = 0;
  for (const { region, more } of regions) {
    yield* section(region, more, number);
    const { segments, types, order, points, pieces } = more;
    maps.push(JSON.stringify({ id: `map-${number}`, segments, types, order, points, pieces }));
    number += 1;
  }
  yield* ringsOf(about.rings);
  // The one character that could end the element.
  yield `<script type="application/json" id="data">[${maps.join(',').replaceAll('<', '\\u003c')}]` +
    '</script>';
  yield `<script>${SCRIPT}</script>`;
  yield '</main></body></html>';
}

function* head(about: Reported, names: readonly string[]): Generator<string> {
  const { type, path, at, facts, checkpoints } = about;
  yield '<!doctype html><html lang="en"><head><meta charset="utf-8">';
  yield '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; ' +
    'style-src \'unsafe-inline\'; script-src \'unsafe-inline\'; img-src data:">';
  yield '<meta name="viewport" content="width=device-width,initial-scale=1">';
  yield `<link rel="icon" href="data:,"><title>${escaped(path)}</title><style>${STYLE}</style>`;
  yield `</head><body><main><header><div><h1>${escaped(`${type} ${path}`)}</h1>`;
  yield `<p class="soft">as of ${isoDate(at)}</p></div>` +
    '<button id="theme" type="button">Light or dark</button></header>';
  if (names.length > 1) {
    const links = names.map((name, i) => `<a href="#region-${i}">${escaped(name)}</a>`);
    yield `<nav aria-label="Regions">${links.join('')}</nav>`;
  }
  yield '<dl>';
  for (const [name, value] of facts) yield `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`;
  yield '</dl>';
  if (checkpoints.length > 0) yield* timeline(checkpoints);
}

/** A value with the figure it stands for, which readers of the file can compare. */
function figure(name: string, value: number, text = String(value)): string {
  return `<td class="n" data-figure="${name}" data-value="${value}">${text}</td>`;
}

function* section(
  region: ReportedRegion, more: RegionReport, number: number,
): Generator<string> {
  const { name, kind, method, segments, extent, capacity } = region;
  yield `<section id="region-${number}" data-region="${escaped(name)}">`;
  yield `<h2>${escaped(name)}</h2><p class="soft">${escaped(kind)} of method ${escaped(method)}, ` +
    `${segments} ${segments === 1 ? 'segment' : 'segments'}, ${humanSize(extent)} of at most ` +
    `${humanSize(capacity)}</p>`;
  yield* useOf(region);
  yield* mapOf(region, more, number);
  yield '<div class="pair">';
  yield* bars('Live blocks by size', 'up to', sized(more.live));
  yield* bars('Free blocks by size', 'up to', sized(more.free));
  yield* bars('Still fits into what is free', 'blocks of', (region.fits ?? []).map(
    ({ size, count }) => ({ label: humanSize(size), count, bytes: size * count })));
  if (more.points.length > 1) {
    yield* bars('Live blocks by age', 'there since', more.ages);
    yield* bars('Lifetime of blocks that are gone', 'seen at', more.lifetimes);
  }
  yield* bars('Objects by type', 'type', region.heap?.types?.map(({ name: label, count, bytes }) =>
    ({ label, count, bytes })) ?? []);
  yield '</div>';
  yield* keepersOf(more);
  yield* rootsOf(region);
  yield '</section>';
}

function* useOf(region: ReportedRegion): Generator<string> {
  const { extent, busyBlocks, busyBytes, largestBusy, freeBlocks, freeBytes, largestFree,
    fragmentation } = region;
  yield '<div class="scroll"><table><thead><tr><th></th><th class="n">blocks</th>' +
    '<th class="n">bytes</th><th class="n">largest</th><th>of the extent</th></tr></thead><tbody>';
  const row = (what: string, cells: string, bytes: number) => `<tr><th scope="row">${what}</th>` +
    `${cells}<td class="bar"><i style="--w:${(100 * bytes) / Math.max(1, extent)}%"></i></td></tr>`;
  yield row('live', figure('busyBlocks', busyBlocks) +
    figure('busyBytes', busyBytes, humanSize(busyBytes)) +
    figure('largestBusy', largestBusy, humanSize(largestBusy)), busyBytes);
  yield row('free', figure('freeBlocks', freeBlocks) +
    figure('freeBytes', freeBytes, humanSize(freeBytes)) +
    figure('largestFree', largestFree, humanSize(largestFree)), freeBytes);
  yield `</tbody></table></div><p>Fragmentation <b data-figure="fragmentation" ` +
    `data-value="${fragmentation}">${percent(fragmentation)}</b> <span class="soft">of what is ` +
    'free is not in the largest free block</span></p>';
}

function* mapOf(
  { name, extent }: ReportedRegion, { cellBytes, points }: RegionReport, number: number,
): Generator<string> {
  const ages = points.length > 1 ? '<option value="age">age</option>' : '';
  const about = `Map of the ${humanSize(extent)} of ${escaped(name)}; the tables below say the ` +
    'same';
  yield `<div class="map" id="map-${number}"><h3>Heap map</h3><div class="tools">` +
    '<label>Colours by <select><option value="kind">kind</option><option value="size">size' +
    `</option><option value="type">type</option>${ages}</select></label>` +
    '<button type="button" data-do="in">Zoom in</button>' +
    '<button type="button" data-do="out">Zoom out</button>' +
    '<button type="button" data-do="whole">Whole</button></div>';
  yield `<canvas tabindex="0" role="img" aria-label="${about}" ` +
    `aria-describedby="help-${number}"></canvas>`;
  yield '<p class="say" role="status" aria-live="polite"></p><div class="legend"></div>';
  const cells = cellBytes === null ? '' : ` Too many blocks to draw one by one: a cell is ` +
    `${humanSize(cellBytes)}.`;
  yield `<p class="soft" id="help-${number}">Wheel, + and − zoom, dragging and Page Up and Down ` +
    `move, arrows go from block to block, Esc shows all.${cells}</p></div>`;
}

function sized(bins: readonly Bin[]): Bin[] {
  return bins.map(({ label, ...rest }) => ({ label: humanSize(Number(label)), ...rest }));
}

/** A histogram that is a table: every reader can read it. */
function* bars(title: string, what: string, bins: readonly Bin[]): Generator<string> {
  if (bins.length === 0) return;
  const most = Math.max(1, ...bins.map(({ bytes }) => bytes));
  yield `<div><h3>${title}</h3><div class="scroll"><table><thead><tr><th>${what}</th>` +
    '<th class="n">blocks</th><th class="n">bytes</th><th></th></tr></thead><tbody>';
  for (const { label, count, bytes } of bins) {
    yield `<tr><th scope="row">${escaped(label)}</th><td class="n">${count}</td>` +
      `<td class="n">${humanSize(bytes)}</td>` +
      `<td class="bar"><i style="--w:${((100 * bytes) / most).toFixed(2)}%"></i></td></tr>`;
  }
  yield '</tbody></table></div></div>';
}

function* keepersOf({ keepers, noKeepers }: RegionReport): Generator<string> {
  if (noKeepers !== null) {
    yield `<h3>What keeps what alive</h3><p class="alarm">Not told: ${escaped(noKeepers)}</p>`;
  }
  if (keepers === null) return;
  yield '<h3>What keeps what alive</h3><p class="soft">What would be freed if an object were let ' +
    'go of: every way to what is below it leads over it.</p>';
  yield* keeperLines(keepers, keepers.retained, 0);
}

function* keeperLines(keeper: Keeper, all: number, level: number): Generator<string> {
  const { label, own, retained, objects, below } = keeper;
  const share = ((100 * retained) / Math.max(1, all)).toFixed(2);
  const line = `<span class="keeps"><i style="--w:${share}%"></i></span>${escaped(label)} ` +
    `<span class="soft">${label.endsWith(' more') ? 'keep' : 'keeps'} ${humanSize(retained)}, ` +
    `${objects} ` +
    `${objects === 1 ? 'object' : 'objects'}${own > 0 ? `; ${humanSize(own)} itself` : ''}</span>`;
  if (below.length === 0) {
    yield `<div class="leaf">${line}</div>`;
    return;
  }
  yield `<details${level < 1 ? ' open class="top"' : ''}><summary>${line}</summary>`;
  for (const child of below) yield* keeperLines(child, all, level + 1);
  yield '</details>';
}

const ROOTS_SHOWN = 200;

function* rootsOf({ roots }: ReportedRegion): Generator<string> {
  if (roots.length === 0) return;
  yield `<details class="top"><summary>Roots <span class="soft">${roots.length}</span></summary>` +
    '<div class="scroll"><table><thead><tr><th>root</th><th class="n">address</th></tr></thead>';
  for (const { name, address } of roots.slice(0, ROOTS_SHOWN)) {
    yield `<tr><th scope="row">${escaped(name)}</th><td class="n">${address}</td></tr>`;
  }
  yield '</table></div>';
  if (roots.length > ROOTS_SHOWN) yield `<p>and ${roots.length - ROOTS_SHOWN} more</p>`;
  yield '</details>';
}

function* ringsOf(rings: readonly RingView[]): Generator<string> {
  if (rings.length === 0) return;
  yield '<h2>Rings</h2><div class="scroll"><table><thead><tr><th>ring</th><th class="n">size</th>' +
    '<th class="n">oldest</th><th class="n">newest</th><th>appended</th></tr></thead>';
  for (const { name, size, first, last, newest } of rings) {
    yield `<tr><th scope="row">${escaped(name)}</th><td class="n">${humanSize(size)}</td>` +
      `<td class="n">${first}</td><td class="n">${last}</td>` +
      `<td>${newest === null ? '' : isoDate(newest)}</td></tr>`;
  }
  yield '</table></div>';
}
