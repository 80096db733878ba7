/** Completion in real shells, and manual pages that man can read. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../src/store/store.ts';
import { MAIN } from './support/cli.ts';
import { cliHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

let verbs: string[] = [];

beforeAll(async () => {
  const { stdout } = await cliHere(['--help']);
  verbs = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name as string)
    .filter((name) => name !== 'help');
  expect(verbs.length).toBeGreaterThan(20);
});

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

describe('completion', () => {
  /** What a shell offers; `regionstore` is on its path. */
  function offered(words: readonly string[]): string[] {
    const folder = temporaryDirectory();
    const command = join(folder, 'regionstore');
    writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(command, 0o755);
    const script = 'source <(regionstore completion bash); COMP_WORDS=("$@"); ' +
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is bash
      'COMP_CWORD=$(($# - 1)); _regionstore; printf "%s\\n" "${COMPREPLY[@]}"';
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', 'regionstore', ...words],
      { encoding: 'utf8', cwd: temporaryDirectory(),
        env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` } });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((line) => line !== '');
  }

  test('bash: verbs, options, choices, names of regions', ({ skip }) => {
    if (!has('bash')) skip('bash is not installed');
    expect(offered(['check'])).toEqual(['check', 'checkpoint', 'checkpoints']);
    expect(offered(['tail', 'data', '--f'])).toEqual(['--follow']);
    expect(offered(['export', 'data', 'app', '--format', ''])).toEqual(['ndjson', 'json']);
    const dir = join(temporaryDirectory(), 'store');
    const store = openStore(dir);
    for (const name of ['alpha', 'beta', 'has space']) store.region(name, { capacity: '1MiB' });
    store.close();
    expect(offered(['inspect', dir, ''])).toEqual(['alpha', 'beta']);
    expect(offered(['inspect', `${dir}-none`, 'a'])).toEqual([]);
  });

  test.each(['zsh', 'fish'])('%s takes the script', async (shell) => {
    const { stdout, status } = await cliHere(['completion', shell]);
    expect(status).toBe(0);
    for (const name of verbs) expect(stdout).toMatch(new RegExp(`\\b${name}\\b`));
    const file = join(temporaryDirectory(), 'script');
    writeFileSync(file, stdout);
    if (!has(shell)) {
      process.stderr.write(`${shell} is not installed: its completion was not tried in it\n`);
      return;
    }
    expect(spawnSync(shell, ['-n', file], { encoding: 'utf8' })).toMatchObject(
      { status: 0, stderr: '' });
  });

  test('which shells there are', async () => {
    const { status, stderr } = await cliHere(['completion', 'tcsh']);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/bash, zsh, fish/)]);
  });
});

describe('manual', () => {
  test('every verb has a page with what --help says', async () => {
    const folder = join(temporaryDirectory(), 'man');
    const { stdout } = await cliHere(['manual', '--to', folder]);
    expect(stdout).toBe(`wrote ${verbs.length + 1} pages to ${folder}\n`);
    expect(readdirSync(folder).sort()).toEqual(
      ['regionstore.1', ...verbs.map((name) => `regionstore-${name}.1`)].sort());
    for (const name of verbs) {
      const page = readFileSync(join(folder, `regionstore-${name}.1`), 'utf8');
      const sections = [...page.matchAll(/^\.SH (.*)$/gm)].map(([, title]) => title);
      expect(sections.filter((title) => title !== 'ARGUMENTS')).toEqual(['NAME', 'SYNOPSIS',
        'DESCRIPTION', 'OPTIONS', 'EXAMPLES', 'EXIT STATUS', 'SEE ALSO']);
      expect(page).toContain(`regionstore\\-${name} \\- `);
    }
    expect((await cliHere(['manual', 'tail'])).stdout)
      .toBe(readFileSync(join(folder, 'regionstore-tail.1'), 'utf8'));
  });

  test('man formats them without a warning', async ({ skip }) => {
    if (!has('groff')) skip('groff is not installed');
    const folder = join(temporaryDirectory(), 'man');
    mkdirSync(folder);
    await cliHere(['manual', '--to', folder]);
    const pages = readdirSync(folder).map((name) => join(folder, name));
    const { status, stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', ...pages],
      { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    // Bold is printed twice, with a backspace between.
    const plain = stripVTControlCharacters(stdout).split('\b')
      .map((piece, i, all) => (i === all.length - 1 ? piece : piece.slice(0, -1))).join('');
    expect(plain).toContain("regionstore tail data events --json | jq '.records[].text'");
    expect(plain).toMatch(/\(a\s+dot\s+in\s+a\s+name\s+as\s+\\\.\)/);
  });

  test('a verb that is none', async () => {
    expect((await cliHere(['manual', 'nothing'])).stderr)
      .toMatch(/ERR_BAD_OPTION: there is no verb 'nothing'; there is .*\bls\b/);
  });
});
