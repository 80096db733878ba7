/**
 * `@thi.ng/malloc`, the allocator over an ArrayBuffer that JavaScript has: loaded where it is
 * installed, replayed the way it can be. `reallocFault` tries its realloc: version 6.1.150 never
 * frees a block that moves, and forgets the new size of a newest block that shrinks a little, which
 * the next block then overlaps. Where there is a fault, a resize is malloc, copy and free.
 */
import type { Heap } from '../trace/replay.ts';

/** What is used of its MemPool. */
export interface Pool {
  readonly buf: ArrayBuffer;
  /** End of the memory it has used. */
  readonly top: number;
  malloc(bytes: number): number;
  realloc(address: number, bytes: number): number;
  free(address: number): boolean;
}

export type MakePool = (bytes: number, align: number) => Pool;

export const POOL_PACKAGE = '@thi.ng/malloc';
/** In front of each of its blocks. */
const HEADER_BYTES = 8;

/** It has no room or lost a block: no match for this trace. */
export class PoolRefused extends Error {}

interface PoolModule {
  readonly MemPool: new (options: { buf: ArrayBuffer; align: number }) => Pool;
}

/** null where it is not installed. */
export async function loadPool(): Promise<MakePool | null> {
  // Not a dependency: a constant would have to be resolved when this is compiled.
  const name: string = POOL_PACKAGE;
  try {
    const { MemPool } = await import(name) as PoolModule;
    return (bytes, align) => new MemPool({ buf: new ArrayBuffer(bytes), align });
  } catch {
    return null;
  }
}

/** What its realloc does wrong, or ''. */
export function reallocFault(make: MakePool): string {
  const faults = [
    leaks(make(4096, 16)) ? 'never frees a block that moves' : '',
    overlaps(make(4096, 8)) ? 'lets blocks overlap' : '',
  ];
  return faults.filter((fault) => fault !== '').join(' and ');
}

/** Only what is live can be freed; what was moved is not. */
function leaks(pool: Pool): boolean {
  const block = pool.malloc(64);
  pool.malloc(64);
  return pool.realloc(block, 1000) !== block && pool.free(block);
}

function overlaps(pool: Pool): boolean {
  const block = pool.realloc(pool.malloc(64), 56);
  const next = pool.malloc(64);
  const same = pool.realloc(block, 64);
  return same < next && same + 64 > next - HEADER_BYTES;
}

export interface PoolHeap extends Heap {
  /** The most of its memory it has used, bytes. */
  readonly peak: () => number;
}

/**
 * The pool as a heap of a replay. It knows no alignment: a block that needs one is larger, and what
 * malloc returned is remembered. Throws PoolRefused.
 */
export function poolHeap(pool: Pool, hasRealloc: boolean): PoolHeap {
  const memory = new Uint8Array(pool.buf);
  const bases = new Map<number, number>();
  const sizes = new Map<number, number>();
  let peak = 0;
  const place = (base: number, size: number, alignment: number): number => {
    if (base === 0) throw new PoolRefused(`${POOL_PACKAGE} has no room for ${size} bytes`);
    const at = Math.ceil(base / alignment) * alignment;
    if (at !== base) bases.set(at, base);
    if (!hasRealloc) sizes.set(at, size);
    peak = Math.max(peak, pool.top);
    return at;
  };
  const alloc = (size: number) => place(pool.malloc(Math.max(1, size)), size, 1);
  const free = (address: number): void => {
    if (!pool.free(bases.get(address) ?? address)) throw new PoolRefused('it lost a block');
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
