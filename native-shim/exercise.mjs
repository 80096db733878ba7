#!/usr/bin/env node
/**
 * Drives a build of the shim hard: the main flows with their contents checked, then random calls
 * with random arguments, in the main thread and in workers. Any error is welcome, a crash is not.
 * Ends with one line; made to run under sanitizers, valgrind and every version of Node.js.
 *
 * node native-shim/exercise.mjs PATH-OF-SHIM.node [SEED] [ROUNDS]
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker, isMainThread, workerData } from 'node:worker_threads';

const PAGE = 4096;
const WINDOW_BYTES = 256 * PAGE;
const [path, seedText, roundsText] = isMainThread ? process.argv.slice(2) : workerData;
const seed = Number(seedText ?? 1);
const rounds = Number(roundsText ?? 4000);
const shim = createRequire(import.meta.url)(path);
const folder = fs.mkdtempSync(join(tmpdir(), 'regionstore-shim-'));

/** mulberry32: small, seeded, good enough to pick arguments. */
function randomFrom(start) {
  let state = start | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function openFile(name, pages) {
  const fd = fs.openSync(join(folder, name), 'w+');
  const bytes = Buffer.alloc(pages * PAGE);
  for (let page = 0; page < pages; page++) bytes.fill(page & 255, page * PAGE, (page + 1) * PAGE);
  fs.writeSync(fd, bytes, 0, bytes.length, 0);
  return fd;
}

function flow() {
  const fd = openFile('flow', 128);
  const window = shim.reserve(WINDOW_BYTES);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, 0, 128 * PAGE, true);
  for (const page of [3, 4, 70]) bytes[page * PAGE + 9] = 201;
  const runs = new Int32Array(64);
  if (shim.pagemap) {
    const found = shim.dirtyRuns(window, 0, 128 * PAGE, runs);
    assert.deepEqual([...runs.subarray(0, 2 * found)], [3, 2, 70, 1]);
  }
  runs.set([0, 128]);
  const list = new Int32Array(128);
  const changed = shim.changedPages(window, runs, 1, list);
  assert.deepEqual([...list.subarray(0, changed)], [3, 4, 70]);
  const images = new Uint8Array(3 * PAGE);
  const crcs = new Uint32Array(3);
  shim.gather(window, list, 3, images, 0, crcs);
  assert.equal(crcs[1], shim.crc32c(bytes, 4 * PAGE, PAGE, 0));
  shim.scatter(fd, 0, list, 3, images, 0);
  runs.set([3, 2, 70, 1]);
  shim.drop(window, runs, 2);
  shim.expect(window, runs, 2);
  assert.equal(bytes[70 * PAGE + 9], 201);
  assert.equal(shim.changedPages(window, new Int32Array([0, 128]), 1, list), 0);
  fs.ftruncateSync(fd, 0);
  assert.equal(bytes[100 * PAGE], 0);
  assert.equal(shim.faults(window), 1);
  shim.close(window);
  assert.equal(bytes.length, 0);
  fs.closeSync(fd);
}

/** Everything a call may be given, right and wrong. */
function makePool() {
  const fds = [openFile('a', 64), openFile('b', 3), 9999];
  const names = ['a', 'b', 'none', 'x'.repeat(5000), 'a\0b'].map((name) => join(folder, name));
  const windows = [1, 2, 3].map(() => shim.reserve(WINDOW_BYTES));
  const closed = shim.reserve(PAGE);
  const emptied = new Uint8Array(closed);
  shim.close(closed);
  const ints = [
    new Int32Array(600), new Int32Array([0, 1, 5, 2, 250, 6]), new Int32Array(0),
    Int32Array.from({ length: 256 }, (_, page) => page),
    new Int32Array([-1, 5, 0, 257, 2 ** 31 - 1]),
  ];
  const bytes = [new Uint8Array(70 * PAGE), new Uint8Array(3), new Uint8Array(PAGE), emptied];
  const words = [new Uint32Array(600), new Uint32Array(1)];
  const others = [
    undefined, null, 'x', {}, [], true, false, Symbol('s'), 10n, closed, new ArrayBuffer(PAGE),
    new Float64Array(9), new DataView(new ArrayBuffer(8)), new SharedArrayBuffer(PAGE),
    new Int32Array(new SharedArrayBuffer(64)), ...ints, ...bytes, ...words,
  ];
  return { fds, names, windows, closed, ints, bytes, words, others };
}

