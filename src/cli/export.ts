/**
 * `regionstore export DIR HEAP`: what is in a heap, or the blocks of a region, as text that says
 * everything: to standard output, or, durably and whole or not at all, to a file.
 *
 * JSON, with --output: { path, heap, file, format, objects, lines, bytes }; of a region { path,
 * region, file, format, blocks, busyBytes, lines, bytes }. Without it --json means --format json.
 */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { ObjectHeap } from '../objects/heap.ts';
import type { Store } from '../store/api.ts';
import { type Format, formatted, writeLines } from './heap-file.ts';
import { rawLines } from './raw-blocks.ts';
import { counted, humanSize, printable } from './table.ts';
import { known, storeOf, type Subject, type Target } from './target.ts';
import { type Common, type Console, document, onTarget, type Report, verb } from './verb.ts';

interface Options extends Common {
  readonly format?: Format;
  readonly output?: string;
}

export function exportHeap(program: Command, console: Console): void {
  verb(program, 'export', {
    summary: 'write what is in a heap, or the blocks of a region, as JSON lines',
    details: 'Write everything that is found from the root of a heap, exactly: a line of JSON ' +
      'for each type, object and collection, or all of them as one JSON array. The program that ' +
      'wrote the heap is not needed. What nothing refers to is left out. Of a region that is no ' +
      'heap: its live blocks and their bytes, and its roots.',
    examples: ['export data app > app.ndjson', 'export data app --format json -o app.json',
      "export data app | grep '\"$type\":\"Task\"' | jq .fields.title", 'export data words'],
  })
    .argument('<heap>', 'name of the heap, or of a region')
    .addOption(new Option('--format <format>', 'a line each, or one array')
      .choices(['ndjson', 'json']))
    .option('-o, --output <file>', 'the file to write; it is replaced when the export is whole')
    .action((dir: string, name: string, options: Options) =>
      onTarget(console, dir, options, { mode: 'read', ofStore: 'heaps' }, (target) =>
        exported(console, target, name, options)));
}

function exported(console: Console, target: Target, name: string, options: Options): Report {
  const store = storeOf(target);
  if (store.regions().find((one) => one.name === name)?.kind === 'region') {
    const [subject] = target.subjects([name]);
    return rawExported(console, target, subject as Subject, options);
  }
  const heap = heapNamed(store, name);
  const isJson = options.json === true && options.output === undefined;
  const format = options.format ?? (isJson ? 'json' : 'ndjson');
  const count = { objects: 0, lines: 0 };
  const lines = () => formatted(counting(console, heap, count), format);
  if (options.output === undefined) return { json: lines, text: lines };
  const { output: file } = options;
  const bytes = writeLines(file, lines());
  const { path } = target;
  return {
    json: () => document({ path, heap: name, file, format, ...count, bytes }),
    *text() {
      yield `exported ${counted(count.objects, 'object')} of heap ${printable(name)} to ` +
        `${printable(file)}, ${humanSize(bytes)}`;
    },
  };
}

/** Of a region that is no heap. */
function rawExported(
  { progress }: Console, { path }: Target, { name, region }: Subject, options: Options,
): Report {
  const isJson = options.json === true && options.output === undefined;
  const format = options.format ?? (isJson ? 'json' : 'ndjson');
  const count = { blocks: 0, bytes: 0 };
  let written = 0;
  const lines = () => formatted(watched(), format);
  function* watched(): IterableIterator<string> {
    for (const line of rawLines(region, count)) {
      written += 1;
      progress.step('exporting blocks', count.blocks, 0);
      yield line;
    }
  }
  if (options.output === undefined) return { json: lines, text: lines };
  const { output: file } = options;
  const bytes = writeLines(file, lines());
  return {
    json: () => document({ path, region: name, file, format, blocks: count.blocks,
      busyBytes: count.bytes, lines: written, bytes }),
    *text() {
      yield `exported ${counted(count.blocks, 'block')} (${humanSize(count.bytes)}) of region ` +
        `${printable(name)} to ${printable(file)}, ${humanSize(bytes)}`;
    },
  };
}

function* counting(
  console: Console, heap: ObjectHeap, count: { objects: number; lines: number },
): IterableIterator<string> {
  for (const line of heap.exportLines()) {
    if (line.startsWith('{"$id"')) count.objects += 1;
    count.lines += 1;
    console.progress.step('exporting objects', count.objects, 0);
    yield line;
  }
}

/** ERR_NOT_FOUND where there is none of that name. */
export function heapNamed(store: Store, name: string): ObjectHeap {
  const heaps = store.regions().filter(({ kind }) => kind === 'heap');
  known(heaps.map((one) => one.name), [name], store, 'heap');
  return store.heap(name);
}
