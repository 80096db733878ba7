/** Lists: the habits of Array one by one, and misuse. */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { date, f64, list, optional, ref, str, u32, u8 } from '../src/objects/kinds.ts';
import type { PersistentList } from '../src/objects/persistent.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { findingsOf, newList } from './support/lists.ts';

describe('as Array', () => {
  const { heap } = newHeap();
  const numbers = (...given: number[]) => newList<number>(heap, u32, given);

  test('at: from both ends, whole numbers of whatever is given', () => {
    const all = numbers(1, 2, 3);
    const model = [1, 2, 3];
    for (const i of [0, 2, 3, -1, -3, -4, 1.9, -1.9, Number.NaN, Infinity, -Infinity, 2 ** 40]) {
      expect(all.at(i)).toBe(model.at(i));
    }
    expect(all.at('1' as never)).toBe(2);
    expect(all.at(undefined as never)).toBe(1);
  });

  test('set: in place, at the end, from the end; nowhere else', () => {
    const all = numbers(1, 2);
    all.set(0, 7);
    all.set(2, 9);
    all.set(-2, 8);
    expect([...all]).toEqual([7, 8, 9]);
    for (const i of [4, -4, 0.5, Number.NaN, '0']) {
      expectCode('ERR_BAD_OPTION', () => all.set(i as number, 1));
    }
    expect([...all]).toEqual([7, 8, 9]);
  });

  test('callbacks: values and positions, in order, first hit, what is added is not visited', () => {
    const all = numbers(5, 6, 7, 8);
    const model = [5, 6, 7, 8];
    const even = (value: number) => value % 2 === 0;
    expect(all.find(even)).toBe(6);
    expect(all.find((value) => value > 9)).toBeUndefined();
    expect(all.findIndex((value, i) => value === 7 && i === 2)).toBe(2);
    expect(all.findIndex(() => false)).toBe(-1);
    expect([all.some(even), all.some(() => false)]).toEqual([true, false]);
    expect([all.every((value) => value > 4), all.every(even)]).toEqual([true, false]);
    expect(all.map((value, i) => value * i)).toEqual(model.map((value, i) => value * i));
    expect(all.filter(even)).toEqual([6, 8]);
    expect(all.reduce((sum, value, i) => sum + value * i, 0)).toBe(6 + 14 + 24);
    expect(all.reduce((sum, value) => sum + value)).toBe(26);
    const seen: number[] = [];
    all.forEach((value, i) => {
      seen.push(value, i);
      if (i < 2) all.push(value);
    });
    expect(seen).toEqual([5, 0, 6, 1, 7, 2, 8, 3]);
    expect(() => numbers().reduce((sum) => sum)).toThrow(TypeError);
    expect(() => numbers(1).find(undefined as never)).toThrow(TypeError);
    expect(() => numbers().forEach(3 as never)).toThrow(TypeError);
    expect(() => numbers().sort(3 as never)).toThrow(TypeError);
  });

  test('callbacks that shorten the list see no element that is gone', () => {
    const all = numbers(1, 2, 3, 4);
    const seen: number[] = [];
    all.forEach((value) => {
      seen.push(value);
      all.pop();
    });
    expect(seen).toEqual([1, 2]);
  });

  test('iteration goes by position: what is added behind it is visited', () => {
    const all = numbers(1, 2);
    const seen: number[] = [];
    for (const value of all) {
      seen.push(value);
      if (value < 5) all.push(value + 2);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...numbers(7, 8).entries()]).toEqual([[0, 7], [1, 8]]);
    expect([...numbers(7, 8).keys()]).toEqual([0, 1]);
    expect([...numbers(7, 8).values()]).toEqual([7, 8]);
  });

  test('splice: as many arguments as Array takes', () => {
    const model = [1, 2, 3, 4];
    const all = numbers(...model);
    const splice = all.splice.bind(all) as (...args: unknown[]) => unknown;
    const expected = model.splice.bind(model) as (...args: unknown[]) => unknown;
    const every = [[], [undefined, 0], [1, undefined, 9], [3, 1], [-1, 1, 5, 6], [1], [0, -3, 4]];
    for (const args of every) {
      expect(splice(...args)).toEqual(expected(...args));
      expect([...all]).toEqual(model);
    }
  });

  test('indexOf, includes: NaN, both zeros, what the kind cannot hold', () => {
    const all = newList<number>(heap, f64, [1, Number.NaN, -0]);
    expect([all.indexOf(Number.NaN), all.includes(Number.NaN)]).toEqual([-1, true]);
    expect([all.indexOf(0), all.includes(0)]).toEqual([2, true]);
    for (const other of ['1', null, undefined, {}, 1n, true]) {
      expect(all.includes(other as never)).toBe(false);
      expect(all.indexOf(other as never)).toBe(-1);
    }
    const maybe = newList<number | undefined>(heap, optional(f64), [1, undefined, Number.NaN]);
    expect([maybe.indexOf(undefined), maybe.includes(Number.NaN)]).toEqual([1, true]);
    expect(maybe.indexOf(Number.NaN)).toBe(-1);
    const dates = newList<Date>(heap, date, [new Date(5), new Date(Number.NaN)]);
    expect([dates.indexOf(new Date(5)), dates.includes(new Date(6))]).toEqual([0, false]);
    const times = newList<Date | undefined>(heap, optional(date), [undefined, new Date(5)]);
    expect(times.indexOf(new Date(5))).toBe(1);
  });

  test('sort: strings by default, numbers too; stable; undefined last and not compared', () => {
    expect([...numbers(10, 9, 1).sort()]).toEqual([1, 10, 9]);
    expect([...numbers(10, 9, 1).sort((a, b) => a - b)]).toEqual([1, 9, 10]);
    const texts = ['b2', 'a9', 'b1', 'a1', 'c'];
    const all = newList<string>(heap, str, texts).sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
    expect([...all]).toEqual(['a9', 'a1', 'b2', 'b1', 'c']);
    const mixed = [undefined, 'z', undefined, 'a'];
    const maybe = newList<string | undefined>(heap, optional(str), mixed);
    expect([...maybe.sort((a, b) => {
      expect([a, b]).not.toContain(undefined);
      return a! < b! ? -1 : 1;
    })]).toEqual(['a', 'z', undefined, undefined]);
    const units = ['\uffff', '😀', 'é', 'z'];
    expect([...newList<string>(heap, str, units).sort()]).toEqual(units.sort());
  });

  test('sort: a comparison that changes the list', () => {
    const all = numbers(3, 1, 2);
    expectCode('ERR_BUSY', () => all.sort((a, b) => {
      all.push(9);
      return a - b;
    }));
    expect(all.slice(0, 3)).toEqual([3, 1, 2]);
    expect(findingsOf(all)).toEqual([]);
  });

  test('join and String, also of a list in itself', () => {
    const maybe = newList<string | undefined>(heap, optional(str), ['a', undefined, 'b']);
    expect([maybe.join(), maybe.join('-'), String(maybe)]).toEqual(['a,,b', 'a--b', 'a,,b']);
    expect(numbers().join()).toBe('');
    const outer = newList<PersistentList<number>>(heap, list(u32));
    outer.push(numbers(1, 2), numbers(3));
    expect(outer.join(';')).toBe('1,2;3');
  });

  test('toJS and JSON: deep copies', () => {
    const { heap: own } = newHeap();
    const nested = own.create(list(list(u32)), [[1, 2], [3]]);
    const copy = nested.toJS() as number[][];
    expect(copy).toEqual([[1, 2], [3]]);
    copy[0].push(9);
    expect([...nested.at(0)!]).toEqual([1, 2]);
    expect(JSON.stringify({ nested })).toBe('{"nested":[[1,2],[3]]}');
  });

  test('iterators have what those of Array have, and stay at their end', () => {
    const all = numbers(1, 2);
    const values = all.values();
    expect([...values]).toEqual([1, 2]);
    all.push(3);
    expect(values.next()).toEqual({ value: undefined, done: true });
    expect(Object.getPrototypeOf(Object.getPrototypeOf(values)))
      .toBe(Object.getPrototypeOf(Object.getPrototypeOf([].values())));
  });

  test('console.log shows contents, as deep as asked, the first hundred', () => {
    expect(inspect(numbers(1, 2))).toBe('list(u32)[2] [ 1, 2 ]');
    const many = inspect(newList<number>(heap, u8, new Uint8Array(150)), { maxArrayLength: 200 });
    expect(many).toMatch(/^list\(u8\)\[150\] \[.*\] and 50 more$/s);
    const Node = struct('Node', { next: list(ref(() => Node)) });
    const node = heap.create(Node);
    node.next.push(node);
    expect(inspect(node, { depth: null }))
      .toBe('Node { next: list(ref(Node))[1] [ [Circular Node] ] }');
    expect(inspect({ a: { b: { c: numbers(1) } } }, { depth: 2 })).toContain('[list(u32)[1]]');
  });
});
