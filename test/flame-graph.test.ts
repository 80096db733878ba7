/**
 * The flame graph as text, and its script in a small stand-in for a document: what zoom and search
 * do to the frames.
 */
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Profile } from '../src/profile.ts';
import { flameGraph } from '../src/profile/flame-graph.ts';
import { type Element, elementsOf } from './support/xml.ts';

const counts = { allocs: 1, frees: 0, liveBlocks: 1, peak: 1 };
const site = (live: number, ...stack: string[]) => ({ ...counts, stack, live, bytes: 2 * live });

function sample(...sites: ReturnType<typeof site>[]): Profile {
  const live = sites.reduce((sum, one) => sum + one.live, 0);
  return { sites, total: { ...counts, live, bytes: 2 * live, peakExtent: 4096 } };
}

const SAMPLE = sample(
  site(60, '/a/x.js:3:leaf', '/a/x.js:2:middle', '/a/x.js:1:main'),
  site(30, '/a/x.js:5:other', '/a/x.js:1:main'),
  site(10, '/a/y.js:7:<top level>'),
);

/** Frames: label → left, width, level; fractions of the whole. */
function framesOf(svg: string): Map<string, [number, number, number]> {
  const found = new Map<string, [number, number, number]>();
  for (const { name, attributes } of elementsOf(withoutScript(svg))) {
    if (name !== 'g') continue;
    found.set(attributes['data-n'], [Number(attributes['data-x']), Number(attributes['data-w']),
      Number(attributes['data-l'])]);
  }
  return found;
}

const withoutScript = (svg: string) => svg.replace(/<script>[\s\S]*<\/script>/, '');

