/** What a region must do whose memory is there again after it was closed. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRegion, openRegion } from '../../src/region/region.ts';
import { TEXT_BYTES } from '../../src/region/text.ts';
import type { Discipline, Method } from '../../src/types.ts';
import { expectCode } from './expect-code.ts';
import { newSeed, often, Oracle, randomFrom, randomStep } from './oracle.ts';
import { memoryDirectory } from './temp.ts';

/** V8 counts windows as garbage to be: it collects at once for the usual 4 GiB. */
const CAPACITY = '16MiB';

/** Name of the file of a region that reopens, in its directory. */
export const REGION_FILE = 'a.region';

export interface Implementation {
  readonly method: Method;
  /** Which blocks the method can free. */
  readonly order: 'any' | 'newest';
  /** Which sizes its blocks can have; a number = this many bytes only. */
  readonly sizes: 'any' | number;
  readonly discipline: string;
  /** The same memory every time it is called with the same directory. */
  readonly open: (dir: string, capacity?: string) => Discipline;
  /** Is memory there again after close? 'held' = while somebody holds it; it is no file then. */
  readonly reopens: boolean | 'held';
  /** Can it give memory back to the system? */
  readonly shrinks: boolean;
}

export function describeReopening({ method, order, open, sizes }: Implementation): void {
  test('a closed region is the same when it is opened again', () => {
    const dir = memoryDirectory();
    const seed = newSeed();
    const random = randomFrom(seed);
    const oracle = new Oracle(createRegion(open(dir, CAPACITY), method), order, sizes);
    const { id } = oracle.region;
    for (let round = 0; round < often(2, 5); round++) {
      for (let i = 0; i < 150; i++) randomStep(oracle, random, 20_000);
      oracle.region.close();
      oracle.region = openRegion(open(dir));
      expect(oracle.region.id).toBe(id);
      expect(oracle.region.method).toBe(method.name);
      expect(oracle.region.stat().capacity).toBe(16 * 2 ** 20);
      oracle.verify();
    }
    oracle.region.close();
  });
}

export function describeFiles({ method, order, open, sizes }: Implementation): void {
  const text = sizes === 'any' ? 'still here' : '!'.repeat(sizes - TEXT_BYTES);

  test('creating over a region is refused and changes nothing; so is opening nothing', () => {
    const dir = memoryDirectory();
    expectCode('ERR_NOT_FOUND', () => openRegion(open(dir)));
    const region = createRegion(open(dir, CAPACITY), method);
    region.roots.set('text', region.strdup(text));
    expectCode('ERR_LOCKED', () => createRegion(open(dir), method));
    expectCode('ERR_LOCKED', () => openRegion(open(dir)));
    region.close();
    expectCode('ERR_EXISTS', () => createRegion(open(dir), method));
    using again = openRegion(open(dir));
    expect(again.string(again.roots.get('text'))).toBe(text);
  });

  test('what was synced is there although it was never closed', () => {
    const dir = memoryDirectory();
    const region = createRegion(open(dir, CAPACITY), method);
    const oracle = new Oracle(region, order, sizes);
    for (let i = 0; i < 100; i++) oracle.alloc(i * 10);
    oracle.set('first', oracle.blocks[0].address);
    region.sync();
    const copy = memoryDirectory();
    copyFileSync(join(dir, REGION_FILE), join(copy, REGION_FILE));
    region.close();
    oracle.region = openRegion(open(copy));
    oracle.verify();
    oracle.region.close();
  });
}
