/** What happens to a store with a heap, turn by turn, and what it should hold after each. */
import type { ObjectHeap } from '../../src/objects/heap.ts';
import type { Store } from '../../src/store/api.ts';
import { openStore } from '../../src/store/store.ts';
import { type Random, random } from '../../tools/torture/random.ts';
import { newWorld, type PlainWorld, step } from './object-world.ts';

export class Life {
  /** A window of 4 GiB makes V8 collect. */
  static readonly options = { capacity: '64MiB' } as const;
  store: Store;
  heap: ObjectHeap;
  world: PlainWorld;
  /** The world as of the last checkpoint. */
  kept: PlainWorld;
  readonly #dir: string;
  readonly #random: Random;

  constructor(dir: string, seed: number) {
    this.#dir = dir;
    this.#random = random(seed);
    this.store = openStore(dir);
    this.heap = this.store.heap('world', Life.options);
    this.world = newWorld(this.heap);
    this.store.checkpoint();
    this.kept = structuredClone(this.world);
  }

  /** Some changes, and perhaps something that happens to all of it. */
  turn(): void {
    const random = this.#random;
    for (let i = random.int(40); i > 0; i--) {
      step(this.heap, this.world, random);
      if (random.chance(0.1)) this.heap.collect({ budgetMs: 0.05 });
    }
    this.#happen(random.int(12));
  }

  end(): void {
    this.store.close();
  }

  #happen(what: number): void {
    if (what < 3) this.#keep();
    else if (what === 3) this.#revert();
    else if (what === 4) this.#reopen();
    else if (what === 5) this.#forsake();
    else if (what === 6) this.heap.collect();
    else if (what === 7) this.heap.collect({ handles: false });
    else if (what === 8) this.heap.compact(this.#random.chance(0.5) ? {} : { moveBytes: 5000 });
  }

  #keep(): void {
    this.store.checkpoint();
    this.kept = structuredClone(this.world);
  }

  #revert(): void {
    this.store.rollback();
    this.world = structuredClone(this.kept);
  }

  /** Closing keeps what changed. */
  #reopen(): void {
    this.store.close();
    this.kept = structuredClone(this.world);
    this.#open();
  }

  /** Leaving without. */
  #forsake(): void {
    this.store.abandon();
    this.world = structuredClone(this.kept);
    this.#open();
  }

  #open(): void {
    this.store = openStore(this.#dir);
    this.heap = this.store.heap('world', Life.options);
  }
}
