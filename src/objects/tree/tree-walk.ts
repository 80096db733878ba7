/**
 * Iterating over a sorted map. An iteration keeps the place of the next entry, and the last key
 * it gave: where the map changed meanwhile, or blocks were moved, it searches that key again and
 * goes on behind it. Forward, the next leaf is linked; backward it is searched for, once a leaf.
 */
import { NODE, TREE } from '../../layout-objects.ts';
import type { Handle } from '../handles.ts';
import type { Views } from '../memory.ts';
import type { Tree } from './tree.ts';
import type { Probe } from './tree-keys.ts';

const KEYS = NODE.keys + 0;

/** Between which keys, in which direction, and how many entries. */
export interface Span {
  /** Where it begins; null = at the end of the map on that side. */
  readonly from: Probe | null;
  readonly isFromIn: boolean;
  /** Where it ends. */
  readonly to: Probe | null;
  readonly isToIn: boolean;
  readonly isReverse: boolean;
  readonly limit: number;
}

export const ALL: Span = { from: null, isFromIn: true, to: null, isToIn: true, isReverse: false,
  limit: Number.POSITIVE_INFINITY };

export type Give = 'key' | 'value' | 'entry';

export class Walk implements IterableIterator<unknown> {
  readonly #handle: Handle;
  readonly #tree: Tree;
  readonly #span: Span;
  readonly #give: Give;
  #left: number;
  /** The last key that was given, or where it begins: the next one is behind it. */
  #from: Probe | null;
  #isFromIn: boolean;
  /** The leaf of the next entry; 0 = it is not known. */
  #leaf = 0;
  #views: Views;
  #keys = 0;
  #values = 0;
  #place = 0;
  /** The first place that is not given any more, and whether the iteration ends there. */
  #stop = 0;
  #isEnd = false;
  #changes = 0;
  #moves = 0;

  constructor(handle: Handle, tree: Tree, span: Span, give: Give) {
    this.#handle = handle;
    this.#tree = tree;
    this.#span = span;
    this.#give = give;
    this.#left = span.limit;
    this.#from = span.from;
    this.#isFromIn = span.isFromIn;
    this.#views = handle.$bound.views;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<unknown> {
    const { $at, $bound } = this.#handle;
    if (this.#left === 0) return { value: undefined, done: true };
    if ($at < 0) throw $bound.core.stale();
    const { keys, values, core } = this.#tree.nodes;
    const changes = $bound.views.i32[$at + TREE.changes];
    if (this.#leaf === 0 || changes !== this.#changes || core.moves !== this.#moves) {
      this.#changes = changes;
      this.#moves = core.moves;
      this.#seek($bound.views.i32[$at + TREE.root]);
    } else if (this.#place === this.#stop) this.#turn($bound.views.i32[$at + TREE.root]);
    if (this.#leaf === 0) {
      this.#left = 0;
      return { value: undefined, done: true };
    }
    const place = this.#place;
    const probe = keys.codec.load(this.#views, this.#keys, place);
    this.#place = this.#span.isReverse ? place - 1 : place + 1;
    this.#from = probe;
    this.#isFromIn = false;
    this.#left -= 1;
    if (this.#give === 'key') return { value: keys.keyOf(probe), done: false };
    const value = values.load(this.#views, this.#values, place);
    return { value: this.#give === 'value' ? value : [keys.keyOf(probe), value], done: false };
  }

  /** Finds the next entry from the root. */
  #seek(root: number): void {
    this.#leaf = 0;
    if (root === 0) return;
    const { path } = this.#tree;
    const { isReverse } = this.#span;
    if (this.#from === null) {
      const leaf = path.edge(root, isReverse);
      this.#enter(leaf, isReverse ? this.#tree.nodes.countOf(leaf) - 1 : 0);
    } else {
      const leaf = path.descend(root, this.#from);
      const found = this.#tree.place(leaf, this.#from);
      const step = isReverse ? -1 : 1;
      // Where the key is not, ~found is the one behind it.
      this.#enter(leaf, found < 0 ? ~found - Number(isReverse)
        : this.#isFromIn ? found : found + step);
    }
    if (isReverse ? this.#place <= this.#stop : this.#place >= this.#stop) this.#turn(root);
  }

  /** Goes to the next leaf, where there is one. */
  #turn(root: number): void {
    const { nodes, path } = this.#tree;
    const { isReverse } = this.#span;
    const from = this.#leaf;
    this.#leaf = 0;
    if (this.#isEnd) return;
    let leaf = 0;
    if (!isReverse) leaf = nodes.nextOf(from);
    else if (this.#from !== null) {
      path.descend(root, this.#from);
      leaf = path.before();
    }
    if (leaf === 0) return;
    this.#enter(leaf, isReverse ? nodes.countOf(leaf) - 1 : 0);
    this.#assertOnward(leaf);
    if (this.#place === this.#stop) this.#leaf = 0;
  }

  /** Damage must not send it round in circles: the keys of every leaf are behind the last one. */
  #assertOnward(leaf: number): void {
    const { nodes } = this.#tree;
    const { isReverse } = this.#span;
    const last = this.#from;
    if (nodes.countOf(leaf) > 0) {
      if (last === null) return;
      const next = nodes.keys.codec.load(this.#views, this.#keys, this.#place);
      if (isReverse ? nodes.keys.isBefore(next, last) : nodes.keys.isBefore(last, next)) return;
    }
    throw nodes.core.corrupt(leaf, 'the leaves of a sorted map are not in order');
  }

  /** Goes on in a leaf, up to where the iteration or the leaf ends. */
  #enter(leaf: number, place: number): void {
    const { nodes } = this.#tree;
    const { to, isToIn, isReverse } = this.#span;
    const views = nodes.memory.views(leaf);
    const word = nodes.memory.word(leaf);
    const count = nodes.leafCount(views, word, leaf);
    this.#leaf = leaf;
    this.#views = views;
    this.#keys = word + KEYS;
    this.#values = nodes.valuesAt(views, word);
    this.#place = place;
    const found = to === null ? 0 : nodes.keys.find(views, word + KEYS, count, to);
    const first = found < 0 ? ~found : isToIn === isReverse ? found : found + 1;
    if (isReverse) this.#stop = to === null ? -1 : first - 1;
    else this.#stop = to === null ? count : first;
    this.#isEnd = isReverse ? this.#stop >= 0 : this.#stop < count;
  }
}
