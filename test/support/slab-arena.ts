/** Heaps of `slab` and `pool` over a small arena, for tests of the methods alone. */
import { expect } from 'vitest';
import { slab } from '../../src/methods/slab.ts';
import type { Blocks, Method } from '../../src/types.ts';
import { newArena, type TestArena } from './best-arena.ts';
import type { Random } from './oracle.ts';

export function newSlab(capacity: number): { arena: TestArena; blocks: Blocks } {
  return newHeap(slab, capacity);
}

export function newHeap(method: Method, capacity: number): { arena: TestArena; blocks: Blocks } {
  const arena = newArena(capacity);
  if (!method.format(arena)) throw new Error('the arena is too small');
  return { arena, blocks: method.attach(arena) };
}

/** Live blocks: how many bytes were asked for, and what they are filled with. */
export type Model = Map<number, { size: number; mark: number }>;

export function fill(arena: TestArena, at: number, size: number, mark: number): void {
  new Uint8Array(arena.words.buffer, at * 16, size).fill(mark);
}

export function holds(arena: TestArena, at: number, size: number, mark: number): boolean {
  return Buffer.from(arena.words.buffer, at * 16, size).equals(Buffer.alloc(size, mark));
}

export function pick(model: Model, random: Random): number {
  return [...model.keys()][random(model.size)] ?? 0;
}

/** For what is asked thousands of times: an `expect` costs more than the call it looks at. */
export function insist(isSo: boolean, what: string): void {
  if (!isSo) expect.fail(`it is not so that ${what}`);
}

/** One random call on both; what it does is checked at once. Sizes are those `anySize` gives. */
export function step(
  arena: TestArena, blocks: Blocks, model: Model, random: Random, anySize: () => number,
): void {
  const call = random(100);
  const size = anySize();
  const mark = random(256);
  if (model.size === 0 || call < 44) {
    const alignment = 2 ** (5 + random(10));
    const at = call % 8 === 0 ? blocks.align(size, alignment) : blocks.alloc(size);
    if (at === 0) return;
    insist(!model.has(at), `${at} is free`);
    if (call % 8 === 0) insist((at * 16) % alignment === 0, `${at} is aligned to ${alignment}`);
    insist(blocks.sizeOf(at) >= size, `the block at ${at} has ${size} bytes`);
    fill(arena, at, size, mark);
    model.set(at, { size, mark });
    return;
  }
  const at = pick(model, random);
  const held = model.get(at) as { size: number; mark: number };
  insist(holds(arena, at, held.size, held.mark), `the block at ${at} keeps its contents`);
  if (call < 84) {
    insist(blocks.free(at), `${at} can be freed`);
    insist(!blocks.free(at), `${at} can be freed once only`);
    model.delete(at);
  } else if (blocks.resize(at, size)) {
    insist(blocks.sizeOf(at) >= size, `the block at ${at} has ${size} bytes`);
    insist(holds(arena, at, Math.min(size, held.size), held.mark),
      `the block at ${at} keeps its contents when it is resized`);
    fill(arena, at, size, mark);
    model.set(at, { size, mark });
  }
}

/** Sizes by place. */
export type Sizes = Map<number, number>;

/** Can what a crash in the middle of one call left lie between what was before and after it? */
export function between(found: Sizes, a: Sizes, b: Sizes): boolean {
  for (const [at, size] of found) {
    const [x, y] = [a.get(at) ?? b.get(at), b.get(at) ?? a.get(at)];
    if (x === undefined || y === undefined) return false;
    if (size < Math.min(x, y) || size > Math.max(x, y)) return false;
  }
  return [...a.keys()].every((at) => found.has(at) || !b.has(at));
}
