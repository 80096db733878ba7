/**
 * The head of a damaged heap and its types: without them nothing in it can be read. Where the
 * region no longer names them they are looked for among all blocks.
 */
import { DIRECTORY, HEAD, HEAD_ROOT, HEAP_VERSION, ROLE, ROLE_MASK, SEGMENT_SHIFT }
  from '../../layout-objects.ts';
import { spaceOf } from '../../region/calls.ts';
import { leastBytes } from '../block-sizes.ts';
import { type Core, tagOf } from '../core.ts';
import { addressAt, type Memory } from '../memory.ts';
import { loadText, newText } from '../text.ts';
import { isDescription } from '../type-table.ts';

const WORD_BYTES = 4;

/** Puts in order what names the head and the types. What was done; null = there is no head. */
export function mendHead(core: Core): string[] | null {
  const { memory } = core;
  const { region } = memory;
  const changes: string[] = [];
  const named = region.roots.get(HEAD_ROOT) / addressAt(1);
  const head = isHead(memory, named) ? named : find(memory, (ref) => isHead(memory, ref));
  if (head === 0) return null;
  if (head !== named) {
    region.roots.set(HEAD_ROOT, addressAt(head));
    changes.push(`the head of the heap was found at ${addressAt(head)}`);
  }
  const { i32 } = memory.views(head);
  const word = memory.word(head);
  const directory = directoryOf(core, i32[word + HEAD.types]);
  const count = Math.max(0, countTypes(memory, directory));
  if (i32[word + HEAD.types] !== directory || i32[word + HEAD.typeCount] !== count) {
    i32[word + HEAD.types] = directory;
    i32[word + HEAD.typeCount] = count;
    changes.push(`${count} types were found at ${addressAt(directory)}`);
  }
  if (directory !== 0) {
    const tag = tagOf(ROLE.directory, roomOf(memory, directory));
    memory.views(directory).i32[memory.word(directory)] = tag;
  }
  const seen = new Set<number>();
  for (let id = 1; id <= count; id++) {
    const at = memory.word(directory) + DIRECTORY.entries + id - 1;
    const described = memory.views(directory).i32[at];
    const isTwice = seen.has(described);
    seen.add(described);
    if (!isTwice && isDescribed(core, described)) continue;
    // Objects of the type keep their number, so that others do not take it.
    const text = JSON.stringify({ struct: `Lost${id}`, bytes: WORD_BYTES, fields: [] });
    const ref = newText(memory, text);
    memory.views(directory).i32[at] = ref;
    changes.push(`type ${id} had lost its description: its objects have no fields any more`);
  }
  return changes;
}

function isHead(memory: Memory, ref: number): boolean {
  if (!Number.isInteger(ref) || ref <= 0) return false;
  if (memory.held(ref) < HEAD.words * WORD_BYTES) return false;
  const { i32 } = memory.views(ref);
  return (memory.tag(ref) & ROLE_MASK) === ROLE.head
    && i32[memory.word(ref) + HEAD.version] === HEAP_VERSION;
}

/** Types that a directory names; -1 = it is none. A heap without types has no directory. */
function countTypes(memory: Memory, ref: number): number {
  if (ref === 0) return 0;
  const room = roomOf(memory, ref);
  if (room < 0 || (memory.tag(ref) & ROLE_MASK) !== ROLE.directory) return -1;
  const first = memory.word(ref) + DIRECTORY.entries;
  const entries = memory.views(ref).i32.subarray(first, first + room);
  return entries.findLastIndex((entry) => entry !== 0) + 1;
}

function roomOf(memory: Memory, ref: number): number {
  const held = memory.held(ref);
  return held < 0 ? -1 : Math.floor(held / WORD_BYTES) - DIRECTORY.entries;
}

/** The directory of the types: the one that is named, or the block that looks most like it. */
function directoryOf(core: Core, named: number): number {
  const { memory } = core;
  const count = countTypes(memory, named);
  const described = countDescribed(core, named);
  if (count > 0 && described * 2 > count) return named;
  let [best, most] = [count < 0 ? 0 : named, described];
  find(memory, (ref) => {
    const found = countDescribed(core, ref);
    if (found > most) [best, most] = [ref, found];
    return false;
  });
  return best;
}

function countDescribed(core: Core, ref: number): number {
  const { memory } = core;
  const count = countTypes(memory, ref);
  if (count <= 0) return 0;
  const first = memory.word(ref) + DIRECTORY.entries;
  const entries = memory.views(ref).i32.subarray(first, first + count);
  return entries.reduce((n, entry) => n + Number(isDescribed(core, entry)), 0);
}

function isDescribed(core: Core, ref: number): boolean {
  const { memory } = core;
  const held = ref === 0 ? -1 : memory.held(ref);
  if (held < 0 || held < leastBytes(core, ref)) return false;
  const text = loadText(memory, ref);
  return text !== null && isDescription(core, text);
}

/** The first live block for which `test` holds, or 0. */
function find(memory: Memory, test: (ref: number) => boolean): number {
  let found = 0;
  for (const { index, blocks } of spaceOf(memory.region)?.parts ?? []) {
    blocks.walk((granule, _bytes, isBusy) => {
      const ref = (index << SEGMENT_SHIFT) | granule;
      if (isBusy && test(ref)) found = ref;
      return found !== 0;
    });
    if (found !== 0) break;
  }
  return found;
}
