/**
 * Heaps against plain JavaScript: random changes with checkpoints, rollbacks, reopenings,
 * collections whole and in steps, compaction, and death in between.
 */
import { deepStrictEqual } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openStore } from '../src/store/store.ts';
import { random as randomFrom } from '../tools/torture/random.ts';
import { Life } from './support/object-life.ts';
import { newSeed, often } from './support/oracle.ts';
import { inOrder, Node, plainOf, reachable } from './support/object-world.ts';
import { temporaryDirectory } from './support/temp.ts';

const SEED = newSeed();
/** More in `npm run fuzz`, which gives a seed. */
const TURNS = often(30, 200);
const CHILD = join(fileURLToPath(new URL('..', import.meta.url)),
  'dist/test/support/object-life-child.js');

describe('a heap and plain JavaScript', () => {
  test.each([0, 1, 2])(`hold the same, seed ${SEED} + %i`, (i) => {
    const life = new Life(temporaryDirectory(), SEED + i);
    for (let turn = 0; turn < TURNS; turn++) {
      life.turn();
      deepStrictEqual(plainOf(life.heap), inOrder(life.world), `turn ${turn}`);
      expect(life.heap.check(), `turn ${turn}`).toEqual([]);
    }
    life.heap.collect({ handles: false });
    const count = [...life.heap.scan(Node)].length;
    expect(count).toBe(reachable(life.world).size);
    expect(life.store.check()).toEqual([]);
    life.end();
  }, 120_000);
});

describe('a process that is killed', () => {
  test.each([0, 1, 2])(`leaves its last checkpoint, seed ${SEED} + %i`, (i) => {
    const dir = temporaryDirectory();
    const seed = SEED + 1000 + i;
    const turns = 6 + randomFrom(seed).int(20);
    const { signal, stderr } = spawnSync(process.execPath, [CHILD, dir, String(seed),
      String(turns)], { encoding: 'utf8' });
    expect(signal, stderr).toBe('SIGKILL');
    // The same life again, elsewhere, to know what the dead one had last kept.
    const twin = new Life(temporaryDirectory(), seed);
    for (let turn = 0; turn < turns; turn++) twin.turn();
    const store = openStore(dir);
    const heap = store.heap('world', Life.options);
    expect(store.check()).toEqual([]);
    expect(heap.check()).toEqual([]);
    deepStrictEqual(plainOf(heap), inOrder(twin.kept));
    store.close();
    twin.end();
  }, 120_000);
});
