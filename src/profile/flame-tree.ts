/** Call stacks as a tree of frames, outermost first: what a flame graph draws. */
import type { Profile } from '../profile.ts';
import { type By, measureOf } from './measures.ts';

export interface Frame {
  /** `file:line:function`, or what the whole is called. */
  readonly site: string;
  value: number;
  readonly callees: Map<string, Frame>;
}

const UNKNOWN = '(unknown)';

/** The root holds all that is counted; what no stack is known for is a frame of its own. */
export function treeOf(profile: Profile, by: By): Frame {
  const root = frameOf('all');
  root.value = Math.max(0, measureOf(profile.total, by));
  let known = 0;
  for (const site of profile.sites) {
    const value = measureOf(site, by);
    if (value <= 0) continue;
    known += value;
    add(root, site.stack.length === 0 ? [UNKNOWN] : site.stack.toReversed(), value);
  }
  if (root.value > known) add(root, [UNKNOWN], root.value - known);
  root.value = Math.max(root.value, known);
  return root;
}

export function depthOf(frame: Frame): number {
  let deepest = 0;
  for (const callee of frame.callees.values()) deepest = Math.max(deepest, depthOf(callee));
  return deepest + 1;
}

function add(root: Frame, stack: readonly string[], value: number): void {
  let frame = root;
  for (const site of stack) {
    let callee = frame.callees.get(site);
    if (callee === undefined) {
      callee = frameOf(site);
      frame.callees.set(site, callee);
    }
    callee.value += value;
    frame = callee;
  }
}

function frameOf(site: string): Frame {
  return { site, value: 0, callees: new Map() };
}
