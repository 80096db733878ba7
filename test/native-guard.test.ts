/**
 * native-shim at the edges of a process: bus errors, workers that end, address space that must be
 * given back, and not too early. Whatever may kill a process runs in a child.
 */
import { spawnSync } from 'node:child_process';
import { ftruncateSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { PAGE, SLOT_BYTES } from '../src/layout.ts';
import { builtShim, fillOf, Scratch, SHIM_BINARY } from './support/native.ts';

const shim = builtShim();
const scratch = new Scratch();

afterAll(() => scratch.remove());

/** Runs CommonJS text with `shim`, `fs`, `file` at hand. */
function child(name: string, text: string, ...flags: string[]) {
  const head = `const shim = require(${JSON.stringify(SHIM_BINARY)}); const fs = require('fs');
    const file = ${JSON.stringify(scratch.path(name))};`;
  return spawnSync(process.execPath, [...flags, '-e', head + text], { encoding: 'utf8' });
}

test('a page of a truncated file reads as zeros, is counted, and the process lives', () => {
  const fd = scratch.file('truncated', 8);
  const window = shim.reserve(16 * PAGE);
  const other = shim.reserve(PAGE);
  const bytes = new Uint8Array(window);
  shim.map(window, 0, fd, 0, 8 * PAGE, true);
  bytes[6 * PAGE] = 77;
  ftruncateSync(fd, 2 * PAGE);
  expect([bytes[PAGE], shim.faults(window)]).toEqual([fillOf(1), 0]);
  expect([bytes[3 * PAGE + 5], shim.faults(window)]).toEqual([0, 1]);
  bytes[4 * PAGE + 1] = 9;
  expect([bytes[4 * PAGE], bytes[4 * PAGE + 1], shim.faults(window)]).toEqual([0, 9, 2]);
  expect(shim.faults(other)).toBe(0);
  shim.close(window);
  shim.close(other);
});

test('a system call that meets such a page fails instead', () => {
  const fd = scratch.file('efault', 4);
  const target = scratch.open('efault-target', 'w+');
  const window = shim.reserve(4 * PAGE);
  shim.map(window, 0, fd, 0, 4 * PAGE, true);
  ftruncateSync(fd, 0);
  expect(() => writeSync(target, new Uint8Array(window), 0, PAGE, 0)).toThrow(/EFAULT/);
  expect(shim.faults(window)).toBe(0);
  shim.close(window);
});

const MAP_FILE = `
  const window = shim.reserve(4096);
  fs.writeFileSync(file, Buffer.alloc(4096, 1));
  const fd = fs.openSync(file, 'r+');
  shim.map(window, 0, fd, 0, 4096, true);
  fs.ftruncateSync(fd, 0);
  if (new Uint8Array(window)[0] !== 0 || shim.faults(window) !== 1) throw new Error('no guard');
  console.log('guarded');`;

test('a bus error sent from elsewhere still ends the process', () => {
  const ran = child('sent', `${MAP_FILE} process.kill(process.pid, 'SIGBUS');`);
  expect([ran.stdout, ran.signal]).toEqual(['guarded\n', 'SIGBUS']);
});

/** A library whose start touches a mapped page behind the end of its file. */
const FAULT = `#include <sys/mman.h>
#include <stdlib.h>
__attribute__((constructor)) static void touch(void) {
  char name[] = "/tmp/regionstore-fault-XXXXXX";
  int fd = mkstemp(name);
  volatile char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  extern int unlink(const char *);
  unlink(name);
  exit(100 + page[0]);
}`;

test('a bus error in memory that is not ours still ends the process', () => {
  const library = scratch.path('fault.so');
  writeFileSync(scratch.path('fault.c'), FAULT);
  const words = ['-shared', '-fPIC', '-o', library, scratch.path('fault.c')];
  const built = spawnSync(process.env.CC ?? 'cc', words, { encoding: 'utf8' });
  expect(built.stderr).toBe('');
  const load = `process.dlopen({ exports: {} }, ${JSON.stringify(library)});`;
  const ran = child('foreign', `${MAP_FILE} ${load}`);
  expect([ran.stdout, ran.signal, ran.status]).toEqual(['guarded\n', 'SIGBUS', null]);
});

test('an exception in the arguments does not lose the exception', () => {
  const ran = child('uncaught', `shim.map(shim.reserve(4096), 0, 9999, 0, 4096, true);`);
  expect(ran.status).toBe(1);
  expect(ran.stderr).toMatch(/EBADF: .*, mmap[\s\S]*errno: -9[\s\S]*syscall: 'mmap'/);
});

const GIBIBYTE = 2 ** 30;

function addressSpace(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/VmSize:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

const WORKER = `
  const { workerData } = require('node:worker_threads');
  const fs = require('node:fs');
  const shim = require(workerData.path);
  const fd = fs.openSync(workerData.file, 'r');
  const windows = [shim.reserve(2 ** 32), shim.reserve(2 ** 32)];
  for (const window of windows) shim.map(window, 4096, fd, 0, 8192, true);
  const bytes = new Uint8Array(windows[0]);
  const runs = new Int32Array(64);
  for (let round = 0; workerData.forever || round < 50; round++) {
    bytes[8192] = round;
    if (shim.pagemap) shim.dirtyRuns(windows[0], 0, 65536, runs);
    shim.changedPages(windows[0], new Int32Array([1, 2]), 1, runs);
  }
  shim.close(windows[0]);
  fs.closeSync(fd);`;

/** Resolves with the exit code; a forever worker is terminated in the middle of a call. */
function runWorker(file: string, forever: boolean, delayMs: number): Promise<number> {
  const worker = new Worker(WORKER, {
    eval: true,
    workerData: { path: SHIM_BINARY, file, forever },
  });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', resolve);
    if (forever) worker.on('online', () => setTimeout(() => worker.terminate(), delayMs));
  });
}

