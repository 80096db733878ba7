/** Transactions: a throw restores exactly the state at entry, the outermost return checkpoints. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { str, u32 } from '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import type { Store } from '../src/store/api.ts';
import { type Random, split } from '../tools/torture/random.ts';
import { change } from '../tools/torture/workload.ts';
import { digestOf } from '../tools/torture/session.ts';
import { often } from './support/oracle.ts';
import { codeOf, MAPPERS, open, reopen, temporaryFolder } from './support/stores.ts';

const SMALL = { capacity: '4MiB' };
const Task = struct('Task', { id: u32, title: str });

class Wanted extends Error {}

function failing(store: Store, work: () => void): void {
  expect(() => store.transaction(() => {
    work();
    throw new Wanted('as planned');
  })).toThrow(Wanted);
}

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test('returns what the function returns, and checkpoints', () => {
    const store = open(temporaryFolder(), { mapper });
    const buffer = store.buffer('b', { size: 100 });
    expect(store.transaction(() => (buffer.bytes[0] = 5))).toBe(5);
    expect(store.checkpoints()).toHaveLength(1);
    expect(store.transaction(() => 'nothing')).toBe('nothing');
    expect(store.checkpoints()).toHaveLength(1);
    store.abandon();
    const again = open(store.dir, { mapper });
    expect(again.buffer('b').bytes[0]).toBe(5);
    again.close();
  });

  test('a throw restores the state at entry, changes not committed then included', () => {
    using store = open(temporaryFolder(), { mapper });
    const region = store.region('r', SMALL);
    const buffer = store.buffer('b', { size: 20_000 });
    const heap = store.heap('h', SMALL);
    heap.root.set('task', heap.create(Task, { id: 1, title: 'kept' }));
    buffer.bytes.fill(1);
    store.checkpoint();
    buffer.bytes[5000] = 2;
    const block = region.alloc(9000);
    region.bytes(block).fill(3);
    region.roots.set('block', block);
    const before = digestOf(store);
    failing(store, () => {
      buffer.bytes.fill(9);
      buffer.resize(300_000);
      region.free(block);
      region.roots.set('big', region.alloc(500_000));
      heap.root.delete('task');
      heap.collect();
      store.region('new', SMALL).alloc(10);
      store.drop('r');
      store.rename('b', 'r');
    });
    expect(digestOf(store)).toBe(before);
    expect([buffer.size, buffer.bytes[5000], buffer.bytes[4999]]).toEqual([20_000, 2, 1]);
    expect((heap.root.get('task') as { title: string }).title).toBe('kept');
    expect(codeOf(() => region.alloc(1))).toBe('ERR_STALE');
    expect(store.region('r').bytes(block)[8999]).toBe(3);
    expect(store.checkpoints()).toHaveLength(1);
    expect(store.check()).toEqual([]);
    store.rollback();
    expect(buffer.bytes[5000]).toBe(1);
  });

  test('nested ones undo only what they did', () => {
    using store = open(temporaryFolder(), { mapper });
    const { bytes } = store.buffer('b', { size: 10_000 });
    store.transaction(() => {
      bytes[0] = 1;
      failing(store, () => {
        bytes[0] = 2;
        bytes[9000] = 2;
        store.transaction(() => (bytes[1] = 3));
      });
      expect([bytes[0], bytes[1], bytes[9000]]).toEqual([1, 0, 0]);
      store.transaction(() => (bytes[9000] = 4));
      expect(store.checkpoints()).toEqual([]);
    });
    expect([bytes[0], bytes[9000], store.checkpoints().length]).toEqual([1, 4, 1]);
  });

  test('regions that are born, dropped and renamed inside', () => {
    const store = open(temporaryFolder(), { mapper });
    const fill = (name: string, value: number) => {
      const region = store.region(name, SMALL);
      region.bytes(region.alloc(10)).fill(value);
    };
    fill('old', 1);
    store.checkpoint();
    fill('young', 2);
    const before = digestOf(store);
    failing(store, () => {
      store.drop('young');
      store.drop('old');
      fill('old', 3);
      store.rename('old', 'young');
      failing(store, () => store.drop('young'));
      expect(store.has('young')).toBe(true);
      fill('old', 4);
    });
    expect(digestOf(store)).toBe(before);
    store.transaction(() => {
      store.drop('young');
      fill('other', 5);
    });
    expect(store.regions().map(({ name }) => name)).toEqual(['old', 'other']);
    const again = reopen(store, { mapper });
    expect(again.regions().map(({ name }) => name)).toEqual(['old', 'other']);
    again.close();
  });

  test('handles of objects in heaps that were not touched go on', () => {
    using store = open(temporaryFolder(), { mapper });
    const quiet = store.heap('quiet', SMALL);
    const loud = store.heap('loud', SMALL);
    const kept = quiet.create(Task, { id: 1, title: 'a' });
    const lost = loud.create(Task, { id: 2, title: 'b' });
    failing(store, () => {
      lost.title = 'c';
    });
    expect(kept.title).toBe('a');
    expect(codeOf(() => lost.title)).toBe('ERR_STALE');
  });

  test('a region that was opened inside is returned too', () => {
    const store = open(temporaryFolder(), { mapper });
    store.buffer('b', { size: 10 }).bytes[0] = 1;
    const again = reopen(store, { mapper });
    failing(again, () => {
      again.buffer('b').bytes[0] = 2;
    });
    expect(again.buffer('b').bytes[0]).toBe(1);
    again.close();
  });

  test('anything in any order, against what the store held before', () => {
    for (const seed of [1, 2, 3].slice(0, often(2, 3))) {
      roam(split(seed, `transactions ${mapper}`), mapper, seed);
    }
  });
});

/** Nested transactions over changes of every kind; each throw must give back what was there. */
function roam(random: Random, mapper: 'shim' | 'file', seed: number): void {
  let store = open(temporaryFolder(), { mapper });
  const names = ['a', 'b', 'c'];
  const mutate = () => {
    const name = random.pick(names);
    if (random.chance(0.1) && store.has(name)) store.drop(name);
    else if (random.chance(0.11) && store.has(name) && !store.has('d')) store.rename(name, 'd');
    else if (random.chance(0.3)) buffer().bytes.fill(random.int(256), random.int(9000));
    else change(store.region(name, store.has(name) ? {} : SMALL), random, 1 + random.int(4), 9000);
  };
  const buffer = () => store.buffer('buf', store.has('buf') ? {} : { size: 9000 });
  const nest = (depth: number): void => {
    const before = digestOf(store);
    const isThrowing = random.chance(0.5);
    try {
      store.transaction(() => {
        for (let i = random.int(4); i >= 0; i--) {
          if (depth < 3 && random.chance(0.4)) nest(depth + 1);
          else mutate();
        }
        if (isThrowing) throw new Wanted('thrown');
      });
    } catch (error) {
      if (!(error instanceof Wanted)) throw error;
      expect([`seed ${seed}`, digestOf(store)]).toEqual([`seed ${seed}`, before]);
    }
  };
  for (let step = 0; step < 25; step++) {
    if (random.chance(0.5)) mutate();
    nest(0);
    expect(store.check()).toEqual([]);
    if (!random.chance(0.15)) continue;
    const digest = digestOf(store);
    store = reopen(store, { mapper });
    expect(digestOf(store)).toBe(digest);
  }
  store.close();
}

