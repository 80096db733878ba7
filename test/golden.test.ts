/** Files of every released format version open for ever, with exactly what was put into them. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { file } from '../src/disciplines/file.ts';
import { VERSION } from '../src/layout.ts';
import { openRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { MAPPERS, open, temporaryFolder } from './support/stores.ts';

const golden = fileURLToPath(new URL('fixtures/golden', import.meta.url));
const versions = readdirSync(golden).sort();

/** What tools/golden.ts put there. */
function expectFilled(region: Region, seed: number): void {
  for (let i = 0; i < 40; i++) {
    const size = 17 * i + seed;
    const bytes = region.bytes(region.roots.get(`block ${i}`), size);
    expect(new Set(bytes)).toEqual(new Set(size === 0 ? [] : [(seed + i) & 0xff]));
  }
  const text = region.string(region.roots.get('text'));
  expect(text).toBe(`Golden ${seed}: Größe, 世界, 🜚`);
  expect(region.roots.get('count')).toBe(seed);
  expect(region.check()).toEqual([]);
}

function copyOf(version: string, name: string): string {
  const copy = join(temporaryFolder(), name);
  cpSync(join(golden, version, name), copy, { recursive: true });
  return copy;
}

test('there are files of every version up to this one', () => {
  expect(versions).toEqual(Array.from({ length: VERSION }, (_, i) => `v${i + 1}`));
});

describe.each(versions)('%s', (version) => {
  test.each(MAPPERS)('a closed store, %s', (mapper) => {
    const store = open(copyOf(version, 'closed'), { mapper });
    expect(store.recovery).toBeNull();
    expectFilled(store.region('heap'), 3);
    expectFilled(store.region('stack'), 5);
    expect(store.checkpoints()).toMatchObject([{ id: 1, label: 'golden', regions: 2 }]);
    expect(store.check()).toEqual([]);
  });

  test.each(MAPPERS)('a store that died, %s', (mapper) => {
    const store = open(copyOf(version, 'died'), { mapper });
    expect(store.recovery).toMatchObject({ replayedCheckpoints: 1, discarded: true });
    expectFilled(store.region('heap'), 3);
    expectFilled(store.region('stack'), 5);
    expect(store.check()).toEqual([]);
  });

  test('a direct region', () => {
    const region = openRegion(file(copyOf(version, 'direct.region')));
    expectFilled(region, 7);
    region.close();
  });

  test('a compressed region', () => {
    const region = openRegion(compressed(copyOf(version, 'compressed.region')));
    expectFilled(region, 9);
    region.close();
  });
});
