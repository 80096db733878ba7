/**
 * Sorted maps as B+trees (Comer, The Ubiquitous B-Tree, 1979): entries in leaves, which are linked
 * in the order of their keys; branches hold what parts their children, keys of their own. A text
 * that parts two leaves is the shortest one that does, a copy that belongs to the branch.
 *
 * A new value and a new key are made in slots outside the region, and all nodes are allocated,
 * before anything is linked: what fails leaves the tree as it was.
 *
 * Invariants, reported by tree-check.ts:
 *   T1 the head is sane: there is a root where there are entries, and only there
 *   T2 nodes are of this type, lie in the region, and hold no more than they have room for
 *   T3 all leaves are equally deep
 *   T4 keys ascend, within a leaf and from one to the next
 *   T5 the keys of a branch part its children: left < key ≤ right
 *   T6 no leaf is empty, the root has two children; two neighbours below one branch hold more than
 *      half of what one has room for
 *   T7 leaves are linked in order, the last one to none
 *   T8 the number of entries is that of the head
 *   T9 keys can be read, and a text is one key's alone
 *   T10 hints are those of the texts (tree-hints.ts)
 */
import { NODE, TREE } from '../../layout-objects.ts';
import type { Core, Type } from '../core.ts';
import type { Views } from '../memory.ts';
import { insert } from './tree-grow.ts';
import type { Probe } from './tree-keys.ts';
import { type Nodes, nodesOf, SPARE, SPARE_SLOT } from './tree-nodes.ts';
import { TreePath } from './tree-path.ts';
import { raze, remove } from './tree-shrink.ts';

const KEYS = NODE.keys + 0;
const { key: KEY, value: VALUE, old: OLD } = SPARE_SLOT;

/** How the sorted maps of a type work. `head` = first word of a map's header. */
export class Tree {
  readonly nodes: Nodes;
  readonly path: TreePath;

  constructor(core: Core, type: Type) {
    this.nodes = nodesOf(core, type);
    this.path = new TreePath(this.nodes);
  }

  /** The value of a key, or undefined. */
  get(views: Views, head: number, probe: Probe): unknown {
    const root = views.i32[head + TREE.root];
    if (root === 0) return undefined;
    const { nodes } = this;
    const leaf = this.path.descend(root, probe);
    const page = nodes.memory.views(leaf);
    const word = nodes.memory.word(leaf);
    const place = nodes.keys.find(page, word + KEYS, nodes.leafCount(page, word, leaf), probe);
    return place < 0 ? undefined : nodes.values.load(page, nodes.valuesAt(page, word), place);
  }

  has(views: Views, head: number, probe: Probe): boolean {
    const root = views.i32[head + TREE.root];
    return root !== 0 && this.place(this.path.descend(root, probe), probe) >= 0;
  }

  /** Place of a key in a leaf, or ~place where it would be. ERR_CORRUPT. */
  place(leaf: number, probe: Probe): number {
    const { nodes } = this;
    const views = nodes.memory.views(leaf);
    const word = nodes.memory.word(leaf);
    return nodes.keys.find(views, word + KEYS, nodes.leafCount(views, word, leaf), probe);
  }

  /** ERR_SCHEMA, ERR_NO_SPACE: then all is as it was. */
  set(views: Views, head: number, probe: Probe, value: unknown): void {
    const { values } = this.nodes;
    // First of all: what is copied into the heap may run code of the program, which uses the tree.
    values.init(SPARE, VALUE, 0, value);
    let isOther: boolean;
    try {
      isOther = this.#put(views, head, probe);
    } catch (error) {
      values.drop(SPARE, VALUE, 0);
      throw error;
    }
    if (!isOther) values.drop(SPARE, OLD, 0);
  }

  /** Puts the spare value under a key. Is it a new one? Else the old value becomes spare. */
  #put(views: Views, head: number, probe: Probe): boolean {
    const { nodes, path } = this;
    const root = views.i32[head + TREE.root];
    if (root === 0) {
      insert(path, views, head, 0, 0, probe);
      return true;
    }
    const leaf = path.descend(root, probe);
    const page = nodes.memory.views(leaf);
    const word = nodes.memory.word(leaf);
    const place = nodes.keys.find(page, word + KEYS, nodes.leafCount(page, word, leaf), probe);
    if (place < 0) {
      insert(path, views, head, leaf, ~place, probe);
      return true;
    }
    const base = nodes.valuesAt(page, word);
    nodes.moveValues(page, base, place, SPARE, OLD, 0, 1);
    nodes.moveValues(SPARE, VALUE, 0, page, base, place, 1);
    return false;
  }

  /** Adds an entry whose key is behind all others. The same errors. */
  append(views: Views, head: number, probe: Probe, value: unknown): void {
    const { nodes, path } = this;
    nodes.values.init(SPARE, VALUE, 0, value);
    try {
      const root = views.i32[head + TREE.root];
      const leaf = root === 0 ? 0 : path.edge(root, true);
      insert(path, views, head, leaf, leaf === 0 ? 0 : nodes.countOf(leaf), probe);
    } catch (error) {
      nodes.values.drop(SPARE, VALUE, 0);
      throw error;
    }
  }

  /** Was the key there? Allocates nothing. */
  delete(views: Views, head: number, probe: Probe): boolean {
    const root = views.i32[head + TREE.root];
    if (root === 0) return false;
    const { nodes, path } = this;
    const leaf = path.descend(root, probe);
    const place = this.place(leaf, probe);
    if (place < 0) return false;
    remove(path, views, head, leaf, place);
    nodes.keys.codec.drop(SPARE, KEY, 0);
    nodes.values.drop(SPARE, OLD, 0);
    return true;
  }

  /** While a collection is under way, what was in the map is left to that. */
  clear(views: Views, head: number): void {
    const { memory } = this.nodes;
    const root = views.i32[head + TREE.root];
    views.i32[head + TREE.root] = 0;
    views.i32[head + TREE.count] = 0;
    views.i32[head + TREE.changes] += 1;
    memory.dropped(root);
    if (root !== 0 && memory.watcher === null) raze(this.path, root);
  }
}