describe('misuse', () => {
  test('what would keep or undo half of a transaction is refused inside', () => {
    using store = open(temporaryFolder());
    const buffer = store.buffer('b', { size: 10 });
    const region = store.region('r', SMALL);
    const calls = {
      checkpoint: () => store.checkpoint(),
      commit: () => buffer.commit(),
      'buffer rollback': () => buffer.rollback(),
      rollback: () => store.rollback(),
      close: () => store.close(),
      abandon: () => store.abandon(),
      sync: () => (region as unknown as { sync(): void }).sync(),
    };
    store.transaction(() => {
      for (const [name, call] of Object.entries(calls)) {
        expect([name, codeOf(call)]).toEqual([name, 'ERR_BUSY']);
      }
    });
    expect(store.closed).toBe(false);
    expect(codeOf(() => store.checkpoint())).toBe('none');
  });

  test('a promise is refused, and what the function did is undone', () => {
    using store = open(temporaryFolder());
    const { bytes } = store.buffer('b', { size: 10 });
    expect(codeOf(() => store.transaction(async () => {
      bytes[0] = 1;
    }))).toBe('ERR_BAD_OPTION');
    expect(bytes[0]).toBe(0);
  });

  test('no function, closed, read-only', () => {
    const store = open(temporaryFolder());
    for (const work of [undefined, null, 5, {}]) {
      expect(codeOf(() => store.transaction(work as never))).toBe('ERR_BAD_OPTION');
    }
    store.close();
    expect(codeOf(() => store.transaction(() => 1))).toBe('ERR_CLOSED');
    using reader = open(store.dir, { readOnly: true });
    expect(codeOf(() => reader.transaction(() => 1))).toBe('ERR_READ_ONLY');
  });

  test('a checkpoint that fails undoes the transaction', () => {
    using store = open(temporaryFolder(), { inlinePages: 0 });
    const { bytes } = store.buffer('b', { size: 10 });
    bytes[0] = 1;
    // What a checkpoint writes its images to cannot be opened.
    const obstacle = join(store.dir, 'images/1.img');
    mkdirSync(obstacle);
    const change = () => store.transaction(() => {
      bytes[0] = 2;
    });
    expect(codeOf(change)).toBe('ERR_CORRUPT');
    expect([bytes[0], store.checkpoints().length]).toEqual([1, 0]);
    rmdirSync(obstacle);
    change();
    expect([bytes[0], store.checkpoints().length]).toEqual([2, 1]);
  });
});
