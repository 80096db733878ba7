/**
 * The memory of lists: growth to the last byte, giving back, no room, views, programs that change a
 * list while it takes what they give, collections under way, damage.
 */
import { describe, expect, test } from 'vitest';
import { ELEMENTS, LIST, ROLE, ROLE_MASK } from '../src/layout-objects.ts';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import type { Core } from '../src/objects/core.ts';
import { bool, bytes, f64, i64, list, ref, str, u16, u32, u8 } from '../src/objects/kinds.ts';
import { lists } from '../src/objects/list/list.ts';
import { reserve, shapeOf } from '../src/objects/list/list-elements.ts';
import { addressAt } from '../src/objects/memory.ts';
import type { PersistentList } from '../src/objects/persistent.ts';
import { struct } from '../src/objects/struct.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { findingsOf, inside, newList } from './support/lists.ts';
import { newSeed, randomFrom } from './support/oracle.ts';

describe('room', () => {
  test('elements are as wide as their kind', () => {
    const { heap, region } = newHeap();
    const count = 100_000;
    for (const [kind, width] of [[u8, 1], [bool, 1], [u16, 2], [str, 4], [f64, 8]] as const) {
      const before = region.stat().busyBytes;
      const value = { u8: 1, bool: true, u16: 1, str: '', f64: 1 }[kind.name as 'u8'];
      newList(heap, kind, new Array(count).fill(value));
      const used = region.stat().busyBytes - before;
      expect(used).toBeGreaterThan(count * width);
      expect(used).toBeLessThan(count * width + 1000);
    }
  });

  test.each([best, slab])('$name: blocks are used to the last byte, growth doubles', (method) => {
    const { heap } = newHeap('64MiB', method);
    const all = newList<number>(heap, u16);
    const { i32, at, core, elements } = inside(all);
    const rooms = new Set<number>();
    for (let i = 0; i < 100_000; i++) {
      all.push(i % 60_000);
      rooms.add(i32[at + LIST.room]);
      if (i % 1000 !== 0) continue;
      const bytes = core.memory.room(elements());
      expect(i32[at + LIST.room]).toBe(Math.floor((bytes - ELEMENTS.data * 4) / 2));
    }
    expect(rooms.size).toBeLessThan(25);
    expect(all.every((value, i) => value === i % 60_000)).toBe(true);
  });

  test('a list that is emptied gives its memory back, and little is moved on the way', () => {
    const { heap, region } = newHeap();
    const all = newList<number>(heap, u32);
    const before = region.stat().busyBytes;
    all.pushAll(Array.from({ length: 100_000 }, (_, i) => i));
    const full = region.stat().busyBytes;
    for (let i = 99_999; i >= 1000; i--) if (all.pop() !== i) expect.fail(String(i));
    expect(region.stat().busyBytes - before).toBeLessThan((full - before) / 16);
    expect(all.splice(10).length).toBe(990);
    expect(region.stat().busyBytes - before).toBeLessThan(2048);
    all.clear();
    expect(region.stat().busyBytes).toBe(before);
    expect(findingsOf(all)).toEqual([]);
    expect(all.pop()).toBeUndefined();
    expect(all.shift()).toBeUndefined();
  });

  test('where memory behind the elements is free, a list grows in place', () => {
    const { heap } = newHeap();
    const all = newList<number>(heap, u32, new Array(1000).fill(1));
    const { elements } = inside(all);
    const before = elements();
    for (let i = 0; i < 100_000; i++) all.push(i);
    expect(elements()).toBe(before);
    expect(findingsOf(all)).toEqual([]);
  });

  test('without room a list stays as it was, and takes the last bytes before that', () => {
    const { heap, region } = newHeap('1MiB');
    const all = newList<number>(heap, f64);
    const error = expectCode('ERR_NO_SPACE', () => {
      for (let i = 0;; i++) all.push(i);
    });
    expect(error.message).toContain('app');
    const { length } = all;
    expect(length * 8).toBeGreaterThan(2 ** 20 / 4);
    const busy = region.stat().busyBlocks;
    expectCode('ERR_NO_SPACE', () => all.pushAll(new Array(200_000).fill(1)));
    expectCode('ERR_NO_SPACE', () => all.splice(0, 1, ...new Array(100_000).fill(1)));
    expect(all.length).toBe(length);
    expect(all.every((value, i) => value === i)).toBe(true);
    expect(region.stat().busyBlocks).toBe(busy);
    expect(findingsOf(all)).toEqual([]);
  });

  test('without room for all its texts a list has none of them', () => {
    const { heap, region } = newHeap('1MiB');
    const all = newList<string>(heap, str, ['first']);
    const busy = region.stat().busyBlocks;
    const texts = Array.from({ length: 400 }, (_, i) => String(i).padEnd(5000));
    expectCode('ERR_NO_SPACE', () => all.pushAll(texts));
    expectCode('ERR_NO_SPACE', () => all.unshift(...texts));
    expectCode('ERR_NO_SPACE', () => newList(heap, str, texts));
    expect([...all]).toEqual(['first']);
    expect(region.stat().busyBlocks).toBe(busy);
    expect(findingsOf(all)).toEqual([]);
  });

  test('a list of 4 GiB, or of 2 ** 31 elements, is refused', () => {
    const { heap } = newHeap();
    for (const [kind, most] of [[f64, 2 ** 29], [u8, 2 ** 31]] as const) {
      const all = newList<number>(heap, kind, [1]);
      const { core, type, at } = inside(all);
      const more = () => reserve(shapeOf(core, type), core.memory.views(0), at, most);
      expectCode('ERR_BAD_SIZE', more);
      expect([...all]).toEqual([1]);
      expect(findingsOf(all)).toEqual([]);
    }
  });
});

