/**
 * Everything a fresh clone needs before its first command: packages, the native shim, the compiled
 * TypeScript. Says what it does, skips what is done. Plain JavaScript without dependencies, since
 * it runs before there are any.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

/** Runs a command with its output on stderr, so that stdout stays the main job's. */
function run(what, command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (error || status !== 0) fail(`${what} failed: ${command} ${args.join(' ')}`);
}

function digest(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(at(file)));
  return hash.digest('hex');
}

function filesBelow(folder, pattern) {
  return readdirSync(at(folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => pattern.test(name))
    .sort();
}

/** Does `work` unless the stamp says it was done for exactly these inputs. */
function once(stamp, inputs, isThere, work) {
  const wanted = `${process.version} ${process.arch} ${digest(inputs)}`;
  const file = at('node_modules', `.${stamp}.stamp`);
  if (isThere && existsSync(file) && readFileSync(file, 'utf8') === wanted) return;
  work();
  mkdirSync(at('node_modules'), { recursive: true });
  writeFileSync(file, wanted);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`regionstore needs Node 20.19 or newer, this is ${process.version}`);
}

const sqlite = at('node_modules', 'better-sqlite3', 'build', 'Release', 'better_sqlite3.node');

once('packages', ['package.json', 'package-lock.json'], existsSync(sqlite), () => {
  say('installing packages (better-sqlite3 is compiled here where no prebuilt binary can be');
  say('fetched, which takes two minutes or three; so is the optional mmap-io)');
  const started = Date.now();
  // Not `npm ci`: it refuses the lock file where a registry lacks optional packages of other
  // systems.
  run('installing packages', 'npm',
    ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']);
  if (!existsSync(sqlite)) run('compiling better-sqlite3', 'npm', ['rebuild', 'better-sqlite3']);
  say(`packages are installed (${Math.round((Date.now() - started) / 1000)} s)`);
});

run('building the native shim', process.execPath, [at('native-shim', 'build.mjs')]);

const sources = ['src', 'tools', 'test'].flatMap((folder) => filesBelow(folder, /\.ts$/));
const inputs = ['tsconfig.json', 'tools/bundle.mjs', ...sources];
once('dist', inputs, existsSync(at('dist', 'bundle', 'index.js')), () => {
  say('compiling TypeScript');
  rmSync(at('dist'), { recursive: true, force: true });
  run('compiling TypeScript', process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc')]);
  run('joining what was compiled', process.execPath, [at('tools', 'bundle.mjs')]);
});