test('workers come and go, some in the middle; their address space comes back', async () => {
  scratch.file('workers', 2);
  const before = addressSpace();
  const codes: number[] = [];
  for (let i = 0; i < 20; i++) {
    codes.push(await runWorker(scratch.path('workers'), i % 2 === 1, 2 * i));
  }
  expect(codes).toEqual(Array.from({ length: 20 }, (_, i) => i % 2));
  expect(addressSpace() - before).toBeLessThan(2 * GIBIBYTE);
  const window = shim.reserve(SLOT_BYTES);
  expect(new Uint8Array(window)[SLOT_BYTES - 1]).toBe(0);
  shim.close(window);
});

const LIFETIME = `
  const status = () => fs.readFileSync('/proc/self/status');
  const vm = () => Number(/VmSize:\\s+(\\d+)/.exec(status())[1]) / 2 ** 20;
  const turn = async () => {
    for (let i = 0; i < 3; i++) { gc(); await new Promise((done) => setTimeout(done, 10)); }
  };
  let held;
  function hold() {
    const window = shim.reserve(2 ** 32);
    held = new Uint8Array(window, 0, 8);
    shim.close(window);
  }
  (async () => {
    await turn();
    const start = vm();
    for (let i = 0; i < 100; i++) shim.close(shim.reserve(2 ** 32));
    for (let i = 0; i < 20; i++) shim.reserve(2 ** 32);
    await turn();
    const afterMany = vm() - start;
    hold();
    await turn();
    const whileHeld = vm() - start;
    held = undefined;
    await turn();
    console.log(JSON.stringify({ afterMany, whileHeld, afterHeld: vm() - start }));
  })();`;

test('address space comes back when the last view is gone, and not before', () => {
  const ran = child('lifetime', LIFETIME, '--expose-gc');
  expect(ran.stderr).toBe('');
  const gibibytes = JSON.parse(ran.stdout);
  expect(gibibytes.afterMany).toBeLessThan(1);
  expect(gibibytes.whileHeld).toBeGreaterThan(3.5);
  expect(gibibytes.afterHeld).toBeLessThan(1);
});
