/** What a program must not do with native-shim: each is an error with a reason, never a crash. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PAGE, SLOT_BYTES } from '../src/layout.ts';
import type { Shim } from '../src/native/shim.ts';
import { builtShim, errorOf, fillOf, Scratch } from './support/native.ts';

type Call = (...words: unknown[]) => unknown;
type Case = [why: string, call: keyof Shim, words: unknown[], type: string, hint: RegExp];

const shim = builtShim();
const scratch = new Scratch();
const PAGES = 16;
const window = shim.reserve(PAGES * PAGE);
const bare = shim.reserve(PAGE);
const closed = shim.reserve(PAGE);
const emptied = new Int32Array(closed);
shim.close(closed);
const fd = scratch.file('misuse', PAGES);
const stranger = new ArrayBuffer(PAGES * PAGE);
const ints = new Int32Array(64);
const bytes = new Uint8Array(4 * PAGE);
const crcs = new Uint32Array(8);
const sharedInts = new Int32Array(new SharedArrayBuffer(64));

beforeAll(() => shim.map(window, 0, fd, 0, PAGES * PAGE, true));

afterAll(() => {
  shim.close(bare);
  shim.close(window);
  scratch.remove();
});

const TYPE = 'ERR_INVALID_ARG_TYPE';
const RANGE = 'ERR_OUT_OF_RANGE';

const cases: Case[] = [
  ['no argument', 'reserve', [], TYPE, /bytes must be a number/],
  ['a bigint', 'reserve', [4096n], TYPE, /bytes/],
  ['nothing', 'reserve', [0], RANGE, /not 0/],
  ['half a page', 'reserve', [2048], RANGE, /page size/],
  ['a fraction', 'reserve', [4096.5], RANGE, /whole number/],
  ['NaN', 'reserve', [Number.NaN], RANGE, /whole number/],
  ['more than 4 GiB', 'reserve', [SLOT_BYTES + PAGE], RANGE, /4294967296/],
  ['a negative file offset', 'map', [window, 0, fd, -PAGE, PAGE, true], RANGE, /fileAt/],
  ['an odd file offset', 'map', [window, 0, fd, 100, PAGE, true], RANGE, /fileAt/],
  ['an odd place', 'map', [window, 100, fd, 0, PAGE, true], RANGE, /at and bytes/],
  ['past the window', 'map', [window, PAGE, fd, 0, PAGES * PAGE, true], RANGE, /bytes/],
  ['no bytes', 'map', [window, 0, fd, 0, 0, true], RANGE, /not 0/],
  ['a negative fd', 'map', [window, 0, -1, 0, PAGE, true], RANGE, /fd/],
  ['no flag', 'map', [window, 0, fd, 0, PAGE], TYPE, /isPrivate/],
  ['past the window', 'unmap', [window, PAGES * PAGE, PAGE], RANGE, /bytes/],
  ['a negative start', 'unmap', [window, -PAGE, PAGE], RANGE, /at/],
  ['infinity', 'sync', [window, 0, Number.POSITIVE_INFINITY], RANGE, /bytes/],
  ['more runs than there are', 'drop', [window, ints, 33], RANGE, /runCount/],
  ['a run past the window', 'drop', [window, new Int32Array([15, 2]), 1], RANGE, /runs/],
  ['a negative page', 'drop', [window, new Int32Array([-1, 2]), 1], RANGE, /runs/],
  ['a negative length', 'drop', [window, new Int32Array([3, -1]), 1], RANGE, /runs/],
  ['huge numbers', 'drop', [window, new Int32Array([2 ** 31 - 1, 2 ** 31 - 1]), 1], RANGE, /runs/],
  ['a plain array', 'drop', [window, [0, 1], 1], TYPE, /runs must be an Int32Array/],
  ['more expected than there are', 'expect', [window, ints, 33], RANGE, /runCount/],
  ['expected past the window', 'expect', [window, new Int32Array([15, 2]), 1], RANGE, /runs/],
  ['unsigned runs', 'drop', [window, crcs, 1], TYPE, /Int32Array/],
  ['shared runs', 'drop', [window, sharedInts, 1], TYPE, /not of shared memory/],
  ['emptied runs', 'drop', [window, emptied, 1], RANGE, /runCount/],
  ['an odd length', 'dirtyRuns', [window, 0, 100, ints], RANGE, /multiples/],
  ['bytes for runs', 'dirtyRuns', [window, 0, PAGE, bytes], TYPE, /out/],
  ['a word as flag', 'dirtyRuns', [window, 0, PAGE, ints, 'yes'], TYPE, /byReading/],
  ['no room', 'changedPages', [window, new Int32Array([0, 9]), 1, crcs], TYPE, /out/],
  ['nothing mapped', 'changedPages', [bare, ints, 1, ints], RANGE, /no file is mapped/],
  ['no path', 'sizeOf', [fd, 7], TYPE, /path must be a string/],
  ['a long path', 'sizeOf', [fd, 'x'.repeat(5000)], RANGE, /shorter/],
  ['page 16 of 16', 'gather', [window, new Int32Array([16]), 1, bytes, 0, crcs], RANGE, /list/],
  ['images outside', 'gather', [window, ints, 4, bytes, 1, crcs], RANGE, /images/],
  ['images far outside', 'gather', [window, ints, 1, bytes, 5 * PAGE, crcs], RANGE, /imagesAt/],
  ['few checksums', 'gather', [window, ints, 2, bytes, 0, new Uint32Array(1)], RANGE, /crcs/],
  ['a negative page', 'scatter', [fd, 0, new Int32Array([-1]), 1, bytes, 0], RANGE, /list/],
  ['images outside', 'scatter', [fd, 0, ints, 5, bytes, 0], RANGE, /images/],
  ['more pages than listed', 'scatter', [fd, 0, ints, 65, bytes, 0], RANGE, /count/],
  ['few checksums', 'readPages', [fd, 0, ints, 2, bytes, 0, new Uint32Array(1)], RANGE, /crcs/],
  ['no room for pages', 'readPages', [fd, 0, ints, 5, bytes, 0, crcs], RANGE, /images/],
  ['no flag', 'lock', [fd, 1], TYPE, /exclusive/],
  ['a fraction', 'unlock', [1.5], RANGE, /fd/],
  ['nothing', 'fallocate', [fd, 0, 0], RANGE, /not be 0/],
  ['an unsafe integer', 'fallocate', [fd, 0, 2 ** 53], RANGE, /bytes/],
  ['a negative start', 'punchHole', [fd, -1, PAGE], RANGE, /at/],
  ['no target', 'clone', [fd], TYPE, /fd/],
  ['no other', 'exchange', [scratch.path('a')], TYPE, /other must be a string/],
  ['a path of two', 'exchange', ['a\0b', 'c'], RANGE, /one must .*without NUL/],
  ['outside', 'crc32c', [bytes, PAGE, 4 * PAGE, 0], RANGE, /bytes/],
  ['no bytes', 'crc32c', [stranger, 0, 1, 0], TYPE, /data/],
  ['a negative seed', 'crc32c', [bytes, 0, 1, -1], RANGE, /seed/],
];

test.each(cases)('%s: %s is refused', (_why, call, words, code, hint) => {
  const error = errorOf(() => (shim[call] as Call)(...words));
  expect(error).toBeInstanceOf(code === TYPE ? TypeError : RangeError);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(hint);
});

describe('only an open window of ours will do', () => {
  const calls: [keyof Shim, unknown[]][] = [
    ['map', [0, fd, 0, PAGE, true]],
    ['unmap', [0, PAGE]],
    ['close', []],
    ['sync', [0, PAGE]],
    ['drop', [ints, 1]],
    ['expect', [ints, 1]],
    ['dirtyRuns', [0, PAGE, ints]],
    ['changedPages', [ints, 1, ints]],
    ['gather', [ints, 1, bytes, 0, crcs]],
    ['faults', []],
  ];
  const others = { stranger, closed, emptied, shared: sharedInts.buffer, null: null, number: 4096 };
  test.each(calls)('%s', (call, rest) => {
    for (const [name, other] of Object.entries(others)) {
      const error = errorOf(() => (shim[call] as Call)(other, ...rest));
      expect(error, name).toBeInstanceOf(TypeError);
      expect(error.message, name).toMatch(/window must be an ArrayBuffer made by reserve\(\)/);
    }
  });
});

test('a closed descriptor is the error of the system', () => {
  const gone = scratch.open('gone', 'w+');
  const calls: [string, () => unknown][] = [
    ['mmap', () => shim.map(window, 0, 99999, 0, PAGE, true)],
    ['flock', () => shim.lock(99999, true)],
    ['flock', () => shim.unlock(99999)],
    ['fstat', () => shim.fallocate(99999, 0, PAGE)],
    ['fallocate', () => shim.punchHole(99999, 0, PAGE)],
    ['ioctl', () => shim.clone(99999, gone)],
    ['fstat', () => shim.sizeOf(99999, 'gone')],
    ['pread', () => shim.readPages(99999, 0, new Int32Array([0]), 1, bytes, 0, crcs)],
    ['pwrite', () => shim.scatter(99999, 0, new Int32Array([0]), 1, bytes, 0)],
  ];
  for (const [syscall, call] of calls) {
    expect(errorOf(call), syscall).toMatchObject({ code: 'EBADF', errno: -9, syscall });
  }
  shim.map(window, 0, fd, 0, PAGES * PAGE, true);
});

test('page numbers that change while they are used are caught', () => {
  const own = shim.reserve(64 * PAGE);
  const file = scratch.file('own', 64);
  shim.map(own, 0, file, 0, 64 * PAGE, true);
  const inside = new Int32Array(own, 2 * PAGE, 4);
  inside.set([2, 1, 3, 1]);
  // Dropping page 2 brings the file's bytes back; both runs were read before.
  new Uint8Array(own)[3 * PAGE] ^= 1;
  shim.drop(own, inside, 2);
  expect(new Uint8Array(own, 3 * PAGE, 1)[0]).toBe(fillOf(3));
  expect(new Uint8Array(inside.buffer, 2 * PAGE, 1)[0]).toBe(fillOf(2));
  // Results written over the runs: pages 50, 51, 52, 53 … make the second run (52, 53).
  const both = new Int32Array(16);
  both.set([50, 12, 10, 4]);
  const memory = new Uint8Array(own);
  for (let page = 50; page < 62; page++) memory[page * PAGE] ^= 1;
  const error = errorOf(() => shim.changedPages(own, both, 2, both));
  expect(error.message).toMatch(/changed while/);
  shim.close(own);
});
