/** The checkpoints that are known, with the bytes each wrote: drawn, and as a table. */
import type { Checkpoint } from '../../types.ts';
import { escaped } from '../markup.ts';
import { humanSize, isoDate } from '../table.ts';

const WIDTH = 1100;
const HEIGHT = 130;
const BASE = 104;
const TALLEST = 84;
const MOST_COLUMNS = 200;

export function* timeline(all: readonly Checkpoint[]): Generator<string> {
  const checkpoints = all.slice(-MOST_COLUMNS);
  const most = Math.max(1, ...checkpoints.map(({ bytes }) => bytes));
  const step = WIDTH / checkpoints.length;
  const wide = Math.max(1, Math.min(40, step - 2));
  yield '<h2>Checkpoints</h2>';
  yield `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" ` +
    `aria-label="Bytes of ${checkpoints.length} checkpoints, at most ${humanSize(most)}">`;
  yield `<line class="axis" x1="0" y1="${BASE}" x2="${WIDTH}" y2="${BASE}"/>`;
  for (const [i, one] of checkpoints.entries()) yield columnOf(one, i * step, wide, most);
  const [first, last] = [checkpoints[0] as Checkpoint, checkpoints.at(-1) as Checkpoint];
  yield `<text x="0" y="${HEIGHT - 6}">${isoDate(first.at)}</text>`;
  yield `<text x="${WIDTH}" y="${HEIGHT - 6}" text-anchor="end">${isoDate(last.at)}</text>`;
  yield `<text x="0" y="12">${humanSize(most)}</text></svg>`;
  yield '<details class="top"><summary>The same as a table</summary><div class="scroll"><table>' +
    '<thead><tr><th class="n">checkpoint</th><th>label</th><th>taken</th><th class="n">pages</th>' +
    '<th class="n">bytes</th><th>restorable</th></tr></thead><tbody>';
  for (const { id, label, at, pages, bytes, restorable } of checkpoints) {
    yield `<tr><td class="n">${id}</td><td>${escaped(label ?? '')}</td><td>${isoDate(at)}</td>` +
      `<td class="n">${pages}</td><td class="n" data-figure="bytes" data-value="${bytes}">` +
      `${humanSize(bytes)}</td><td>${restorable ? 'yes' : 'no'}</td></tr>`;
  }
  yield '</tbody></table></div></details>';
}

function columnOf(
  { id, label, at, bytes }: Checkpoint, x: number, wide: number, most: number,
): string {
  const tall = Math.max(1, (TALLEST * bytes) / most);
  const name = label === null ? `checkpoint ${id}` : `checkpoint ${id}, ${label}`;
  return `<rect class="column${label === null ? '' : ' labelled'}" x="${x.toFixed(1)}" ` +
    `y="${(BASE - tall).toFixed(1)}" width="${wide.toFixed(1)}" height="${tall.toFixed(1)}">` +
    `<title>${escaped(name)}: ${humanSize(bytes)}, ${isoDate(at)}</title></rect>`;
}
