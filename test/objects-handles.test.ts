/**
 * Handles: one a block while one is alive, found again by `===`; held weakly, in groups; told when
 * their block goes or moves.
 */
import { setFlagsFromString } from 'node:v8';
import { setImmediate } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { SEGMENT_SHIFT, WORD_SHIFT } from '../src/layout-objects.ts';
import { type Group, type Handle, type HandleClass, Handles, refOf, STALE }
  from '../src/objects/handles.ts';
import { any, list, map, ref, str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Lets JavaScript collect, and finalizers run. */
async function collected(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await setImmediate();
    gc();
  }
  await setImmediate();
}

/** Bytes of JavaScript's heap and of its buffers. */
function used(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A class of handles for each segment, as heaps have. */
const classes = new Map<number, HandleClass>();
function classFor(ref: number): HandleClass {
  const segment = ref >>> SEGMENT_SHIFT;
  const known = classes.get(segment);
  if (known !== undefined) return known;
  const made = class {
    $at: number;
    readonly $group: Group | null;
    declare readonly $bound: Handle['$bound'];
    constructor(at: number, group: Group | null) {
      this.$at = at;
      this.$group = group;
    }
  };
  Object.defineProperty(made.prototype, '$bound', { value: { base: segment << SEGMENT_SHIFT } });
  classes.set(segment, made);
  return made;
}

const obtain = (handles: Handles, ref: number) => handles.obtain(ref, classFor(ref));

describe('a table of handles', () => {
  test('the same reference gives the same handle, others give others', () => {
    const handles = new Handles();
    const all = [1, 2, 3, 2 ** 28, 2 ** 31 - 1, -1, -(2 ** 31), -(2 ** 28)];
    expect(all.map((one) => handles.find(one))).toEqual(all.map(() => null));
    const made = all.map((one) => obtain(handles, one));
    expect(new Set(made).size).toBe(all.length);
    all.forEach((one, i) => {
      expect(obtain(handles, one)).toBe(made[i]);
      expect(handles.find(one)).toBe(made[i]);
      expect(refOf(made[i])).toBe(one);
      expect(made[i].$at).toBe((one & (2 ** SEGMENT_SHIFT - 1)) << WORD_SHIFT);
    });
    expect([...handles]).toEqual(made);
  });

  test('one that expired is stale and not found; its reference can be used again', () => {
    const handles = new Handles();
    const [one, two] = [obtain(handles, 5), obtain(handles, 6)];
    handles.expire(5);
    handles.expire(77);
    expect([one.$at, two.$at]).toEqual([STALE, 6 << WORD_SHIFT]);
    expect(handles.find(5)).toBeNull();
    expect([...handles]).toEqual([two]);
    const again = obtain(handles, 5);
    expect(again).not.toBe(one);
    expect(handles.find(5)).toBe(again);
    handles.expireAll();
    expect([one.$at, two.$at, again.$at]).toEqual([STALE, STALE, STALE]);
    expect([...handles]).toEqual([]);
    expect(handles.find(6)).toBeNull();
    expect(obtain(handles, 6)).not.toBe(two);
  });

  test('one that moved is found at its new place, also in another segment', () => {
    const handles = new Handles();
    const one = obtain(handles, 5);
    const far = (3 << SEGMENT_SHIFT) | 7;
    for (const [from, to] of [[5, 9], [9, far], [far, 5]]) {
      handles.move(from, to, classFor(to));
      expect(handles.find(from)).toBeNull();
      expect(handles.find(to)).toBe(one);
      expect(refOf(one)).toBe(to);
      expect(Object.getPrototypeOf(one)).toBe(classFor(to).prototype);
    }
    handles.move(1234, 5678, classFor(5678));
    expect(handles.find(5678)).toBeNull();
  });

  test('random steps beside a Map', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const handles = new Handles();
    const model = new Map<number, Handle>();
    const stale: Handle[] = [];
    const strides = [1, 2, 4, 32, 1024, 2 ** 20];
    const anyRef = () => {
      const place = 1 + random(500) * strides[random(strides.length)];
      return (place & (2 ** SEGMENT_SHIFT - 1)) | (random(16) << SEGMENT_SHIFT);
    };
    for (let i = 0; i < often(20_000, 1_000_000); i++) {
      const ref = anyRef();
      const what = random(1000);
      if (what < 600) {
        const known = model.get(ref);
        const handle = obtain(handles, ref);
        if (known !== undefined && known !== handle) expect.fail(`step ${i} of seed ${seed}`);
        model.set(ref, handle);
      } else if (what < 800) {
        const known = model.get(ref);
        handles.expire(ref);
        if (known !== undefined) stale.push(known);
        model.delete(ref);
      } else if (what < 999) {
        const to = anyRef();
        const known = model.get(ref);
        if (model.has(to) || known === undefined) continue;
        handles.move(ref, to, classFor(to));
        model.delete(ref);
        model.set(to, known);
      } else {
        handles.expireAll();
        stale.push(...model.values());
        model.clear();
      }
      if (handles.find(ref) !== (model.get(ref) ?? null)) expect.fail(`step ${i} of seed ${seed}`);
    }
    for (const [ref, handle] of model) {
      expect(handles.find(ref)).toBe(handle);
      expect(refOf(handle)).toBe(ref);
    }
    expect(new Set(handles)).toEqual(new Set(model.values()));
    expect(stale.every(({ $at }) => $at === STALE)).toBe(true);
  });

  test.each([1, 2, 3, 4, 31, 32, 64, 1024, 2 ** 16])('a row of references %i apart is no trouble',
    (stride) => {
      const handles = new Handles();
      const count = Math.min(50_000, 2 ** 31 / stride);
      const kept = Array.from({ length: count }, (_, i) => obtain(handles, 1 + i * stride));
      expect(kept.every((one, i) => handles.find(1 + i * stride) === one)).toBe(true);
      for (let i = 0; i < count; i += 2) handles.expire(1 + i * stride);
      expect(kept.every((one, i) => handles.find(1 + i * stride) === (i % 2 === 0 ? null : one)))
        .toBe(true);
    });
});

