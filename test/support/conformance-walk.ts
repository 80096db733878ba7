/** A walk that begins at a granule meets what a whole one meets from there on. */
import { expect, test } from 'vitest';
import { GRANULE } from '../../src/layout.ts';
import { createRegion } from '../../src/region/region.ts';
import type { Blocks, Method } from '../../src/types.ts';
import type { Implementation } from './conformance-reopening.ts';
import { newSeed, often, Oracle, type Random, randomFrom, randomStep } from './oracle.ts';
import { memoryDirectory } from './temp.ts';

type Seen = [granule: number, bytes: number, busy: boolean][];

function seenFrom(blocks: Blocks, from?: number): Seen {
  const seen: Seen = [];
  blocks.walk((...block) => seen.push(block) < 0, from);
  return seen;
}

/** The method, and the blocks of the first arena that it is attached to. */
function seenThrough(method: Method): { method: Method; blocks: () => Blocks } {
  let first: Blocks | undefined;
  const attach: Method['attach'] = (arena) => {
    const blocks = method.attach(arena);
    first ??= blocks;
    return blocks;
  };
  const format: Method['format'] = (arena) => method.format(arena);
  return { method: { name: method.name, format, attach }, blocks: () => first as Blocks };
}

/** Around some of what was seen, and anywhere. */
function placesIn(seen: Seen, random: Random): number[] {
  const places = [0, 1, 511, 513, 2 ** 20, 2 ** 28 - 1];
  for (let i = 0; i < 8; i += 1) {
    const [granule, bytes] = seen[random(seen.length)];
    const end = granule + Math.ceil(bytes / GRANULE);
    places.push(granule - 3, granule - 1, granule, granule + 1, (granule + end) >>> 1, end);
  }
  return places;
}

export function describeWalk({ method, open, order, sizes }: Implementation): void {
  test('a walk may begin anywhere, and be stopped', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const { method: seen, blocks } = seenThrough(method);
    using region = createRegion(open(memoryDirectory(), '16MiB'), seen);
    const oracle = new Oracle(region, order, sizes);
    for (let round = 0; round < often(3, 8); round += 1) {
      for (let i = 0; i < 80; i += 1) randomStep(oracle, random, 9000);
      const whole = seenFrom(blocks());
      expect(whole.length).toBeGreaterThan(10);
      for (const from of placesIn(whole, random)) {
        const rest = whole.filter(([granule]) => granule >= from);
        expect(`from ${from}: ${seenFrom(blocks(), from)}`).toBe(`from ${from}: ${rest}`);
      }
      const first: Seen = [];
      blocks().walk((...block) => first.push(block) === 2, whole[3][0]);
      expect(first).toEqual(whole.slice(3, 5));
    }
  });
}
