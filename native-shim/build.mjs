#!/usr/bin/env node
/**
 * Builds native-shim/build/shim.node with the C compiler that is there: no node-gyp, no Python.
 *
 * node native-shim/build.mjs [--required] [--strict] [--sanitize]
 *   --required  exit 1 where it cannot be built (else 0: stores then use the `file` discipline)
 *   --strict    warnings are errors
 *   --sanitize  builds shim-asan.node with AddressSanitizer and UndefinedBehaviorSanitizer
 * Does nothing when a build of the same sources, flags and platform is there already.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } = fs;

const KNOWN = ['--required', '--strict', '--sanitize'];
const folder = dirname(fileURLToPath(import.meta.url));
const given = process.argv.slice(2);
const strict = given.includes('--strict');
const sanitize = given.includes('--sanitize');

const checks = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
const FLAGS = [
  '-std=gnu11', '-D_GNU_SOURCE', '-shared', '-fPIC', '-fvisibility=hidden', '-pthread',
  '-Wall', '-Wextra', ...(strict ? ['-Werror'] : []),
  ...(sanitize ? ['-O1', '-g', '-fno-omit-frame-pointer', ...checks] : ['-O2']),
  // A worker that ends must not unload the code of the signal handler.
  '-Wl,-z,nodelete', '-Wl,-z,relro',
];

function say(text) {
  process.stderr.write(`native-shim: ${text}\n`);
}

function stop(reason) {
  const required = given.includes('--required');
  say(`not built: ${reason}${required ? '' : "; stores will use the 'file' discipline"}`);
  process.exit(required ? 1 : 0);
}

function findCompiler() {
  for (const command of [process.env.CC, 'cc', 'gcc', 'clang']) {
    if (!command) continue;
    const words = command.trim().split(/\s+/);
    const answer = spawnSync(words[0], [...words.slice(1), '--version'], { encoding: 'utf8' });
    if (answer.status === 0) return { words, version: answer.stdout.split('\n')[0] };
  }
  return null;
}

function findHeaders() {
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  } catch {
    return null;
  }
}

function sourceNames() {
  return readdirSync(folder).filter((name) => /\.[ch]$/.test(name)).sort();
}

function fingerprint(flags) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([flags, process.platform, process.arch]));
  for (const name of sourceNames()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

/** Loading it finds a build for another C library, in a tree that was copied here. */
function isFresh(output, stamp) {
  if (!existsSync(output) || !existsSync(`${output}.stamp`)) return false;
  if (readFileSync(`${output}.stamp`, 'utf8') !== stamp) return false;
  if (sanitize) return true;
  try {
    createRequire(import.meta.url)(output);
    return true;
  } catch {
    return false;
  }
}

function compile(compiler, headers, output, stamp) {
  say(`building ${output.slice(folder.length + 1)} with ${compiler.version}`);
  mkdirSync(dirname(output), { recursive: true });
  // A name of our own: two builds at a time must not write the same file.
  const draft = `${output}.${process.pid}`;
  const files = sourceNames().filter((name) => name.endsWith('.c'));
  const [command, ...words] = compiler.words;
  const line = [...words, ...FLAGS, `-I${headers}`, ...files, '-o', draft];
  const ran = spawnSync(command, line, { cwd: folder, encoding: 'utf8' });
  if (ran.stderr) process.stderr.write(ran.stderr);
  if (ran.status !== 0) {
    rmSync(draft, { force: true });
    stop(`${command} failed${ran.error ? ` (${ran.error.message})` : ''}`);
  }
  renameSync(draft, output);
  writeFileSync(`${draft}.stamp`, stamp);
  renameSync(`${draft}.stamp`, `${output}.stamp`);
}

function main() {
  const unknown = given.find((word) => !KNOWN.includes(word));
  if (unknown !== undefined) {
    say(`unknown option ${unknown}; there are ${KNOWN.join(', ')}`);
    process.exit(2);
  }
  if (process.platform !== 'linux') stop(`it is for Linux, this is ${process.platform}`);
  const output = join(folder, 'build', sanitize ? 'shim-asan.node' : 'shim.node');
  const stamp = fingerprint(FLAGS);
  if (isFresh(output, stamp)) return;
  const headers = findHeaders();
  if (headers === null) stop('the package node-api-headers is not installed');
  const compiler = findCompiler();
  if (compiler === null) stop('no C compiler found ($CC, cc, gcc, clang)');
  compile(compiler, headers, output, stamp);
}

main();
