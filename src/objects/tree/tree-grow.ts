/**
 * How a sorted map takes an entry in. All nodes that a split needs are allocated before the first
 * of them is linked: a call that fails leaves the tree as it was.
 *
 * A full node is split in the middle. But where an entry is added at an end of the tree, the node
 * there stays as full as it is, and the entry gets one of its own: keys that come in order leave
 * full nodes behind.
 */
import { NODE, TREE, TREE_LEVELS } from '../../layout-objects.ts';
import type { Views } from '../memory.ts';
import type { Probe } from './tree-keys.ts';
import { type Nodes, SPARE, SPARE_SLOT } from './tree-nodes.ts';
import type { TreePath } from './tree-path.ts';

const KEYS = NODE.keys + 0;
const { key: KEY, value: VALUE, part: PART, up: UP } = SPARE_SLOT;

/** The end of the tree at which an entry is added. */
type End = 'first' | 'last' | 'none';

/** Nodes that are allocated and not linked yet: a leaf, then branches. */
const fresh: number[] = [];

/**
 * Adds the spare value under a new key, at a place of the leaf to which the path leads; 0 = there
 * is no leaf. ERR_NO_SPACE, then all is as it was and the value is the caller's.
 */
export function insert(
  path: TreePath, views: Views, head: number, leaf: number, place: number, probe: Probe,
): void {
  const { nodes } = path;
  nodes.keys.codec.init(SPARE, KEY, 0, probe);
  if (leaf !== 0 && nodes.countOf(leaf) < nodes.roomOf(leaf)) enter(nodes, leaf, place, probe);
  else {
    try {
      if (leaf !== 0 && nodes.roomOf(leaf) >= nodes.leafRoom) {
        split(path, views, head, leaf, place, probe);
      } else enter(nodes, grow(nodes, views, head, leaf), place, probe);
    } catch (error) {
      nodes.keys.codec.drop(SPARE, KEY, 0);
      throw error;
    }
  }
  views.i32[head + TREE.count] += 1;
  views.i32[head + TREE.changes] += 1;
}

/** Puts the spare key and value into a leaf that has room. */
function enter(nodes: Nodes, leaf: number, place: number, probe: Probe): void {
  const views = nodes.memory.views(leaf);
  const word = nodes.memory.word(leaf);
  const base = nodes.valuesAt(views, word);
  const behind = views.i32[word + NODE.count] - place;
  nodes.insertKey(views, word, place, SPARE, KEY, probe);
  nodes.moveValues(views, base, place, views, base, place + 1, behind);
  nodes.moveValues(SPARE, VALUE, 0, views, base, place, 1);
  views.i32[word + NODE.count] += 1;
}

/** A larger leaf in place of the only one. */
function grow(nodes: Nodes, views: Views, head: number, leaf: number): number {
  const larger = nodes.newLeaf(nodes.grown(leaf === 0 ? 0 : nodes.roomOf(leaf)));
  if (leaf !== 0) nodes.pour(leaf, 0, larger, nodes.countOf(leaf));
  views.i32[head + TREE.root] = larger;
  if (leaf !== 0) nodes.release(leaf);
  return larger;
}

function split(
  path: TreePath, views: Views, head: number, leaf: number, place: number, probe: Probe,
): void {
  const { nodes } = path;
  const count = nodes.countOf(leaf);
  const next = nodes.nextOf(leaf);
  const end: End = place === count && next === 0 ? 'last'
    : place === 0 && path.isFirst() ? 'first' : 'none';
  const keep = end === 'last' ? count : end === 'first' ? 0 : count >>> 1;
  const goesRight = end === 'last' || place > keep;
  part(nodes, leaf, keep, place === keep ? probe : null, goesRight);
  try {
    take(path);
  } catch (error) {
    nodes.keys.codec.drop(SPARE, PART, 0);
    throw error;
  }
  nodes.tell(leaf);
  const right = fresh[0];
  nodes.pour(leaf, keep, right, count - keep);
  nodes.setCount(leaf, keep);
  nodes.setNext(right, next);
  nodes.setNext(leaf, right);
  nodes.sharpen(leaf);
  nodes.sharpen(right);
  if (goesRight) enter(nodes, right, place - keep, probe);
  else enter(nodes, leaf, place, probe);
  adopt(path, views, head, right, end);
}

