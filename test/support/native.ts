/** What the tests of native-shim share: a fresh build of it, scratch files, known page contents. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PAGE } from '../../src/layout.ts';
import { loadShim, shimProblem } from '../../src/native/load.ts';
import type { Shim } from '../../src/native/shim.ts';

export const SHIM_FOLDER = fileURLToPath(new URL('../../native-shim/', import.meta.url));
export const SHIM_BINARY = join(SHIM_FOLDER, 'build', 'shim.node');

/** Builds the shim if its sources changed, and loads it; these tests cannot do without. */
export function builtShim(): Shim {
  const words = [join(SHIM_FOLDER, 'build.mjs'), '--required'];
  const built = spawnSync(process.execPath, words, { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`native-shim: ${built.stderr}`);
  const shim = loadShim();
  if (shim === null) throw new Error(`native-shim: ${shimProblem()}`);
  return shim;
}

/** The byte that fills a page of a scratch file. */
export function fillOf(page: number): number {
  return (page * 7 + 1) & 255;
}

export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), 'regionstore-native-'));
  readonly #fds: number[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A new file of so many pages, each filled with fillOf(its number). */
  file(name: string, pages: number): number {
    const fd = this.open(name, 'wx+');
    const images = new Uint8Array(pages * PAGE);
    for (let page = 0; page < pages; page++) {
      images.fill(fillOf(page), page * PAGE, (page + 1) * PAGE);
    }
    writeSync(fd, images, 0, images.length, 0);
    return fd;
  }

  open(name: string, flags: string): number {
    const fd = openSync(this.path(name), flags);
    this.#fds.push(fd);
    return fd;
  }

  remove(): void {
    for (const fd of this.#fds) closeSync(fd);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The error of a call that must fail. */
export function errorOf(call: () => unknown): NodeJS.ErrnoException {
  try {
    call();
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  throw new Error('the call did not fail');
}

/** The pages of the first `count` runs, one by one. */
export function pagesOf(runs: Int32Array, count: number): number[] {
  const pages: number[] = [];
  for (let i = 0; i < count; i++) {
    for (let page = 0; page < runs[2 * i + 1]; page++) pages.push(runs[2 * i] + page);
  }
  return pages;
}

/** mulberry32: whole numbers below `limit`, the same for the same seed. */
export function randomFrom(seed: number): (limit: number) => number {
  let state = seed | 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
