/**
 * `regionstore shell DIR`: Node's REPL with a store open. Heaps are bound by their names, what they
 * name under `roots`. Changes are kept by `.checkpoint` only: leaving drops the rest.
 *
 * The commands work from a pipe as well; then nothing but results is printed. With --json each is a
 * line of JSON, big integers as strings.
 */
import { start, type REPLServer } from 'node:repl';
import { inspect } from 'node:util';
import type { Command } from 'commander';
import { RegionError } from '../errors.ts';
import type { ObjectHeap } from '../objects/heap.ts';
import type { Store } from '../store/api.ts';
import { openTarget } from './open.ts';
import { isoDate } from './table.ts';
import { type Access, storeOf } from './target.ts';
import { type Common, type Console, unsafeOption, verb } from './verb.ts';

interface Options extends Common {
  readonly readOnly?: true;
  readonly unsafeFileSystem?: true;
}

export function shell(program: Command, console: Console): void {
  verb(program, 'shell', {
    summary: 'look at, and change, a store in a REPL of Node',
    details: 'Open a REPL with the store bound as `store`, each heap under its name (all of them ' +
      'in `heaps`), regions in `regions`, and the named values of each heap in `roots`: ' +
      '`roots.app.inbox`. Changes are kept by `.checkpoint` only; leaving drops the rest.',
    examples: ['shell data', "shell data --read-only <<< 'roots.app.config.toJS()'"],
  })
    .option('--read-only', 'open for reading; nothing can be kept')
    .addOption(unsafeOption())
    .action(async (dir: string, options: Options) => {
      const mode = options.readOnly === true ? 'read' : 'write';
      const access: Access = { ...options, mode, ofStore: 'shell' };
      const target = await openTarget(dir, access);
      try {
        await converse(console, storeOf(target), options.json === true);
      } finally {
        target.close(false);
      }
    });
}

/** Until the user leaves. */
async function converse(console: Console, store: Store, isJson: boolean): Promise<void> {
  const isAsking = console.output.isTerminal && process.stdin.isTTY === true;
  const { stdin: input, stdout: output } = process;
  const server = replOn(store, { input, output, isAsking, isJson });
  await new Promise<void>((resolve) => server.once('exit', resolve));
}

export interface Talk {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** Somebody types: a prompt, colours, completion. */
  readonly isAsking: boolean;
  readonly isJson: boolean;
}

/** The REPL over a store; emits `exit` when the user leaves. */
export function replOn(store: Store, { input, output, isAsking, isJson }: Talk): REPLServer {
  if (isAsking) output.write(`${greeting(store)}\n`);
  const server = start({
    prompt: isAsking ? 'regionstore> ' : '',
    input,
    output,
    terminal: isAsking,
    ignoreUndefined: true,
    writer: isJson ? jsonOf : (value) => inspect(value, { colors: isAsking, depth: 3 }),
  });
  bind(server, store);
  completeFields(server);
  define(server, store);
  return server;
}

/** What has no form in JSON is null. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, one) => typeof one === 'bigint' ? String(one) : one) ?? 'null';
}

function greeting(store: Store): string {
  const names = store.regions().map(({ kind, name }) => `${kind} ${name}`).join(', ');
  return `store ${store.dir}: ${names === '' ? 'empty' : names}\n` +
    'Changes are kept by .checkpoint only. .help lists the commands.';
}

/** Binds the store and what is in it; again after a rollback. */
function bind(server: REPLServer, store: Store): void {
  const infos = store.regions();
  const heaps = named(infos.filter(({ kind }) => kind === 'heap'), (name) => store.heap(name));
  const regions = named(infos.filter(({ kind }) => kind === 'region'),
    (name) => store.region(name));
  const roots = named(infos.filter(({ kind }) => kind === 'heap'),
    (name) => rootsOf(store.heap(name)));
  for (const name of Object.keys(heaps)) {
    if (name in server.context || name in globalThis) continue;
    const get = () => heaps[name];
    Object.defineProperty(server.context, name, { get, enumerable: true, configurable: true });
  }
  Object.assign(server.context, { store, heaps, regions, roots });
}

/** An object whose properties are made when they are looked at. */
function named<T>(
  infos: readonly { readonly name: string }[], make: (name: string) => T,
): Record<string, T> {
  const found: Record<string, T> = Object.create(null) as Record<string, T>;
  for (const { name } of infos) {
    Object.defineProperty(found, name, { get: () => make(name), enumerable: true });
  }
  return found;
}

function rootsOf(heap: ObjectHeap): Record<string, unknown> {
  const names = [...heap.root.keys()].map((name) => ({ name }));
  return named(names, (name) => heap.root.get(name));
}

/** What is bound here, by name, then properties: `roots.app.inbox.ti`. */
const PATH = /((?:[\p{L}_$][\p{L}\p{N}_$]*\.)+)([\p{L}\p{N}_$]*)$/u;
const NAME = /^[\p{L}_][\p{L}\p{N}_$]*$/u;

/**
 * Completion of names of heaps and roots and of fields of objects. Newer Nodes do not look behind
 * accessors, which is right for what a program made; what is bound here is harmless to read.
 */
function completeFields(server: REPLServer): void {
  const { completer } = server;
  (server as { completer: typeof completer }).completer = (line, callback) => {
    const [typed = '', path = '', start = ''] = PATH.exec(line) ?? [];
    const names = path === '' ? null : namesBehind(server.context, path.slice(0, -1).split('.'));
    if (names === null) completer.call(server, line, callback);
    else {
      const found = names.filter((name) => name.startsWith(start));
      callback(null, [found.map((name) => `${path}${name}`), typed]);
    }
  };
}

/** Properties of the value at a path that begins with something of ours; null = it does not. */
function namesBehind(
  context: Record<string, unknown>, [first = '', ...rest]: readonly string[],
): string[] | null {
  const ours = context.heaps as Record<string, unknown>;
  if (!['store', 'heaps', 'regions', 'roots'].includes(first) && !(first in ours)) return null;
  let value = context[first];
  for (const name of rest) {
    if (typeof value !== 'object' || value === null) return null;
    value = (value as Record<string, unknown>)[name];
  }
  const names = new Set<string>();
  for (let at = value; typeof at === 'object' && at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) if (NAME.test(name)) names.add(name);
  }
  names.delete('constructor');
  return [...names].sort();
}

function define(server: REPLServer, store: Store): void {
  const tell = (line: string) => {
    server.output.write(`${line}\n`);
    server.displayPrompt();
  };
  const trying = (work: () => string) => {
    try {
      tell(work());
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      tell(`${error.code}: ${error.message}`);
    }
  };
  server.defineCommand('checkpoint', {
    help: 'Keep the changes: take a checkpoint, with a label if one is given',
    action: (label) => trying(() => {
      const { id, pages, at } = store.checkpoint(label.trim() === '' ? undefined : label.trim());
      return `checkpoint ${id} of ${isoDate(at)}: ${pages} pages`;
    }),
  });
  server.defineCommand('rollback', {
    help: 'Drop the changes since the last checkpoint',
    action: () => trying(() => {
      store.rollback();
      bind(server, store);
      return 'as of the last checkpoint; objects have to be looked up again';
    }),
  });
}
