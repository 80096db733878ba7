/** Checkpoints as they are named in the command line: by number, or by label. */
import type { Store } from '../store/api.ts';
import type { Checkpoint } from '../types.ts';

/** A label that looks like a number is still a label where there is one. */
export function whichOf(store: Store, text: string): number | string {
  const isLabel = store.checkpoints().some(({ label }) => label === text);
  return isLabel || !/^\d+$/.test(text) ? text : Number(text);
}

/** The checkpoint of the list that is meant; undefined = there is none. */
export function pointOf(store: Store, which: number | string): Checkpoint | undefined {
  return store.checkpoints().findLast(({ id, label }) => id === which || label === which);
}
