/**
 * Evolution of structs: what is stored is read under another declaration, or refused by name. Every
 * case runs in memory and over a store that is closed in between, lazily and by `upgrade`.
 */
import { describe, expect, test } from 'vitest';
import type { ObjectHeap } from '../src/objects/heap.ts';
import { any, array, bool, bytes, date, f32, f64, i16, i32, i64, i8, type Kind, list, map, optional,
  ref, set, sorted, str, u16, u32, u64, u8 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { temporaryDirectory } from './support/temp.ts';

/** Runs `before`, then `after`: in one process, and with the store closed in between. */
function inBoth(before: (heap: ObjectHeap) => void, after: (heap: ObjectHeap) => void): void {
  const { heap } = newHeap('1MiB');
  before(heap);
  after(heap);
  const dir = temporaryDirectory();
  const first = openStore(dir);
  before(first.heap('app', SMALL));
  first.close();
  const second = openStore(dir);
  after(second.heap('app', SMALL));
  expect(second.check()).toEqual([]);
  second.close();
}

/** A window of 4 GiB makes V8 collect. */
const SMALL = { capacity: '4MiB' };

type Loose = Record<string, unknown> & { toJS(): Record<string, unknown> };

/** The object under `one`, as a heap gives it now. */
function one(heap: ObjectHeap): Loose {
  return heap.root.get('one') as Loose;
}

/** Stores one object of `T` with the fields, then declares other fields and looks at it. */
function evolve(
  fields: Record<string, Kind>, values: Record<string, unknown>, then: Record<string, Kind>,
  look: (object: Loose) => void, options = {},
): void {
  inBoth((heap) => {
    heap.root.set('one', heap.create(struct('T', fields), values));
  }, (heap) => {
    const declared = struct('T', then, options);
    heap.create(declared);
    look(one(heap));
    expect(one(heap)).toBe(one(heap));
  });
}

/** Every widening, with values at the borders of the narrow kind. */
const LEAST = { u8: 0, i8: -128, u16: 0, i16: -32768, u32: 0, i32: -(2 ** 31), f32: -1.5 } as const;
const MOST = { u8: 255, i8: 127, u16: 65535, i16: 32767, u32: 2 ** 32 - 1, i32: 2 ** 31 - 1,
  f32: 2 ** 127 } as const;
const WIDER: Record<string, Kind[]> = {
  u8: [u16, i16, u32, i32, f32, f64, i64, u64],
  i8: [i16, i32, f32, f64, i64],
  u16: [u32, i32, f32, f64, i64, u64],
  i16: [i32, f32, f64, i64],
  u32: [f64, i64, u64],
  i32: [f64, i64],
  f32: [f64],
};
const NUMBERS: Record<string, Kind> = { u8, i8, u16, i16, u32, i32, f32, f64, i64, u64 };
const PAIRS = Object.entries(WIDER).flatMap(([from, all]) => all.map((to) => [from, to] as const));

describe('widening of numbers', () => {
  test.each(PAIRS)('%s', (from, to) => {
    const narrow = NUMBERS[from] as Kind;
    const isBig = to.name === 'i64' || to.name === 'u64';
    const name = from as keyof typeof LEAST;
    const values = [LEAST[name], MOST[name], 1];
    const T = struct('T', { before: u8, v: narrow, after: str });
    for (const kind of [to, optional(to), any, optional(any)]) {
      const seen: unknown[] = [];
      const { heap: own } = newHeap('1MiB');
      for (const v of values) own.create(T, { before: 7, v, after: 'end' });
      const wider = struct('T', { before: u8, v: kind, after: str });
      for (const x of own.scan(wider)) seen.push(x.toJS());
      const wide = kind === to || kind.name === 'optional' && kind.of === to;
      expect(seen).toEqual(values.map((v) => ({
        before: 7, v: wide && isBig ? BigInt(v) : v, after: 'end',
      })));
    }
  });

  test.each(Object.keys(NUMBERS))('nothing else: %s', (from) => {
    const narrow = NUMBERS[from] as Kind;
    const allowed = new Set([from, ...(WIDER[from] ?? []).map(({ name }) => name)]);
    const others = [...Object.values(NUMBERS), bool, date, str, bytes(), list(u8), bytes(4)]
      .filter(({ name }) => !allowed.has(name));
    for (const to of others) {
      const { heap } = newHeap('1MiB');
      heap.create(struct('T', { v: narrow }), {});
      const error = expectCode('ERR_SCHEMA', () => heap.create(struct('T', { v: to })));
      expect(error.message).toContain('T.v');
      expect(error.message).toContain(`stored as ${from}`);
      expect(error.message).toContain(`declared as ${to.name}`);
      // Nothing was recorded: the old declaration still works.
      expect(heap.create(struct('T', { v: narrow })).toJS()).toHaveProperty('v');
    }
  });
});

describe('what a field may become', () => {
  const now = new Date(1e12);
  const CASES: [string, Kind, unknown, Kind, unknown][] = [
    ['bool → optional', bool, true, optional(bool), true],
    ['bool → any', bool, true, any, true],
    ['date → optional', date, now, optional(date), now],
    ['date → any', date, now, any, now],
    ['str → optional', str, 'text', optional(str), 'text'],
    ['the empty text → optional', str, '', optional(str), ''],
    ['str → any', str, 'täxt', any, 'täxt'],
    ['the empty text → any', str, '', any, ''],
    ['bytes → any', bytes(), new Uint8Array([1, 2]), any, new Uint8Array([1, 2])],
    ['bytes(n) → bytes', bytes(2), new Uint8Array([1, 2]), bytes(), new Uint8Array([1, 2])],
    ['bytes(n) → any', bytes(2), new Uint8Array([1, 2]), any, new Uint8Array([1, 2])],
    ['i64 → any', i64, -(2n ** 63n), any, -(2n ** 63n)],
    ['i64 → optional', i64, -(2n ** 63n), optional(i64), -(2n ** 63n)],
    ['optional → optional of wider', optional(u8), 255, optional(u32), 255],
    ['optional → any', optional(str), 'x', any, 'x'],
    ['nothing → any', optional(str), undefined, any, undefined],
    ['nothing → optional of wider', optional(u8), undefined, optional(f64), undefined],
    ['an inline array stays', array(f64, 2), [1, 2], array(f64, 2), new Float64Array([1, 2])],
  ];
  test.each(CASES)('%s', (_name, from, value, to, expected) => {
    evolve({ a: u8, v: from }, { a: 1, v: value }, { v: to, b: u8 },
      (object) => expect(object.v).toEqual(expected));
  });

  const REFUSED: [string, Kind, Kind][] = [
    ['optional → plain', optional(u32), u32],
    ['any → str', any, str],
    ['bytes → bytes(n)', bytes(), bytes(4)],
    ['another length', bytes(4), bytes(5)],
    ['another array', array(f64, 2), array(f64, 3)],
    ['array → any', array(f64, 2), any],
    ['other elements', list(u8), list(u16)],
    ['map → sorted', map(str, u8), sorted(str, u8)],
    ['set → list', set(u8), list(u8)],
    ['another struct', ref(struct('A', {})), ref(struct('B', {}))],
  ];
  test.each(REFUSED)('not %s', (_name, from, to) => {
    const { heap } = newHeap('1MiB');
    heap.create(struct('T', { v: from }), {});
    const error = expectCode('ERR_SCHEMA', () => heap.create(struct('T', { v: to })));
    expect(error.message).toMatch(/T\.v is stored as .+ and declared as /);
  });

  test('references and collections go on as they are', () => {
    const Other = struct('Other', { n: u32 });
    const kinds = { r: ref(Other), l: list(str), m: map(str, u32), s: set(u32) };
    inBoth((heap) => {
      heap.root.set('one', heap.create(struct('T', kinds), { r: heap.create(Other, { n: 5 }),
        l: ['a', 'b'], m: new Map([['k', 1]]), s: [1, 2] }));
    }, (heap) => {
      const wide = struct('T',
        { r: optional(ref(Other)), l: any, m: any, s: optional(set(u32)) });
      heap.create(wide);
      expect(one(heap).toJS()).toEqual({ r: { n: 5 }, l: ['a', 'b'], m: new Map([['k', 1]]),
        s: new Set([1, 2]) });
    });
  });
});

describe('fields', () => {
  test('added: with a default, or empty', () => {
    const added = { id: u32, n: f64, s: str, d: optional(date), a: any, tags: list(str),
      at: str };
    evolve({ id: u32 }, { id: 9 }, added, (object) => {
      expect(object.toJS()).toEqual({ id: 9, n: 1.5, s: '', d: undefined, a: undefined, tags: [],
        at: 'home' });
    }, { defaults: { n: 1.5, at: 'home' } });
  });

  test('removed: what was theirs is freed', () => {
    const { heap, region } = newHeap('1MiB');
    const wide = struct('T', { id: u32, text: str, bytes: bytes() });
    for (let i = 0; i < 100; i++) {
      heap.create(wide, { id: i, text: 'x'.repeat(100), bytes: new Uint8Array(100) });
    }
    const before = region.stat().busyBytes;
    heap.create(struct('T', { id: u32 }));
    heap.upgrade();
    expect(region.stat().busyBytes).toBeLessThan(before - 100 * 200);
  });

  test('reordered: nothing changes', () => {
    evolve({ a: u8, b: str, c: f64 }, { a: 1, b: 'b', c: 3 }, { c: f64, a: u8, b: str },
      (object) => expect(object.toJS()).toEqual({ a: 1, b: 'b', c: 3 }));
    const { heap } = newHeap('1MiB');
    const before = heap.create(struct('T', { a: u8, b: str }));
    heap.create(struct('T', { b: str, a: u8 }));
    expect(heap.upgrade()).toBe(0);
    expect(before.toJS()).toEqual({ a: 0, b: '' });
  });

  test('renamed by an alias, also when widened', () => {
    evolve({ name: str, n: u8 }, { name: 'x', n: 7 }, { title: optional(str), count: u32 },
      (object) => expect(object.toJS()).toEqual({ title: 'x', count: 7 }),
      { aliases: { title: 'name', count: 'n' } });
  });

  test('without the alias it is another field', () => {
    evolve({ name: str }, { name: 'x' }, { title: str },
      (object) => expect(object.toJS()).toEqual({ title: '' }));
  });

  test('an alias says nothing where the new name is stored already', () => {
    evolve({ name: str, title: str }, { name: 'old', title: 'new' }, { title: str, x: u8 },
      (object) => expect(object.toJS()).toEqual({ title: 'new', x: 0 }),
      { aliases: { title: 'name' } });
  });
});

describe('several steps', () => {
  test('objects of every age become the newest, whatever was opened in between', () => {
    const { heap } = newHeap('1MiB');
    heap.root.set('1', heap.create(struct('T', { a: u8, b: str }), { a: 1, b: 'one' }));
    const second = struct('T', { n: u16, b: str }, { aliases: { n: 'a' } });
    heap.root.set('2', heap.create(second, { n: 2, b: 'two' }));
    const third = struct('T', { n: f64 });
    heap.root.set('3', heap.create(third, { n: 3 }));
    // A field of a name that was there before, and went: it is new.
    const fourth = struct('T', { n: f64, b: u32 }, { defaults: { b: 44 } });
    heap.root.set('4', heap.create(fourth, { n: 4, b: 1 }));
    expect(['1', '2', '3', '4'].map((key) => (heap.root.get(key) as Loose).toJS())).toEqual([
      { n: 1, b: 44 }, { n: 2, b: 44 }, { n: 3, b: 44 }, { n: 4, b: 1 }]);
  });

  test('objects that were never looked at skip steps', () => {
    inBoth((heap) => {
      heap.root.set('one', heap.create(struct('T', { a: u8 }), { a: 1 }));
    }, (heap) => {
      heap.create(struct('T', { b: u16 }, { aliases: { b: 'a' } }));
      heap.create(struct('T', { c: u32, x: u8 }, { aliases: { c: 'b' }, defaults: { x: 5 } }));
      expect(one(heap).toJS()).toEqual({ c: 1, x: 5 });
    });
  });
});

describe('when', () => {
  const Old = struct('T', { id: u32, name: str });
  const New = struct('T', { id: f64, name: str, more: bool });

  test('an object with a handle changes under it', () => {
    const { heap } = newHeap('1MiB');
    const held = heap.create(Old, { id: 1, name: 'n' });
    heap.root.set('one', held);
    heap.create(New);
    expect(one(heap)).toBe(held);
    expect(held.toJS()).toEqual({ id: 1, name: 'n', more: false });
    (held as unknown as { more: boolean }).more = true;
    expect(one(heap).more).toBe(true);
  });

  test('upgrade() changes all at once, and counts', () => {
    const dir = temporaryDirectory();
    const first = openStore(dir);
    for (let i = 0; i < 500; i++) first.heap('app', SMALL).create(Old, { id: i, name: `n${i}` });
    first.close();
    const store = openStore(dir);
    const heap = store.heap('app', SMALL);
    expect(heap.upgrade()).toBe(0);
    heap.create(New, { id: -1 });
    expect(heap.upgrade()).toBe(500);
    expect(heap.upgrade()).toBe(0);
    store.close();
  });

  test('scan gives all of them as declared', () => {
    const { heap } = newHeap('1MiB');
    for (let i = 0; i < 50; i++) heap.create(Old, { id: i, name: `n${i}` });
    const seen = [...heap.scan(New)].length;
    expect(seen).toBe(50);
    const ids = new Set<number>();
    for (const x of heap.scan(New)) ids.add(x.id);
    expect(ids.size).toBe(50);
  });

  test('without a declaration objects are read as they are stored', () => {
    inBoth((heap) => {
      heap.root.set('one', heap.create(Old, { id: 1, name: 'n' }));
    }, (heap) => expect(one(heap).toJS()).toEqual({ id: 1, name: 'n' }));
  });

  test('references among changed objects lead to the changed ones, in a cycle too', () => {
    const Node = struct('Node', { id: u32, next: ref(() => Node) });
    const Wider = struct('Node', { id: f64, next: ref(() => Wider), label: str });
    inBoth((heap) => {
      const nodes = Array.from({ length: 5 }, (_, id) => heap.create(Node, { id }));
      for (const node of nodes) node.next = nodes[(node.id + 1) % 5] ?? null;
      heap.root.set('one', nodes[0]);
    }, (heap) => {
      heap.create(Wider);
      let node = one(heap);
      for (let i = 0; i < 5; i++) {
        expect([node.id, node.label]).toEqual([i, '']);
        node = node.next as Loose;
      }
      expect(node).toBe(one(heap));
    });
  });

  test('a rollback takes the new type back', () => {
    const dir = temporaryDirectory();
    const store = openStore(dir);
    const heap = store.heap('app', SMALL);
    heap.root.set('one', heap.create(Old, { id: 1, name: 'n' }));
    store.checkpoint();
    heap.create(New);
    expect(one(heap).toJS()).toEqual({ id: 1, name: 'n', more: false });
    store.rollback();
    expect(one(heap).toJS()).toEqual({ id: 1, name: 'n' });
    heap.create(New);
    expect(one(heap).toJS()).toEqual({ id: 1, name: 'n', more: false });
    store.close();
  });

  test('no room: the object stays as it was', () => {
    const { heap } = newHeap('256KiB');
    heap.root.set('one', heap.create(Old, { id: 1, name: 'n' }));
    const Filler = struct('Filler', { bytes: bytes(16) });
    expectCode('ERR_NO_SPACE', () => { for (;;) heap.create(Filler); });
    expectCode('ERR_NO_SPACE', () => heap.create(struct('T', { id: f64, name: str, more: str,
      a: f64, b: f64, c: f64, d: f64, e: f64, f: f64 })));
    expect(one(heap).toJS()).toMatchObject({ id: 1, name: 'n' });
  });
});
