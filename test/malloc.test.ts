/** C's functions over the default region: what C says of them. */
import { describe, expect, test } from 'vitest';
import {
  bytes, calloc, defaultRegion, free, mallinfo, malloc, memalign, posixMemalign, realloc, strdup,
  string, valloc,
} from '../src/malloc/malloc.ts';
import { expectCode } from './support/expect-code.ts';

// Read at the first call, in the process of this file alone.
process.env.REGIONSTORE_OPTIONS = 'capacity=4MiB warn=/dev/null';

/** What no block can have, and what is no number at all. */
const NO_SIZES = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, 2 ** 53, 2 ** 53 + 2,
  1e300, '8', null, undefined, {}, true] as number[];
const NO_ADDRESSES = [-16, 1, 8, 24, 0.5, Number.NaN, 2 ** 40, 2 ** 53, '16', undefined, {},
  true] as number[];
const TOO_LARGE = 5 * 2 ** 20;

function holding(size: number, fill: number): number {
  const address = malloc(size);
  bytes(address).fill(fill);
  return address;
}

/** Every live block, and what the region occupies. */
function state(): unknown {
  const busy = [...defaultRegion().blocks()].filter((block) => block.busy);
  return { busy, arena: mallinfo().arena };
}

/** No live block changes, nothing grows, and nothing is thrown. */
function unchanged(work: () => void): void {
  const before = state();
  work();
  expect(state()).toEqual(before);
  expect(defaultRegion().check()).toEqual([]);
}

describe('malloc', () => {
  test('gives blocks of their own, of 0 bytes too', () => {
    const blocks = [0, 0, 1, 100, 70_000].map((size) => [malloc(size), size] as const);
    expect(new Set(blocks.map(([address]) => address)).size).toBe(5);
    for (const [address, size] of blocks) {
      expect(address).toBeGreaterThan(0);
      expect(address % 16).toBe(0);
      expect(bytes(address).length).toBeGreaterThanOrEqual(size);
      free(address);
    }
  });

  test('0 when there is no room, and for what is no size', () => {
    unchanged(() => expect(malloc(TOO_LARGE)).toBe(0));
    for (const size of NO_SIZES) unchanged(() => expect(malloc(size), String(size)).toBe(0));
  });
});

describe('free', () => {
  test('of 0 does nothing; what was freed is used again', () => {
    unchanged(() => free(0));
    const address = malloc(1000);
    free(malloc(50_000));
    free(address);
    expect(malloc(1000)).toBe(address);
    free(address);
  });

  test('of what is no block changes nothing', () => {
    const address = malloc(100);
    free(address);
    unchanged(() => free(address));
    for (const wrong of NO_ADDRESSES) unchanged(() => free(wrong));
  });
});

describe('realloc', () => {
  test('keeps contents, growing, shrinking and moving', () => {
    const address = holding(100, 7);
    const wall = malloc(16);
    const larger = realloc(address, 10_000);
    expect(larger).not.toBe(address);
    expect(bytes(larger, 100).every((byte) => byte === 7)).toBe(true);
    const smaller = realloc(larger, 10);
    expect(bytes(smaller, 10).every((byte) => byte === 7)).toBe(true);
    free(smaller);
    free(wall);
  });

  test('of address 0 is malloc', () => {
    const address = realloc(0, 40);
    expect(bytes(address).length).toBeGreaterThanOrEqual(40);
    free(address);
    const empty = realloc(0, 0);
    expect(empty).toBeGreaterThan(0);
    free(empty);
  });

  test('to size 0 frees', () => {
    const address = malloc(64);
    const before = mallinfo().uordblks;
    expect(realloc(address, 0)).toBe(0);
    expect(mallinfo().uordblks).toBeLessThan(before);
    expectCode('ERR_BAD_ADDRESS', () => bytes(address));
  });

  test('that fails leaves the block as it is', () => {
    const address = holding(100, 9);
    unchanged(() => expect(realloc(address, TOO_LARGE)).toBe(0));
    for (const size of NO_SIZES) unchanged(() => expect(realloc(address, size)).toBe(0));
    for (const wrong of NO_ADDRESSES) unchanged(() => expect(realloc(wrong, 8)).toBe(0));
    expect(bytes(address, 100).every((byte) => byte === 9)).toBe(true);
    free(address);
  });
});

describe('calloc', () => {
  test('reads as zeros where something was before', () => {
    free(holding(4000, 0xff));
    const address = calloc(100, 40);
    expect(bytes(address, 4000).every((byte) => byte === 0)).toBe(true);
    free(address);
    const none = calloc(0, 40);
    expect(none).toBeGreaterThan(0);
    free(none);
  });

  test('0 for a product that is no size, never a small block', () => {
    const pairs = [[2 ** 31, 2], [2 ** 32, 2 ** 32], [2 ** 52, 2 ** 12], [-1, -1], [-8, 1],
      [0.5, 2], [TOO_LARGE, 1]];
    for (const [count, size] of pairs) unchanged(() => expect(calloc(count, size)).toBe(0));
    for (const size of NO_SIZES) {
      unchanged(() => expect(calloc(1, size)).toBe(0));
      unchanged(() => expect(calloc(size, 1)).toBe(0));
    }
  });
});