const ODD_NUMBERS = [
  7, -1, 1.5, 2 ** 31 - 1, 2 ** 31, 2 ** 53, NaN, Infinity, -Infinity, 1e300, 257 * PAGE, PAGE + 1,
];
const COUNTS = [0, 1, 1, 2, 2, 3, 64, 128, 256];
const OFFSETS = [0, 0, 1, 2, 5, 64, 128, 255, 256].map((pages) => pages * PAGE);

/** One letter an argument: o offset, k count, f file, n name, w window, i u c arrays, b boolean. */
const SHAPES = {
  reserve: 'o', map: 'wofoob', unmap: 'woo', close: 'w', sync: 'woo', drop: 'wik', expect: 'wik',
  dirtyRuns: 'wooib', changedPages: 'wiki', gather: 'wikuoc', scatter: 'foikuo',
  readPages: 'foikuoc', faults: 'w',
  lock: 'fb', unlock: 'f', fallocate: 'foo', punchHole: 'foo', clone: 'ff', exchange: 'nn',
  sizeOf: 'fn',
  crc32c: 'uokk',
};

function makeKinds(pool, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const array = (list, type) => () =>
    random() < 0.1 ? new type(pick(pool.windows)) : pick(list);
  return {
    o: () => pick(random() < 0.1 ? ODD_NUMBERS : OFFSETS),
    k: () => pick(random() < 0.1 ? ODD_NUMBERS : COUNTS),
    f: () => pick(pool.fds),
    n: () => pick(pool.names),
    b: () => random() < 0.5,
    w: () => (random() < 0.03 ? pool.closed : pick(pool.windows)),
    i: array(pool.ints, Int32Array),
    u: array(pool.bytes, Uint8Array),
    c: array(pool.words, Uint32Array),
    x: () => pick(pool.others),
    name: () => pick(Object.keys(SHAPES)),
  };
}

/** How often each call was accepted. */
function misuse() {
  const random = randomFrom(seed);
  const pool = makePool();
  const kinds = makeKinds(pool, random);
  const accepted = Object.fromEntries(Object.keys(SHAPES).map((name) => [name, 0]));
  for (let round = 0; round < rounds; round++) {
    const name = kinds.name();
    const words = [...SHAPES[name]].map((kind) => kinds[random() < 0.03 ? 'x' : kind]());
    if (random() < 0.03) words.pop();
    accepted[name] += attempt(name, words);
    disturb(pool, random);
  }
  for (const window of pool.windows) shim.close(window);
  for (const fd of pool.fds.slice(0, 2)) fs.closeSync(fd);
  return accepted;
}

function attempt(name, words) {
  try {
    shim[name](...words);
    return 1;
  } catch (error) {
    assert.ok(error instanceof Error && typeof error.code === 'string', `${name}: ${error}`);
    return 0;
  }
}

/** Files change under their mappings; memory is written; closed windows are replaced. */
function disturb(pool, random) {
  for (let i = 0; i < pool.windows.length; i++) {
    if (pool.windows[i].byteLength === 0) pool.windows[i] = shim.reserve(WINDOW_BYTES);
    const bytes = new Uint8Array(pool.windows[i]);
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  }
  const fd = pool.fds[random() < 0.5 ? 0 : 1];
  const size = fs.fstatSync(fd).size;
  if (size > 512 * PAGE || random() < 0.05) fs.ftruncateSync(fd, Math.floor(random() * 64) * PAGE);
}

async function runWorkers(count) {
  for (let i = 0; i < count; i++) {
    const data = [path, String(seed + i + 1), String(Math.ceil(rounds / 20))];
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    await new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', resolve);
      if (i % 2 === 1) worker.on('online', () => worker.terminate());
    });
  }
}

try {
  flow();
  const accepted = misuse();
  if (isMainThread) {
    await runWorkers(6);
    const never = rounds < 4000 ? [] : Object.keys(SHAPES).filter((name) => accepted[name] === 0);
    assert.deepEqual(never.filter((name) => name !== 'clone'), [], 'calls that never succeeded');
    console.log(`exercise: ok, seed ${seed}, ${rounds} calls: ${JSON.stringify(accepted)}`);
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
