/** Heaps as text: everything comes back, and nothing a text says is believed. */
import { deepStrictEqual } from 'node:assert';
import { serialize } from 'node:v8';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import type { ObjectHeap } from '../src/objects/heap.ts';
import * as kinds from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { graphs } from './support/deep-values.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const { list, map, ref, set, sorted, str, u32 } = kinds;
const anything = kinds.any;

const Task = struct('Task', { id: u32, title: str, parent: ref(() => Task), tags: list(str),
  extra: anything });
const Every = struct('Every', { u8: kinds.u8, i8: kinds.i8, u16: kinds.u16, i16: kinds.i16,
  u32, i32: kinds.i32, f32: kinds.f32, f64: kinds.f64, i64: kinds.i64, u64: kinds.u64,
  bool: kinds.bool, date: kinds.date, str, bytes: kinds.bytes(), four: kinds.bytes(4),
  task: ref(Task), maybe: kinds.optional(u32), maybeTask: kinds.optional(ref(Task)),
  maybeBig: kinds.optional(kinds.u64), list: list(list(u32)), map: map(ref(Task), anything),
  set: set(kinds.date), sorted: sorted(str, list(str)), numbers: kinds.array(kinds.f64, 3),
  bigs: kinds.array(kinds.i64, 2), extra: anything, never: list(str) });

/** A heap with some of everything. */
function sample(): ObjectHeap {
  const { heap } = newHeap('4MiB');
  const parent = heap.create(Task, { id: 1, title: 'über \ud800 𝄞', tags: ['a', ''] });
  const child = heap.create(Task, { id: 2, parent, extra: parent });
  parent.extra = { child, list: [child, [], {}], map: new Map<unknown, unknown>([[child, NaN]]) };
  heap.root.set('task', child);
  heap.root.set('every', heap.create(Every, { u8: 255, i8: -128, u16: 65535, i16: -32768,
    u32: 2 ** 32 - 1, i32: -(2 ** 31), f32: 0.5, f64: -0, i64: -(2n ** 63n), u64: 2n ** 64n - 1n,
    bool: true, date: new Date(8.64e15), str: '\0', bytes: new Uint8Array([0, 255]),
    four: new Uint8Array([1, 2, 3, 4]), task: child, maybe: 0, maybeBig: 5n,
    list: [[1, 2], [], [3]], map: [[child, 'x'], [parent, undefined]], set: [new Date(1)],
    sorted: [['b', ['x']], ['a', []]], numbers: [NaN, -0, 0.1], bigs: [1n, -1n],
    extra: [new Float32Array([0.5]), new Date(NaN), 2n ** 100n, -Infinity, '__proto__'] }));
  heap.root.set('empty', heap.create(Every));
  heap.root.set('self', heap.root);
  heap.root.set('', JSON.parse('{"__proto__":1,"$ref":2}'));
  heap.root.set('long', Array.from({ length: 2500 }, (_, i) => i));
  heap.root.set('longer', new Map(Array.from({ length: 1000 }, (_, i) => [i, 'x'.repeat(200)])));
  heap.root.set('longest', new Set(Array.from({ length: 2000 }, (_, i) => `${i}`)));
  return heap;
}

function imported(lines: Iterable<string>): ObjectHeap {
  const { heap } = newHeap('4MiB');
  heap.importLines(lines);
  return heap;
}

function contents(heap: ObjectHeap): unknown {
  return (heap.root as unknown as { toJS(): unknown }).toJS();
}

/** The same graph, order and identity included; deepStrictEqual gives up on some cycles. */
function assertSame(one: ObjectHeap, other: ObjectHeap): void {
  const [a, b] = [contents(one), contents(other)];
  if (!serialize(a).equals(serialize(b))) deepStrictEqual(a, b, 'another graph');
  expect(serialize(a).equals(serialize(b))).toBe(true);
}

