/**
 * Checkpoints that are taken by themselves: after some time, after so many changed bytes. Off this
 * thread, one at a time, never inside a transaction (which lets no timer run).
 */
import { RegionError } from '../errors.ts';
import { count, type Readers, readOptions, size } from '../options.ts';
import type { Checkpoint } from '../types.ts';
import { PAGE } from '../layout.ts';
import type { StoreCore } from './core.ts';

export interface AutoCheckpoint {
  /** Milliseconds between checkpoints, if something changed. */
  everyMs?: number;
  /**
   * Bytes changed since the last one, or '64MiB'. Looked for every 20 ms and more, so that looking
   * takes at most one part in 20 of the time.
   */
  everyBytes?: number | string;
  /**
   * Told of each, or why there is none. Without it, a failure is a warning of the process, once for
   * each error code.
   */
  onCheckpoint?: (error: RegionError | null, checkpoint: Checkpoint | null) => void;
}

const READERS: Readers<AutoCheckpoint> = {
  everyMs: count(1), everyBytes: size,
  onCheckpoint: (value, name) => {
    if (typeof value === 'function') return value as NonNullable<AutoCheckpoint['onCheckpoint']>;
    throw new RegionError('ERR_BAD_OPTION', `${name} is ${String(value)}; give a function`);
  },
};

const LEAST_MS = 20;
const SHARE = 20;

/** Checked options. */
export function autoCheckpoint(value: unknown, name: string): AutoCheckpoint {
  return readOptions<AutoCheckpoint>(value, READERS, name);
}

/** Begins; what it returns ends it. */
export function startAutoCheckpoints(
  core: StoreCore, wishes: AutoCheckpoint, take: () => Promise<Checkpoint>,
): () => void {
  return new Automatic(core, wishes, take).start();
}

class Automatic {
  readonly #core: StoreCore;
  readonly #wishes: AutoCheckpoint;
  readonly #take: () => Promise<Checkpoint>;
  readonly #warned = new Set<string>();
  #isBusy = false;
  #isOver = false;
  /** Bytes that were private right after the last one, though nothing was changed since. */
  #resting = 0;
  #timers: (() => void)[] = [];

  constructor(core: StoreCore, wishes: AutoCheckpoint, take: () => Promise<Checkpoint>) {
    this.#core = core;
    this.#wishes = wishes;
    this.#take = take;
  }

  start(): () => void {
    const { everyMs, everyBytes } = this.#wishes;
    if (everyMs !== undefined) {
      const timer = setInterval(() => this.#run(), everyMs);
      timer.unref();
      this.#timers.push(() => clearInterval(timer));
    }
    if (everyBytes !== undefined) this.#look(everyBytes as number, LEAST_MS);
    return () => {
      this.#isOver = true;
      for (const stop of this.#timers.splice(0)) stop();
    };
  }

  #look(everyBytes: number, pause: number): void {
    const timer = setTimeout(() => {
      this.#timers = this.#timers.filter((stop) => stop !== stopIt);
      if (this.#isOver || this.#core.closed) return;
      const started = performance.now();
      if (!this.#isBusy && changedBytes(this.#core) - this.#resting >= everyBytes) this.#run();
      const spent = performance.now() - started;
      this.#look(everyBytes, Math.max(LEAST_MS, SHARE * spent));
    }, pause);
    timer.unref();
    const stopIt = (): void => clearTimeout(timer);
    this.#timers.push(stopIt);
  }

  #run(): void {
    if (this.#isBusy || this.#isOver || this.#core.closed || this.#core.depth > 0) return;
    this.#isBusy = true;
    this.#take().then(
      (checkpoint) => this.#tell(null, checkpoint),
      (error: RegionError) => this.#tell(error, null),
    ).finally(() => {
      this.#isBusy = false;
      if (!this.#core.closed) this.#resting = changedBytes(this.#core);
    });
  }

  #tell(error: RegionError | null, checkpoint: Checkpoint | null): void {
    const { onCheckpoint } = this.#wishes;
    if (onCheckpoint !== undefined) onCheckpoint(error, checkpoint);
    else if (error !== null && !this.#warned.has(error.code)) {
      this.#warned.add(error.code);
      process.emitWarning(`an automatic checkpoint of ${this.#core.dir} failed: ${error.message}`,
        { type: 'RegionstoreWarning', code: error.code });
    }
  }
}

/** At most so many: memory that is private; where memory is a copy, what differs from the file. */
function changedBytes(core: StoreCore): number {
  let pages = 0;
  for (const file of core.files()) {
    pages += core.mapper.name === 'shim' ? file.memory.privatePages()
      : file.capture()?.pages.length ?? 0;
  }
  return pages * PAGE;
}
