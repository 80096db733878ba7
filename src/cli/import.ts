/**
 * `regionstore import DIR HEAP FILE`: reads an export into a heap, which is made where there is
 * none; of blocks, into a new region. The result is one checkpoint: all of it or nothing.
 *
 * JSON: { path, heap, file, dryRun, isNew, objects, names, checkpoint: its id | null }; of blocks
 * { path, region, file, dryRun, method, blocks, busyBytes, roots, moved, checkpoint }. `moved` =
 * how many lie elsewhere than they did.
 */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { heap as inMemory } from '../disciplines/heap.ts';
import { RegionError } from '../errors.ts';
import { methodNamed } from '../methods/registry.ts';
import { slab } from '../methods/slab.ts';
import { heapIn, type ObjectHeap } from '../objects/heap.ts';
import { createRegion } from '../region/region.ts';
import type { Store } from '../store/api.ts';
import { heapNamed } from './export.ts';
import { readLines } from './heap-file.ts';
import { fillFrom, rawMethodOf } from './raw-blocks.ts';
import { counted, humanSize, printable } from './table.ts';
import { type Access, storeOf, type Target } from './target.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';

interface Options extends Common {
  readonly replace?: true;
  readonly dryRun?: true;
  readonly unsafeFileSystem?: true;
}

export function importHeap(program: Command, console: Console): void {
  verb(program, 'import', {
    summary: 'read an export into a heap, or a new region',
    details: 'Read what `export` wrote, in either format, into a heap, beside what is there; it ' +
      'is made where there is none. Everything is tested; the result is one checkpoint, or, ' +
      'after an error, which names the line, nothing. An export of blocks becomes a new region: ' +
      'blocks that come to lie at other addresses are counted, since what is in them may name ' +
      'the old ones; roots that are addresses of blocks follow them.',
    examples: ['import data app app.ndjson', 'import data app app.json --replace --dry-run',
      'export data app | regionstore import copy app -'],
  })
    .argument('<heap>', 'name of the heap, or of the new region')
    .argument('<file>', 'the export; - = standard input')
    .option('--replace', 'names that are there are given the new values')
    .option('--dry-run', 'test everything, change nothing')
    .addOption(unsafeOption())
    .action((dir: string, name: string, file: string, options: Options) => {
      const mode = options.dryRun ? 'read' : 'write';
      const access: Access = { ...options, mode, ofStore: 'heaps' };
      return onTarget(console, dir, options, access, (target) =>
        imported(console, target, name, file, options));
    });
}

function imported(
  console: Console, target: Target, name: string, file: string, options: Options,
): Report {
  const store = storeOf(target);
  const total = sizeOf(file);
  const lines = readLines(file, (bytes) =>
    console.progress.step('importing', bytes, total, humanSize));
  const first = lines.next();
  const head = first.done === true ? '' : first.value;
  const method = rawMethodOf(head);
  if (method !== null) return rawImported(target, name, { ...options, file, method }, lines);
  const isNew = !store.has(name);
  const dryRun = options.dryRun === true;
  const heap = dryRun ? standIn(store, name, file) : isNew ? store.heap(name)
    : heapNamed(store, name);
  const { objects, names } = heap.importLines(again(head, lines),
    { replace: options.replace === true });
  const checkpoint = dryRun ? null : store.checkpoint().id;
  const { path } = target;
  return {
    json: () => document({ path, heap: name, file, dryRun, isNew, objects, names, checkpoint }),
    *text() {
      const would = dryRun ? 'would import' : 'imported';
      const at = checkpoint === null ? '' : `, checkpoint ${checkpoint}`;
      yield `${would} ${counted(objects, 'object')} and ${counted(names, 'name')} into ` +
        `${isNew ? 'the new heap' : 'heap'} ${printable(name)}${at}`;
    },
  };
}

/** `lines` from the first on, which was looked at. */
function* again(first: string, lines: IterableIterator<string>): IterableIterator<string> {
  if (first === '') return;
  yield first;
  yield* lines;
}

/** An export of blocks, of which the first line is read. */
function rawImported(
  target: Target, name: string,
  { file, method, dryRun = false, replace = false }:
    { file: string; method: string; dryRun?: boolean; replace?: boolean },
  lines: Iterable<string>,
): Report {
  const store = storeOf(target);
  if (replace) {
    throw new RegionError('ERR_BAD_OPTION',
      `${file} is an export of blocks, which becomes a new region; leave out --replace`);
  }
  if (store.has(name)) {
    throw new RegionError('ERR_EXISTS', `there is '${name}' in ${store.dir} already; give the ` +
      'name of a region that is to be made');
  }
  const how = methodNamed(method);
  const region = dryRun ? createRegion(inMemory({ capacity: capacityFor(file) }), how, { name })
    : store.region(name, { method: how });
  const { blocks, bytes: busyBytes, roots, moved } = fillFrom(region, lines);
  const checkpoint = dryRun ? null : store.checkpoint().id;
  const { path } = target;
  return {
    json: () => document({ path, region: name, file, dryRun, method, blocks, busyBytes, roots,
      moved, checkpoint }),
    *text() {
      yield `${dryRun ? 'would import' : 'imported'} ${counted(blocks, 'block')} ` +
        `(${humanSize(busyBytes)}) and ${counted(roots, 'root')} into the new region ` +
        `${printable(name)}${checkpoint === null ? '' : `, checkpoint ${checkpoint}`}`;
      if (moved > 0) yield `${counted(moved, 'block')} came to lie elsewhere than they did`;
    },
  };
}

const LEAST_BYTES = 64 * 2 ** 20;
/** Of a heap, for each byte of its text; and what is reserved where that is not known. */
const PER_BYTE = 8;
const UNKNOWN_BYTES = 2 ** 30;

/**
 * A heap in memory with the types and names of the one in the store: what would be refused there is
 * refused here.
 */
function standIn(store: Store, name: string, file: string): ObjectHeap {
  const heap = heapIn(createRegion(inMemory({ capacity: capacityFor(file) }), slab, { name }),
    { now: () => performance.now() });
  if (store.has(name)) heap.importLines(typesAndNames(heapNamed(store, name)));
  return heap;
}

function* typesAndNames(heap: ObjectHeap): IterableIterator<string> {
  for (const line of heap.exportLines()) {
    if (!/^\{"\$(format|type)"/.test(line)) break;
    yield line;
  }
  let names = 0;
  for (const name of heap.root.keys()) {
    yield JSON.stringify({ $root: [[name, null]] });
    names += 1;
  }
  yield JSON.stringify({ $root: [], objects: 0, names });
}

function capacityFor(file: string): number {
  const size = sizeOf(file);
  return size === 0 ? UNKNOWN_BYTES : Math.max(LEAST_BYTES, size * PER_BYTE);
}

/** 0 = not known. */
function sizeOf(file: string): number {
  return file === '-' ? 0 : statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
