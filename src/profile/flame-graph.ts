/**
 * A flame graph of a profile as one SVG: frames stand on their callers, as wide as what was
 * allocated below them. Zoom and search as in Brendan Gregg's (flame-script.ts); every frame says
 * all about itself in its title; it follows the reader's light or dark scheme and needs nothing
 * from elsewhere. Names come from files that may be hostile: all text is escaped.
 */
import type { Profile } from '../profile.ts';
import { FLAME_SCRIPT } from './flame-script.ts';
import { depthOf, type Frame, treeOf } from './flame-tree.ts';
import { type By, labelOf, partsOf, printableSite, shortened } from './measures.ts';

export interface FlameGraphOptions {
  /** What widths are: live bytes, all bytes that were asked for, or allocations. Default 'live'. */
  readonly by?: By;
  /** Heading; default 'Memory by call stack'. */
  readonly title?: string;
  /** Pixels, 320 or more; default 1200. */
  readonly width?: number;
}

const PAD = 16;
const ROW = 19;
const TOP = 76;
/** Drawings narrower than this have the controls in a line of their own, below the heading. */
const NARROW = 640;
/** Room that the controls take beside the heading. */
const CONTROLS = 200;
/** About the width of a letter of the heading, and of the text below it. */
const BIG_LETTER = 11.5;
const SMALL_LETTER = 6.7;
const BOTTOM = 44;
/** Width of a letter: the font is a monospaced one of 12 pixels. */
const LETTER = 7.25;
/** Frames narrower than this, pixels, are left out. */
const LEAST = 0.08;
/** Light and dark fill of frames; text on them is dark, or light. */
const FILLS = [
  ['#ffd08a', '#8a5a16'], ['#ffb98f', '#91492a'], ['#ffc6a8', '#7f4a30'], ['#ffdf9e', '#7a6220'],
  ['#f9b4a0', '#8b3f35'], ['#ffcf9c', '#83552a'], ['#f7c08c', '#775223'], ['#ffe3b3', '#6f5a2c'],
] as const;
const COLOURS = FILLS.length;

/**
 * The SVG document.
 *
 * @example writeFileSync('live.svg', flameGraph(profileOf(region), { title: 'after start' }));
 */
export function flameGraph(profile: Profile, options: FlameGraphOptions = {}): string {
  const { by = 'live', title = 'Memory by call stack' } = options;
  const width = Math.max(320, Math.floor(options.width ?? 1200));
  const tree = treeOf(profile, by);
  const levels = depthOf(tree);
  const isNarrow = width < NARROW;
  const wide = width - 2 * PAD;
  const room = isNarrow ? wide : wide - CONTROLS;
  const base = (isNarrow ? TOP + 24 : TOP) + levels * ROW;
  const draw: Drawing = { wide, base, total: tree.value, by, parts: [] };
  drawFrame(draw, tree, 0, 1, 0);
  const height = base + BOTTOM;
  const idle = tree.value === 0 ? `There are no ${labelOf(by)}.`
    : 'Click to zoom, Esc to go back, / to search.';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
      `height="${height}" data-pad="${PAD}" data-wide="${draw.wide}" data-char="${LETTER}" ` +
      'role="group" aria-labelledby="title about">',
    styleSheet(),
    `<rect class="ground" width="${width}" height="${height}"/>`,
    `<text id="title" class="h1" x="${PAD}" y="34">` +
      `${escaped(cut(printableSite(title), room, BIG_LETTER))}</text>`,
    `<text class="soft" x="${PAD}" y="56">` +
      `${cut(summaryOf(profile, by, tree.value), room, SMALL_LETTER)}</text>`,
    control('reset', 'Reset zoom', width - PAD - 96, isNarrow ? 80 : 34),
    control('find', 'Search', width - PAD, isNarrow ? 80 : 34),
    isNarrow ? `<text id="matched" class="soft" x="${PAD}" y="80"></text>`
      : `<text id="matched" class="soft end" x="${width - PAD}" y="56"></text>`,
    ...draw.parts,
    `<text id="about" class="soft" x="${PAD}" y="${height - 16}">${idle}</text>`,
    `<script><![CDATA[${FLAME_SCRIPT}]]></script>`,
    '</svg>',
    '',
  ].join('\n');
}

/** The beginning that has room, pixels. */
function cut(text: string, room: number, letter: number): string {
  const letters = [...text];
  const fit = Math.floor(room / letter);
  return letters.length <= fit ? letters.join('') : `${letters.slice(0, fit - 1).join('')}…`;
}

function summaryOf({ total }: Profile, by: By, value: number): string {
  const live = `${grouped(total.live)} live bytes in ${grouped(total.liveBlocks)} blocks`;
  const most = `at most ${grouped(total.peak)}`;
  return by === 'live' ? `${live}, ${most}` : `${grouped(value)} ${labelOf(by)}; ${live}, ${most}`;
}

interface Drawing {
  readonly wide: number;
  /** Where the frame of the whole stands. */
  readonly base: number;
  readonly total: number;
  readonly by: By;
  readonly parts: string[];
}

