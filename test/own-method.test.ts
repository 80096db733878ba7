/** The worked example of a method of one's own does all that a method must do. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { createRegion } from '../src/region/region.ts';
import { firstFit } from '../tools/examples/first-fit.ts';
import { describeRegion } from './support/conformance.ts';
import { REGION_FILE } from './support/conformance-reopening.ts';
import { open, temporaryFolder } from './support/stores.ts';

const given = (capacity?: string) => (capacity === undefined ? {} : { capacity });

const traits = { method: firstFit, order: 'any', sizes: 'any', shrinks: true } as const;

describeRegion({ ...traits, discipline: 'heap', reopens: false,
  open: (_dir, capacity) => heap(given(capacity)) });
describeRegion({ ...traits, discipline: 'file', reopens: true,
  open: (dir, capacity) => file(join(dir, REGION_FILE), given(capacity)) });

test('it serves a region of a store', () => {
  const dir = temporaryFolder();
  const store = open(dir);
  const region = store.region('own', { method: firstFit });
  region.roots.set('text', region.strdup('kept'));
  store.close();
  const again = open(dir).region('own');
  expect(again.method).toBe('first-fit');
  expect(again.string(again.roots.get('text'))).toBe('kept');
});

test('FF1: a header that leads nowhere', () => {
  const memory = heap({ capacity: '1MiB' });
  using region = createRegion(memory, firstFit);
  const address = region.alloc(100);
  const window = memory.window(0);
  new Int32Array(window.buffer, address - 16, 1)[0] = 0;
  expect(region.check()).toMatchObject([{ id: 'FF1', address: address - 16 }]);
});
