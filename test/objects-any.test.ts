/** Slots of kind `any`: what goes in comes out, and what was in them is freed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { any as anything, f64 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';

const Box = struct('Box', { value: anything, beside: f64 });

/** What comes back from a slot. */
function through(value: unknown): unknown {
  const { heap } = newHeap();
  return heap.create(Box, { value }).value;
}

const NUMBERS = [0, -0, 1, -1, 0.1, 2 ** 31, 2 ** 53, -(2 ** 53), Number.MAX_VALUE,
  Number.MIN_VALUE, Infinity, -Infinity, NaN];
const BIGINTS = [0n, 1n, -1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, -(2n ** 32n), 2n ** 63n,
  2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), 2n ** 95n, 2n ** 96n - 1n, 3n ** 5000n, -(3n ** 5000n)];
const TEXTS = ['', 'a', 'ä', '€', 'x'.repeat(1000), '𝄞', '\ud800', '\udc00\ud800', '\0', '🇩🇪'];
const ARRAYS = [new Uint8Array(), new Uint8Array([1, 2, 255]), new Int8Array([-128, 127]),
  new Uint8ClampedArray([0, 255]), new Uint16Array([65535]), new Int16Array([-32768]),
  new Uint32Array([2 ** 32 - 1]), new Int32Array([-(2 ** 31)]), new Float32Array([0.5, NaN, -0]),
  new Float64Array([0.1, -0, Infinity]), new BigInt64Array([-(2n ** 63n)]),
  new BigUint64Array([2n ** 64n - 1n]), new Float64Array(), new BigInt64Array()];
const DATES = [new Date(0), new Date(-1), new Date(8.64e15), new Date(NaN)];

describe('values come back as they were', () => {
  test.each([undefined, null, true, false, ...NUMBERS, ...BIGINTS, ...TEXTS])('%s', (value) => {
    expect(through(value)).toBe(value);
  });

  test.each([...ARRAYS, ...DATES])('%o', (value) => {
    const out = through(value);
    expect(out).toStrictEqual(value);
    expect(Object.getPrototypeOf(out)).toBe(Object.getPrototypeOf(value));
    expect(out).not.toBe(value);
  });

  test('a NaN with a payload is a number', () => {
    const bits = new BigUint64Array([0x7ff80002_00000001n]);
    const [payload] = new Float64Array(bits.buffer);
    expect(through(payload)).toBeNaN();
  });

  test('a Buffer and a part of an array come back as what they show', () => {
    const part = new Uint16Array([1, 2, 3, 4]).subarray(1, 3);
    expect(through(part)).toStrictEqual(new Uint16Array([2, 3]));
    expect(through(Buffer.from('abc'))).toStrictEqual(new Uint8Array([97, 98, 99]));
  });

  test('values of another realm', () => {
    const [date, bytes] = runInNewContext('[new Date(5), new Uint8Array([7])]') as unknown[];
    expect(through(date)).toStrictEqual(new Date(5));
    expect(through(bytes)).toStrictEqual(new Uint8Array([7]));
  });

  test('what was never set is undefined, and the neighbour is left alone', () => {
    const { heap } = newHeap();
    const box = heap.create(Box, { beside: 1.5 });
    expect(box.value).toBeUndefined();
    box.value = 2n ** 70n;
    box.value = 7;
    expect([box.value, box.beside]).toEqual([7, 1.5]);
  });

  test('a reference keeps its identity', () => {
    const { heap } = newHeap();
    const box = heap.create(Box);
    const outer = heap.create(Box, { value: box });
    expect(outer.value).toBe(box);
    box.value = outer;
    expect((outer.value as typeof box).value).toBe(outer);
  });
});

