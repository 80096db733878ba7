/**
 * What makes the maps of a report move: zoom by wheel, buttons and keys, what lies under the
 * pointer, colours by what the reader asks for. Without it the rest of the report is all there.
 */
import { PIECE } from './pieces.ts';

const PALETTE = ['#4e79a7', '#f28e2b', '#59a14f', '#e15759', '#76b7b2', '#edc948', '#b07aa1',
  '#ff9da7', '#9c755f', '#86bc86'];

export const SCRIPT = `(() => {
'use strict';
const ROWS = 36, GRANULE = 16;
const K = ${JSON.stringify(PIECE)};
const PALETTE = ${JSON.stringify(PALETTE)};
const root = document.documentElement;
const maps = [];
const colour = (name) => getComputedStyle(root).getPropertyValue('--' + name).trim();
const sizeText = (n) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (n >= 1024 && i < 4) { n /= 1024; i += 1; }
  return (i === 0 ? String(n) : n.toFixed(1).replace(/\\.0$/, '')) + ' ' + units[i];
};
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const mixed = (from, to, part) => {
  const [a, b] = [rgb(from), rgb(to)];
  return 'rgb(' + a.map((c, i) => Math.round(c + (b[i] - c) * part)).join(',') + ')';
};

/** The pieces of a region; places are bytes from its start, without the gaps of its segments. */
class Pieces {
  constructor({ pieces, segments, types, order, points }) {
    const text = atob(pieces);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    this.words = new Uint32Array(bytes.buffer);
    this.count = this.words.length / 2;
    this.starts = new Float64Array(this.count + 1);
    for (let i = 0; i < this.count; i++) {
      this.starts[i + 1] = this.starts[i] + this.words[2 * i] * GRANULE;
    }
    this.extent = this.starts[this.count];
    Object.assign(this, { segments, types, points, order });
    this.ranks = new Map(order.map((type, rank) => [type, rank]));
  }
  bits(i, shift, bits) { return (this.words[2 * i + 1] >>> shift) & (2 ** bits - 1); }
  kind(i) { return this.bits(i, 0, 2); }
  share(i) { return this.bits(i, K.shareShift, 8) / 255; }
  type(i) { return this.bits(i, K.typeShift, 10); }
  since(i) { return this.bits(i, K.sinceShift, 6); }
  size(i) { return this.bits(i, K.sizeShift, 6); }
  typeColour(type) { return PALETTE[this.ranks.get(type)] ?? colour('method'); }
  find(at) {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (this.starts[mid] <= at) low = mid; else high = mid - 1;
    }
    return low;
  }
  addressOf(at) {
    for (const { address, size } of this.segments) {
      if (at < size) return address + at;
      at -= size;
    }
    return at;
  }
  describe(i) {
    const size = sizeText(this.starts[i + 1] - this.starts[i]);
    const at = ' at ' + this.addressOf(this.starts[i]);
    const kind = this.kind(i);
    if (kind === K.free) return 'free: ' + size + at;
    if (kind === K.method) return 'kept by the method: ' + size + at;
    const type = this.types[this.type(i)] || 'other';
    const since = this.points[this.since(i)];
    const age = since === undefined ? ''
      : (this.since(i) === 0 ? ', there at ' : ', since ') + since;
    return kind === K.live ? type + ': ' + size + at + age
      : size + at + ': ' + Math.round(100 * this.share(i)) + ' % live, mostly ' + type + age;
  }
}

/** Colours of live pieces by what the reader asks for, and what they mean. */
function coloursOf(pieces, by) {
  const [young, old] = [colour('young'), colour('old')];
  const last = Math.max(1, pieces.points.length - 1);
  const ageColour = (i) => mixed(old, young, Math.min(1, i / last));
  const sizeColour = (log) => mixed(young, old, Math.min(1, log / 24));
  const live = colour('live');
  const made = {
    kind: { of: () => live, lines: [['live', live]] },
    size: { of: (i) => sizeColour(pieces.size(i)), lines: [0, 8, 16, 24].map((n) =>
      [sizeText(2 ** n) + (n === 24 ? ' and more' : ''), sizeColour(n)]) },
    type: { of: (i) => pieces.typeColour(pieces.type(i)),
      lines: pieces.order.slice(0, PALETTE.length)
        .map((type) => [pieces.types[type], pieces.typeColour(type)])
        .concat(pieces.types.length > PALETTE.length ? [['other types', colour('method')]] : []) },
    age: { of: (i) => ageColour(pieces.since(i)), lines: pieces.points.map((name, i) =>
      [(i === 0 ? 'there at ' : 'since ') + name, ageColour(i)]) },
  }[by];
  made.lines.push(['free', colour('free')], ['kept by the method', colour('method')]);
  return made;
}

class HeapMap {
  constructor(region) {
    this.box = document.getElementById(region.id);
    this.canvas = this.box.querySelector('canvas');
    this.say = this.box.querySelector('.say');
    this.select = this.box.querySelector('select');
    this.pieces = new Pieces(region);
    this.chosen = -1;
    this.whole();
    this.listen();
    this.point();
  }
  get span() { return this.to - this.from; }
  whole() { this.look(0, this.pieces.extent); }
  look(from, to) {
    const { extent } = this.pieces;
    const span = Math.min(extent, Math.max(ROWS * GRANULE, to - from));
    this.from = Math.max(0, Math.min(extent - span, from));
    this.to = this.from + span;
    this.draw();
  }
  zoom(factor, middle) {
    const before = this.span * factor * (middle - this.from) / this.span;
    this.look(middle - before, middle - before + this.span * factor);
  }
  move(pages) { this.look(this.from + this.span * pages, this.to + this.span * pages); }
  get middle() {
    const at = this.pieces.starts[this.chosen];
    return at >= this.from && at < this.to ? at : (this.from + this.to) / 2;
  }
  choose(i) {
    const { starts, count } = this.pieces;
    this.chosen = Math.max(0, Math.min(count - 1, i));
    const [from, to] = [starts[this.chosen], starts[this.chosen + 1]];
    const last = to > this.to ? Math.min(from, to - this.span) : this.from;
    const start = from < this.from ? from : last;
    this.say.textContent = this.pieces.describe(this.chosen);
    this.look(start, start + this.span);
  }
  chooseNear(at) {
    const { pieces } = this;
    this.choose(pieces.find(Math.max(0, Math.min(pieces.extent - 1, at))));
  }
  draw() {
    const { canvas, pieces } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
    }
    const c = canvas.getContext('2d');
    const { of, lines } = coloursOf(pieces, this.select.value);
    const method = colour('method');
    c.fillStyle = colour('free');
    c.fillRect(0, 0, width, height);
    for (let i = pieces.find(this.from); i < pieces.count && pieces.starts[i] < this.to; i++) {
      const kind = pieces.kind(i);
      if (kind === K.free) continue;
      c.fillStyle = kind === K.method ? method : of(i);
      c.globalAlpha = kind === K.cell ? pieces.share(i) : 1;
      this.paint(c, i, false);
    }
    c.globalAlpha = 1;
    c.strokeStyle = colour('text');
    c.lineWidth = 2 * ratio;
    if (this.chosen >= 0) this.paint(c, this.chosen, true);
    this.tell(lines);
    Object.assign(canvas.dataset, { from: this.from, to: this.to });
  }
  paint(c, i, isOutline) {
    const { width, height } = this.canvas;
    const [span, tall] = [this.span / ROWS, height / ROWS];
    const from = Math.max(this.pieces.starts[i], this.from) - this.from;
    const to = Math.min(this.pieces.starts[i + 1], this.to) - this.from;
    for (let row = Math.floor(from / span); row < ROWS && row * span < to; row++) {
      const start = Math.max(from, row * span);
      const x = (start - row * span) / span * width;
      const wide = Math.max(0.5, (Math.min(to, (row + 1) * span) - start) / span * width);
      if (isOutline) c.strokeRect(x, row * tall + 1, wide, tall - 2);
      // A gap between blocks where there is room for one.
      else c.fillRect(x, row * tall, wide > 4 ? wide - 1 : wide, tall - (tall > 6 ? 1 : 0));
    }
  }
  tell(lines) {
    this.box.querySelector('.legend').replaceChildren(...lines.map(([name, fill]) => {
      const [item, mark] = [document.createElement('span'), document.createElement('i')];
      mark.style.background = fill;
      item.append(mark, name);
      return item;
    }));
  }
  listen() {
    const row = () => this.span / ROWS;
    const keys = {
      '+': () => this.zoom(0.5, this.middle), '=': () => this.zoom(0.5, this.middle),
      '-': () => this.zoom(2, this.middle),
      '0': () => this.whole(), Home: () => this.whole(), Escape: () => this.whole(),
      ArrowRight: () => this.choose(this.chosen + 1),
      ArrowLeft: () => this.choose(this.chosen < 0 ? this.pieces.count - 1 : this.chosen - 1),
      ArrowDown: () => this.chooseNear(this.middle + row()),
      ArrowUp: () => this.chooseNear(this.middle - row()),
      PageDown: () => this.move(1), PageUp: () => this.move(-1),
    };
    this.canvas.addEventListener('keydown', (event) => {
      const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
      if (act === undefined) return;
      event.preventDefault();
      act();
    });
    const buttons = { in: keys['+'], out: keys['-'], whole: keys.Home };
    for (const [name, act] of Object.entries(buttons)) {
      this.box.querySelector('[data-do=' + name + ']').addEventListener('click', act);
    }
    this.select.addEventListener('change', () => this.draw());
  }
  point() {
    const { canvas, pieces } = this;
    const under = (event) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - top) / height * ROWS);
      const at = this.from + (row + (event.clientX - left) / width) * this.span / ROWS;
      return Math.max(0, Math.min(pieces.extent - 1, at));
    };
    let drag = null;
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 0.8 : 1.25, under(event));
    }, { passive: false });
    canvas.addEventListener('pointerdown', (event) => {
      drag = { at: under(event), isMoved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      const at = under(event);
      if (drag === null || event.buttons !== 1) {
        this.say.textContent = pieces.describe(pieces.find(at));
        return;
      }
      const by = drag.at - at;
      if (Math.abs(by) > this.span / 500) drag.isMoved = true;
      if (drag.isMoved) this.look(this.from + by, this.to + by);
    });
    canvas.addEventListener('pointerup', (event) => {
      if (drag !== null && !drag.isMoved) this.chooseNear(under(event));
      drag = null;
    });
    canvas.addEventListener('dblclick', (event) => this.zoom(0.25, under(event)));
  }
}

const data = JSON.parse(document.getElementById('data').textContent);
for (const region of data) maps.push(new HeapMap(region));
const redraw = () => maps.forEach((map) => map.draw());
const scheme = matchMedia('(prefers-color-scheme: dark)');
scheme.addEventListener('change', redraw);
addEventListener('resize', redraw);
document.getElementById('theme').addEventListener('click', () => {
  const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : scheme.matches;
  root.dataset.theme = isDark ? 'light' : 'dark';
  redraw();
});
})();`;
