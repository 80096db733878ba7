/**
 * Heaps with damaged memory, looked at in every way there is: results may be wrong, and errors are
 * ours; nothing hangs, and nothing is thrown that a program does not expect.
 */
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { heap as inMemory } from '../src/disciplines/heap.ts';
import { RegionError } from '../src/errors.ts';
import { best } from '../src/methods/best.ts';
import { heapIn, type ObjectHeap } from '../src/objects/heap.ts';
import { spaceOf } from '../src/region/calls.ts';
import { createRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { Every, sample, Task } from './support/heap-text.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const newRegion = () => createRegion(inMemory({ capacity: '256KiB' }), best, { name: 'app' });

const LOOKS: Readonly<Record<string, (heap: ObjectHeap) => unknown>> = {
  export: (heap) => [...heap.exportLines()],
  toJS: (heap) => (heap.root as unknown as { toJS(): unknown }).toJS(),
  inspect: (heap) => inspect(heap.root, { depth: 5 }),
  scan: (heap) => [...heap.scan(Task)].length + [...heap.scan(Every)].length,
};

function windowOf(region: Region): Uint8Array {
  const [part] = spaceOf(region)?.parts ?? [];
  return (part as { window: Uint8Array }).window;
}

test('a few words of some blocks changed', { timeout: 600_000 }, () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const source = newRegion();
  sample(false, { heap: heapIn(source, { now: () => 0 }), region: source });
  const whole = windowOf(source).slice();
  const blocks = [...source.blocks()].filter(({ busy }) => busy);
  const ended = { fine: 0, refused: 0 };
  for (let round = 0; round < often(100, 5000); round++) {
    const damage = Array.from({ length: 1 + random(4) }, () => {
      const { address, size } = blocks[random(blocks.length)];
      const word = (address + 4 * random(Math.min(size / 4, 24))) / 4;
      const other = blocks[random(blocks.length)].address / 16;
      return [word, [random(2 ** 32) | 0, 1 << random(31), random(64), other, -1][random(5)]];
    });
    for (const [what, look] of Object.entries(LOOKS)) {
      const region = newRegion();
      const window = windowOf(region);
      window.set(whole);
      const words = new Int32Array(window.buffer, window.byteOffset, window.byteLength / 4);
      for (const [word, value] of damage) words[word] = value;
      try {
        look(heapIn(region, { now: () => 0 }));
        ended.fine += 1;
      } catch (error) {
        const where = `seed ${seed}, round ${round}, ${what}: ${JSON.stringify(damage)}`;
        if (!(error instanceof RegionError)) throw new Error(where, { cause: error });
        ended.refused += 1;
      }
    }
  }
  expect(Math.min(ended.fine, ended.refused)).toBeGreaterThan(50);
});
