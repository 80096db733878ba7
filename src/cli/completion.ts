/**
 * `regionstore completion SHELL`: a script that completes verbs, options, their choices, and names
 * of regions. Made from the commands themselves, so it knows what this version knows.
 */
import { Argument, type Command, type Option } from 'commander';
import { openTarget } from './open.ts';
import type { Console, VerbHelp } from './verb.ts';
import { described } from './verb.ts';

type Shell = 'bash' | 'zsh' | 'fish';

const HELP: VerbHelp = {
  summary: 'print a script that completes what is typed in a shell',
  details: 'Print a script for bash, zsh or fish that completes verbs, options and names of ' +
    'regions. For bash put `source <(regionstore completion bash)` into ~/.bashrc, for zsh ' +
    '`source <(regionstore completion zsh)` into ~/.zshrc behind compinit; for fish write it to ' +
    '~/.config/fish/completions/regionstore.fish.',
  examples: ['completion bash', 'completion fish > ~/.config/fish/completions/regionstore.fish'],
};

/** Of one verb. */
interface Words {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly Option[];
}

export function completion(program: Command, console: Console): void {
  described(program, 'completion', HELP, false)
    .addArgument(new Argument('[shell]', 'which one').choices(['bash', 'zsh', 'fish']))
    .option('--names <dir>', 'instead: the names of the regions of a store, a line each')
    .action(async (shell: Shell | undefined, { names }: { names?: string }, own: Command) => {
      if (names !== undefined) await console.output.print(await namesIn(names));
      else if (shell === undefined) own.help();
      else await console.output.print([SCRIPTS[shell](wordsOf(program))]);
    });
}

/** Nothing where there is no store: a shell asks while something is typed. */
async function namesIn(dir: string): Promise<string[]> {
  try {
    const target = await openTarget(dir, { mode: 'read' });
    try {
      return target.store?.regions().map(({ name }) => name)
        .filter((name) => !/[\s\p{Cc}]/u.test(name)) ?? [];
    } finally {
      target.close(true);
    }
  } catch {
    return [];
  }
}

function wordsOf(program: Command): Words[] {
  return program.commands.map((command) => ({ name: command.name(), summary: command.summary(),
    options: [...command.options, ...command.createHelp().visibleOptions(command)]
      .filter((option, i, all) => all.findIndex(({ long }) => long === option.long) === i) }));
}

function flagsOf({ long, short }: Option): string[] {
  return [long, short].filter((flag) => flag !== undefined);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Options of verbs that take one of a few words. */
function choicesOf(words: readonly Words[]): [string, string][] {
  const found = new Map<string, string>();
  for (const { name, options } of words) {
    for (const option of options) {
      const { argChoices } = option;
      for (const flag of argChoices === undefined ? [] : flagsOf(option)) {
        found.set(`${name} ${flag}`, (argChoices as string[]).join(' '));
      }
    }
  }
  return [...found];
}

function bash(words: readonly Words[]): string {
  return `_regionstore() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted([...words.map(({ name }) => name), '--help', '--version']
    .join(' '))} -- "$cur"))
    return
  fi
  case "$verb $prev" in
${choicesOf(words).map(([key, choices]) =>
    `    ${quoted(key)}) COMPREPLY=($(compgen -W ${quoted(choices)} -- "$cur")); return;;`)
    .join('\n')}
  esac
  if [ "\${cur#-}" != "$cur" ]; then
    case "$verb" in
${words.map(({ name, options }) =>
    `      ${name}) COMPREPLY=($(compgen -W ${quoted(options.flatMap(flagsOf).join(' '))} ` +
    '-- "$cur"));;').join('\n')}
    esac
    return
  fi
  COMPREPLY=($(compgen -f -- "$cur"))
  if [ "$COMP_CWORD" -gt 2 ]; then
    COMPREPLY+=($(compgen -W "$(regionstore completion --names "\${COMP_WORDS[2]}" 2>/dev/null)" \\
      -- "$cur"))
  fi
}
complete -o filenames -F _regionstore regionstore`;
}

function zsh(words: readonly Words[]): string {
  const specs = (options: readonly Option[]) => options.map((option) => {
    const said = option.description.replaceAll(/[[\]:]/g, ' ');
    const value = option.required || option.optional
      ? `:${option.attributeName()}:${option.argChoices === undefined ? '_files'
        : `(${option.argChoices.join(' ')})`}` : '';
    return flagsOf(option).map((flag) => quoted(`${flag}[${said}]${value}`)).join(' ');
  }).join(' \\\n        ');
  return `#compdef regionstore
_regionstore() {
  local -a verbs names
  verbs=(
${words.map(({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', ' ')}`)}`)
    .join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'verb' verbs
    return
  fi
  if (( CURRENT > 3 )) && [[ $words[CURRENT] != -* ]]; then
    names=(\${(f)"$(regionstore completion --names "$words[3]" 2>/dev/null)"})
    compadd -a names
  fi
  case $words[2] in
${words.map(({ name, options }) => `    ${name})
      _arguments ${specs(options)} '*:file:_files';;`).join('\n')}
  esac
}
compdef _regionstore regionstore`;
}

function fish(words: readonly Words[]): string {
  const lines = words.flatMap(({ name, summary, options }) => [
    `complete -c regionstore -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
    ...options.map((option) => {
      const flags = flagsOf(option).map((flag) =>
        (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
      const { argChoices } = option;
      const value = argChoices !== undefined ? ` -x -a ${quoted(argChoices.join(' '))}`
        : option.required || option.optional ? ' -r' : '';
      return `complete -c regionstore -n '__fish_seen_subcommand_from ${name}' ${flags}${value} ` +
        `-d ${quoted(option.description)}`;
    }),
  ]);
  const names = 'complete -c regionstore -n \'not __fish_use_subcommand\' -a ' +
    '\'(regionstore completion --names (commandline -opc)[3] 2>/dev/null)\'';
  return [...lines, names].join('\n');
}

const SCRIPTS: Readonly<Record<Shell, (words: readonly Words[]) => string>> = { bash, zsh, fish };