describe('the drawing', () => {
  test('frames stand on their callers, as wide as what is below them', () => {
    expect(Object.fromEntries(framesOf(flameGraph(SAMPLE)))).toEqual({
      all: [0, 1, 0],
      main: [0, 0.9, 1],
      middle: [0, 0.6, 2],
      leaf: [0, 0.6, 3],
      other: [0.6, 0.3, 2],
      '<top level>': [0.9, 0.1, 1],
    });
  });

  test('titles say place, amount and share; text that is hostile is text', () => {
    const svg = flameGraph(sample(site(3, '/a/"><script>alert(1)</script>.js:1:f&\u202e\0')),
      { title: '<b>&"' });
    const titles = elementsOf(withoutScript(svg)).filter(({ name }) => name === 'title');
    expect(titles.at(-1)?.text).toContain('3 bytes, 100.00 %');
    expect(svg.match(/<script>/g)).toHaveLength(1);
    expect(svg).not.toMatch(/[\0\u202e]/);
    expect(svg).not.toMatch(/(href|src|url\()\s*=?\s*["']?https?:/);
  });

  test('by: what is measured', () => {
    expect(flameGraph(SAMPLE, { by: 'bytes' })).toContain('200 allocated bytes');
    expect(flameGraph(SAMPLE, { by: 'count' })).toContain('3 allocations');
  });

  test('nothing, and what no stack is known for', () => {
    expect(flameGraph(sample())).toContain('There are no live bytes.');
    const { total } = sample(site(50));
    expect([...framesOf(flameGraph({ sites: [], total })).keys()]).toEqual(['all', '(unknown)']);
  });
});

/** As much of a document as the script needs. */
class Node {
  readonly dataset: Record<string, string> = {};
  readonly style: Record<string, string> = {};
  readonly attributes: Record<string, string>;
  readonly children: Node[] = [];
  readonly classes: Set<string>;
  readonly listeners = new Map<string, (event: object) => void>();
  readonly name: string;
  textContent: string;

  constructor({ name, attributes, text }: Pick<Element, 'name' | 'attributes' | 'text'>) {
    this.name = name;
    this.attributes = { ...attributes };
    this.textContent = text;
    this.classes = new Set((attributes.class ?? '').split(' '));
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith('data-')) this.dataset[key.slice(5)] = value;
    }
  }

  get classList() {
    return {
      contains: (name: string) => this.classes.has(name),
      toggle: (name: string, isOn: boolean) =>
        (isOn ? this.classes.add(name) : this.classes.delete(name)),
    };
  }

  querySelector(name: string): Node | undefined {
    return this.children.find((child) => child.name === name);
  }

  getComputedTextLength(): number {
    return 7 * this.textContent.length;
  }

  setAttribute(name: string, value: string): void {
    this.attributes[name] = value;
  }

  addEventListener(event: string, work: (event: object) => void): void {
    this.listeners.set(event, work);
  }
}

function opened(svg: string, answer = '') {
  const nodes = new Map<Element, Node>();
  for (const element of elementsOf(withoutScript(svg))) {
    const node = new Node(element);
    nodes.set(element, node);
    if (element.parent !== null) nodes.get(element.parent)?.children.push(node);
  }
  const all = [...nodes.values()];
  const frames = all.filter(({ classes }) => classes.has('f'));
  const script = /<script><!\[CDATA\[([\s\S]*)\]\]><\/script>/.exec(svg)?.[1] as string;
  const window = new Node({ name: 'window', attributes: {}, text: '' });
  const byId = (id: string) => all.find(({ attributes }) => attributes.id === id) as Node;
  const document = { documentElement: all[0], querySelectorAll: () => frames,
    getElementById: byId };
  runInNewContext(script, { document,
    window: Object.assign(window, { prompt: () => answer }) });
  const frame = (name: string) => frames.find(({ dataset }) => dataset.n === name) as Node;
  const act = (node: Node, event: string, detail = {}) =>
    node.listeners.get(event)?.({ preventDefault: () => {}, ...detail });
  const box = (name: string) => {
    const { attributes } = frame(name).querySelector('rect') as Node;
    return [Number(attributes.x), Number(attributes.width)];
  };
  return { frames, frame, act, box, byId, window };
}

describe('the script', () => {
  test('a click zooms: the frame is as wide as the whole, its callers too, others go', () => {
    const { frame, act, box, byId, window } = opened(flameGraph(SAMPLE));
    const whole = box('all');
    const before = box('other');
    act(frame('other'), 'click');
    expect(box('other')).toEqual(whole);
    expect(box('main')).toEqual(whole);
    expect(frame('main').classes.has('below')).toBe(true);
    expect(frame('leaf').style.display).toBe('none');
    expect(byId('reset').style.visibility).toBe('visible');
    act(window, 'keydown', { key: 'Escape' });
    expect(box('other')).toEqual(before);
    expect(frame('leaf').style.display).toBe('');
    expect(byId('reset').style.visibility).toBe('hidden');
  });

  test('keys do what the pointer does', () => {
    const { frame, act, box, byId } = opened(flameGraph(SAMPLE));
    const whole = box('all');
    act(frame('middle'), 'keydown', { key: 'Enter' });
    expect(box('leaf')).toEqual(whole);
    act(byId('reset'), 'keydown', { key: ' ' });
    expect(box('leaf')).not.toEqual(whole);
  });

  test('search marks frames and sums their share without counting twice', () => {
    const { frames, act, byId, window } = opened(flameGraph(SAMPLE), 'leaf|middle|other');
    act(window, 'keydown', { key: '/' });
    const hits = frames.filter(({ classes }) => classes.has('hit')).map(({ dataset }) => dataset.n);
    expect(hits.sort()).toEqual(['leaf', 'middle', 'other']);
    expect(byId('matched').textContent).toBe('matched 90.0 %');
    act(byId('find'), 'click');
    expect(byId('matched').textContent).toBe('');
    expect(frames.some(({ classes }) => classes.has('hit'))).toBe(false);
  });

  test('a search that is no regular expression is text; hovering tells', () => {
    const { frame, frames, act, byId } = opened(flameGraph(SAMPLE), '(/a/y');
    act(byId('find'), 'click');
    expect(frames.filter(({ classes }) => classes.has('hit'))).toHaveLength(1);
    act(frame('leaf'), 'mouseenter');
    expect(byId('about').textContent).toContain('leaf (/a/x.js:3) · 60 bytes, 60.00 %');
    act(frame('leaf'), 'mouseleave');
    expect(byId('about').textContent).toContain('Click to zoom');
  });
});
