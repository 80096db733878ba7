/**
 * `npm run conformance`: runs the tests that prove each row of Vmalloc's table and prints it.
 * Exit code 1 where a row has a test that failed, or a proof that names no test.
 *
 *   node main.js [--json] [--list]
 *
 * --list only looks for the tests, without running them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FAULTS, ROWS } from './rows.ts';
import { judge, type Proved, type Test } from './judge.ts';

/** Compiled, this file is in dist/tools/conformance. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const VITEST = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');

interface Listed {
  readonly name: string;
  readonly file: string;
}

interface Results {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

function vitest(args: readonly string[]): string {
  const config = join(ROOT, 'tools', 'vitest.config.ts');
  const { stdout, stderr, error } = spawnSync(process.execPath,
    [VITEST, ...args, '--config', config],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] });
  if (error !== undefined) throw new Error(`running vitest: ${error.message}\n${stderr}`);
  return stdout;
}

function nameOf(file: string): string {
  return basename(file, '.test.ts');
}

function listTests(): Test[] {
  const listed = JSON.parse(vitest(['list', '--json'])) as Listed[];
  return listed.map(({ name, file }) => ({ name: `${nameOf(file)}: ${name}`, status: 'listed' }));
}

function runTests(): Test[] {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  const path = join(folder, 'results.json');
  try {
    vitest(['run', '--reporter=json', `--outputFile=${path}`]);
    const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as Results;
    return testResults.flatMap(({ name: file, assertionResults }) => assertionResults.map(
      ({ ancestorTitles, title, status }) =>
        ({ name: `${nameOf(file)}: ${[...ancestorTitles, title].join(' > ')}`, status })));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function render(title: string, rows: readonly Proved[]): string {
  const cells = rows.map(({ row, tests, failed, missing }) => [row.vmalloc, row.here,
    String(tests), missing.length > 0 ? `no test for ${missing.join(' ')}`
      : failed > 0 ? `${failed} failed` : 'ok']);
  const all = [[title, 'here', 'tests', 'state'], ...cells];
  const width = (i: number) => Math.max(...all.map((line) => (line[i] as string).length));
  const lines = all.map((line) => line.map((cell, i) =>
    i === 2 ? cell.padStart(width(i)) : cell.padEnd(width(i))).join('  ').trimEnd());
  return `${lines.join('\n')}\n`;
}

function main(): void {
  const options = { json: { type: 'boolean' }, list: { type: 'boolean' } } as const;
  const { values } = parseArgs({ options });
  const tests = values.list === true ? listTests() : runTests();
  const rows = judge(ROWS, tests);
  const faults = judge(FAULTS, tests);
  if (values.json === true) process.stdout.write(`${JSON.stringify({ rows, faults }, null, 1)}\n`);
  else {
    process.stdout.write(`${render('VMALLOC', rows)}\n`);
    process.stdout.write(render('FAULTS THAT MUST NOT COME BACK', faults));
  }
  const isSound = [...rows, ...faults].every(({ failed, missing }) =>
    failed === 0 && missing.length === 0);
  process.exitCode = isSound ? 0 : 1;
}

main();
