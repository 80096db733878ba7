/** Heaps as text: everything comes back. */
import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import type { ObjectHeap } from '../src/objects/heap.ts';
import * as kinds from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { contents, Every, imported, LINES, sample, Task } from './support/heap-text.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often } from './support/oracle.ts';
import { graphs, picture } from './support/values.ts';

const { list, ref, str, u32 } = kinds;
const anything = kinds.any;

/** The same graph, order and identity included. */
function assertSame(one: ObjectHeap, other: ObjectHeap): void {
  expect(picture(contents(one))).toEqual(picture(contents(other)));
}

describe('out and in again', () => {
  test('every kind, and the same text', () => {
    const heap = sample();
    const lines = [...heap.exportLines()];
    const again = imported(lines);
    expect([...again.exportLines()]).toEqual(lines);
    assertSame(again, heap);
    const child = again.root.get('task') as { parent: { tags: { length: number } } };
    expect(again.root.get('self')).toBe(again.root);
    expect(contents(again)).toHaveProperty('size', 8);
    expect(Object.is((again.root.get('every') as { f64: number }).f64, -0)).toBe(true);
    expect((again.create(Task, { id: 3 }) as { id: number }).id).toBe(3);
    expect(child.parent.tags.length).toBe(2);
  });

  test('the text, line by line', () => {
    const { heap } = newHeap();
    const task = heap.create(Task, { id: 7, title: 'a "b"', tags: ['x'] });
    task.parent = task;
    heap.root.set('t', task);
    heap.root.set('n', new Date(0));
    expect([...heap.exportLines()]).toEqual([
      '{"$format":"regionstore heap","version":1}',
      '{"$type":"Task","fields":{"id":"u32","title":"str","parent":"ref(Task)",' +
        '"tags":"list(str)","extra":"any"}}',
      '{"$id":1,"$type":"Task","fields":{"id":7,"title":"a \\"b\\"","parent":{"$ref":1},' +
        '"tags":{"$ref":2}}}',
      '{"$id":2,"$type":"list(str)","items":["x"]}',
      '{"$root":[["t",{"$ref":1,"$type":"Task"}],["n",{"$date":"1970-01-01T00:00:00.000Z"}]],' +
        '"objects":2,"names":2}',
    ]);
  });

  test('a struct that is called object is none', () => {
    const { heap } = newHeap();
    const Odd = struct('object', { x: u32, next: ref({ name: 'object', fields: {} }) });
    heap.root.set('odd', heap.create(Odd, { x: 1 }));
    heap.root.set('plain', { x: 1 });
    const lines = [...heap.exportLines()];
    const again = imported(lines);
    expect([...again.exportLines()]).toEqual(lines);
    expect(contents(again)).toEqual(new Map<string, unknown>(
      [['odd', { x: 1, next: null }], ['plain', { x: 1 }]]));
    expect(lines.filter((line) => line.includes('"$type":"{}"'))).toHaveLength(2);
    const reference = '"next":{"$ref":2,"$type":"{}"}';
    const mixed = lines.map((line) => line.replace('"next":null', reference));
    expectCode('ERR_SCHEMA', () => imported(mixed));
  });

  test('a heap nobody touched', () => {
    const { heap, region } = newHeap();
    const { busyBlocks } = region.stat();
    const lines = [...heap.exportLines()];
    expect(lines.at(-1)).toBe('{"$root":[],"objects":0,"names":0}');
    expect(region.stat().busyBlocks).toBe(busyBlocks);
    expect(imported(lines).root.size).toBe(0);
  });

  test('looking changes nothing', () => {
    const { heap, region } = newHeap();
    const bytes = new Uint8Array(9);
    heap.root.set('e', heap.create(Every, { bytes, extra: [new Uint8Array(3)] }));
    const before = region.stat();
    expect([...heap.exportLines()].length).toBe(5);
    expect(region.stat()).toEqual(before);
  });

  test('lines in another order, empty ones between', () => {
    const heap = sample();
    const lines = [...heap.exportLines()];
    const isObject = (line: string) => /^\{"\$(id|more)"/.test(line);
    const objects = lines.filter((line) => isObject(line) && !line.includes('$more'));
    const more = lines.filter((line) => line.startsWith('{"$more"'));
    const rest = lines.filter((line) => !isObject(line));
    const shuffled = [...rest.slice(0, 3), '', ...objects.reverse(), ...more, ' ',
      ...rest.slice(3)];
    const again = imported(shuffled);
    assertSame(again, heap);
    expect([...again.exportLines()]).toEqual(lines);
  });

  test('random graphs', { timeout: 600_000 }, () => {
    const source = newHeap().heap;
    fc.assert(fc.property(graphs, (value) => {
      source.root.clear();
      source.root.set('it', value);
      const lines = [...source.exportLines()];
      const { heap } = newHeap('2MiB');
      heap.importLines(lines);
      assertSame(heap, source);
      expect([...heap.exportLines()]).toEqual(lines);
    }), { seed: newSeed(), numRuns: often(100, 3000) });
  });
});

describe('beside what is there', () => {
  const text = () => {
    const { heap } = newHeap();
    heap.root.set('a', { new: 1 });
    heap.root.set('b', 'new');
    return [...heap.exportLines()];
  };

  test('names are added; a name that is taken is refused', () => {
    const { heap, region } = newHeap();
    heap.root.set('c', [1]);
    expect(heap.importLines(text())).toEqual({ objects: 1, names: 2 });
    deepStrictEqual(contents(heap), new Map<string, unknown>(
      [['c', [1]], ['a', { new: 1 }], ['b', 'new']]));
    const { busyBlocks } = region.stat();
    expect(expectCode('ERR_EXISTS', () => heap.importLines(text())).message).toMatch(/line 3.*"a"/);
    expect(region.stat().busyBlocks).toBe(busyBlocks);
  });

  test('or replaced', () => {
    const { heap } = newHeap();
    heap.root.set('b', new Uint8Array([1]));
    heap.importLines(text(), { replace: true });
    deepStrictEqual(contents(heap), new Map<string, unknown>([['b', 'new'], ['a', { new: 1 }]]));
  });

  test('and put back, when it fails after that', () => {
    const { heap, region } = newHeap();
    heap.root.set('b', new Uint8Array([1]));
    heap.root.set('a', [[1], {}]);
    const kept = heap.root.get('a');
    heap.importLines(text().slice(0, 1).concat('{"$root":[],"objects":0,"names":0}'));
    const { busyBlocks } = region.stat();
    const lines = text();
    const last = lines.pop() as string;
    const cut = [...lines, last.replace(/,"objects":.*/, '}')];
    expectCode('ERR_CORRUPT', () => heap.importLines(cut, { replace: true }));
    deepStrictEqual(contents(heap), new Map<string, unknown>(
      [['b', new Uint8Array([1])], ['a', [[1], {}]]]));
    expect(heap.root.get('a')).toBe(kept);
    expect(region.stat().busyBlocks).toBe(busyBlocks);
  });

  test('structs that are known must have the same fields', () => {
    const { heap } = newHeap();
    heap.create(struct('Task', { id: u32, title: kinds.f64 }));
    const lines = LINES;
    const { message } = expectCode('ERR_SCHEMA', () => heap.importLines(lines));
    expect(message).toMatch(/line 2: Task is known here with other fields: id: u32, title: f64/);
    const other = newHeap().heap;
    const task = other.create(Task, { id: 9 });
    other.importLines(lines);
    expect(Object.getPrototypeOf(other.root.get('task'))).toBe(Object.getPrototypeOf(task));
  });
});

describe('former types of a struct', () => {
  const First = struct('User', { name: str, age: kinds.u8 });
  const Second = struct('User', { title: str, age: kinds.f64, mail: str },
    { aliases: { title: 'name' }, defaults: { mail: 'none' } });

  test('come back as what they were, and are changed there', () => {
    const { heap } = newHeap();
    heap.root.set('old', heap.create(list(anything), [heap.create(First, { name: 'A', age: 1 })]));
    const plain = [...heap.exportLines()];
    // A newer program, which reads nothing.
    heap.create(Second, { title: 'B' });
    const lines = [...heap.exportLines()];
    expect(lines.filter((line) => line.includes('"$type":"User'))).toHaveLength(4);
    for (const text of [plain, lines]) {
      const again = imported(text);
      const out = [...again.exportLines()];
      expect(out).toEqual(text);
      again.create(Second, { title: 'C' });
      const [user] = again.root.get('old') as Iterable<{ toJS(): unknown }>;
      expect(user.toJS()).toEqual({ title: 'A', age: 1, mail: 'none' });
    }
  });
});

describe('while it goes on', () => {
  test.each(['clear', 'collect', 'compact'] as const)('%s: the rest is ERR_STALE', (what) => {
    const heap = sample();
    const lines = heap.exportLines();
    for (let i = 0; i < 5; i++) lines.next();
    heap[what]();
    expectCode('ERR_STALE', () => lines.next());
    const early = heap.exportLines();
    heap[what]();
    expectCode('ERR_STALE', () => [...early]);
    const text = LINES;
    const target = newHeap().heap;
    target.root.set('kept', 1);
    function* meddling(): Iterable<string> {
      yield* text.slice(0, 5);
      target[what]();
      yield* text.slice(5);
    }
    expectCode('ERR_STALE', () => target.importLines(meddling()));
    expect(contents(target)).toEqual(new Map(what === 'clear' ? [] : [['kept', 1]]));
  });

  test('changes to a long collection: what was there all the time is in it, once', () => {
    const { heap } = newHeap();
    const numbers = Array.from({ length: 5000 }, (_, i) => i);
    heap.root.set('set', new Set(numbers));
    const text: string[] = [];
    const items = heap.root.get('set') as { delete(n: number): boolean; add(n: number): unknown };
    let next = 0;
    for (const line of heap.exportLines()) {
      text.push(line);
      for (let i = 0; i < 900 && next < 5000; i++, next++) if (next % 5 > 0) items.delete(next);
    }
    const found = [...imported(text).root.get('set') as Iterable<number>];
    expect(new Set(found).size).toBe(found.length);
    for (const n of numbers.filter((one) => one % 5 === 0)) expect(found).toContain(n);
  });

  test('an error of the one who gives the lines goes through, and nothing is left', () => {
    const { heap, region } = newHeap();
    heap.importLines(LINES.slice(0, 3).concat('{"$root":[],"objects":0,"names":0}'));
    const { busyBlocks } = region.stat();
    function* failing(): Iterable<string> {
      yield* LINES.slice(0, 4);
      throw new Error('mine');
    }
    expect(() => heap.importLines(failing())).toThrow('mine');
    expect(region.stat().busyBlocks - busyBlocks).toBeLessThanOrEqual(2);
    expect(heap.root.size).toBe(0);
  });

  test('no room: nothing is left, wherever it runs out', { timeout: 600_000 }, () => {
    const lines = LINES;
    let failed = 0;
    for (let filled = 0; filled < 60; filled += often(6, 1)) {
      const { heap, region } = newHeap('1MiB');
      heap.importLines([...lines.slice(0, 3), '{"$root":[],"objects":0,"names":0}']);
      heap.root.set('self', 'before');
      for (let i = 0; i < filled; i++) heap.root.set(`fill ${i}`, new Uint8Array(15_000));
      const { busyBlocks } = region.stat();
      const error = tried(() => heap.importLines(lines, { replace: true }));
      if (error === null) continue;
      failed += 1;
      expect(error.code).toBe('ERR_NO_SPACE');
      expect(heap.root.get('self')).toBe('before');
      expect(heap.root.size).toBe(filled + 1);
      // The types of collections stay.
      expect(region.stat().busyBlocks - busyBlocks).toBeLessThanOrEqual(16);
    }
    expect(failed).toBeGreaterThan(2);
  });

  test('options that are none', () => {
    const { heap } = newHeap();
    expectCode('ERR_BAD_OPTION', () => heap.importLines([], { replac: true } as never));
    expectCode('ERR_BAD_OPTION', () => heap.importLines([], { replace: 1 } as never));
  });
});

function tried(work: () => unknown): RegionError | null {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof RegionError) return error;
    throw error;
  }
}
