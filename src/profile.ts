/** What a method that profiles knows: the types of `profileOf` and of what it is made from. */

/** What one call stack did. */
export interface SiteProfile {
  /** `file:line:function`, innermost first. */
  readonly stack: readonly string[];
  readonly allocs: number;
  readonly frees: number;
  /** Bytes that were ever asked for. */
  readonly bytes: number;
  /** Bytes and blocks that are live. */
  readonly live: number;
  readonly liveBlocks: number;
  /** The most bytes that were ever live at once. */
  readonly peak: number;
}

/** What was allocated in a region, by call stack. */
export interface Profile {
  readonly sites: readonly SiteProfile[];
  readonly total: Omit<SiteProfile, 'stack'> & {
    /** The most bytes the region occupied when something was allocated. */
    readonly peakExtent: number;
  };
}
