/**
 * `regionstore manual [VERB]`: the manual page of a verb, or of the command as a whole, in the
 * language of man(1). Made from what --help is made from.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';
import { someOf } from './table.ts';
import { described, examplesOf, type Console, type VerbHelp } from './verb.ts';

const HELP: VerbHelp = {
  summary: 'print the manual page of a verb',
  details: 'Print the manual page of a verb, or without one that of the command as a whole, as ' +
    'man(1) reads it. --to writes all of them into a directory.',
  examples: ['manual inspect | man -l -', 'manual --to ~/.local/share/man/man1'],
};

const EXITS = [['0', 'Fine.'], ['1', 'There are findings.'], ['2', 'Wrong usage.'],
  ['3', 'It cannot be opened, is damaged, or the system refused.'],
  ['4', 'Another process has it.']] as const;

export function manual(program: Command, console: Console): void {
  described(program, 'manual', HELP, false)
    .argument('[verb]', 'which one')
    .option('--to <dir>', 'write the pages of all verbs into this directory')
    .action(async (name: string | undefined, { to }: { to?: string }) => {
      if (to !== undefined) {
        const names = writeAll(program, to);
        await console.output.print([`wrote ${names.length} pages to ${to}`]);
        return;
      }
      const command = name === undefined ? program : verbNamed(program, name);
      await console.output.print([manualOf(program, command)]);
    });
}

function verbNamed(program: Command, name: string): Command {
  const found = program.commands.find((command) => command.name() === name);
  if (found !== undefined) return found;
  throw new RegionError('ERR_BAD_OPTION', `there is no verb '${name}'; there is ` +
    someOf(program.commands.map((command) => command.name()), 40));
}

function writeAll(program: Command, dir: string): string[] {
  try {
    mkdirSync(dir, { recursive: true });
    return [program, ...program.commands].map((command) => {
      const name = `${titleOf(program, command)}.1`;
      writeFileSync(join(dir, name), `${manualOf(program, command)}\n`);
      return name;
    });
  } catch (error) {
    throw systemError(`writing manual pages to ${dir}`, error);
  }
}

function titleOf(program: Command, command: Command): string {
  return command === program ? 'regionstore' : `regionstore-${command.name()}`;
}

/** What man would take for its own. */
function safe(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll(/^([.'])/gm, '\\&$1')
    .replaceAll(/[^\x20-\x7e\n]/gu, (c) =>
      `\\[u${(c.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}]`);
}

/** Words between backquotes are bold. */
function prose(text: string): string {
  return safe(text).replaceAll(/`([^`]*)`/g, '\\fB$1\\fR');
}

export function manualOf(program: Command, command: Command): string {
  const title = titleOf(program, command);
  const isWhole = command === program;
  const summary = isWhole ? 'inspect and maintain region stores' : command.summary();
  const usage = isWhole ? 'VERB [argument ...] [options]'
    : `${command.name()} ${command.usage()}`;
  const lines = [`.TH ${title.toUpperCase()} 1 "" "regionstore ${program.version() ?? ''}"`,
    '.SH NAME', `${safe(title)} \\- ${safe(summary)}`,
    '.SH SYNOPSIS', `.B regionstore\n${safe(usage)}`,
    '.SH DESCRIPTION', prose(command.description()),
    ...(isWhole ? verbsOf(program) : argumentsOf(command)),
    ...optionsOf(command), ...examples(command), '.SH EXIT STATUS',
    ...EXITS.flatMap(([code, what]) => ['.TP', `.B ${code}`, what]),
    '.SH SEE ALSO', isWhole ? '.BR regionstore\\-VERB (1)' : '.BR regionstore (1)'];
  return lines.join('\n');
}

function verbsOf(program: Command): string[] {
  return ['.SH VERBS', ...program.commands.flatMap((command) =>
    ['.TP', `.B ${safe(command.name())}`, prose(command.summary())])];
}

function argumentsOf(command: Command): string[] {
  const { registeredArguments } = command;
  return registeredArguments.length === 0 ? [] : ['.SH ARGUMENTS',
    ...registeredArguments.flatMap((argument) =>
      ['.TP', `.I ${safe(argument.name())}`, prose(argument.description)])];
}

function optionsOf(command: Command): string[] {
  const help = command.createHelp();
  return ['.SH OPTIONS', ...help.visibleOptions(command).flatMap((option) =>
    ['.TP', `.B ${safe(option.flags)}`, prose(help.optionDescription(option))])];
}

function examples(command: Command): string[] {
  const found = examplesOf(command);
  return found.length === 0 ? [] : ['.SH EXAMPLES', '.nf',
    ...found.map((line) => safe(`regionstore ${line}`)), '.fi'];
}
