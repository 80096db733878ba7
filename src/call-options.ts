/** What is said to calls of a region, and what they say. */

export interface PurgeOptions {
  /** Bytes that are cleared at most, about; default all. 0 = only count. */
  readonly clearBytes?: number;
}

/** What `region.purge()` found. */
export interface Purged {
  /** Bytes of free pages that hold nothing, cleared or not. */
  readonly bytes: number;
  /** Bytes of those that were cleared now; the others were clear, or are left. */
  readonly cleared: number;
  /** Are all of them clear? */
  readonly done: boolean;
}

export interface ResizeHow {
  /** May the block move? Default true. */
  move?: boolean;
  /** Keep the contents when it moves? Default true. */
  copy?: boolean;
  /** Clear bytes from the old usable size, or from `from`. Default false. */
  zero?: boolean;
  from?: number;
}
