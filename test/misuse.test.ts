/** Every public call of a region, given what a program might give it by mistake. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import type { ErrorCode } from '../src/errors.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { createRegion } from '../src/region/region.ts';
import { regionOf } from '../src/region/windows.ts';
import type { Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';

const SIZES = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, 2 ** 53, 2 ** 53 + 2, 1e300,
  '8', null, undefined, {}, true] as number[];
const ADDRESSES = [-16, 1, 8, 15, 16, 4096, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32,
  2 ** 40, 2 ** 53, '8', undefined, {}, true] as number[];

type Call = (region: Region, value: number) => unknown;

const sizeCalls: [string, Call][] = [
  ['alloc', (region, size) => region.alloc(size)],
  ['align', (region, size) => region.align(size, 64)],
  ['resize of a block', (region, size) => region.resize(region.alloc(8), size)],
  ['resize of none', (region, size) => region.resize(0, size)],
];

const addressCalls: [string, Call][] = [
  ['free', (region, address) => region.free(address)],
  ['sizeOf', (region, address) => region.sizeOf(address)],
  ['resize', (region, address) => region.resize(address, 10)],
  ['bytes', (region, address) => region.bytes(address)],
  ['array', (region, address) => region.array(Int32Array, address)],
  ['string', (region, address) => region.string(address)],
];

describe.each([best, last])('$name', (method) => {
  function refused(code: ErrorCode, call: Call, values: readonly number[]): void {
    using region = createRegion(heap({ capacity: '4MiB' }), method);
    const kept = region.strdup('kept');
    for (const value of values) {
      let message = String(value);
      try {
        message = expectCode(code, () => call(region, value)).message;
      } catch (error) {
        throw new Error(`given ${message}`, { cause: error });
      }
      expect(message.length).toBeGreaterThan(20);
    }
    expect(region.string(kept)).toBe('kept');
    expect(region.check()).toEqual([]);
  }

  test.each(sizeCalls)('%s: sizes', (_name, call) => {
    refused('ERR_BAD_SIZE', call, SIZES);
  });

  test.each(addressCalls)('%s: addresses', (_name, call) => {
    refused('ERR_BAD_ADDRESS', call, ADDRESSES);
  });

  test.each(addressCalls.slice(1))('%s of 0', (name, call) => {
    if (name !== 'resize') refused('ERR_BAD_ADDRESS', call, [0]);
  });

  test('align: alignments', () => {
    const wrong = [0, -1, 3, 0.5, 24, Number.NaN, Number.POSITIVE_INFINITY, '8'] as number[];
    refused('ERR_BAD_OPTION', (region, alignment) => region.align(8, alignment), wrong);
    const large = [2 ** 23, 2 ** 32, 2 ** 52];
    refused('ERR_NO_SPACE', (region, alignment) => region.align(8, alignment), large);
  });

  test('views: lengths', () => {
    const wrong = [-1, 0.5, Number.NaN, 1000, '1', null] as number[];
    refused('ERR_BAD_SIZE', (region, n) => region.bytes(region.alloc(8), n), wrong);
    refused('ERR_BAD_SIZE', (region, n) => region.array(Float64Array, region.alloc(8), n), wrong);
  });

  test('resize: how', () => {
    using region = createRegion(heap({ capacity: '4MiB' }), method);
    const a = region.alloc(8);
    for (const how of [{ mov: true }, { move: 1 }, { zero: 'yes' }, { from: -1 }, 7]) {
      expectCode('ERR_BAD_OPTION', () => region.resize(a, 10, how as object));
    }
    expect(region.sizeOf(a)).toBeGreaterThanOrEqual(8);
  });

  test('strdup, addressOf, regionOf', () => {
    using region = createRegion(heap({ capacity: '4MiB' }), method);
    for (const wrong of [1, null, undefined, {}]) {
      expectCode('ERR_BAD_OPTION', () => region.strdup(wrong as string));
      expectCode('ERR_BAD_ADDRESS', () => region.addressOf(wrong as unknown as Uint8Array));
      expect(regionOf(wrong as unknown as Uint8Array)).toBeUndefined();
    }
    using other = createRegion(heap({ capacity: '4MiB' }), method);
    expectCode('ERR_BAD_ADDRESS', () => region.addressOf(other.bytes(other.alloc(8))));
  });
});
