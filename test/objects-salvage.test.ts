/** Salvaging a damaged heap: afterwards it is sound, and all that was not damaged is there. */
import { describe, expect, test } from 'vitest';
import { heap as inMemory } from '../src/disciplines/heap.ts';
import { METHOD_START } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { slab } from '../src/methods/slab.ts';
import { heapIn } from '../src/objects/heap.ts';
import { salvageHeapIn } from '../src/objects/inside.ts';
import { attachRegion, createRegion } from '../src/region/region.ts';
import { spaceOf } from '../src/region/calls.ts';
import type { Discipline, Region } from '../src/types.ts';
import { sample } from './support/heap-text.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';

const TIES = { now: () => 0 };
const CAPACITY = 512 * 1024;

/** Memory with bytes in it. */
function memoryWith(bytes: Uint8Array): Discipline {
  const memory = new Uint8Array(CAPACITY);
  memory.set(bytes);
  return {
    name: 'bytes', round: 64 * 1024, capacity: CAPACITY, durable: false,
    open: () => [bytes.length],
    window: () => memory,
    resize: (segment, wanted) => segment === 0 && wanted <= CAPACITY,
    sync: () => {},
    close: () => {},
  };
}

function bytesOf(region: Region): Uint8Array {
  const [part] = spaceOf(region)?.parts ?? [];
  return (part as { window: Uint8Array }).window.slice(0, region.stat().extent);
}

describe('damage of every sort', () => {
  test.each([['best', best], ['slab', slab]] as const)('words of blocks changed, %s',
    { timeout: 600_000 }, (_, method) => {
      const seed = newSeed();
      const random = randomFrom(seed);
      const source = createRegion(inMemory({ capacity: CAPACITY }), method, { name: 'app' });
      sample(false, { heap: heapIn(source, TIES), region: source });
      const whole = bytesOf(source);
      const blocks = [...source.blocks()].filter(({ busy }) => busy);
      const ended = { changed: 0, lost: 0, none: 0 };
      for (let round = 0; round < often(60, 20_000); round++) {
        const damage = Array.from({ length: 1 + random(4) }, () => {
          const { address, size } = blocks[random(blocks.length)];
          const word = (address + 4 * random(Math.min(size / 4, 24))) / 4;
          const other = blocks[random(blocks.length)].address / 16;
          return [word, [random(2 ** 32) | 0, 1 << random(31), random(64), other, -1][random(5)]];
        });
        const bytes = whole.slice();
        const words = new Int32Array(bytes.buffer);
        for (const [word, value] of damage) if (word * 4 > METHOD_START) words[word] = value;
        const { region } = attachRegion(memoryWith(bytes), null, 'app');
        try {
          const done = salvageHeapIn(region, TIES);
          if (done === null) ended.none += 1;
          else ended[done.lossCount > 0 ? 'lost' : 'changed'] += 1;
          if (done !== null) expect(heapIn(region, TIES).check()).toEqual([]);
          expect(region.check()).toEqual([]);
        } catch (error) {
          const where = `seed ${seed}, round ${round}: ${JSON.stringify(damage)}`;
          throw new Error(where, { cause: error });
        }
      }
      expect(ended.lost).toBeGreaterThan(0);
      expect(ended.changed).toBeGreaterThan(0);
    });
});