describe('aligned blocks', () => {
  test.each([1, 2, 8, 16, 64, 4096, 65_536])('memalign %d', (alignment) => {
    const address = memalign(alignment, 100);
    expect(address).toBeGreaterThan(0);
    expect(address % alignment).toBe(0);
    expect(bytes(address).length).toBeGreaterThanOrEqual(100);
    free(address);
  });

  test('memalign gives 0 for other alignments and sizes', () => {
    for (const wrong of [0, -16, 3, 24, 1.5, Number.NaN, '16', undefined] as number[]) {
      unchanged(() => expect(memalign(wrong, 10)).toBe(0));
    }
    for (const size of NO_SIZES) unchanged(() => expect(memalign(64, size)).toBe(0));
  });

  test.each([8, 16, 32, 4096])('posixMemalign %d', (alignment) => {
    const { error, address } = posixMemalign(alignment, 50);
    expect(error).toBe(0);
    expect(address % alignment).toBe(0);
    free(address);
  });

  test('posixMemalign says why not', () => {
    for (const wrong of [0, 1, 2, 4, 12, 24, -8, 8.5, Number.NaN, '8', undefined] as number[]) {
      unchanged(() => {
        expect(posixMemalign(wrong, 10)).toEqual({ error: 'EINVAL', address: 0 });
      });
    }
    for (const size of [TOO_LARGE, ...NO_SIZES]) {
      unchanged(() => {
        expect(posixMemalign(8, size)).toEqual({ error: 'ENOMEM', address: 0 });
      });
    }
  });

  test('valloc starts a page', () => {
    const address = valloc(10);
    expect(address % 4096).toBe(0);
    free(address);
    for (const size of NO_SIZES) unchanged(() => expect(valloc(size)).toBe(0));
  });
});

describe('strdup', () => {
  test('is the text and a NUL', () => {
    const address = strdup('grüße 🌍');
    const encoded = Buffer.from('grüße 🌍\0');
    expect(Buffer.from(bytes(address, encoded.length))).toEqual(encoded);
    expect(string(address)).toBe('grüße 🌍');
    free(address);
  });

  test('ends before a NUL, as C sees a text', () => {
    const address = strdup('one\0two');
    expect(string(address)).toBe('one');
    free(address);
    const empty = strdup('');
    expect(string(empty)).toBe('');
    free(empty);
  });

  test('0 when there is no room, an error for what is no text', () => {
    unchanged(() => expect(strdup('x'.repeat(TOO_LARGE))).toBe(0));
    for (const wrong of [7, null, undefined, {}] as unknown as string[]) {
      unchanged(() => expectCode('ERR_BAD_OPTION', () => strdup(wrong)));
    }
  });

  test('a block without a NUL is text to its end', () => {
    const address = malloc(32);
    const block = bytes(address).fill(97);
    expect(string(address)).toBe('a'.repeat(block.length));
    free(address);
  });
});

describe('bytes', () => {
  test('is the memory itself, as long as is asked for', () => {
    const address = malloc(64);
    bytes(address)[3] = 42;
    expect(bytes(address, 4)[3]).toBe(42);
    expect(bytes(address, 4).length).toBe(4);
    free(address);
  });

  test('throws for what is no block or no length', () => {
    for (const wrong of [0, ...NO_ADDRESSES]) {
      unchanged(() => expectCode('ERR_BAD_ADDRESS', () => bytes(wrong)));
      unchanged(() => expectCode('ERR_BAD_ADDRESS', () => string(wrong)));
    }
    const address = malloc(16);
    for (const wrong of [-1, 0.5, Number.NaN, 1e6]) {
      unchanged(() => expectCode('ERR_BAD_SIZE', () => bytes(address, wrong)));
    }
    free(address);
  });
});

test('mallinfo counts blocks as they come and go', () => {
  const before = mallinfo();
  const address = malloc(1000);
  const usable = bytes(address).length;
  const during = mallinfo();
  expect(during.uordblks).toBe(before.uordblks + usable);
  expect(during.ordblks).toBe(defaultRegion().stat().freeBlocks);
  expect(during.fordblks).toBe(defaultRegion().stat().freeBytes);
  expect(during.arena).toBeGreaterThanOrEqual(during.uordblks + during.fordblks);
  free(address);
  expect(mallinfo().uordblks).toBe(before.uordblks);
});

test('the default region is a region like any other, and the same one', () => {
  const address = malloc(10);
  expect(defaultRegion()).toBe(defaultRegion());
  expect(defaultRegion().sizeOf(address)).toBe(bytes(address).length);
  expect(defaultRegion().method).toBe('best');
  free(address);
});

test('after the region is closed nothing can be allocated, and nothing is thrown', () => {
  const address = malloc(10);
  defaultRegion().close();
  expect(malloc(10)).toBe(0);
  expect(calloc(1, 10)).toBe(0);
  expect(realloc(address, 20)).toBe(0);
  free(address);
  expectCode('ERR_CLOSED', () => bytes(address));
});
