/** Files of every released format version open for ever, with exactly what was put into them. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { file } from '../src/disciplines/file.ts';
import { CATALOG_VERSION, VERSION } from '../src/layout.ts';
import { openRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { MAPPERS, open, temporaryFolder } from './support/stores.ts';

const golden = fileURLToPath(new URL('fixtures/golden', import.meta.url));
const versions = readdirSync(golden).filter((name) => name.startsWith('v')).sort();
const catalogs = readdirSync(golden).filter((name) => name.startsWith('catalog-v')).sort();

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
  // Version 1 of the catalog is that of the stores in v1.
  expect(catalogs).toEqual(Array.from({ length: CATALOG_VERSION - 1 },
    (_, i) => `catalog-v${i + 2}`));
});

describe.each(catalogs)('%s', (version) => {
  test.each(MAPPERS)('history, a buffer and a ring, %s', (mapper) => {
    for (const [name, crash] of [['closed', null], ['died', 'unknown']] as const) {
      const store = open(copyOf(version, name), { mapper });
      expect(store.recovery?.crash ?? null).toBe(crash);
      expect(store.check()).toEqual([]);
      for (const value of [3, 1, 2]) {
        store.restore(`golden ${value}`);
        expect(new Set(store.buffer('frame').bytes)).toEqual(new Set([value]));
        const expected = [['heap'], ['renamed'], []][value - 1] as string[];
        expect(store.regions().map((region) => region.name))
          .toEqual(['events', 'frame', ...expected]);
        for (const region of expected) expectFilled(store.region(region), 3);
      }
      const texts = [...store.ring('events')].map(({ seq, bytes }) =>
        `${seq} ${Buffer.from(bytes)}`);
      expect(texts).toEqual(Array.from({ length: texts.length }, (_, i) => {
        const before = 150 - texts.length + i;
        return `${before + 1} event ${Math.floor(before / 50) + 1} ${before % 50}`;
      }));
      expect(texts.length).toBeGreaterThan(40);
      expect(store.check()).toEqual([]);
    }
  });
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

  test.each([
    ['compressed', 'best', 9], ['slab', 'slab', 11], ['debug', 'debug(best)', 13],
    ['profile', 'profile(slab)', 15],
  ] as const)('a compressed region: %s', (name, method, seed) => {
    const region = openRegion(compressed(copyOf(version, `${name}.region`)));
    expect(region.method).toBe(method);
    expectFilled(region, seed);
    region.close();
  });

  test('a pool', () => {
    const region = openRegion(compressed(copyOf(version, 'pool.region')));
    for (let i = 0; i < 40; i++) {
      expect(new Set(region.bytes(region.roots.get(`block ${i}`), 100))).toEqual(new Set([i]));
    }
    expect(region.check()).toEqual([]);
    region.close();
  });
});