describe('view', () => {
  test('is the elements, of the class of their kind', () => {
    const { heap } = newHeap();
    const all = newList<number>(heap, f64, [3, 1, 2]);
    const view = all.view() as Float64Array;
    expect(view).toEqual(Float64Array.of(3, 1, 2));
    view.sort();
    expect([...all]).toEqual([1, 2, 3]);
    expect(newList<number>(heap, u8, [1]).view()).toEqual(Uint8Array.of(1));
    expect(newList<bigint>(heap, i64, [-1n]).view()).toEqual(BigInt64Array.of(-1n));
    expect(newList<number>(heap, u16).view()).toEqual(new Uint16Array(0));
    for (const kind of [str, bool, list(u8)]) {
      expectCode('ERR_BAD_OPTION', () => newList(heap, kind).view());
    }
  });

  test('keeps the old elements when the list goes on in another block', () => {
    const { heap } = newHeap();
    const all = newList<number>(heap, u32, [1, 2, 3]);
    const { elements, core } = inside(all);
    const block = elements();
    const view = all.view();
    newList(heap, u32, [7]);
    all.pushAll(new Array(1000).fill(9));
    expect(elements()).not.toBe(block);
    all.set(0, 100);
    for (let i = 0; i < 1000; i++) newList(heap, u32, [5, 5, 5]);
    expect([...view]).toEqual([1, 2, 3]);
    expect(core.pins.has(block)).toBe(true);
    expect(all.slice(0, 4)).toEqual([100, 2, 3, 9]);
  });

  test('keeps the elements of a list that is cleared or shortened', () => {
    const { heap } = newHeap();
    const all = newList<number>(heap, u32, Array.from({ length: 1000 }, (_, i) => i));
    const view = all.view();
    all.splice(1);
    newList(heap, u32, new Array(900).fill(5));
    expect(view[999]).toBe(999);
    all.clear();
    newList(heap, u32, new Array(1000).fill(5));
    expect(view[999]).toBe(999);
  });

  test('pushAll takes typed arrays in one go, a view of the list itself too', () => {
    const { heap } = newHeap();
    const all = newList<number>(heap, f64);
    all.pushAll(Float64Array.of(1.5, Number.NaN));
    all.pushAll(Float32Array.of(2.5));
    all.pushAll(all.view());
    expect([...all]).toEqual([1.5, Number.NaN, 2.5, 1.5, Number.NaN, 2.5]);
    const small = newList<number>(heap, u8);
    expectCode('ERR_SCHEMA', () => small.pushAll(Uint16Array.of(1, 256)));
    expect(small.length).toBe(0);
    expect(small.pushAll(Uint16Array.of(1, 255))).toBe(2);
  });
});

test('views of bytes outlive the element they were read from', () => {
  const { heap } = newHeap();
  const all = newList<Uint8Array>(heap, bytes(), [Uint8Array.of(1, 2, 3)]);
  const taken = all.pop()!;
  for (let i = 0; i < 100; i++) all.push(Uint8Array.of(9, 9, 9));
  expect([...taken]).toEqual([1, 2, 3]);
});