describe('memory', () => {
  test('what is overwritten is freed', () => {
    const { heap, region } = newHeap();
    const box = heap.create(Box);
    const before = region.stat().busyBlocks;
    for (const value of ['text', '€uro', '\ud800', 2n ** 99n, new Date(), new Uint8Array(100), 1]) {
      box.value = value;
      expect(region.stat().busyBlocks - before).toBe(Number(value !== 1));
    }
  });

  test('bytes that a program looks into are not', () => {
    const { heap, region } = newHeap();
    const box = heap.create(Box, { value: new Uint8Array([1, 2, 3]) });
    const view = box.value as Uint8Array;
    view[0] = 9;
    expect(box.value).toStrictEqual(new Uint8Array([9, 2, 3]));
    const before = region.stat().busyBlocks;
    box.value = null;
    expect(region.stat().busyBlocks).toBe(before);
    for (let i = 0; i < 100; i++) heap.create(Box, { value: new Uint8Array([4, 4, 4]) });
    expect([...view]).toEqual([9, 2, 3]);
  });

  test('code of the program that runs meanwhile cannot pull the slot away', () => {
    const directory = mkdtempSync(join(tmpdir(), 'objects-any-'));
    const store = openStore(directory);
    const heap = store.heap('app');
    heap.root.set('box', heap.create(Box, { value: 'kept', beside: 1 }));
    store.checkpoint();
    const box = heap.root.get('box') as { value: unknown };
    const doing = (work: () => void) => ({
      get trap() {
        work();
        return 1;
      },
    });
    for (const name of ['collect', 'compact', 'clear'] as const) {
      expectCode('ERR_BUSY', () => { box.value = doing(() => heap[name]()); });
    }
    expect(box.value).toBe('kept');
    expectCode('ERR_STALE', () => { box.value = doing(() => store.rollback()); });
    expectCode('ERR_STALE', () => heap.create(Box, { value: doing(() => store.rollback()) }));
    expectCode('ERR_STALE', () => heap.root.set('new', doing(() => store.rollback())));
    expect((heap.root as unknown as { toJS(): unknown }).toJS())
      .toEqual(new Map([['box', { value: 'kept', beside: 1 }]]));
    store.close();
    rmSync(directory, { recursive: true });
  });

  test('without room for a value the slot is as it was', () => {
    const { heap } = newHeap('256KiB');
    const box = heap.create(Box, { value: 'kept' });
    expectCode('ERR_NO_SPACE', () => { box.value = new Uint8Array(2 ** 20); });
    expectCode('ERR_NO_SPACE', () => { box.value = 'x'.repeat(2 ** 20); });
    expect(box.value).toBe('kept');
  });
});

describe('what cannot be stored', () => {
  class Point {
    x = 1;
  }
  const refusing = () => {
    throw new Error('no');
  };
  test.each([
    ['a function', () => 1, /function cannot be stored/],
    ['a symbol', Symbol('s'), /symbol cannot be stored/],
    ['an instance', new Point(), /instance of Point cannot be stored; give a plain object/],
    ['one with toJSON', new URL('http://a.b'), /give what its toJSON\(\) returns/],
    ['a regular expression', /a/, /RegExp/],
    ['an ArrayBuffer', new ArrayBuffer(8), /give a Uint8Array/],
    ['a DataView', new DataView(new ArrayBuffer(8)), /give a Uint8Array/],
    ['a promise', Promise.resolve(), /Promise/],
    ['a boxed number', Object(1), /Number/],
    ['a proxy that throws', new Proxy({}, { ownKeys: refusing, has: refusing }), /no/],
  ])('%s', (_, value, message) => {
    const { heap, region } = newHeap();
    const box = heap.create(Box, { value: 'kept' });
    const before = region.stat().busyBlocks;
    expect(expectCode('ERR_SCHEMA', () => { box.value = value; }).message).toMatch(message);
    expect(box.value).toBe('kept');
    expect(region.stat().busyBlocks).toBe(before);
  });

  test('objects of another heap, and stale ones', () => {
    const { heap } = newHeap();
    const box = heap.create(Box);
    const foreign = newHeap().heap.create(Box);
    expectCode('ERR_MISMATCH', () => { box.value = foreign; });
    expectCode('ERR_MISMATCH', () => { box.value = [foreign]; });
    heap.clear();
    const next = heap.create(Box);
    expectCode('ERR_STALE', () => { next.value = box; });
    expectCode('ERR_STALE', () => { next.value = { a: box }; });
  });
});