describe('held weakly', () => {
  test('handles that nobody holds are collected, and their places used again', async () => {
    const handles = new Handles();
    const sizes: number[] = [];
    for (let round = 0; round < 12; round++) {
      for (let i = 1; i <= 20_000; i++) obtain(handles, round * 1_000_000 + i * 4);
      handles.relax();
      await collected();
      expect([...handles].length).toBe(0);
      expect(handles.find(round * 1_000_000 + 4)).toBeNull();
      sizes.push(used());
    }
    const growth = (sizes[11] - sizes[3]) / 8;
    expect(growth, 'bytes a round that made 20,000 handles').toBeLessThan(200_000);
  });

  test('a handle that is held is found, and keeps at most its group', async () => {
    const handles = new Handles();
    const kept = new Map<number, Handle>();
    for (let i = 1; i <= 30_000; i++) {
      const handle = obtain(handles, i);
      if (i % 1000 === 0) kept.set(i, handle);
    }
    handles.relax();
    await collected();
    for (const [ref, handle] of kept) expect(obtain(handles, ref)).toBe(handle);
    expect([...handles].length).toBeLessThanOrEqual(kept.size * 32);
  });

  test('a finalizer that is late does not take the new handle of the same block', async () => {
    const handles = new Handles();
    for (let i = 1; i <= 1000; i++) obtain(handles, i);
    handles.relax();
    await setImmediate();
    gc();
    const again = Array.from({ length: 1000 }, (_, i) => obtain(handles, i + 1));
    await collected();
    expect(again.every((one, i) => handles.find(i + 1) === one)).toBe(true);
  });

  test('a finalizer of before everything expired has nothing to do', async () => {
    const handles = new Handles();
    for (let i = 1; i <= 1000; i++) obtain(handles, i);
    handles.relax();
    await setImmediate();
    handles.expireAll();
    const again = Array.from({ length: 1000 }, (_, i) => obtain(handles, i + 1));
    await collected();
    expect(again.every((one, i) => handles.find(i + 1) === one)).toBe(true);
    handles.relax();
    await collected();
    expect(again.every((one, i) => handles.find(i + 1) === one)).toBe(true);
  });

  test('a live handle takes about a hundred bytes, all told', async () => {
    const handles = new Handles();
    const count = 200_000;
    const kept = new Array<Handle>(count);
    await collected();
    const before = used();
    for (let i = 0; i < count; i++) kept[i] = obtain(handles, 1 + i * 4);
    await collected();
    const bytes = (used() - before) / count;
    expect(kept[5].$at).toBe(21 << WORD_SHIFT);
    expect(bytes).toBeLessThan(130);
  });
});

describe('of a heap', () => {
  const Node = struct('Node', { n: u32, next: ref(() => Node), all: list(ref(() => Node)),
    byName: map(str, ref(() => Node)), thing: any });

  test('an object is the same however it is reached', () => {
    const { heap } = newHeap();
    const one = heap.create(Node, { n: 1 });
    const two = heap.create(Node, { n: 2, next: one, all: [one], byName: { a: one }, thing: one });
    heap.root.set('one', one);
    expect(two.next).toBe(one);
    expect(two.all.at(0)).toBe(one);
    expect(two.byName.get('a')).toBe(one);
    expect(two.thing).toBe(one);
    expect(heap.root.get('one')).toBe(one);
    expect(two.all).toBe(two.all);
    expect(two.byName).toBe(two.byName);
    expect(one.keep()).toBe(one);
    const scanned = [...heap.scan(Node)].length;
    expect(scanned).toBe(2);
    const kept = [];
    for (const each of heap.scan(Node)) {
      expect(each).not.toBe(one);
      kept.push(each.keep());
    }
    expect(new Set(kept)).toEqual(new Set([one, two]));
  });

  test('it is another handle once nobody held the first, with the same contents', async () => {
    const { heap } = newHeap();
    const marks = new WeakSet<object>();
    (() => {
      const first = heap.create(Node, { n: 7 });
      marks.add(first);
      heap.root.set('first', first);
      for (let i = 0; i < 5000; i++) heap.create(Node);
    })();
    await collected();
    const again = heap.root.get('first') as { n: number };
    expect(again.n).toBe(7);
    expect(marks.has(again)).toBe(false);
    expect(heap.root.get('first')).toBe(again);
  });
});
