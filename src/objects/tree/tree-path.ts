/**
 * The way from the root of a sorted map to a leaf. The branches of the last descent are kept, for
 * what splits and joins nodes afterwards; no way is longer than TREE_LEVELS, whatever the region
 * holds.
 */
import { NODE, TREE_LEVELS } from '../../layout-objects.ts';
import type { RegionError } from '../../errors.ts';
import type { Probe } from './tree-keys.ts';
import type { Nodes } from './tree-nodes.ts';

const KEYS = NODE.keys + 0;

export class TreePath {
  readonly nodes: Nodes;
  /** Branches above the leaf, from the root, and which child of each was next. */
  readonly branches = new Int32Array(TREE_LEVELS);
  readonly places = new Int32Array(TREE_LEVELS);
  depth = 0;

  constructor(nodes: Nodes) {
    this.nodes = nodes;
  }

  /** The leaf below `root` where a key is or would be. ERR_CORRUPT. */
  descend(root: number, probe: Probe): number {
    const { nodes } = this;
    const { memory, keys, leafTag } = nodes;
    let ref = root;
    for (let depth = 0; depth < TREE_LEVELS; depth++) {
      const views = memory.views(ref);
      const word = memory.word(ref);
      if (views.i32[word] === leafTag) {
        this.depth = depth;
        return ref;
      }
      const count = nodes.branchCount(views, word, ref);
      const found = keys.find(views, word + KEYS, count, probe);
      const place = found < 0 ? ~found : found + 1;
      this.branches[depth] = ref;
      this.places[depth] = place;
      ref = views.i32[nodes.childrenAt(word) + place];
    }
    throw this.endless(root);
  }

  /** The first or the last leaf below `root`. ERR_CORRUPT. */
  edge(root: number, isLast: boolean): number {
    const { nodes } = this;
    const { memory, leafTag } = nodes;
    let ref = root;
    for (let depth = 0; depth < TREE_LEVELS; depth++) {
      const views = memory.views(ref);
      const word = memory.word(ref);
      if (views.i32[word] === leafTag) {
        this.depth = depth;
        return ref;
      }
      const place = isLast ? nodes.branchCount(views, word, ref) : 0;
      this.branches[depth] = ref;
      this.places[depth] = place;
      ref = views.i32[nodes.childrenAt(word) + place];
    }
    throw this.endless(root);
  }

  /** The leaf before the one of the last descent, or 0; the way to it is not kept. */
  before(): number {
    const { nodes } = this;
    let level = this.depth - 1;
    while (level >= 0 && this.places[level] === 0) level -= 1;
    if (level < 0) return 0;
    let ref = nodes.child(this.branches[level], this.places[level] - 1);
    for (; level < TREE_LEVELS; level++) {
      const views = nodes.memory.views(ref);
      const word = nodes.memory.word(ref);
      if (views.i32[word] === nodes.leafTag) return ref;
      ref = nodes.child(ref, nodes.branchCount(views, word, ref));
    }
    throw this.endless(ref);
  }

  /** Did the last descent lead to the first leaf? */
  isFirst(): boolean {
    for (let level = 0; level < this.depth; level++) if (this.places[level] !== 0) return false;
    return true;
  }

  endless(ref: number): RegionError {
    return this.nodes.core.corrupt(ref, `a sorted map has more than ${TREE_LEVELS} levels`);
  }
}
