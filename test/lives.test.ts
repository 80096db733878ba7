/** How long blocks live by the checkpoints that are kept, against what a test wrote down. */
import { describe, expect, test } from 'vitest';
import { eachLife, type Life } from '../src/store/lives.ts';
import { coreOf, openStore } from '../src/store/store.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { open, temporaryFolder } from './support/stores.ts';

/** Live blocks as of a checkpoint: address → usable bytes. */
type Blocks = ReadonlyMap<number, number>;

/** The lives of blocks in states one after the other, each place once where nothing changed. */
function livesIn(states: readonly Blocks[]): { now: string[]; gone: string[] } {
  const [now, gone]: string[][] = [[], []];
  for (const address of new Set(states.flatMap((state) => [...state.keys()]))) {
    for (let first = 0; first < states.length; first++) {
      const size = states[first]?.get(address);
      if (size === undefined || states[first - 1]?.get(address) === size) continue;
      let last = first;
      while (states[last + 1]?.get(address) === size) last += 1;
      if (last === states.length - 1) now?.push(`${address} ${size} ${first}`);
      else gone?.push(`${address} ${size} ${first} ${last}`);
    }
  }
  return { now: (now as string[]).sort(), gone: (gone as string[]).sort() };
}

test('random changes between checkpoints', () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  for (let round = 0; round < often(6, 100); round++) {
    const store = open(temporaryFolder(), { history: 5 });
    store.region('other', { capacity: '1MiB' });
    if (random(2) === 0) store.checkpoint('before there was a region');
    const early = store.checkpoints().length;
    const region = store.region('app', { capacity: '1MiB' });
    const live: number[] = [];
    const states: Blocks[] = Array.from({ length: early }, () => new Map());
    for (let point = 0; point < 2 + random(4); point++) {
      for (let i = random(40); i >= 0; i--) live.push(region.alloc(random(600)));
      for (let i = random(30); i >= 0 && live.length > 0; i--) {
        region.free(live.splice(random(live.length), 1)[0] as number);
      }
      store.checkpoint();
      states.push(new Map(live.map((address) => [address, region.sizeOf(address)])));
    }
    if (random(2) === 0) {
      store.rename('app', 'renamed');
      store.checkpoint();
      states.push(states.at(-1) as Blocks);
    }
    store.close();
    using reader = openStore(store.dir, { readOnly: true, history: 5 });
    const name = reader.has('app') ? 'app' : 'renamed';
    const [now, gone]: string[][] = [[], []];
    let before = -1;
    const points = eachLife(coreOf(reader), name, {
      now({ address, size, busy }, since) {
        expect(address, `seed ${seed}`).toBeGreaterThan(before);
        before = address;
        if (busy) now?.push(`${address} ${size} ${since}`);
      },
      gone: ({ address, size, first, last }: Life) => {
        gone?.push(`${address} ${size} ${first} ${last}`);
      },
    });
    // A labelled checkpoint is kept, whatever went between it and the others.
    const kept = points.map(({ sequence }) => states[sequence - 1] as Blocks);
    expect({ now: now?.sort(), gone: gone?.sort() }, `seed ${seed}, round ${round}`)
      .toEqual(livesIn(kept));
  }
});

describe('checkpoints', () => {
  test('more than a dozen: the oldest, the newest and some between', () => {
    const store = open(temporaryFolder(), { history: 40 });
    const region = store.region('app', { capacity: '1MiB' });
    for (let i = 0; i < 30; i++) {
      region.alloc(10);
      store.checkpoint();
    }
    const points = eachLife(coreOf(store), 'app', { now: () => {}, gone: () => {} });
    expect(points.map(({ sequence }) => sequence)).toEqual(
      [1, 4, 6, 9, 12, 14, 17, 19, 22, 25, 27, 30]);
    store.close();
  });
});
