/** Sizes and option objects. */
import { describe, expect, test } from 'vitest';
import { count, flag, oneOf, readOptions, size, text } from '../src/options.ts';
import { parseSize } from '../src/size.ts';
import { expectCode } from './support/expect-code.ts';

describe('parseSize', () => {
  test.each([
    [0, 0], [4096, 4096], ['0', 0], ['17', 17], ['17B', 17], ['64KiB', 65536], ['64 KiB', 65536],
    ['1MiB', 2 ** 20], ['1.5GiB', 1.5 * 2 ** 30], ['1TiB', 2 ** 40],
  ])('%s is %d bytes', (given, bytes) => {
    expect(parseSize(given, 'capacity')).toBe(bytes);
  });

  test.each([
    -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '', ' ', '1kb', '1GB', 'GiB', '-1',
    '0x10',     '0.3B', '1e3', '99999999TiB', null, undefined, {}, [], true, 10n,
  ])('%s is refused by name', (given) => {
    const error = expectCode('ERR_BAD_OPTION', () => parseSize(given, 'capacity'));
    expect(error.message).toContain('capacity');
  });
});

describe('readOptions', () => {
  interface Options {
    capacity?: number;
    sparse?: boolean;
    mapper?: 'shim' | 'mmap-io';
    name?: string;
    history?: number;
  }
  const read = (given: unknown) => readOptions<Options>(given, {
    capacity: size, sparse: flag, mapper: oneOf('shim', 'mmap-io'), name: text, history: count(1),
  }, 'test');

  test('what is given is read, what is missing or undefined is left out', () => {
    expect(read(undefined)).toEqual({});
    expect(read({ sparse: undefined })).toEqual({});
    expect(read({ capacity: '1KiB', sparse: false, mapper: 'shim', name: 'n', history: 1 }))
      .toEqual({ capacity: 1024, sparse: false, mapper: 'shim', name: 'n', history: 1 });
  });

  test('an unknown key is refused with the nearest known one', () => {
    const error = expectCode('ERR_BAD_OPTION', () => read({ capcity: 1 }));
    expect(error.message).toContain("'capcity'");
    expect(error.message).toContain("did you mean 'capacity'");
    expect(expectCode('ERR_BAD_OPTION', () => read({ qqqqqq: 1 })).message)
      .not.toContain('did you mean');
    expectCode('ERR_BAD_OPTION', () => read({ toString: 1 }));
  });

  test.each([
    { sparse: 1 }, { mapper: 'none' }, { name: '' }, { name: 7 }, { history: 0 }, { history: 1.5 },
    { capacity: 'much' }, 7, 'text', null, [],
  ])('%j is refused', (given) => {
    expectCode('ERR_BAD_OPTION', () => read(given));
  });
});
