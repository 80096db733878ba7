/** A fault that is put into the compiled store on purpose. */
export interface Patch {
  readonly find: string;
  readonly put: string;
  /** File below src, where the text is in others too. */
  readonly file?: string;
}

export interface Mutant {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** Workloads that should show it, the quickest first. */
  readonly workloads: readonly string[];
  readonly mapper?: 'shim' | 'file';
}
