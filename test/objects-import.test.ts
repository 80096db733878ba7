/** Heaps from text: nothing a text says is believed, and what fails leaves nothing. */
import { describe, expect, test } from 'vitest';
import { RegionError } from '../src/errors.ts';
import { expectCode } from './support/expect-code.ts';
import { contents, LINES, Task } from './support/heap-text.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

/** npm run fuzz takes its time. */
const SLOW = { timeout: 600_000 };

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
    ['no number', [HEAD, '{"$id":0,"$type":"{}","entries":[]}'], 'ERR_CORRUPT', '$id 0'],
    ['half a number', [HEAD, '{"$id":1.5,"$type":"{}","entries":[]}'], 'ERR_CORRUPT', '1.5'],
    ['an object without type', [HEAD, '{"$id":1}'], 'ERR_CORRUPT', 'object 1 has no $type'],
    ['an object twice', [HEAD, '{"$id":1,"$type":"{}","entries":[]}',
      '{"$id":1,"$type":"{}","entries":[]}'], 'ERR_CORRUPT', 'line 3: object 1 was there'],
    ['an object of two types', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"l":{"$ref":2}}}',
      '{"$id":2,"$type":"list(str)","items":[]}'], 'ERR_CORRUPT', 'line 4: object 2 is of type'],
    ['a reference to nothing', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"l":{"$ref":2}}}',
      '{"$root":[],"objects":1}'], 'ERR_CORRUPT', 'line 4: line 3 refers to object 2'],
    ['a wrong count', [HEAD, '{"$root":[],"objects":1,"names":0}'], 'ERR_CORRUPT',
      'there were 0 objects'],
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
      '{"$id":1,"$type":"T","fields":{"l":{"$ref":2,"$type":"list(str)"}}}'], 'ERR_SCHEMA',
      'list(str) does not fit kind list(u32)'],
    ['numbers of another width', [HEAD, TYPE,
      '{"$id":1,"$type":"T","fields":{"b":{"$bytes":"AAA=","of":"i8"}}}'], 'ERR_SCHEMA', 'array'],
    ['too many numbers', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{"b":{"$bytes":"AAAA"}}}'],
      'ERR_SCHEMA', 'array'],
    ['elements of the wrong name', [HEAD, '{"$id":1,"$type":"list(u32)","entries":[]}'],
      'ERR_CORRUPT', 'no array of items'],
    ['pairs of three', [HEAD, '{"$id":1,"$type":"{}","entries":[["a",1,2]]}'],
      'ERR_CORRUPT', 'no array of pairs'],
    ['a key twice', [HEAD, '{"$id":1,"$type":"{}","entries":[["a",1],["a",2]]}'],
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
    ['more of a struct', [HEAD, TYPE, '{"$id":1,"$type":"T","fields":{}}',
      '{"$more":1,"items":[]}'], 'ERR_CORRUPT', '$more 1'],
    ['a reference of no type', [HEAD, '{"$root":[["a",{"$ref":1}]]}'], 'ERR_SCHEMA',
      'needs a $type'],
    ['the root as something else', [HEAD, '{"$root":[["a",{"$ref":0,"$type":"{}"}]]}'],
      'ERR_CORRUPT', 'object 0 is the root'],
    ['a name that is none', [HEAD, '{"$root":[[1,2]]}'], 'ERR_CORRUPT', '1 is no name'],
    ['a name twice', [HEAD, '{"$root":[["a",1],["a",2]]}'], 'ERR_CORRUPT', 'twice'],
    ...['{"$ref":-1,"$type":"{}"}', '{"$ref":"1"}', '{"$ref":1,"$type":2}', '{"$number":"1"}',
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
      const twice = lines.toSpliced(i, 0, lines[i]);
      for (const broken of [lines.slice(0, i), lines.toSpliced(i, 1), twice]) {
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

  test('damaged anywhere: an error and nothing left, or a heap in order', SLOW, () => {
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

