/** native-shim on real files and memory: every call does what shim.ts says. */
import {
  fstatSync,
  ftruncateSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PAGE, SLOT_BYTES } from '../src/layout.ts';
import { crc32c } from '../src/native/crc32c.ts';
import { loadShim, shimProblem } from '../src/native/load.ts';
import { builtShim, errorOf, fillOf, pagesOf, randomFrom, Scratch } from './support/native.ts';

const shim = builtShim();
let scratch: Scratch;

beforeAll(() => {
  scratch = new Scratch();
});

afterAll(() => scratch.remove());

function byteAt(fd: number, at: number): number {
  const one = new Uint8Array(1);
  expect(readSync(fd, one, 0, 1, at)).toBe(1);
  return one[0];
}

function dirtyPages(window: ArrayBuffer, bytes: number, byReading = false): number[] {
  const runs = new Int32Array(4096);
  return pagesOf(runs, shim.dirtyRuns(window, 0, bytes, runs, byReading));
}

test('the loader gives the same shim every time and no problem', () => {
  expect(loadShim()).toBe(shim);
  expect(shimProblem()).toBeNull();
  expect(shim.pageBytes).toBe(PAGE);
  expect(shim.pagemap ? ['scan', 'read'] : ['none']).toContain(shim.scanner);
});

test('reserved memory is zero, writable, and of exactly the length asked for', () => {
  const window = shim.reserve(SLOT_BYTES);
  expect(window.byteLength).toBe(SLOT_BYTES);
  const words = new Int32Array(window);
  const last = words.length - 1;
  expect([words[0], words[last]]).toEqual([0, 0]);
  words[last] = 77;
  expect(new Uint8Array(window)[SLOT_BYTES - 4]).toBe(77);
  shim.close(window);
});

test('64 GiB in 16 windows are there at once, each its own memory', () => {
  const windows = Array.from({ length: 16 }, () => shim.reserve(SLOT_BYTES));
  const views = windows.map((window) => new Int32Array(window));
  views.forEach((view, i) => {
    view[SLOT_BYTES / 8] = i + 1;
  });
  expect(views.map((view) => view[SLOT_BYTES / 8])).toEqual(windows.map((_, i) => i + 1));
  for (const window of windows) shim.close(window);
});

test('a private mapping keeps writes from the file; drop shows the file again', () => {
  const fd = scratch.file('private', 16);
  const window = shim.reserve(32 * PAGE);
  const bytes = new Uint8Array(window);
  shim.map(window, 4 * PAGE, fd, 2 * PAGE, 8 * PAGE, true);
  expect([bytes[4 * PAGE], bytes[11 * PAGE]]).toEqual([fillOf(2), fillOf(9)]);
  expect([bytes[3 * PAGE], bytes[12 * PAGE]]).toEqual([0, 0]);
  bytes[5 * PAGE] = 250;
  expect(byteAt(fd, 3 * PAGE)).toBe(fillOf(3));
  shim.drop(window, new Int32Array([5, 1]), 1);
  expect(bytes[5 * PAGE]).toBe(fillOf(3));
  shim.close(window);
});

test('what is expected is advice: contents stay, changed ones too', () => {
  const fd = scratch.file('expected', 64);
  const window = shim.reserve(80 * PAGE);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, 0, 64 * PAGE, true);
  bytes[9 * PAGE] = 250;
  // The last of them lies behind the file.
  shim.expect(window, new Int32Array([0, 1, 8, 4, 30, 0, 60, 20]), 4);
  const seen = () => [0, 8, 9, 40, 63, 70].map((page) => bytes[page * PAGE]);
  const right = [fillOf(0), fillOf(8), 250, fillOf(40), fillOf(63), 0];
  expect(seen()).toEqual(right);
  shim.expect(window, new Int32Array(0), 0);
  expect(seen()).toEqual(right);
  expect(shim.faults(window)).toBe(0);
  shim.close(window);
});

test('a shared mapping reaches the file; sync and unmap leave it there', () => {
  const fd = scratch.file('shared', 4);
  const window = shim.reserve(4 * PAGE);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, 0, 4 * PAGE, false);
  bytes[PAGE + 5] = 251;
  shim.sync(window, 0, 4 * PAGE);
  expect(byteAt(fd, PAGE + 5)).toBe(251);
  shim.unmap(window, PAGE, PAGE);
  expect([bytes[0], bytes[PAGE + 5], bytes[2 * PAGE]]).toEqual([fillOf(0), 0, fillOf(2)]);
  bytes[PAGE + 5] = 9;
  expect(byteAt(fd, PAGE + 5)).toBe(251);
  shim.close(window);
});

