/** Every method over every discipline and mapper. One line each. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { mmapIoProblem } from '../src/disciplines/mmap-io.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { slab } from '../src/methods/slab.ts';
import { shimProblem } from '../src/native/load.ts';
import { describeRegion, type Implementation, REGION_FILE } from './support/conformance.ts';

type Memory = Omit<Implementation, 'method' | 'order' | 'sizes'>;

const methods = [
  { method: best, order: 'any', sizes: 'any' },
  { method: last, order: 'newest', sizes: 'any' },
  { method: slab, order: 'any', sizes: 'any' },
  { method: pool, order: 'any', sizes: 1000 },
] as const;

const memories: Memory[] = [
  { discipline: 'heap', open: (_dir, capacity) => heap(capacity ? { capacity } : {}),
    reopens: false, shrinks: true },
  { discipline: 'file', open: (dir, capacity) => file(join(dir, REGION_FILE), given(capacity)),
    reopens: true, shrinks: true },
];
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
