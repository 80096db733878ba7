/**
 * What the command `regionstore` does with its arguments. Exit codes: 0 fine, 1 findings, 2 usage,
 * 3 cannot open or corrupt, 4 locked by another process. Errors go to stderr as `regionstore: CODE:
 * message`; with --json, unless output was printed already, also to stdout as { "error": { "code",
 * "message" } }, so that stdout is one JSON document either way.
 */
import { debuglog } from 'node:util';
import { Command, CommanderError } from 'commander';
import { RegionError } from '../errors.ts';
import { listenToWork } from '../work.ts';
import { type Output, OutputClosed, outputTo, type Sink } from './output.ts';
import { progressOn, type Terminal } from './progress.ts';
import { humanSize, printable } from './table.ts';
import { type AddVerb, type Console, document, EXIT, type Exit } from './verb.ts';

/** In the order of --help. A process runs one verb and loads its file only, unless it needs all. */
const VERBS: ReadonlyMap<string, () => Promise<AddVerb>> = new Map([
  ['ls', async () => (await import('./ls.ts')).ls],
  ['inspect', async () => (await import('./inspect.ts')).inspect],
  ['tail', async () => (await import('./tail.ts')).tail],
  ['blocks', async () => (await import('./blocks.ts')).blocks],
  ['map', async () => (await import('./map.ts')).map],
  ['segments', async () => (await import('./segments.ts')).segments],
  ['top', async () => (await import('./top.ts')).top],
  ['check', async () => (await import('./check.ts')).check],
  ['repair', async () => (await import('./repair.ts')).repair],
  ['compact', async () => (await import('./compact.ts')).compact],
  ['gc', async () => (await import('./gc.ts')).gc],
  ['checkpoint', async () => (await import('./checkpoint.ts')).checkpoint],
  ['checkpoints', async () => (await import('./checkpoints.ts')).checkpoints],
  ['restore', async () => (await import('./restore.ts')).restore],
  ['diff', async () => (await import('./diff.ts')).diff],
  ['forget', async () => (await import('./forget.ts')).forget],
  ['backup', async () => (await import('./backup.ts')).backup],
  ['clone', async () => (await import('./backup.ts')).clone],
  ['adopt', async () => (await import('./adopt.ts')).adopt],
  ['profile', async () => (await import('./profile.ts')).profile],
  ['export', async () => (await import('./export.ts')).exportHeap],
  ['import', async () => (await import('./import.ts')).importHeap],
  ['shell', async () => (await import('./shell.ts')).shell],
  ['trace', async () => (await import('./trace.ts')).trace],
  ['replay', async () => (await import('./replay.ts')).replay],
  ['study', async () => (await import('./study.ts')).study],
  ['bench', async () => (await import('./bench.ts')).bench],
  ['completion', async () => (await import('./completion.ts')).completion],
  ['manual', async () => (await import('./manual.ts')).manual],
]);

/** Verbs about the others. */
const ABOUT_ALL: ReadonlySet<string> = new Set(['completion', 'manual']);

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: Exit;
}

const debug = debuglog('regionstore');

/** What runs the command: a process, or a test. */
export interface Surroundings {
  readonly stdout: Sink;
  readonly stderr: Terminal;
  /** What --version says. */
  readonly version: string;
}

async function program(
  console: Console, args: readonly string[], { stdout, stderr, version }: Surroundings,
): Promise<Command> {
  const command = new Command('regionstore')
    .description('Inspect and maintain region stores')
    .version(version, '--version', 'print the version')
    .exitOverride()
    // A usage error is reported like every other, by `fail`.
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: () => {},
    })
    .showSuggestionAfterError()
    .addHelpText('after', '\nExit codes: 0 fine, 1 findings, 2 usage, 3 cannot open or corrupt, ' +
      '4 locked by another process.\n`regionstore VERB --help` has examples.');
  for (const load of wanted(args)) (await load())(command, console);
  return command;
}

/** The verb that comes first; all where none does, for --help, suggestions and `help VERB`. */
function wanted([first = '']: readonly string[]): (() => Promise<AddVerb>)[] {
  const only = VERBS.get(first);
  if (only !== undefined && !ABOUT_ALL.has(first)) return [only];
  return first === '--version' ? [] : [...VERBS.values()];
}

/** null: nothing failed, help was shown or the reader of the output went away. */
function failureOf(error: unknown): Failure | null {
  if (error instanceof OutputClosed) return null;
  if (error instanceof CommanderError) return usageOf(error);
  if (error instanceof RegionError) {
    return { code: error.code, message: error.message, exit: exitFor(error) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'ERR_INTERNAL', message: `${message}; please report this`, exit: EXIT.refused };
}

function usageOf({ code, exitCode, message }: CommanderError): Failure | null {
  if (exitCode === 0) return null;
  const text = code === 'commander.help' ? 'say what to do: regionstore VERB DIR, or --help'
    : message.replace(/^error: /, '').replaceAll('\n', ' ');
  return { code: 'ERR_BAD_OPTION', message: text, exit: EXIT.usage };
}

function exitFor({ code }: RegionError): Exit {
  if (code === 'ERR_LOCKED') return EXIT.locked;
  return code === 'ERR_BAD_OPTION' ? EXIT.usage : EXIT.refused;
}

/** Runs one verb. Never throws: what fails is told on stderr and by the exit code. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<Exit> {
  const { stdout, stderr } = surroundings;
  const output = outputTo(stdout);
  const console: Console = { output, progress: progressOn(stderr, Date.now), exit: EXIT.fine };
  listenToWork((what, done, total, unit) =>
    console.progress.step(what, done, total, unit === 'bytes' ? humanSize : String));
  try {
    const command = await program(console, args, surroundings);
    await command.parseAsync(args, { from: 'user' });
    return console.exit;
  } catch (error) {
    debug('%O', error);
    const failure = failureOf(error);
    if (failure === null) return console.exit;
    console.progress.clear();
    stderr.write(`regionstore: ${failure.code}: ${printable(failure.message)}\n`);
    if (args.includes('--json')) await tell(failure, output);
    return failure.exit;
  } finally {
    console.progress.clear();
    listenToWork(null);
  }
}

async function tell({ code, message }: Failure, output: Output): Promise<void> {
  if (output.hasPrinted()) return;
  try {
    await output.print(document({ error: { code, message } }));
  } catch (error) {
    // stdout may be what failed; stderr and the exit code have said it.
    debug('%O', error);
  }
}