test('close empties every view; a closed window is an error, not a crash', () => {
  const fd = scratch.file('close', 4);
  const window = shim.reserve(4 * PAGE);
  const bytes = new Uint8Array(window);
  const words = new Float64Array(window, PAGE, 8);
  shim.map(window, 0, fd, 0, 4 * PAGE, true);
  bytes[0] = 1;
  shim.close(window);
  expect([bytes.length, words.length, window.byteLength]).toEqual([0, 0, 0]);
  expect(bytes[0]).toBeUndefined();
  expect(errorOf(() => shim.close(window))).toBeInstanceOf(TypeError);
  expect(byteAt(fd, 0)).toBe(fillOf(0));
});

test('a refused mapping leaves zero pages behind, never a hole', () => {
  const writeOnly = scratch.open('write-only', 'w');
  const window = shim.reserve(2 * PAGE);
  const bytes = new Uint8Array(window);
  const error = errorOf(() => shim.map(window, 0, writeOnly, 0, 2 * PAGE, true));
  expect(error).toMatchObject({ code: 'EACCES', syscall: 'mmap' });
  expect(error.errno).toBeLessThan(0);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  bytes.fill(3);
  shim.close(window);
});

test.each([false, true])('dirty pages are the written ones (byReading: %s)', (byReading) => {
  expect(shim.pagemap, 'these tests need /proc/self/pagemap').toBe(true);
  const fd = scratch.file(`dirty-${byReading}`, 64);
  const window = shim.reserve(128 * PAGE);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, 0, 64 * PAGE, true);
  expect(dirtyPages(window, 128 * PAGE, byReading)).toEqual([]);
  let sum = 0;
  for (let page = 0; page < 64; page += 3) sum += bytes[page * PAGE];
  expect(sum).toBeGreaterThan(0);
  expect(dirtyPages(window, 64 * PAGE, byReading)).toEqual([]);
  for (const page of [0, 7, 8, 9, 63, 100]) bytes[page * PAGE + 1] = 200;
  expect(dirtyPages(window, 128 * PAGE, byReading)).toEqual([0, 7, 8, 9, 63, 100]);
  const runs = new Int32Array(8);
  expect(shim.dirtyRuns(window, 8 * PAGE, 56 * PAGE, runs, byReading)).toBe(2);
  expect([...runs.subarray(0, 4)]).toEqual([8, 2, 63, 1]);
  expect(shim.dirtyRuns(window, 0, 128 * PAGE, new Int32Array(6), byReading)).toBe(-1);
  shim.drop(window, new Int32Array([7, 2, 63, 1]), 2);
  expect(dirtyPages(window, 128 * PAGE, byReading)).toEqual([0, 9, 100]);
  shim.close(window);
});

test('scanning and reading agree past 512 runs', () => {
  const seed = 20250101;
  const random = randomFrom(seed);
  const pages = 16384;
  const window = shim.reserve(pages * PAGE);
  const bytes = new Uint8Array(window);
  const fd = scratch.open('sparse', 'wx+');
  ftruncateSync(fd, pages * PAGE);
  shim.map(window, 0, fd, 0, pages * PAGE, true);
  const written = new Set<number>();
  while (written.size < 3000) written.add(random(pages));
  for (const page of written) bytes[page * PAGE + random(PAGE)] = 1;
  const expected = [...written].sort((a, b) => a - b);
  const runs = new Int32Array(2 * pages);
  const scanned = pagesOf(runs, shim.dirtyRuns(window, 0, pages * PAGE, runs));
  expect(scanned, `seed ${seed}`).toEqual(expected);
  const read = pagesOf(runs, shim.dirtyRuns(window, 0, pages * PAGE, runs, true));
  expect(read, `seed ${seed}`).toEqual(expected);
  shim.close(window);
});

