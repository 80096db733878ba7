/**
 * Blocks that a program looks into: as long as a view of one is alive it is neither freed nor
 * moved. Views are held weakly.
 */
export class Pins {
  readonly #views = new Map<number, WeakRef<ArrayBufferView>[]>();

  /** Nothing is pinned meanwhile. */
  isOff = false;

  /** The block is pinned as long as the view lives. */
  add<T extends ArrayBufferView>(ref: number, view: T): T {
    if (this.isOff) return view;
    const alive = (this.#views.get(ref) ?? []).filter((one) => one.deref() !== undefined);
    this.#views.set(ref, [...alive, new WeakRef(view)]);
    return view;
  }

  /** Is a view of the block alive, as far as is known? */
  has(ref: number): boolean {
    const views = this.#views.get(ref);
    if (views === undefined) return false;
    if (views.some((one) => one.deref() !== undefined)) return true;
    this.#views.delete(ref);
    return false;
  }

  /** Blocks with a view that is alive. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (const ref of [...this.#views.keys()]) if (this.has(ref)) yield ref;
  }

  clear(): void {
    this.#views.clear();
  }
}
