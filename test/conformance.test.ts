/** Every method over every discipline and mapper. One line each. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { shared } from '../src/disciplines/shared-buffer.ts';
import { mmapIoProblem } from '../src/disciplines/mmap-io.ts';
import { nested } from '../src/disciplines/nested.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { profile } from '../src/methods/profile.ts';
import { slab } from '../src/methods/slab.ts';
import { shimProblem } from '../src/native/load.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { describeRegion } from './support/conformance.ts';
import { type Implementation, REGION_FILE } from './support/conformance-reopening.ts';

type Memory = Omit<Implementation, 'method' | 'order' | 'sizes'>;

/** Call sites cost ten times the calls: two of the methods that know them record them here. */
const QUIET = { sites: false };

const methods = [
  { method: best, order: 'any', sizes: 'any' },
  { method: last, order: 'newest', sizes: 'any' },
  { method: slab, order: 'any', sizes: 'any' },
  { method: pool, order: 'any', sizes: 1000 },
  { method: debug(best), order: 'any', sizes: 'any' },
  { method: debug(last, QUIET), order: 'newest', sizes: 'any' },
  { method: debug(slab, QUIET), order: 'any', sizes: 'any' },
  { method: debug(pool), order: 'any', sizes: 1000 },
  { method: profile(best), order: 'any', sizes: 'any' },
  { method: profile(last, QUIET), order: 'newest', sizes: 'any' },
  { method: debug(profile(best, QUIET), QUIET), order: 'any', sizes: 'any' },
] as const;

const memories: Memory[] = [
  { discipline: 'heap', open: (_dir, capacity) => heap(capacity ? { capacity } : {}),
    reopens: false, shrinks: true },
  { discipline: 'file', open: (dir, capacity) => file(join(dir, REGION_FILE), given(capacity)),
    reopens: true, shrinks: true },
  { discipline: 'shared', open: (dir, capacity) => sharedIn(dir, capacity),
    reopens: 'held', shrinks: true },
];
memories.push({ discipline: 'compressed', reopens: true, shrinks: true,
  open: (dir, capacity) => compressed(join(dir, REGION_FILE), { ...given(capacity), level: 1 }) });
memories.push({ discipline: 'nested', reopens: true, shrinks: true,
  open: (dir, capacity) => nested(outerIn(dir), given(capacity)) });
if (shimProblem() === null) {
  memories.push({ discipline: 'mmap', reopens: true, shrinks: true,
    open: (dir, capacity) =>
      mmap(join(dir, REGION_FILE), { ...given(capacity), mapper: 'shim' }) });
}
if (mmapIoProblem() === null) {
  memories.push({ discipline: 'mmap-io', reopens: true, shrinks: false,
    open: (dir, capacity) =>
      mmap(join(dir, REGION_FILE), { ...given(capacity), mapper: 'mmap-io' }) });
}

/** The region around the nested ones of a directory. */
const outers = new Map<string, Region>();

function outerIn(dir: string): Region {
  const known = outers.get(dir);
  if (known !== undefined) return known;
  const path = join(dir, REGION_FILE);
  const outer = existsSync(path) ? openRegion(file(path))
    : createRegion(file(path, { capacity: '24MiB' }), best);
  outers.set(dir, outer);
  onTestFinished(() => outer.close());
  return outer;
}

/** The buffers of shared regions, as a program holds them. */
const buffers = new Map<string, SharedArrayBuffer>();

function sharedIn(dir: string, capacity: string | undefined) {
  const held = buffers.get(dir);
  const memory = held === undefined ? shared(given(capacity)) : shared(held);
  buffers.set(dir, memory.buffer);
  return memory;
}

function given(capacity: string | undefined) {
  return capacity === undefined ? {} : { capacity };
}

for (const method of methods) {
  for (const memory of memories) describeRegion({ ...method, ...memory });
}

describe('mappers', () => {
  test('those that are missing say why', () => {
    for (const problem of [shimProblem(), mmapIoProblem()]) {
      expect(problem === null || problem.length > 10).toBe(true);
    }
    expect(memories.length).toBeGreaterThanOrEqual(2);
  });
});
