/**
 * Checks a sorted map, clause by clause (tree.ts). It believes nothing it reads: what cannot be is
 * reported and not followed, and nothing is visited twice.
 */
import { RegionError } from '../../errors.ts';
import { NODE, ROLE_SHIFT, TREE, TREE_LEVELS } from '../../layout-objects.ts';
import { RefSet } from '../collector/ref-set.ts';
import type { Core } from '../core.ts';
import { hintOf, hintsAt } from './tree-hints.ts';
import type { Probe } from './tree-keys.ts';
import { type Nodes, nodesOf } from './tree-nodes.ts';

/** Told of each finding: a clause, the reference of a block, what is wrong there. */
export type Report = (id: string, ref: number, what: string) => void;

/** A check under way. */
interface Check {
  readonly core: Core;
  readonly nodes: Nodes;
  readonly report: Report;
  /** Nodes, and texts that are keys. */
  readonly seen: RefSet;
  /** In the order of the branches. */
  readonly leaves: number[];
  /** Branches above the first leaf; -1 = none was seen. */
  depth: number;
  entries: number;
  last: Probe | null;
}

/** Where a node is: the keys below it are from `low` on, and before `high`; null = no bound. */
interface Place {
  readonly level: number;
  readonly low: Probe | null;
  readonly high: Probe | null;
}

/** Reports what is wrong with the sorted map whose header is at `ref`. */
export function checkTree(core: Core, ref: number, report: Report): void {
  const nodes = nodesOf(core, core.types.at(core.memory.tag(ref) >>> ROLE_SHIFT));
  const check: Check = { core, nodes, report, seen: new RefSet(core.memory.region), leaves: [],
    depth: -1, entries: 0, last: null };
  const { i32, u32 } = core.memory.views(ref);
  const head = core.memory.word(ref);
  const root = i32[head + TREE.root];
  const count = u32[head + TREE.count];
  if ((root === 0) !== (count === 0)) report('T1', ref, `${count} entries below root ${root}`);
  if (root === 0) return;
  checkNode(check, root, { level: 0, low: null, high: null });
  checkLinks(check);
  if (check.entries !== count) report('T8', ref, `${count} entries, found ${check.entries}`);
}

/** Entries or children of the node; 0 where it could not be visited. */
function checkNode(check: Check, ref: number, place: Place): number {
  const { core: { memory }, nodes, report, seen } = check;
  if (seen.has(ref)) {
    report('T2', ref, 'two ways lead to the node');
    return 0;
  }
  seen.add(ref);
  const bad = badNode(check, ref, place.level);
  if (bad !== null) {
    report('T2', ref, bad);
    return 0;
  }
  const isLeaf = memory.tag(ref) === nodes.leafTag;
  const size = isLeaf ? checkLeaf(check, ref, place) : checkBranch(check, ref, place);
  if (isLeaf ? size === 0 : place.level === 0 && size === 1) {
    report('T6', ref, isLeaf ? 'a leaf without entries' : 'a root with one child');
  }
  return size;
}

/** Why the block cannot be read as a node, or null. */
function badNode({ core, nodes }: Check, ref: number, level: number): string | null {
  try {
    const views = core.memory.views(ref);
    const word = core.memory.word(ref);
    const isLeaf = views.i32[word] === nodes.leafTag;
    if (isLeaf) nodes.leafCount(views, word, ref);
    else nodes.branchCount(views, word, ref);
    if (word + nodes.wordsOf(views, word) > views.i32.length) return 'it leads out of the region';
    if (isLeaf && level > 0 && views.i32[word + NODE.room] !== nodes.leafRoom) {
      return `a leaf with room for ${views.i32[word + NODE.room]}`;
    }
    return !isLeaf && level + 1 >= TREE_LEVELS ? 'too many levels' : null;
  } catch (error) {
    return messageOf(error);
  }
}

