/**
 * What the chart is drawn with: text, marks, axes and colours as pieces of SVG. No scripts, no
 * fonts or images from elsewhere; the reader's colour scheme decides between two palettes.
 */
import type { Family } from './study.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A place in a colour list, and the mark of its family. */
export interface Look {
  /** Class `s0`, `s1` …. */
  readonly series: number;
  readonly family: Family;
}

/** From a value to a place, and what to write at its ticks. */
export interface Scale {
  readonly at: (value: number) => number;
  /** Beyond what is drawn: it stands at the edge. */
  readonly isBeyond: (value: number) => boolean;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

/** Light and dark; neighbours differ in lightness as well as in hue. */
const REGION_COLOURS = [
  ['#1d5fd1', '#6ea8ff'], ['#e8590c', '#ff9a52'], ['#7c3aed', '#b99bff'], ['#d6246e', '#ff7bb0'],
  ['#0b7285', '#4fd1e3'], ['#4d7c0f', '#a3d14a'], ['#9a3412', '#f0a58a'], ['#334155', '#c3cedd'],
] as const;
const PEER_COLOURS = [
  ['#5f6b7a', '#aab4c2'], ['#8791a0', '#6f7b8a'], ['#0d9488', '#3fd0c0'], ['#a8710a', '#e0b04a'],
  ['#2f8f46', '#66cf80'], ['#c92a2a', '#ff8080'], ['#8a5a9e', '#cfa3e0'], ['#7a5c3e', '#c9a98a'],
] as const;

const FONT = 'system-ui,-apple-system,\'Segoe UI\',Roboto,\'Helvetica Neue\',\'DejaVu Sans\','
  + 'sans-serif';

/** [class, property, light, dark] */
const INKS = [
  ['ground', 'fill', '#ffffff', '#0d1117'],
  ['ink', 'fill', '#1f2328', '#e6edf3'], ['soft', 'fill', '#59636e', '#9aa4af'],
  ['grid', 'stroke', '#d9dee4', '#2b333d'], ['axis', 'stroke', '#818b98', '#6b7683'],
  ['range', 'stroke', '#e3e7eb', '#262e38'], ['mark', 'stroke', '#ffffff', '#0d1117'],
  ['halo', 'stroke', '#ffffff', '#0d1117'],
] as const;

/** The style sheet; series 0 … of each family have the next colour of their list. */
export function styleSheet(families: readonly Family[]): string {
  const colours = coloursOf(families);
  const rules = (n: 0 | 1) => [
    `svg:root{background:${INKS[0][2 + n]}}`,
    ...INKS.map((ink) => `.${ink[0]}{${ink[1]}:${ink[2 + n]}}`),
    ...colours.map((pair, i) => `.s${i}{fill:${pair[n]}}`),
  ].join('');
  return `<style>text{font-family:${FONT};font-size:12px}`
    + '.h1{font-size:20px;font-weight:600}.h2{font-size:14px;font-weight:600}'
    + '.small{font-size:11px}.bold{font-weight:600}.end{text-anchor:end}'
    + '.start{text-anchor:start}.mid{text-anchor:middle}'
    + '.num{font-variant-numeric:tabular-nums}line{stroke-width:1}.mark{stroke-width:1.25}'
    + '.halo{paint-order:stroke;stroke-width:3.5px;stroke-linejoin:round}.range{stroke-width:2}'
    + `${rules(0)}@media (prefers-color-scheme:dark){${rules(1)}}</style>`;
}

function coloursOf(families: readonly Family[]): (readonly [string, string])[] {
  let regions = 0;
  let peers = 0;
  return families.map((family) => (family === 'region'
    ? REGION_COLOURS[regions++ % REGION_COLOURS.length] as readonly [string, string]
    : PEER_COLOURS[peers++ % PEER_COLOURS.length] as readonly [string, string]));
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
    // XML has no way to write these.
    .replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, '\uFFFD');
}

export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function text(x: number, y: number, content: string, classes = 'ink'): string {
  return `<text x="${px(x)}" y="${px(y)}" class="${classes}">${escaped(content)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, classes: string): string {
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" class="${classes}"/>`;
}

const NARROW = /[fijlrtI.,:;'|/() -]/;
const WIDE = /[mwMW@%…]/;

/** Pixels of a text of this size: good enough to keep labels apart. */
export function widthOf(content: string, size = 12): number {
  const letters = [...content];
  const em = (c: string) => (NARROW.test(c) ? 0.36 : WIDE.test(c) ? 0.95 : 0.62);
  return size * letters.reduce((sum, c) => sum + em(c), 0);
}

/** Circle: a method; square: an allocator of C; triangle: JavaScript. */
export function shape(x: number, y: number, size: number, { series, family }: Look): string {
  const classes = `class="s${series} mark"`;
  if (family === 'region') {
    return `<circle cx="${px(x)}" cy="${px(y)}" r="${px(size)}" ${classes}/>`;
  }
  if (family === 'js') {
    const [top, bottom, half] = [y - size * 1.1, y + size * 0.9, size * 1.15];
    const base = `${px(x + half)},${px(bottom)} ${px(x - half)},${px(bottom)}`;
    return `<polygon points="${px(x)},${px(top)} ${base}" ${classes}/>`;
  }
  const side = size * 1.75;
  return `<rect x="${px(x - side / 2)}" y="${px(y - side / 2)}" width="${px(side)}" `
    + `height="${px(side)}" rx="1" ${classes}/>`;
}

/** A mark with its figures: to be pointed at, and to be read by programs. */
export function figureMark(
  content: string, about: string, data: Readonly<Record<string, string | number | null>>,
): string {
  const attributes = Object.entries(data).filter(([, value]) => value !== null)
    .map(([name, value]) => ` data-${name}="${escaped(String(value))}"`).join('');
  return `<g${attributes}><title>${escaped(about)}</title>${content}</g>`;
}

/** Octaves; what is above `most` stands at the edge. */
export function octaves(values: readonly number[], most: number, from: number, to: number): Scale {
  const inside = values.filter((value) => value > 0 && value <= most);
  const low = Math.floor(Math.log2(Math.min(0.5, ...inside)) - 0.1);
  const high = Math.ceil(Math.log2(Math.max(2, ...inside)) + 0.1);
  const place = (value: number) => from + ((Math.log2(value) - low) / (high - low)) * (to - from);
  const isBeyond = (value: number) => value > 2 ** high;
  const powers = Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i));
  return {
    at: (value) => (isBeyond(value) ? to : place(value)),
    isBeyond,
    ticks: powers.map((value) => ({ value, text: value < 1 ? `1/${1 / value}` : `${value}` })),
  };
}

/** Tenths from just below the least of what is at least `least`, to 1. */
export function shares(values: readonly number[], least: number, from: number, to: number): Scale {
  const inside = values.filter((value) => value >= least);
  const low = Math.min(0.9, Math.floor(Math.min(0.9, ...inside) * 10 - 0.2) / 10);
  const high = Math.max(1, ...values);
  const isBeyond = (value: number) => value < low;
  const count = Math.round((1 - low) * 10);
  return {
    at: (value) => from + ((Math.max(low, value) - low) / (high - low)) * (to - from),
    isBeyond,
    ticks: Array.from({ length: count + 1 }, (_, i) => {
      const value = Math.round((low + i / 10) * 10) / 10;
      return { value, text: value.toFixed(1) };
    }),
  };
}