/** `x` and `w` are fractions of the whole. */
function drawFrame(draw: Drawing, frame: Frame, x: number, w: number, level: number): void {
  if (w * draw.wide < LEAST) return;
  draw.parts.push(frameText(draw, frame, x, w, level));
  let at = x;
  const callees = [...frame.callees.values()].toSorted((a, b) => (a.site < b.site ? -1 : 1));
  for (const callee of callees) {
    const part = (w * callee.value) / (frame.value || 1);
    drawFrame(draw, callee, at, part, level + 1);
    at += part;
  }
}

function frameText(draw: Drawing, frame: Frame, x: number, w: number, level: number): string {
  const left = PAD + x * draw.wide;
  const wide = w * draw.wide;
  const y = draw.base - (level + 1) * ROW;
  const label = printableSite(shortened(frame.site));
  const name = printableSite(partsOf(frame.site).called);
  const shown = fitted(label, name, Math.floor((wide - 6) / LETTER));
  return `<g class="f" tabindex="0" role="button" data-x="${short(x)}" data-w="${short(w)}" ` +
    `data-l="${level}" data-t="${escaped(label)}" data-n="${escaped(name)}">` +
    `<title>${escaped(tip(draw, frame))}</title>` +
    `<rect class="${level === 0 ? 'all' : `c${colourOf(frame.site)}`}" x="${left.toFixed(2)}" ` +
    `y="${y}" width="${Math.max(0.3, wide - 0.6).toFixed(2)}" height="${ROW - 1}" rx="2"/>` +
    `<text x="${(left + 4).toFixed(2)}" y="${y + 13}">${escaped(shown)}</text></g>`;
}

/** As much as there is room for: with the place, without it, the beginning, nothing. */
function fitted(label: string, name: string, fit: number): string {
  if (label.length <= fit) return label;
  if (name.length <= fit) return name;
  return fit < 3 ? '' : `${name.slice(0, fit - 1)}…`;
}

function tip({ total, by }: Drawing, { site, value }: Frame): string {
  const unit = by === 'count' ? 'allocations' : 'bytes';
  const share = total === 0 ? 0 : (100 * value) / total;
  const { file, line, called } = partsOf(site);
  const where = line === '' ? site : `${called} (${file}:${line})`;
  return `${printableSite(where)}\n${grouped(value)} ${unit}, ${share.toFixed(2)} %`;
}

/** The file decides between two groups of colours, the function among those of one. */
function colourOf(site: string): number {
  const { file, called } = partsOf(site);
  const group = COLOURS / 2;
  return (hashOf(file) & 1) * group + (hashOf(called) % group);
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function control(id: string, text: string, x: number, y: number): string {
  return `<text id="${id}" class="control end" x="${x}" y="${y}" tabindex="0" role="button" ` +
    `style="visibility:hidden">${text}</text>`;
}

function styleSheet(): string {
  const scheme = (n: 0 | 1, inks: readonly string[]) => [
    `svg:root{background:${inks[0]}}.ground{fill:${inks[0]}}`,
    `text{fill:${inks[1]}}.soft{fill:${inks[2]}}.f text{fill:${inks[3]}}`,
    `.all{fill:${inks[4]}}.control{fill:${inks[5]}}.f:focus-visible rect,.f:hover rect{stroke:` +
      `${inks[6]}}.hit rect{fill:${inks[7]}}`,
    ...FILLS.map((pair, i) => `.c${i}{fill:${pair[n]}}`),
  ].join('');
  const light = ['#ffffff', '#1f2328', '#59636e', '#2b2013', '#e3e7ec', '#0550ae', '#1f2328',
    '#c297ff'];
  const dark = ['#0d1117', '#e6edf3', '#9aa4af', '#fff6e9', '#2b333d', '#79b8ff', '#e6edf3',
    '#7a3fd1'];
  return '<style>text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',' +
    'monospace}.h1{font:600 19px system-ui,-apple-system,\'Segoe UI\',Roboto,\'DejaVu Sans\',' +
    'sans-serif}.soft,.control{font-family:system-ui,-apple-system,\'Segoe UI\',Roboto,' +
    '\'DejaVu Sans\',sans-serif;font-size:13px}.end{text-anchor:end}.f,.control{cursor:pointer;' +
    'outline:none}.f text{pointer-events:none}.f rect{stroke-width:1.5}.control:hover,' +
    '.control:focus-visible{text-decoration:underline}.below rect{fill-opacity:.55}.searching ' +
    `.f:not(.hit) rect{fill-opacity:.45}${scheme(0, light)}` +
    `@media (prefers-color-scheme:dark){${scheme(1, dark)}}</style>`;
}

function short(fraction: number): string {
  return String(Number(fraction.toFixed(9)));
}

function grouped(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(text: string): string {
  // What XML has no place for is made visible before, by printableSite; halves of letters here.
  return text.toWellFormed().replace(/[\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"]/g, (c) => ENTITIES[c]);
}