function checkLeaf(check: Check, ref: number, { level, low, high }: Place): number {
  const { nodes, report } = check;
  check.leaves.push(ref);
  if (check.depth === -1) check.depth = level;
  if (check.depth !== level) report('T3', ref, `at level ${level}, others at ${check.depth}`);
  const { keys } = nodes;
  const found = keysIn(check, ref);
  for (const [i, key] of found.entries()) {
    if (key === null) continue;
    if (check.last !== null && !keys.isBefore(check.last, key)) {
      report('T4', ref, `key ${i} is not behind the one before`);
    }
    if ((low !== null && keys.isBefore(key, low)) || (high !== null && !keys.isBefore(key, high))) {
      report('T5', ref, `key ${i} does not belong there`);
    }
    check.last = key;
  }
  check.entries += found.length;
  return found.length;
}

function checkBranch(check: Check, ref: number, { level, low, high }: Place): number {
  const { nodes, report } = check;
  const found = keysIn(check, ref);
  const bounds = [low, ...found, high];
  for (let i = 1; i <= found.length; i++) {
    const [before, key] = [bounds[i - 1], bounds[i]];
    if (before !== null && key !== null && !nodes.keys.isBefore(before, key)) {
      report('T4', ref, `key ${i - 1} is not behind the one before`);
    }
  }
  let before = -1;
  let mostBefore = 0;
  for (let i = 0; i <= found.length; i++) {
    const child = nodes.child(ref, i);
    const size = checkNode(check, child, { level: level + 1, low: bounds[i], high: bounds[i + 1] });
    const isLeaf = check.leaves.at(-1) === child;
    const most = (isLeaf ? nodes.leafRoom : nodes.branchRoom + 1) >>> 1;
    if (i > 0 && before + size <= Math.min(most, mostBefore) && size > 0 && before > 0) {
      report('T6', child, `${size} and ${before} before it, below one branch`);
    }
    [before, mostBefore] = [size, most];
  }
  return found.length + 1;
}

/** The keys of a node; null where one cannot be read. */
function keysIn(check: Check, ref: number): (Probe | null)[] {
  const { core, nodes, report, seen } = check;
  const views = core.memory.views(ref);
  const base = core.memory.word(ref) + NODE.keys;
  const { codec } = nodes.keys;
  const found = Array.from({ length: nodes.countOf(ref) }, (_, i) => {
    const text = codec.holds === 'nothing' ? 0 : views.i32[base + i];
    if (text !== 0 && seen.has(text)) report('T9', ref, `the text of key ${i} has another owner`);
    seen.add(text);
    try {
      return codec.load(views, base, i);
    } catch (error) {
      report('T9', ref, messageOf(error));
      return null;
    }
  });
  checkHints(check, ref, found);
  return found;
}

/** `skip` units are common to all texts of a node, and each hint says how its text goes on. */
function checkHints(check: Check, ref: number, found: readonly (Probe | null)[]): void {
  const { core: { memory }, nodes, report } = check;
  if (nodes.keys.isHinted !== true || found.length === 0) return;
  const views = memory.views(ref);
  const hints = hintsAt(views, memory.word(ref) + NODE.keys);
  const skip = views.i32[hints];
  const first = found[0] as string | null;
  for (const [i, text] of (found as readonly (string | null)[]).entries()) {
    if (text === null || first === null) continue;
    const isFine = skip >= 0 && skip <= text.length && text.slice(0, skip) === first.slice(0, skip)
      && hintOf(text, skip) === views.u32[hints + 1 + i];
    if (!isFine) report('T10', ref, `the hint of key ${i} is not that of its text`);
  }
}

function checkLinks({ nodes, leaves, report }: Check): void {
  for (const [i, leaf] of leaves.entries()) {
    const next = leaves[i + 1] ?? 0;
    const said = nodes.nextOf(leaf);
    if (said !== next) report('T7', leaf, `${said} is next, not ${next}`);
  }
}

/** The message of what damage throws. */
function messageOf(error: unknown): string {
  if (error instanceof RegionError) return error.message;
  throw error;
}
