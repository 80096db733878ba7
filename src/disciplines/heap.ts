/**
 * heap: memory of the process, gone with it. Where the shim is, a window is reserved address space
 * that costs nothing until it is touched; without it, an ArrayBuffer, which costs what it is long.
 */
import { RegionError } from '../errors.ts';
import { loadShim } from '../native/load.ts';
import type { Shim } from '../native/shim.ts';
import { readOptions, size } from '../options.ts';
import type { Discipline } from '../types.ts';
import { capacityFrom, windowBytes } from './capacity.ts';

const ROUND = 64 * 1024;

export interface HeapOptions {
  /** Bytes, or a string like '1GiB'; default 4 GiB. */
  readonly capacity?: number | string;
}

/**
 * Memory that lives as long as the region is open.
 *
 * @example const region = createRegion(heap({ capacity: '1GiB' }), best);
 */
export function heap(options?: HeapOptions): Discipline {
  const given = readOptions<{ capacity?: number }>(options, { capacity: size }, 'heap');
  return new HeapDiscipline(capacityFrom(given.capacity, ROUND));
}

class HeapDiscipline implements Discipline {
  readonly name = 'heap';
  readonly round = ROUND;
  readonly durable = false;
  readonly capacity: number;
  readonly #shim: Shim | null = loadShim();
  readonly #windows: ArrayBuffer[] = [];
  readonly #sizes: number[] = [];
  #isOpen = false;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  open(): readonly number[] {
    if (this.#isOpen) {
      throw new RegionError('ERR_BUSY', 'this heap() serves an open region; make another one');
    }
    this.#isOpen = true;
    return [];
  }

  window(segment: number): Uint8Array {
    return new Uint8Array(this.#reserved(segment));
  }

  resize(segment: number, bytes: number): boolean {
    const window = this.#reserved(segment);
    const held = this.#sizes[segment] ?? 0;
    if (bytes < held) this.#shim?.unmap(window, bytes, held - bytes);
    this.#sizes[segment] = bytes;
    return true;
  }

  sync(): void {}

  close(): void {
    for (const window of this.#windows) {
      if (window === undefined) continue;
      if (this.#shim === null) structuredClone(window, { transfer: [window] });
      else this.#shim.close(window);
    }
    this.#windows.length = 0;
    this.#sizes.length = 0;
    this.#isOpen = false;
  }

  #reserved(segment: number): ArrayBuffer {
    const bytes = windowBytes(this.capacity, segment);
    this.#windows[segment] ??= this.#shim?.reserve(bytes) ?? plainWindow(bytes);
    return this.#windows[segment];
  }
}

function plainWindow(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (error) {
    throw new RegionError('ERR_NO_SPACE',
      `no memory for a window of ${bytes} bytes; give the region a smaller capacity`, error);
  }
}