describe('code of the program that runs while a list takes what it gives', () => {
  const setUp = () => {
    const { heap, region } = newHeap();
    const Holder = struct('Holder', { all: list(list(u32)) });
    const outer = heap.create(Holder, { all: [[1], [2]] }).all;
    return { heap, outer, region, show: () => [...outer].map((one) => [...one]) };
  };

  test('may add to it, empty it, or fail', () => {
    const { heap, outer, region, show } = setUp();
    const adding = function* (): Generator<number> {
      for (let i = 0; i < 100; i++) outer.push([i]);
      yield 77;
    };
    outer.push(adding());
    expect(outer.length).toBe(103);
    expect([...outer.at(-1)!]).toEqual([77]);
    outer.splice(2, 100);
    expect(show()).toEqual([[1], [2], [77]]);
    const emptying = function* (): Generator<number> {
      outer.clear();
      yield 78;
    };
    outer.splice(1, 1, emptying());
    expect(show()).toEqual([[78]]);
    outer.set(0, emptying());
    expect(show()).toEqual([[78]]);
    const failing = function* (): Generator<number> {
      yield 1;
      throw new Error('mine');
    };
    const busy = region.stat().busyBlocks;
    for (const put of [() => outer.push(failing()), () => outer.set(0, failing()),
      () => outer.unshift([5], failing()), () => outer.fill(failing())]) {
      expect(put).toThrow('mine');
      expect(show()).toEqual([[78]]);
      expect(findingsOf(outer)).toEqual([]);
    }
    const collecting = function* (): Generator<number> {
      heap.collect();
      yield 1;
    };
    expectCode('ERR_BUSY', () => outer.push(collecting()));
    // Lists that were made before the failure are the collector's.
    expect(region.stat().busyBlocks).toBe(busy + 2);
    expect(region.check()).toEqual([]);
  });

  test('handles of another heap are copied where they are lists, refused where objects', () => {
    const { outer, show } = setUp();
    const other = newHeap().heap;
    outer.push(newList<number>(other, u32, [4, 5]));
    expect(show()).toEqual([[1], [2], [4, 5]]);
    const Node = struct('Node', { next: list(ref(() => Node)) });
    const here = newHeap().heap.create(Node);
    expectCode('ERR_MISMATCH', () => here.next.push(other.create(Node)));
    expectCode('ERR_SCHEMA', () => outer.push('12' as never));
    expectCode('ERR_SCHEMA', () => outer.push(5 as never));
    expectCode('ERR_SCHEMA', () => outer.push(null as never));
  });
});

/** A collection that looks at a few slots at a time, as the snapshot at its beginning says. */
function marking(core: Core, header: number) {
  const { memory } = core;
  const marked = new Set<number>();
  const open: { ref: number; from: number }[] = [];
  const mark = (ref: number) => {
    if (ref === 0 || marked.has(ref)) return;
    marked.add(ref);
    const role = memory.tag(ref) & ROLE_MASK;
    if (role === ROLE.list || role === ROLE.elements) open.push({ ref, from: 0 });
  };
  memory.watcher = { born: (ref) => marked.add(ref), dropped: mark, kept: mark, settle() {} };
  mark(header);
  const step = (): boolean => {
    const next = open.pop();
    if (next === undefined) return false;
    const type = core.types.at(memory.tag(next.ref) >>> 5);
    const from = lists.slots(core, type, memory.views(next.ref), memory.word(next.ref), next.from,
      (views, index) => mark(views.i32[index]));
    if (from > 0) open.push({ ref: next.ref, from });
    return true;
  };
  return { marked, step };
}

test('a collection under way misses nothing that is moved', () => {
  const { heap } = newHeap();
  const random = randomFrom(newSeed());
  const changes: ((all: PersistentList<string>) => unknown)[] = [
    (all) => all.reverse(), (all) => all.sort(), (all) => all.splice(random(9000), 5, 'new'),
    (all) => all.shift(), (all) => all.unshift('more'), (all) => all.set(random(9000), 'other'),
    (all) => all.push('last'), (all) => all.pop(), (all) => all.fill('same', 5, 50),
    (all) => all.pushAll(new Array(20_000).fill('x')), (all) => all.splice(0, 3),
  ];
  for (const first of changes) {
    const all = newList<string>(heap, str, Array.from({ length: 9000 }, () => String(random(1e6))));
    const { core, ref: header, word, i32 } = inside(all);
    const { marked, step } = marking(core, header);
    step();
    step();
    first(all);
    if (random(2) === 0) changes[random(changes.length)](all);
    while (step()) if (random(3) === 0) changes[random(changes.length)](all);
    core.memory.watcher = null;
    const missed = all.slice().filter((_, i) => {
      const text = i32[word() + ELEMENTS.data + i];
      return text !== 0 && !marked.has(text);
    });
    expect(missed, String(first)).toEqual([]);
    expect(findingsOf(all)).toEqual([]);
  }
});

