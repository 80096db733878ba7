/**
 * How a sorted map gets smaller. Nothing here allocates, so that deletion works where the region is
 * full: no new keys part the leaves, neighbours are joined where they fit into half a node, and are
 * left alone where they do not. A leaf goes when it is empty.
 */
import { NODE, TREE, TREE_LEVELS } from '../../layout-objects.ts';
import type { Views } from '../memory.ts';
import { type Nodes, SPARE, SPARE_SLOT } from './tree-nodes.ts';
import type { TreePath } from './tree-path.ts';

const KEYS = NODE.keys + 0;
const { key: KEY, old: OLD, part: PART } = SPARE_SLOT;

/** Takes an entry out of the leaf to which the path leads; key and value become spare. */
export function remove(
  path: TreePath, views: Views, head: number, leaf: number, place: number,
): void {
  const { nodes } = path;
  const page = nodes.memory.views(leaf);
  const word = nodes.memory.word(leaf);
  const base = nodes.valuesAt(page, word);
  const count = page.i32[word + NODE.count] - 1;
  nodes.copyKey(page, word, place, SPARE, KEY);
  nodes.moveValues(page, base, place, SPARE, OLD, 0, 1);
  nodes.removeKey(page, word, place);
  nodes.moveValues(page, base, place + 1, page, base, place, count - place);
  page.i32[word + NODE.count] = count;
  views.i32[head + TREE.count] -= 1;
  views.i32[head + TREE.changes] += 1;
  if (path.depth > 0) {
    if (count <= nodes.leafRoom >>> 1) settle(path, views, head, leaf);
  } else if (count === 0) {
    views.i32[head + TREE.root] = 0;
    nodes.release(leaf);
  }
}

/** Joins nodes from a leaf upwards, as far as they fit. */
function settle(path: TreePath, views: Views, head: number, leaf: number): void {
  const { nodes, branches } = path;
  let level = path.depth - 1;
  if (!joinLeaf(path, level, leaf)) {
    if (nodes.countOf(leaf) > 0) return;
    level = prune(path, level, leaf);
  }
  while (level > 0 && joinBranch(path, level - 1, branches[level])) level -= 1;
  lower(nodes, views, head);
}

/** Place of the left one of two neighbours that fit into one, of which one is at `place`; or -1. */
function leftOf(
  nodes: Nodes, parent: number, place: number, fits: (other: number) => boolean,
): number {
  if (place > 0 && fits(nodes.child(parent, place - 1))) return place - 1;
  return place < nodes.countOf(parent) && fits(nodes.child(parent, place + 1)) ? place : -1;
}

/** Joins a leaf with one of its neighbours. An empty one fits into every other. */
function joinLeaf({ nodes, branches, places }: TreePath, level: number, leaf: number): boolean {
  const parent = branches[level];
  const place = places[level];
  const count = nodes.countOf(leaf);
  const most = nodes.leafRoom >>> 1;
  const fits = (other: number) => count === 0 || count + nodes.countOf(other) <= most;
  const left = leftOf(nodes, parent, place, fits);
  if (left < 0) return false;
  const into = nodes.child(parent, left);
  const from = nodes.child(parent, left + 1);
  nodes.assertLeaves(into, from);
  nodes.pour(from, 0, into, nodes.countOf(from));
  nodes.setNext(into, nodes.nextOf(from));
  cut(nodes, parent, left, left + 1, true);
  nodes.release(from);
  return true;
}

/** The same for branches: what parted them lies between their keys then. */
function joinBranch({ nodes, branches, places }: TreePath, level: number, branch: number): boolean {
  const parent = branches[level];
  const place = places[level];
  const count = nodes.countOf(branch) + 1;
  const most = (nodes.branchRoom + 1) >>> 1;
  const fits = (other: number) => count + nodes.countOf(other) + 1 <= most;
  const left = leftOf(nodes, parent, place, fits);
  if (left < 0) return false;
  const into = nodes.child(parent, left);
  const from = nodes.child(parent, left + 1);
  nodes.assertBranches(into, from);
  nodes.tell(parent);
  const middle = nodes.countOf(into);
  nodes.copyKey(nodes.memory.views(parent), nodes.memory.word(parent), left, SPARE, PART);
  nodes.insertKey(nodes.memory.views(into), nodes.memory.word(into), middle, SPARE, PART);
  nodes.setCount(into, middle + 1);
  nodes.pourBranch(from, 0, into, nodes.countOf(from));
  cut(nodes, parent, left, left + 1, false);
  nodes.release(from);
  return true;
}

/**
 * Takes away an empty leaf that is alone below its branch, and the branches that have nothing else.
 * The level of the one above them, which lost a child.
 */
function prune(path: TreePath, from: number, leaf: number): number {
  const { nodes, branches, places } = path;
  let level = from;
  while (level >= 0 && nodes.countOf(branches[level]) === 0) level -= 1;
  if (level < 0) throw nodes.core.corrupt(branches[0], 'the root of a sorted map has one child');
  const before = path.before();
  if (before !== 0) nodes.setNext(before, nodes.nextOf(leaf));
  cut(nodes, branches[level], Math.max(places[level] - 1, 0), places[level], true);
  for (let below = level + 1; below <= from; below++) nodes.release(branches[below]);
  nodes.release(leaf);
  return level;
}

/** Takes a key and a child out of a branch; the key is given up, where it did not go elsewhere. */
function cut(nodes: Nodes, branch: number, key: number, child: number, isDropped: boolean): void {
  const views = nodes.memory.views(branch);
  const word = nodes.memory.word(branch);
  const count = views.i32[word + NODE.count];
  if (isDropped) nodes.keys.codec.drop(views, word + KEYS, key);
  nodes.removeKey(views, word, key);
  nodes.moveChildren(branch, child + 1, branch, child, count - child);
  views.i32[word + NODE.count] = count - 1;
}

/** A root with one child makes way for it. */
function lower(nodes: Nodes, views: Views, head: number): void {
  for (let levels = 0; levels < TREE_LEVELS; levels++) {
    const root = views.i32[head + TREE.root];
    if (nodes.memory.tag(root) !== nodes.branchTag || nodes.countOf(root) > 0) return;
    views.i32[head + TREE.root] = nodes.child(root, 0);
    nodes.release(root);
  }
}

/** Gives up everything below a node that nothing leads to. */
export function raze(path: TreePath, ref: number, levels: number = TREE_LEVELS): void {
  const { nodes } = path;
  const { memory, keys, values } = nodes;
  const views = memory.views(ref);
  const word = memory.word(ref);
  const isLeaf = views.i32[word] === nodes.leafTag;
  if (!isLeaf && levels === 1) throw path.endless(ref);
  const count = isLeaf ? nodes.leafCount(views, word, ref) : nodes.branchCount(views, word, ref);
  if (keys.codec.holds !== 'nothing') {
    for (let i = 0; i < count; i++) keys.codec.drop(views, word + KEYS, i);
  }
  if (!isLeaf) for (let i = 0; i <= count; i++) raze(path, nodes.child(ref, i), levels - 1);
  else if (values.holds !== 'nothing') {
    for (let i = 0; i < count; i++) values.drop(views, nodes.valuesAt(views, word), i);
  }
  nodes.release(ref);
}
