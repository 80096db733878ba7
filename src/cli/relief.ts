/**
 * What a verb changes is private memory until a checkpoint. One that may change most of a large
 * store takes some on its way, at half of what may be changed, so that it needs no more memory.
 */
import { Option } from 'commander';
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import { parseSize } from '../size.ts';
import type { Store } from '../store/api.ts';

/** Less than this would be a checkpoint for every few pages. */
const LEAST_LIMIT = 256 * 1024;

export function limitOption(): Option {
  return new Option('--dirty-limit <size>',
    'take checkpoints on the way at half of so much changed memory; default half of memory')
    .argParser((text: string) => {
      const bytes = parseSize(text, '--dirty-limit');
      if (bytes >= LEAST_LIMIT) return bytes;
      throw new RegionError('ERR_BAD_OPTION',
        `--dirty-limit is ${text}; give at least ${LEAST_LIMIT / 1024}KiB`);
    });
}

export class Relief {
  /** Bytes that may be changed before a checkpoint is due; Infinity = memory is no concern. */
  readonly most: number;
  /** Was there a checkpoint? What is changed is then to be undone by another one. */
  isTaken = false;
  readonly #store: Store | null;
  readonly #isKept: boolean;

  /** `isKept` false = nothing is written, so that there is no relief. Files alone need none. */
  constructor(store: Store | null, isKept: boolean) {
    const { mapper, dirtyLimit } = store?.stat() ?? { mapper: 'file', dirtyLimit: 0 };
    this.most = mapper === 'file' ? Infinity : dirtyLimit / 2;
    this.#store = store;
    this.#isKept = isKept;
  }

  /** Bytes that are changed. */
  get changed(): number {
    return (this.#store?.stat().privatePages ?? 0) * PAGE;
  }

  /**
   * Where too much is changed, a checkpoint; false = there is none to be had. The second finds
   * nothing and gives memory back.
   */
  relieve(): boolean {
    if (this.#store === null || this.most === Infinity || this.changed < this.most) return true;
    if (!this.#isKept) return false;
    this.isTaken = true;
    this.#store.checkpoint();
    this.#store.checkpoint();
    return true;
  }

  /** `lines`; a look now and then at what has come of those before. */
  *between(lines: Iterable<string>): IterableIterator<string> {
    const often = this.most / 32;
    let length = 0;
    for (const line of lines) {
      yield line;
      length += line.length;
      if (length < often) continue;
      this.relieve();
      length = 0;
    }
  }
}
