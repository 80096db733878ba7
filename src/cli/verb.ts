/**
 * What every verb has: DIR, --json, an example in its help, a target that is opened before and
 * closed after it, and an exit code. A verb is one file that exports one function, and one line in
 * program.ts.
 */
import { type Command, Option } from 'commander';
import { openTarget } from './open.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';
import type { Access, Target } from './target.ts';

/** Exit codes of the command line. */
export const EXIT = { fine: 0, findings: 1, usage: 2, refused: 3, locked: 4 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** What a verb found: one of the two forms is printed. */
export interface Report {
  /** The lines of a JSON document; see `document`. */
  readonly json: () => Iterable<string>;
  readonly text: () => Iterable<string>;
  readonly exit?: Exit;
}

export interface Console {
  readonly output: Output;
  readonly progress: Progress;
  /** The exit code of the verb that ran. */
  exit: Exit;
}

/** Options that every verb has. */
export interface Common {
  readonly json?: true;
}

/** For verbs that write. */
export function unsafeOption(): Option {
  return new Option('--unsafe-file-system',
    'write on a file system whose locks and syncs are not known to hold');
}

/** A verb adds itself to the program. */
export type AddVerb = (program: Command, console: Console) => void;

export interface VerbHelp {
  readonly summary: string;
  readonly details: string;
  readonly examples: readonly string[];
}

export function verb(program: Command, name: string, help: VerbHelp): Command {
  return described(program, name, help)
    .argument('<dir>', 'directory of a store, one of its region files, or a single region file');
}

/** A verb about trace files, not about a store. */
export function traceVerb(program: Command, name: string, help: VerbHelp): Command {
  return described(program, name, help)
    .argument('<trace...>', 'trace files of any format: .vmt, .rep or lines, also compressed');
}

const examplesByVerb = new WeakMap<Command, readonly string[]>();

/** What follows `regionstore` in the examples of a verb. */
export function examplesOf(command: Command): readonly string[] {
  return examplesByVerb.get(command) ?? [];
}

/** `hasJson` false = a verb whose output is for another program already. */
export function described(
  program: Command, name: string, help: VerbHelp, hasJson = true,
): Command {
  const examples = help.examples.map((line) => `  $ regionstore ${line}`).join('\n');
  const command = program.command(name)
    .summary(help.summary)
    .description(help.details)
    .addHelpText('after', `\nExamples:\n${examples}`);
  examplesByVerb.set(command, help.examples);
  return hasJson ? command.option('--json', 'print JSON: sizes in bytes, dates ISO 8601')
    : command;
}

/** Runs `work` on what DIR names and prints its report while the target is still open. */
export async function onTarget(
  console: Console, dir: string, options: Common, access: Access,
  work: (target: Target) => Report,
): Promise<void> {
  const target = await openTarget(dir, { ...access, isOnce: true });
  await report(console, target, options, work);
}

export async function report(
  console: Console, target: Target, options: Common, work: (target: Target) => Report,
): Promise<void> {
  let isDone = false;
  try {
    await tell(console, options, work(target));
    isDone = true;
  } finally {
    console.progress.clear();
    target.close(isDone);
  }
}

/** Prints a report in the form that was asked for. */
export async function tell(
  console: Console, options: Common, { json, text, exit }: Report,
): Promise<void> {
  console.progress.clear();
  await console.output.print(options.json ? json() : text());
  console.exit = exit ?? EXIT.fine;
}

/** A value as an indented JSON document. */
export function document(value: object): string[] {
  return [JSON.stringify(value, null, 2)];
}
