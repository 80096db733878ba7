/**
 * `@thi.ng/malloc`, the allocator over an ArrayBuffer that JavaScript has: loaded where it is
 * installed, replayed the way it can be. Its realloc frees the block before it copies, so that what
 * is left of a split overwrites contents: `keepsContents` tries that, and where it is so, a resize
 * is malloc, copy and free.
 */
import type { Heap } from './study-loops.ts';

/** What is used of its MemPool. */
export interface Pool {
  readonly buf: ArrayBuffer;
  /** End of the memory it has used. */
  readonly top: number;
  malloc(bytes: number): number;
  realloc(address: number, bytes: number): number;
  free(address: number): boolean;
}

export type MakePool = (bytes: number) => Pool;

export const POOL_PACKAGE = '@thi.ng/malloc';

interface PoolModule {
  readonly MemPool: new (options: { buf: ArrayBuffer; align: number }) => Pool;
}

/** null where it is not installed. */
export async function loadPool(): Promise<MakePool | null> {
  // Not a dependency: a constant would have to be resolved when this is compiled.
  const name: string = POOL_PACKAGE;
  try {
    const { MemPool } = await import(name) as PoolModule;
    return (bytes) => new MemPool({ buf: new ArrayBuffer(bytes), align: 16 });
  } catch {
    return null;
  }
}

/** Does realloc keep what is in a block that has to move down into the free one before it? */
export function keepsContents(make: MakePool): boolean {
  const pool = make(4096);
  const memory = new Uint8Array(pool.buf);
  const before = pool.malloc(64);
  const block = pool.malloc(64);
  pool.malloc(64);
  memory.fill(7, block, block + 64);
  pool.free(before);
  const moved = pool.realloc(block, 100);
  return moved > 0 && memory.subarray(moved, moved + 64).every((byte) => byte === 7);
}

export interface PoolHeap extends Heap {
  /** The most of its memory it has used, bytes. */
  readonly peak: () => number;
}

/**
 * The pool as a heap of a replay. It knows no alignment: a block that needs one is larger, and what
 * malloc returned is remembered. Throws RangeError when the pool is full.
 */
export function poolHeap(pool: Pool, hasRealloc: boolean): PoolHeap {
  const memory = new Uint8Array(pool.buf);
  const bases = new Map<number, number>();
  const sizes = new Map<number, number>();
  let peak = 0;
  const place = (base: number, size: number, alignment: number): number => {
    if (base === 0) throw new RangeError(`${POOL_PACKAGE} has no room for ${size} bytes`);
    const at = Math.ceil(base / alignment) * alignment;
    if (at !== base) bases.set(at, base);
    if (!hasRealloc) sizes.set(at, size);
    peak = Math.max(peak, pool.top);
    return at;
  };
  const alloc = (size: number) => place(pool.malloc(Math.max(1, size)), size, 1);
  const free = (address: number): void => {
    if (!pool.free(bases.get(address) ?? address)) throw new RangeError('a block got lost');
    bases.delete(address);
    sizes.delete(address);
  };
  const moved = (address: number, size: number): number => {
    const kept = Math.min(size, sizes.get(address) ?? 0);
    const at = alloc(size);
    memory.copyWithin(at, address, address + kept);
    free(address);
    return at;
  };
  const own = (address: number, size: number): number => {
    const base = bases.get(address) ?? address;
    bases.delete(address);
    return place(pool.realloc(base, Math.max(1, size)), size, 1);
  };
  return {
    memory,
    doubles: new Float64Array(pool.buf),
    alloc,
    align: (size, alignment) => place(pool.malloc(size + alignment), size, alignment),
    free,
    resize: hasRealloc ? own : moved,
    peak: () => peak,
  };
}
