/**
 * How far long work is, for whoever shows it. What goes through all of a region, a heap or a file
 * tells it now and then; a thread does one work after the other, so there is one listener.
 */

/** `done` and `total` are bytes or a count of something; `total` 0 = not known. */
export type WorkListener =
  (what: string, done: number, total: number, unit: 'bytes' | 'count') => void;

let listener: WorkListener | null = null;

export function listenToWork(to: WorkListener | null): void {
  listener = to;
}

/** Is it worth finding out how much there is to do? */
export function isWorkHeard(): boolean {
  return listener !== null;
}

/** Cheap where nobody listens, but not free: for every hundredth block, not for each. */
export function tellWork(
  what: string, done: number, total: number, unit: 'bytes' | 'count' = 'bytes',
): void {
  if (listener !== null) listener(what, done, total, unit);
}
