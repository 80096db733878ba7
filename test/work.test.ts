/** Long work says how far it is: never more than there is, and nothing when nobody listens. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { methodNamed } from '../src/methods/registry.ts';
import { GranuleSet } from '../src/methods/granule-set.ts';
import { RefSet } from '../src/objects/collector/ref-set.ts';
import { createRegion } from '../src/region/region.ts';
import { openStore } from '../src/store/store.ts';
import { listenToWork, tellWork } from '../src/work.ts';
import { makeKilled } from './support/cli.ts';
import { cliHere } from './support/cli-here.ts';
import { randomFrom } from './support/oracle.ts';
import { open, reopen, temporaryFolder } from './support/stores.ts';

const SMALL = { capacity: '64MiB' };

interface Told {
  readonly what: string;
  readonly done: number;
  readonly total: number;
}

let told: Told[] = [];

beforeEach(() => {
  told = [];
  listenToWork((what, done, total) => told.push({ what, done, total }));
});

afterEach(() => listenToWork(null));

/** What was told by `work`, each of it possible. */
function heard(work: () => unknown): string[] {
  told = [];
  work();
  for (const { what, done, total } of told) {
    expect(done, what).toBeGreaterThanOrEqual(0);
    if (total > 0) expect(done, `${what} of ${total}`).toBeLessThanOrEqual(total);
  }
  return [...new Set(told.map(({ what }) => what))];
}

describe('a region', () => {
  test.each(['best', 'slab', 'pool', 'last'])('%s: while it is checked', (name) => {
    using region = createRegion(heap(SMALL), methodNamed(name));
    for (let i = 0; i < 50_000; i++) region.alloc(100);
    const what = heard(() => expect(region.check()).toEqual([]));
    expect(what).toContain(name === 'slab' ? 'checking pages of blocks' : 'checking blocks');
    // 5 MB, told each MiB.
    expect(told.length).toBeGreaterThan(3);
    listenToWork(null);
    expect(heard(() => region.check())).toEqual([]);
  });
});

describe('a heap', () => {
  test('checked, collected, compacted', () => {
    const store = open(temporaryFolder());
    const objects = store.heap('app', SMALL);
    objects.root.set('list', Array.from({ length: 20_000 }, (_, i) =>
      ({ i, text: `number ${i}` })));
    objects.root.set('kept', Array.from({ length: 5000 }, (_, i) => ({ i })));
    expect(heard(() => expect(objects.check()).toEqual([]))).toContain('checking objects');
    objects.root.delete('list');
    expect(heard(() => objects.collect({ handles: false })))
      .toEqual(['finding objects in use', 'finding garbage', 'freeing garbage']);
    const freed = told.filter(({ what }) => what === 'freeing garbage').at(-1);
    expect(freed?.done).toBeGreaterThan((freed?.total ?? 0) * 0.9);
    expect(heard(() => objects.compact())).toContain('moving objects');
    store.close();
  });
});

describe('a store', () => {
  test('checked, compared, brought back, recovered', () => {
    const dir = temporaryFolder();
    const options = { inlinePages: 0, settleBytes: 2 ** 30 };
    let store = open(dir, options);
    const region = store.region('app', SMALL);
    for (let round = 1; round <= 3; round++) {
      for (let i = 0; i < 200; i++) region.bytes(region.alloc(5000)).fill(round);
      store.checkpoint(`round ${round}`);
    }
    expect(heard(() => store.diff(1, 3))).toContain('comparing blocks');
    expect(heard(() => store.check({ pages: true }))).toContain('checking blocks');
    expect(heard(() => store.restore(1))).toContain('going back');
    store = reopen(store, options);
    expect(heard(() => store.check({ pages: true }))).toContain('checking pages');
    store.close();
    const killed = temporaryFolder();
    makeKilled('store', killed);
    expect(heard(() => openStore(killed, { unsafeFileSystem: true }).close()))
      .toContain('replaying checkpoints');
  });

  test('the command listens itself while it runs, and lets go', async () => {
    const dir = temporaryFolder();
    const store = open(dir);
    store.region('app', SMALL).alloc(5000);
    store.close();
    told = [];
    expect((await cliHere(['check', dir])).status).toBe(0);
    tellWork('anything', 1, 2);
    expect(told).toEqual([]);
  });
});

describe('sets without a limit', () => {
  test('of granules', () => {
    const random = randomFrom(5);
    const [set, model] = [new GranuleSet(1000), new Set<number>()];
    for (let i = 0; i < 3000; i++) {
      const granule = random(1000);
      if (random(3) === 0) expect(set.delete(granule)).toBe(model.delete(granule));
      else {
        set.add(granule);
        model.add(granule);
      }
    }
    expect([...set]).toEqual([...model].sort((a, b) => a - b));
    expect([set.delete(-1), set.delete(2 ** 28)]).toEqual([false, false]);
  });

  test('of references, few and many', () => {
    using region = createRegion(heap(SMALL), methodNamed('best'));
    const refs = new RefSet(region);
    for (let ref = 1; ref <= 300_000; ref++) refs.add(ref * 3);
    expect([3, 900_000, 4, 899_999].map((ref) => refs.has(ref)))
      .toEqual([true, true, false, false]);
    refs.add(4);
    expect(refs.has(4)).toBe(true);
  });
});
