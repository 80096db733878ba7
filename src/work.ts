/**
 * How far long work is, for whoever shows it. What goes through all of a region, a heap or a file
 * tells it now and then; a thread does one work after the other, so there is one listener.
 */

/** `done` and `total` are bytes or a count of something; `total` 0 = not known. */
export type WorkListener =
  (what: string, done: number, total: number, unit: 'bytes' | 'count') => void;

/** Between two words on how far it is: granules where memory is gone through, else blocks. */
export const TOLD_GRANULES = 2 ** 16;
export const TOLD_BLOCKS = 1000;

let listener: WorkListener | null = null;

export function listenToWork(to: WorkListener | null): void {
  listener = to;
}

/** Is it worth finding out how much there is to do? */
export function isWorkHeard(): boolean {
  return listener !== null;
}

/** Cheap where nobody listens, but not free: not for every block. */
export function tellWork(
  what: string, done: number, total: number, unit: 'bytes' | 'count' = 'bytes',
): void {
  if (listener !== null) listener(what, done, total, unit);
}