test('changedPages compares with the file, zeros beyond its end', () => {
  const fd = scratch.file('compare', 100);
  ftruncateSync(fd, 99 * PAGE + 10);
  const window = shim.reserve(256 * PAGE);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, PAGE, 99 * PAGE, true);
  const out = new Int32Array(256);
  const compare = (runs: number[]) => {
    const count = shim.changedPages(window, new Int32Array(runs), runs.length / 2, out);
    return [...out.subarray(0, count)];
  };
  expect(compare([0, 256])).toEqual([]);
  bytes[2 * PAGE + PAGE - 1] ^= 1;
  bytes[70 * PAGE] ^= 128;
  bytes[71 * PAGE] = bytes[71 * PAGE];
  bytes[200 * PAGE + 17] = 4;
  expect(compare([0, 256])).toEqual([2, 70, 200]);
  expect(compare([70, 2, 0, 3])).toEqual([70, 2]);
  bytes[98 * PAGE + 4000] = 1;
  expect(compare([98, 1])).toEqual([98]);
  shim.close(window);
});

test('sizeOf says whether a path still names an open file', () => {
  const fd = scratch.file('named', 3);
  const path = scratch.path('named');
  expect(shim.sizeOf(fd, path)).toBe(3 * PAGE);
  renameSync(path, `${path}.moved`);
  expect(shim.sizeOf(fd, path)).toBe(-2);
  writeFileSync(path, 'another');
  expect(shim.sizeOf(fd, path)).toBe(-3);
  rmSync(`${path}.moved`);
  expect(shim.sizeOf(fd, path)).toBe(-1);
});

test('gather copies pages with their checksums; scatter writes them where they belong', () => {
  const seed = 7;
  const random = randomFrom(seed);
  const fd = scratch.file('scatter', 8);
  const window = shim.reserve(64 * PAGE);
  const bytes = new Uint8Array(window).map(() => random(256));
  new Uint8Array(window).set(bytes);
  const list = new Int32Array([3, 4, 5, 1, 60, 61, 20, 99]);
  const images = new Uint8Array(7 * PAGE + 100);
  const crcs = new Uint32Array(7);
  shim.gather(window, list, 7, images, 100, crcs);
  shim.scatter(fd, 2 * PAGE, list, 7, images, 100);
  const file = readFileSync(scratch.path('scatter'));
  expect(file.length).toBe(64 * PAGE);
  for (let i = 0; i < 7; i++) {
    const page = bytes.subarray(list[i] * PAGE, (list[i] + 1) * PAGE);
    expect(images.subarray(100 + i * PAGE, 100 + (i + 1) * PAGE), `seed ${seed}`).toEqual(page);
    expect(crcs[i]).toBe(crc32c(page, 0, PAGE, 0));
    const at = (list[i] + 2) * PAGE;
    expect(file.subarray(at, at + PAGE).equals(page), `page ${list[i]}`).toBe(true);
  }
  expect(file[2 * PAGE]).toBe(fillOf(2));
  expect(file[30 * PAGE]).toBe(0);
  const back = new Uint8Array(8 * PAGE);
  const sums = new Uint32Array(8);
  shim.readPages(fd, 2 * PAGE, list, 8, back, 0, sums);
  expect(Buffer.compare(back.subarray(0, 7 * PAGE), images.subarray(100))).toBe(0);
  expect([...sums.subarray(0, 7)]).toEqual([...crcs]);
  expect(back.subarray(7 * PAGE).every((byte) => byte === 0)).toBe(true);
  shim.close(window);
});

test('the lock excludes another open file, a shared one only writers', () => {
  scratch.file('lock', 1);
  const [one, two] = [scratch.open('lock', 'r+'), scratch.open('lock', 'r+')];
  expect(shim.lock(one, true)).toBe(true);
  expect(shim.lock(two, true)).toBe(false);
  expect(shim.lock(two, false)).toBe(false);
  shim.unlock(one);
  expect(shim.lock(two, false)).toBe(true);
  expect(shim.lock(one, false)).toBe(true);
  expect(shim.lock(one, true)).toBe(false);
  shim.unlock(two);
  shim.unlock(one);
});

