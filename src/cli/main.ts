#!/usr/bin/env node
/**
 * The command `regionstore`. Exit codes: 0 fine, 1 findings, 2 usage, 3 cannot open or corrupt,
 * 4 locked by another process. Errors go to stderr as `regionstore: CODE: message`; with --json,
 * unless output was printed already, also to stdout as { "error": { "code", "message" } }, so that
 * stdout is one JSON document either way.
 */
import { readFileSync } from 'node:fs';
import { debuglog } from 'node:util';
import { Command, CommanderError } from 'commander';
import { RegionError } from '../errors.ts';
import { blocks } from './blocks.ts';
import { check } from './check.ts';
import { checkpoint } from './checkpoint.ts';
import { checkpoints } from './checkpoints.ts';
import { compact } from './compact.ts';
import { inspect } from './inspect.ts';
import { ls } from './ls.ts';
import { type Output, OutputClosed, outputTo } from './output.ts';
import { profile } from './profile.ts';
import { progressOn } from './progress.ts';
import { replay } from './replay.ts';
import { shell } from './shell.ts';
import { study } from './study.ts';
import { printable } from './table.ts';
import { trace } from './trace.ts';
import { type AddVerb, type Console, document, EXIT, type Exit } from './verb.ts';

const VERBS: readonly AddVerb[] = [
  ls,
  inspect,
  blocks,
  check,
  compact,
  checkpoint,
  checkpoints,
  profile,
  shell,
  trace,
  replay,
  study,
];

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: Exit;
}

const debug = debuglog('regionstore');

function program(console: Console): Command {
  const command = new Command('regionstore')
    .description('Inspect and maintain region stores')
    .version(version(), '--version', 'print the version')
    .exitOverride()
    // A usage error is reported like every other, by `fail`.
    .configureOutput({ outputError: () => {} })
    .showSuggestionAfterError()
    .addHelpText('after', '\nExit codes: 0 fine, 1 findings, 2 usage, 3 cannot open or corrupt, ' +
      '4 locked by another process.\n`regionstore VERB --help` has examples.');
  for (const add of VERBS) add(command, console);
  return command;
}

/** Of the package this file was built into: dist/src/cli/main.js. */
function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
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

async function main(args: readonly string[]): Promise<Exit> {
  const output = outputTo(process.stdout);
  const console: Console = {
    output,
    progress: progressOn(process.stderr, Date.now),
    exit: EXIT.fine,
  };
  try {
    await program(console).parseAsync(args, { from: 'user' });
    return console.exit;
  } catch (error) {
    debug('%O', error);
    const failure = failureOf(error);
    if (failure === null) return console.exit;
    await tell(failure, output, args.includes('--json'));
    return failure.exit;
  }
}

async function tell({ code, message }: Failure, output: Output, isJson: boolean): Promise<void> {
  process.stderr.write(`regionstore: ${code}: ${printable(message)}\n`);
  if (!isJson || output.hasPrinted()) return;
  try {
    await output.print(document({ error: { code, message } }));
  } catch (error) {
    // stdout may be what failed; stderr and the exit code have said it.
    debug('%O', error);
  }
}

process.exitCode = await main(process.argv.slice(2));