/** Makes the key that parts a leaf after `keep` of its entries; `probe` = the new key, there. */
function part(nodes: Nodes, leaf: number, keep: number, probe: Probe | null, goesRight: boolean) {
  const { keys, memory } = nodes;
  const views = memory.views(leaf);
  const base = memory.word(leaf) + KEYS;
  const left = probe !== null && !goesRight ? probe : keys.codec.load(views, base, keep - 1);
  const right = probe !== null && goesRight ? probe : keys.codec.load(views, base, keep);
  keys.codec.init(SPARE, PART, 0, keys.between(left, right));
}

/** Allocates what a split of the path's leaf needs. ERR_NO_SPACE; then it is given up again. */
function take(path: TreePath): void {
  const { nodes, branches, depth } = path;
  let level = depth - 1;
  while (level >= 0 && nodes.countOf(branches[level]) >= nodes.branchRoom) level -= 1;
  if (level < 0 && depth + 2 > TREE_LEVELS) throw path.endless(branches[0]);
  const wanted = depth - level - 1 + Number(level < 0);
  fresh.length = 0;
  try {
    fresh.push(nodes.newLeaf(nodes.leafRoom));
    for (let i = 0; i < wanted; i++) fresh.push(nodes.newBranch());
  } catch (error) {
    for (const ref of fresh) nodes.memory.free(ref);
    throw error;
  }
}

/** Links a new node behind the one that was split, up to where there is room. */
function adopt(path: TreePath, views: Views, head: number, leaf: number, end: End): void {
  const { nodes, branches, places } = path;
  let right = leaf;
  let used = 1;
  for (let level = path.depth - 1; level >= 0; level--) {
    const branch = branches[level];
    if (nodes.countOf(branch) < nodes.branchRoom) return graft(nodes, branch, places[level], right);
    splitBranch(nodes, branch, places[level], right, fresh[used], end);
    right = fresh[used];
    used += 1;
  }
  const root = fresh[used];
  const old = views.i32[head + TREE.root];
  nodes.setChild(root, 0, old);
  graft(nodes, root, 0, right);
  views.i32[head + TREE.root] = root;
  nodes.memory.dropped(old);
}

/** Puts the spare key at a place of a branch that has room, and a child behind it. */
function graft(nodes: Nodes, branch: number, place: number, child: number): void {
  const views = nodes.memory.views(branch);
  const word = nodes.memory.word(branch);
  const behind = views.i32[word + NODE.count] - place;
  nodes.insertKey(views, word, place, SPARE, PART);
  nodes.moveChildren(branch, place + 1, branch, place + 2, behind);
  views.i32[nodes.childrenAt(word) + place + 1] = child;
  views.i32[word + NODE.count] += 1;
}

/**
 * The same in a full branch: its upper half goes to `right`. The key between the two halves becomes
 * the spare one.
 */
function splitBranch(
  nodes: Nodes, branch: number, place: number, child: number, right: number, end: End,
): void {
  const count = nodes.countOf(branch);
  const keep = end === 'last' ? count - 1 : end === 'first' ? 1 : count >>> 1;
  nodes.tell(branch);
  if (place === keep) {
    nodes.pourBranch(branch, keep, right, count - keep);
    nodes.setChild(right, 0, child);
    nodes.setCount(branch, keep);
    nodes.sharpen(branch);
    nodes.sharpen(right);
    return;
  }
  const from = place < keep ? keep : keep + 1;
  const views = nodes.memory.views(branch);
  nodes.copyKey(views, nodes.memory.word(branch), from - 1, SPARE, UP);
  nodes.pourBranch(branch, from, right, count - from);
  nodes.setCount(branch, from - 1);
  nodes.sharpen(branch);
  nodes.sharpen(right);
  if (place < keep) graft(nodes, branch, place, child);
  else graft(nodes, right, place - from, child);
  nodes.copySpare(UP, PART);
}
