/**
 * The low-water sequence: the one number that says which records may be deleted, which files
 * shortened, which dropped regions removed. Everything up to it is needed by nobody.
 */
export interface Holds {
  /** Newest checkpoint whose images are durably in the region files. */
  readonly applied: number;
  /** Oldest checkpoint that history must be able to go back to; Infinity = none. */
  readonly retained: number;
  /** Oldest checkpoint a reader looks at; Infinity = none. */
  readonly pinned: number;
}

export function lowWater({ applied, retained, pinned }: Holds): number {
  return Math.min(applied, retained - 1, pinned);
}