describe('damage', () => {
  const setUp = (given: readonly string[] = ['a', 'b', 'c']) => {
    const { heap, region } = newHeap('256KiB');
    const all = newList<string>(heap, str, given);
    return { all, heap, region, ...inside(all) };
  };
  const idsOf = (all: unknown) => findingsOf(all).map(({ id, address }) => ({ id, address }));

  test('L1: more elements than room', () => {
    const { all, i32, at, ref: header } = setUp();
    for (const length of [i32[at + LIST.room] + 1, -1, -(2 ** 31)]) {
      i32[at + LIST.length] = length;
      expect(idsOf(all)[0]).toEqual({ id: 'L1', address: addressAt(header) });
      expectCode('ERR_CORRUPT', () => all.push('x'));
      expectCode('ERR_CORRUPT', () => all.slice());
    }
  });

  test('L2: the elements are none of its own', () => {
    const { all, heap, i32, at, ref: header, elements } = setUp();
    const own = elements();
    const other = inside(newList(heap, u32, [1, 2, 3])).elements();
    for (const ref of [other, header, own + 1, 1, 2 ** 28 + 5, -7, 0]) {
      i32[at + LIST.elements] = ref;
      expect(idsOf(all)).toEqual([{ id: 'L2', address: addressAt(header) }]);
      expectCode('ERR_CORRUPT', () => all.push('x'));
      expectCode('ERR_CORRUPT', () => all.at(0));
    }
    i32[at + LIST.elements] = own;
    expect(idsOf(all)).toEqual([]);
  });

  test('L3: different rooms, or more than there is', () => {
    const { all, i32, at, word, ref: header } = setUp();
    i32[at + LIST.room] -= 1;
    i32[at + LIST.length] = 2;
    expect(idsOf(all)).toEqual([{ id: 'L3', address: addressAt(header) }]);
    expectCode('ERR_CORRUPT', () => all.push('x'));
    for (const room of [1000, 2 ** 31 - 1]) {
      i32[at + LIST.room] = room;
      i32[word() + ELEMENTS.room] = room;
      expect(idsOf(all)).toEqual([{ id: 'L3', address: addressAt(header) }]);
    }
    expectCode('ERR_CORRUPT', () => all.slice());
  });

  test('L4: a reference behind the last element', () => {
    const { all, i32, at, word, ref: header } = setUp();
    const room = i32[at + LIST.room];
    expect(room).toBeGreaterThan(3);
    i32[word() + ELEMENTS.data + room - 1] = i32[word() + ELEMENTS.data];
    expect(idsOf(all)).toEqual([{ id: 'L4', address: addressAt(header) }]);
    const numbers = newList<number>(newHeap().heap, u32, [1]);
    inside(numbers).i32[inside(numbers).word() + ELEMENTS.data + 1] = 7;
    expect(idsOf(numbers)).toEqual([]);
  });

  test('random words in both blocks: errors are ours, nothing hangs', () => {
    const random = randomFrom(newSeed());
    for (let round = 0; round < 300; round++) {
      const { all, i32, at, word } = setUp(['a', 'bb', 'ccc', 'dddd', 'eeeee']);
      const places = [at, at + 1, at + 2, at + 3, word(), word() + 1, word() + 2, word() + 3];
      for (let n = random(3); n >= 0; n--) {
        i32[places[random(places.length)]] = random(2) === 0 ? random(2 ** 32) : random(64);
      }
      for (const use of [() => all.slice(), () => all.at(1), () => all.indexOf('x'),
        () => all.push('y'), () => all.sort(), () => all.shift(), () => all.clear()]) {
        try {
          use();
        } catch (error) {
          expect(error).toMatchObject({ name: 'RegionError' });
        }
      }
      findingsOf(all);
    }
  });
});

test('a stale list throws on every use', () => {
  const { heap } = newHeap();
  const all = newList<number>(heap, u32, [1]);
  const { core, ref: header } = inside(all);
  core.handles.expire(header);
  const uses: ((one: PersistentList<number>) => unknown)[] = [
    (one) => one.length, (one) => one.at(0), (one) => one.set(0, 1), (one) => one.push(1),
    (one) => one.push(), (one) => one.push(1, 2), (one) => one.pushAll([1]), (one) => one.pop(),
    (one) => one.shift(), (one) => one.unshift(1), (one) => one.splice(0), (one) => one.slice(),
    (one) => one.indexOf(1), (one) => one.includes(1), (one) => one.find(() => true),
    (one) => one.findIndex(() => true), (one) => one.some(() => true),
    (one) => one.every(() => true),
    (one) => one.forEach(() => {}), (one) => one.map(() => 1), (one) => one.filter(() => true),
    (one) => one.reduce((sum) => sum, 0), (one) => one.join(), (one) => one.sort(),
    (one) => one.reverse(), (one) => one.fill(1), (one) => one.keys(), (one) => one.values(),
    (one) => one.entries(), (one) => [...one], (one) => one.clear(), (one) => one.view(),
  ];
  for (const use of uses) expectCode('ERR_STALE', () => use(all));
});
