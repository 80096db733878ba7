/**
 * A flame graph (Gregg 2011) of live bytes by call stack, as an SVG without scripts: a frame is as
 * wide as what was allocated below it, the outermost frames are at the bottom; the mouse shows the
 * whole name and the bytes.
 */
import { partsOfSite, type Profile, type StackUse, UNKNOWN } from './profile.ts';

interface Frame {
  readonly name: string;
  bytes: number;
  readonly inner: Map<string, Frame>;
}

const WIDTH = 1200;
const ROW = 18;
const MARGIN = 10;
const HEAD = 40;
const CHARACTER = 6.6;
/** What is narrower is left out. */
const LEAST = 0.3;

/** The SVG, a whole document. */
export function flameGraph(profile: Profile): string {
  const root = treeOf(profile.stacks, 'all');
  const depth = depthOf(root);
  const height = HEAD + depth * ROW + MARGIN;
  const title = `${profile.name}: ${root.bytes} live bytes by call stack`;
  const scale = root.bytes === 0 ? 0 : (WIDTH - 2 * MARGIN) / root.bytes;
  return '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">\n` +
    `<rect width="100%" height="100%" fill="#fff"/>\n` +
    `<text x="${MARGIN}" y="24" font-size="15">${escaped(title)}</text>\n` +
    [...boxes(root, { x: MARGIN, y: height - MARGIN - ROW, scale, all: root.bytes })].join('') +
    '</svg>\n';
}

function treeOf(stacks: readonly StackUse[], name: string): Frame {
  const root: Frame = { name, bytes: 0, inner: new Map() };
  for (const { stack, liveBytes } of stacks) {
    if (liveBytes <= 0) continue;
    let frame = root;
    frame.bytes += liveBytes;
    for (const site of stack.length === 0 ? [UNKNOWN] : stack.toReversed()) {
      const next: Frame = frame.inner.get(site) ?? { name: site, bytes: 0, inner: new Map() };
      frame.inner.set(site, next);
      next.bytes += liveBytes;
      frame = next;
    }
  }
  return root;
}

function depthOf(frame: Frame): number {
  return 1 + Math.max(0, ...[...frame.inner.values()].map(depthOf));
}

interface Place {
  readonly x: number;
  readonly y: number;
  /** Points a byte. */
  readonly scale: number;
  readonly all: number;
}

/** A frame and, above it, those inside it, the largest first. */
function* boxes(frame: Frame, { x, y, scale, all }: Place): Generator<string> {
  const width = frame.bytes * scale;
  if (width < LEAST) return;
  yield box(frame, x, y, width, all);
  let next = x;
  const inner = [...frame.inner.values()].sort((a, b) => b.bytes - a.bytes);
  for (const one of inner) {
    yield* boxes(one, { x: next, y: y - ROW, scale, all });
    next += one.bytes * scale;
  }
}

function box({ name, bytes }: Frame, x: number, y: number, width: number, all: number): string {
  const { file, line, called } = partsOfSite(name);
  const short = file === '' ? called : `${called} ${file.split(/[/\\]/).at(-1)}:${line}`;
  const fits = Math.floor((width - 4) / CHARACTER);
  const text = fits < 3 ? '' : short.length <= fits ? short : `${short.slice(0, fits - 1)}…`;
  const part = ((100 * bytes) / all).toFixed(1);
  const at = `x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}"`;
  return `<g><title>${escaped(name)}: ${bytes} bytes, ${part} %</title>` +
    `<rect ${at} rx="2" fill="${colourOf(name)}"/>` +
    `<text x="${(x + 3).toFixed(1)}" y="${y + 13}">${escaped(text)}</text></g>\n`;
}

/** The same frame has the same colour everywhere. */
function colourOf(name: string): string {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 997;
  return `hsl(${15 + (hash % 40)},85%,${62 + (hash % 13)}%)`;
}

const MARKS: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
/** What no XML document may hold. */
const FORBIDDEN = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

function escaped(text: string): string {
  return text.replace(FORBIDDEN, '\u{fffd}').replace(/[&<>"]/g, (mark) => MARKS[mark]);
}