/** Lines of the sample. */
const LINES: readonly string[] = [...sample().exportLines()];

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
    heap.root.set('e', heap.create(Every, { bytes: new Uint8Array(9), extra: [new Uint8Array(3)] }));
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
    const shuffled = [...rest.slice(0, 3), '', ...objects.reverse(), ...more, ' ', ...rest.slice(3)];
    const again = imported(shuffled);
    assertSame(again, heap);
    expect([...again.exportLines()]).toEqual(lines);
  });

  test('random graphs', () => {
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
    expect(heap.importLines(text())).toEqual({ objects: 1 });
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

describe('a text that is not right', () => {
  const HEAD = '{"$format":"regionstore heap","version":1}';
  const TYPE = '{"$type":"T","fields":{"n":"u32","s":"str","l":"list(u32)","b":"array(u8,2)"}}';
  const END = '{"$root":[],"objects":0,"names":0}';

  test.each([
    ['nothing', [], 'ERR_CORRUPT', 'without the last line'],
    ['no JSON', ['no'], 'ERR_CORRUPT', 'line 1: it is no JSON'],
    ['another format', ['{"a":1}'], 'ERR_MISMATCH', 'line 1: it does not begin'],
    ['an array', ['[]'], 'ERR_CORRUPT', 'line 1: it is no object'],
    ['a newer version', [HEAD.replace('1}', '2}')], 'ERR_VERSION', 'line 1: the export has'],
    ['two beginnings', [HEAD, HEAD], 'ERR_MISMATCH', 'line 2'],
    ['cut off', [HEAD, TYPE], 'ERR_CORRUPT', 'cut off'],
    ['more behind the end', [HEAD, END, END], 'ERR_CORRUPT', 'line 3: there is more'],
    ['an unknown line', [HEAD, '{"x":1}'], 'ERR_CORRUPT', 'line 2: it has none of'],
    ['a line that is a number', [HEAD, '5'], 'ERR_CORRUPT', 'line 2: it is no object'],
    ['an unknown type', [HEAD, '{"$id":1,"$type":"T","fields":{}}'], 'ERR_SCHEMA',
      'line 2: there is no type "T"'],
    ['a kind that is no type', [HEAD, '{"$id":1,"$type":"u32","items":[]}'], 'ERR_SCHEMA', 'u32'],
    ['a kind that cannot be', [HEAD, '{"$id":1,"$type":"list(optional(array(u8,2)))","items":[]}'],
      'ERR_SCHEMA', 'line 2'],
    ['a type twice', [HEAD, TYPE, TYPE], 'ERR_SCHEMA', 'line 3: "T" is no name'],
    ['a type without fields', [HEAD, '{"$type":"T"}'], 'ERR_SCHEMA', 'T has no fields'],
    ['a type with an odd name', [HEAD, '{"$type":"a b","fields":{}}'], 'ERR_SCHEMA', 'a b'],
    ['a field with an odd name', [HEAD, '{"$type":"T","fields":{"__proto__":"u8"}}'],
      'ERR_SCHEMA', '__proto__'],
    ['a field without a kind', [HEAD, '{"$type":"T","fields":{"a":"u9"}}'], 'ERR_SCHEMA', 'T.a'],
    ['a former type that is none', [HEAD, '{"$type":"T","fields":{},"previous":"T@1"}'],
      'ERR_SCHEMA', 'no former type'],
    ['no number', [HEAD, '{"$id":0,"$type":"object","entries":[]}'], 'ERR_CORRUPT', '$id 0'],
    ['half a number', [HEAD, '{"$id":1.5,"$type":"object","entries":[]}'], 'ERR_CORRUPT', '1.5'],
    ['an object without type', [HEAD, '{"$id":1}'], 'ERR_CORRUPT', 'object 1 has no $type'],
    ['an object twice', [HEAD, '{"$id":1,"$type":"object","entries":[]}',
      '{"$id":1,"$type":"object","entries":[]}'], 'ERR_CORRUPT', 'line 3: object 1 was there'],
    ['an object of two types', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"l":{"$ref":2}}}',
      '{"$id":2,"$type":"list(str)","items":[]}'], 'ERR_CORRUPT', 'line 4: object 2 is of type'],
    ['a reference to nothing', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"l":{"$ref":2}}}',
      '{"$root":[],"objects":1}'], 'ERR_CORRUPT', 'line 4: line 3 refers to object 2'],
    ['a wrong count', [HEAD, '{"$root":[],"objects":1,"names":0}'], 'ERR_CORRUPT', 'there were 0 objects'],
    ['no fields', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":[]}'], 'ERR_CORRUPT', 'no fields'],
    ['an unknown field', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"x":1}}'], 'ERR_SCHEMA',
      'line 3: T has no field "x"'],
    ['a number that does not fit', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"n":-1}}'],
      'ERR_SCHEMA', 'line 3: T.n: -1 does not fit'],
    ['a text for a number', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"n":"1"}}'],
      'ERR_SCHEMA', 'T.n'],
    ['a text for a list', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"l":"abc"}}'],
      'ERR_SCHEMA', 'list(u32)'],
    ['null for a list', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"l":null}}'],
      'ERR_SCHEMA', 'list(u32)'],
    ['a list of another kind', [HEAD, TYPE,
      '{"$id":1,"$type":"T","fields":{"l":{"$ref":2,"$type":"list(str)"}}}'], 'ERR_SCHEMA', 'list(str) does not fit kind list(u32)'],
    ['numbers of another width', [HEAD, TYPE,
      '{"$id":1,"$type":"T","fields":{"b":{"$bytes":"AAA=","of":"i8"}}}'], 'ERR_SCHEMA', 'array'],
    ['too many numbers', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"b":{"$bytes":"AAAA"}}}'],
      'ERR_SCHEMA', 'array'],
    ['elements of the wrong name', [HEAD, '{"$id":1,"$type":"list(u32)","entries":[]}'],
      'ERR_CORRUPT', 'no array of items'],
    ['pairs of three', [HEAD, '{"$id":1,"$type":"object","entries":[["a",1,2]]}'],
      'ERR_CORRUPT', 'no array of pairs'],
    ['a key twice', [HEAD, '{"$id":1,"$type":"object","entries":[["a",1],["a",2]]}'],
      'ERR_CORRUPT', 'a key is there twice'],
    ['an element twice', [HEAD, '{"$id":1,"$type":"set(u8)","items":[1,1]}'], 'ERR_CORRUPT',
      'twice'],
    ['more of nothing', [HEAD, '{"$more":1,"items":[]}'], 'ERR_CORRUPT', '$more 1'],
    ['more of what was whole', [HEAD, '{"$id":1,"$type":"set(u8)","items":[1]}',
      '{"$more":1,"items":[2],"size":2}'], 'ERR_CORRUPT', 'line 3: $more 1'],
    ['less than there was', [HEAD, '{"$id":1,"$type":"set(u8)","items":[1],"more":true}',
      '{"$more":1,"items":[2],"size":3}'], 'ERR_CORRUPT', 'object 1 has 2 elements, not 3'],
    ['no more', [HEAD, '{"$id":1,"$type":"set(u8)","items":[1],"more":true}',
      '{"$root":[],"objects":1,"names":0}'], 'ERR_CORRUPT', 'there is more of object 1'],
    ['a name too few', [HEAD, '{"$root":[["a",1]]}', '{"$root":[],"objects":0,"names":2}'],
      'ERR_CORRUPT', 'there were 0 objects and 1 names, not 0 and 2'],
    ['more of a struct', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{}}', '{"$more":1,"items":[]}'],
      'ERR_CORRUPT', '$more 1'],
    ['a reference of no type', [HEAD, '{"$root":[["a",{"$ref":1}]]}'], 'ERR_SCHEMA', 'needs a $type'],
    ['the root as something else', [HEAD, '{"$root":[["a",{"$ref":0,"$type":"object"}]]}'],
      'ERR_CORRUPT', 'object 0 is the root'],
    ['a name that is none', [HEAD, '{"$root":[[1,2]]}'], 'ERR_CORRUPT', '1 is no name'],
    ['a name twice', [HEAD, '{"$root":[["a",1],["a",2]]}'], 'ERR_CORRUPT', 'twice'],
    ...['{"$ref":-1,"$type":"object"}', '{"$ref":"1"}', '{"$ref":1,"$type":2}', '{"$number":"1"}',
      '{"$bigint":1}', '{"$bigint":"x"}', '{"$date":"never"}', '{"$date":5}', '{"$bytes":"A"}',
      '{"$bytes":"AAA=","of":"u16","x":1}', '{"$bytes":"AAAA","of":"f64"}',
      '{"$bytes":"AA==","of":"u7"}', '{"$undefined":1}', '{"$x":1}', '{}', '[1]', '{"a":1}',
      '{"__proto__":1}', '{"$number":"NaN","of":"u8"}'].map((value) =>
      [value, [HEAD, `{"$root":[["a",${value}]]}`], 'ERR_SCHEMA', 'is no value'] as const),
  ] as const)('%s', (_, lines, code, message) => {
    const { heap, region } = newHeap();
    heap.root.set('kept', 1);
    const before = region.stat().busyBlocks;
    const types = new Set(lines.flatMap((line) => line.match(/"\$type":"[^"]+"/g) ?? []));
    const error = expectCode(code, () => heap.importLines(lines));
    expect(error.message).toContain(message);
    expect(contents(heap)).toEqual(new Map([['kept', 1]]));
    // Types stay, in a text each.
    expect(region.stat().busyBlocks - before).toBeLessThanOrEqual(types.size + 3);
  });

  test('a type that was refused is not half there', () => {
    const { heap } = newHeap();
    expectCode('ERR_SCHEMA', () => heap.importLines([HEAD, '{"$type":"T","fields":{"a":"u9"}}']));
    heap.importLines([HEAD, TYPE, END]);
    expect([...heap.exportLines()]).toEqual([HEAD, TYPE, END]);
  });

  test('cut off, or with a line left out or twice, anywhere: all or nothing', () => {
    const lines = LINES;
    const { heap, region } = newHeap();
    heap.importLines([...lines.slice(0, 3), END]);
    heap.root.set('self', 1);
    // Types are recorded once, and the root has room for more names than before.
    const late = lines.toSpliced(-1, 1, (lines.at(-1) as string).replace(/\d+\}$/, '99}'));
    expectCode('ERR_CORRUPT', () => heap.importLines(late, { replace: true }));
    const { busyBlocks } = region.stat();
    for (let i = 0; i < lines.length; i++) {
      for (const broken of [lines.slice(0, i), lines.toSpliced(i, 1), lines.toSpliced(i, 0, lines[i])]) {
        // Without the type nothing is known of it, but for this heap; the root may be set partly.
        if (broken.length >= lines.length - 1 && i < 3 && i > 0) continue;
        const error = expectAnyError(() => heap.importLines(broken, { replace: true }));
        expect(['ERR_CORRUPT', 'ERR_MISMATCH', 'ERR_SCHEMA']).toContain(error.code);
        // A map whose entries come and go is cleaned up now and then.
        expect(region.stat().busyBlocks, `line ${i}`).toBeLessThan(busyBlocks + 4);
        expect(contents(heap)).toEqual(new Map([['self', 1]]));
      }
    }
  });

  test('damaged anywhere: an error of ours, and nothing left; or a heap that is in order', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const { heap: source } = newHeap();
    const parent = source.create(Task, { id: 1, title: 'x', tags: ['a'] });
    parent.extra = [parent, { d: new Date(5), b: 3n, y: new Uint8Array([1]) }];
    source.root.set('t', parent);
    source.root.set('m', new Map<unknown, unknown>([[1, new Set([2])]]));
    const text = [...source.exportLines()].join('\n');
    let target: ReturnType<typeof newHeap> | null = null;
    for (let round = 0; round < often(500, 50_000); round++) {
      const damaged = damage(text, random);
      if (target === null) {
        target = newHeap('256KiB');
        target.heap.importLines(text.split('\n'));
      }
      const { heap, region } = target;
      const before = [...heap.exportLines()].slice(-7);
      const { busyBlocks } = region.stat();
      try {
        heap.importLines(damaged.split('\n'), { replace: true });
        expect([...heap.exportLines()].length).toBeGreaterThan(1);
        target = null;
      } catch (error) {
        const where = `seed ${seed}: ${damaged}`;
        if (!(error instanceof RegionError)) throw new Error(where, { cause: error });
        expect([...heap.exportLines()].slice(-7), where).toEqual(before);
        expect(region.stat().busyBlocks, where).toBeLessThan(busyBlocks + 10);
      }
    }
  });
});

function expectAnyError(work: () => unknown): RegionError {
  try {
    work();
  } catch (error) {
    if (error instanceof RegionError) return error;
    throw error;
  }
  return expect.fail('no error');
}

/** A character replaced, a piece left out, doubled or moved. */
function damage(text: string, random: (n: number) => number): string {
  const at = random(text.length);
  const length = 1 + random(20);
  const piece = text.slice(at, at + length);
  const without = text.slice(0, at) + text.slice(at + length);
  const to = random(without.length);
  const characters = '0123456789"{}[],:$abTt-.';
  switch (random(4)) {
    case 0: return text.slice(0, at) + characters[random(characters.length)] + text.slice(at + 1);
    case 1: return without;
    case 2: return text.slice(0, at) + piece + text.slice(at);
    default: return without.slice(0, to) + piece + without.slice(to);
  }
}

describe('while it goes on', () => {
  test.each(['clear', 'collect', 'compact'] as const)('%s: the rest is ERR_STALE', (what) => {
    const heap = sample();
    const lines = heap.exportLines();
    for (let i = 0; i < 5; i++) lines.next();
    heap[what]();
    expectCode('ERR_STALE', () => lines.next());
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

  test('no room: nothing is left, wherever it runs out', () => {
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
