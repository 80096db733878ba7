/** slab: tables go where there is room before them when an arena is trimmed. */
import { expect, test } from 'vitest';
import { GRANULE, SLAB, SLAB_CLASSES } from '../src/layout.ts';
import { slab } from '../src/methods/slab.ts';
import { busyOf, copyOf, findings, newArena, START, statOf, watched }
  from './support/best-arena.ts';
import { newSlab } from './support/slab-arena.ts';

/** Word index of the table of the first MiB in the directory. */
const FIRST = START * 4 + SLAB.directory;

/** The table of the second MiB lies there, and before it a hole that it fits in. */
function withHole(): ReturnType<typeof newSlab> {
  const made = newSlab(2 ** 18);
  const { arena, blocks } = made;
  const hole = blocks.alloc(20_000);
  const wall = blocks.alloc(2 ** 20 - 100_000);
  for (let i = 0; arena.words[FIRST + 1] === 0; i += 1) blocks.alloc((i % SLAB_CLASSES) * GRANULE);
  for (let n = 1; n <= SLAB_CLASSES; n += 1) blocks.free(blocks.alloc(n * GRANULE));
  blocks.free(hole);
  expect(arena.words[FIRST + 1] / 4).toBeGreaterThan(wall);
  return made;
}

test('trim moves a table to where there is room before it; its pages stay as they are', () => {
  const { arena, blocks } = withHole();
  const before = busyOf(blocks);
  const was = arena.words[FIRST + 1];
  blocks.trim();
  expect(arena.words[FIRST + 1]).toBeLessThan(was / 2);
  expect(arena.end() * 4).toBeLessThanOrEqual(was + 4096 * 4);
  expect(busyOf(blocks)).toEqual(before);
  expect(findings(blocks)).toEqual([]);
  const more = Array.from({ length: 4000 }, (_, i) => blocks.alloc((i % SLAB_CLASSES) * GRANULE));
  expect(new Set([...more, ...before.keys()]).size).toBe(more.length + before.size);
  for (const at of [...more, ...before.keys()]) expect(blocks.free(at)).toBe(true);
  expect(findings(blocks)).toEqual([]);
  blocks.trim();
  expect(statOf(blocks).busyBlocks).toBe(0);
  expect(findings(blocks)).toEqual([]);
});

test('a table that has no room before it stays, and nothing grows', () => {
  const { arena, blocks } = withHole();
  blocks.alloc(19_000);
  blocks.trim();
  const [table, end] = [arena.words[FIRST + 1], arena.end()];
  blocks.trim();
  expect([arena.words[FIRST + 1], arena.end()]).toEqual([table, end]);
  expect(findings(blocks)).toEqual([]);
});

test('killed while a table moves, all is there', () => {
  const { arena, blocks } = withHole();
  const before = busyOf(blocks);
  const was = arena.words[FIRST + 1];
  const places = new Set<number>();
  let stored = 0;
  const words = watched(arena.words, () => {
    stored += 1;
    if (arena.words[FIRST + 1] === was && stored % 97 !== 0) return;
    places.add(arena.words[FIRST + 1]);
    const revived = slab.attach(copyOf(arena));
    expect(revived.rebuild()).toBe(true);
    expect(findings(revived)).toEqual([]);
    expect(busyOf(revived)).toEqual(before);
  }) as Int32Array<ArrayBuffer>;
  slab.attach({ ...newArena(arena.capacity, words), end: arena.end, extend: arena.extend,
    retract: arena.retract }).trim();
  expect([...places]).toEqual([was, arena.words[FIRST + 1]]);
  expect(findings(blocks)).toEqual([]);
});
