/**
 * The low-water sequence: the one number that says which records may be deleted and which files
 * shortened. Everything up to it is needed by nobody. (What leads back is no concern of it: that is
 * in undo records of its own, see history.ts.)
 */
export interface Holds {
  /** Newest checkpoint whose images are durably in the region files. */
  readonly applied: number;
  /** Oldest checkpoint that a reader is about to open; Infinity = none. */
  readonly pinned: number;
}

export function lowWater({ applied, pinned }: Holds): number {
  return Math.min(applied, pinned);
}
