#!/usr/bin/env node
/**
 * Builds the shim with AddressSanitizer and UndefinedBehaviorSanitizer and exercises it.
 *
 * node native-shim/sanitize.mjs [SEED] [ROUNDS]
 * Exit 0: nothing found. Exit 77: no sanitizer on this machine, and why. Anything else: found.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SKIPPED = 77;
const folder = dirname(fileURLToPath(import.meta.url));

function skip(reason) {
  process.stderr.write(`native-shim: no sanitizer run: ${reason}\n`);
  process.exit(SKIPPED);
}

function run(command, words, env) {
  return spawnSync(command, words, { encoding: 'utf8', env: { ...process.env, ...env } });
}

function main() {
  if (process.platform !== 'linux') skip('not Linux');
  const [compiler, ...words] = (process.env.CC ?? 'cc').trim().split(/\s+/);
  const asked = run(compiler, [...words, '-print-file-name=libasan.so']);
  const library = asked.status === 0 ? asked.stdout.trim() : '';
  if (!library.includes('/') || !existsSync(library)) skip('no libasan.so beside the C compiler');
  const built = run(process.execPath, [join(folder, 'build.mjs'), '--sanitize', '--required']);
  if (built.status !== 0) skip(`the build failed: ${built.stderr}`);
  const shim = join(folder, 'build', 'shim-asan.node');
  const exercise = join(folder, 'exercise.mjs');
  const ran = run(process.execPath, [exercise, shim, ...process.argv.slice(2)], {
    LD_PRELOAD: library,
    // Node.js itself leaves memory behind at exit.
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  });
  process.stdout.write(ran.stdout);
  process.stderr.write(ran.stderr);
  process.exit(ran.status ?? 1);
}

main();