test('fallocate gives disk and length and keeps contents; a refusal changes nothing', () => {
  const fd = scratch.file('space', 2);
  shim.fallocate(fd, PAGE, 255 * PAGE);
  const grown = fstatSync(fd);
  expect(grown.size).toBe(256 * PAGE);
  expect(grown.blocks * 512).toBeGreaterThanOrEqual(256 * PAGE);
  expect([byteAt(fd, PAGE), byteAt(fd, 2 * PAGE)]).toEqual([fillOf(1), 0]);
  const error = errorOf(() => shim.fallocate(fd, 0, 2 ** 53 - PAGE));
  expect(error).toMatchObject({ syscall: 'fallocate' });
  expect(['EFBIG', 'ENOSPC']).toContain(error.code);
  expect(fstatSync(fd).size).toBe(256 * PAGE);
});

test('punchHole gives disk back and zeros the range, or says that it cannot', () => {
  const fd = scratch.file('hole', 256);
  const before = fstatSync(fd).blocks;
  const punched = shim.punchHole(fd, 16 * PAGE, 128 * PAGE);
  expect(fstatSync(fd).size).toBe(256 * PAGE);
  expect(byteAt(fd, 15 * PAGE)).toBe(fillOf(15));
  expect(byteAt(fd, 16 * PAGE)).toBe(punched ? 0 : fillOf(16));
  expect(byteAt(fd, 144 * PAGE)).toBe(fillOf(144));
  if (punched) expect(fstatSync(fd).blocks).toBeLessThan(before);
});

test('clone shares a whole file, or says that it cannot and leaves the target', () => {
  const [from, to] = [scratch.file('from', 8), scratch.open('to', 'wx+')];
  const cloned = shim.clone(from, to);
  const target = readFileSync(scratch.path('to'));
  expect(target.equals(cloned ? readFileSync(scratch.path('from')) : Buffer.alloc(0))).toBe(true);
});

test('exchange: two names change places, of files or folders; or nothing happens', () => {
  const [one, other] = ['one', 'other'].map((name) => scratch.path(name));
  mkdirSync(one);
  writeFileSync(join(one, 'inside'), 'first');
  writeFileSync(other, 'second');
  const exchanged = shim.exchange(one, other);
  const [folder, file] = exchanged ? [other, one] : [one, other];
  expect(readFileSync(join(folder, 'inside'), 'utf8')).toBe('first');
  expect(readFileSync(file, 'utf8')).toBe('second');
  for (const [from, to] of [[one, scratch.path('none')], [scratch.path('none'), one]]) {
    expect(() => shim.exchange(from as string, to as string)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'renameat2' }));
  }
  expect(readdirSync(folder)).toEqual(['inside']);
});

test('both crc32c know the vectors of RFC 3720', () => {
  const vectors: [Uint8Array, number][] = [
    [new TextEncoder().encode('123456789'), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(255), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ];
  for (const [data, expected] of vectors) {
    expect(shim.crc32c(data, 0, data.length, 0)).toBe(expected);
    expect(crc32c(data, 0, data.length, 0)).toBe(expected);
  }
});

test('both crc32c agree on every length and offset, and continue from a seed', () => {
  const seed = 99;
  const random = randomFrom(seed);
  const data = Uint8Array.from({ length: 20000 }, () => random(256));
  const lengths = [...Array(40).keys(), 4031, 4032, 4033, 4096, 8064, 8191, 12345];
  for (const length of lengths) {
    const at = random(64);
    const whole = shim.crc32c(data, at, length, 0);
    const cut = random(length + 1);
    const rest = shim.crc32c(data, at + cut, length - cut, shim.crc32c(data, at, cut, 0));
    const why = `seed ${seed}, length ${length}`;
    expect([rest, crc32c(data, at, length, 0)], why).toEqual([whole, whole]);
  }
  expect(errorOf(() => crc32c(data, 19999, 2, 0))).toBeInstanceOf(RangeError);
});

test('a file that grows under a window shows its new pages', () => {
  const fd = scratch.file('grow', 1);
  const window = shim.reserve(SLOT_BYTES);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, 0, PAGE, true);
  bytes[10] = 42;
  shim.fallocate(fd, PAGE, PAGE);
  writeSync(fd, new Uint8Array([5]), 0, 1, PAGE);
  shim.map(window, PAGE, fd, PAGE, PAGE, true);
  expect([bytes[10], bytes[PAGE], bytes[2 * PAGE]]).toEqual([42, 5, 0]);
  expect(shim.faults(window)).toBe(0);
  shim.close(window);
});
