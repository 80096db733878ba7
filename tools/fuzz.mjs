/**
 * `npm run fuzz`: the random tests (models, conformance, damage) again and again with fresh seeds,
 * suite after suite, until the time is over; the one that runs then is finished. A failing seed
 * repeats with REGIONSTORE_SEED=… npm test -- SUITE.
 *
 *   npm run fuzz -- --minutes 10 --seed 1
 *   npm run fuzz -- --suite slab-model --suite shared
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const ALL = ['best-model', 'slab-model', 'conformance', 'roots', 'disciplines', 'last', 'region',
  'compressed', 'compressed-damage', 'nested', 'debug',
  'debug-cuts', 'shared', 'shared-cut', 'store-damage',
  'objects-collect', 'objects-collect-steps', 'objects-compact', 'objects-check', 'objects-model',
  'objects-hash-model', 'objects-list-model', 'objects-sorted', 'objects-sorted-damage',
  'objects-plain', 'objects-export', 'objects-import', 'objects-any-keys', 'objects-damage',
  'objects-fields', 'objects-text', 'objects-handles', 'objects-kinds'];
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    suite: { type: 'string', multiple: true, default: ALL },
  },
});
const vitest = join(root, 'node_modules', '.bin', 'vitest');
const minutes = Number(values.minutes);
const first = Number(values.seed);
const suites = values.suite;
const unknown = suites.find((suite) => !ALL.includes(suite));
if (!(minutes > 0) || !Number.isInteger(first) || unknown !== undefined) {
  process.stderr.write(unknown === undefined ? 'fuzz: give minutes above 0, and a whole seed\n'
    : `fuzz: no suite ${unknown}; there are ${ALL.join(' ')}\n`);
  process.exit(2);
}

/** One suite with one seed: did it pass? */
function passes(suite, seed) {
  const { status, stdout } = spawnSync(vitest,
    ['run', '--config', 'tools/vitest.config.ts', `test/${suite}.test.ts`],
    { cwd: root, encoding: 'utf8', env: { ...process.env, REGIONSTORE_SEED: String(seed) } });
  if (status !== 0) process.stderr.write(`fuzz: seed ${seed} fails\n${stdout.slice(-4000)}\n`);
  return status === 0;
}

const until = Date.now() + minutes * 60_000;
const rows = suites.map((suite) => ({ suite, runs: 0, ms: 0, failed: [] }));
process.stderr.write(`fuzz: seeds from ${first}, ${minutes} minutes\n`);
for (let run = 0; run === 0 || Date.now() < until; run++) {
  // With another seed another suite is the first: short times reach all of them, too.
  const row = rows[(run + first) % rows.length];
  const seed = (first + Math.floor(run / rows.length)) % 2 ** 31;
  const left = Math.max(0, Math.round((until - Date.now()) / 1000));
  process.stderr.write(`fuzz: ${row.suite}, seed ${seed}, ${left} s left\n`);
  const start = Date.now();
  if (!passes(row.suite, seed)) row.failed.push(seed);
  row.runs += 1;
  row.ms += Date.now() - start;
}

const failed = rows.filter((row) => row.failed.length > 0);
const missed = rows.filter((row) => row.runs === 0);
process.stdout.write('| suite | seeds | seconds | failed |\n|---|---|---|---|\n');
for (const { suite, runs, ms, failed: seeds } of rows.filter((row) => row.runs > 0)) {
  process.stdout.write(`| ${suite} | ${runs} | ${(ms / 1000).toFixed(1)} | `
    + `${seeds.join(', ') || 'none'} |\n`);
}
if (missed.length > 0) {
  process.stdout.write(`not reached: ${missed.map(({ suite }) => suite).join(' ')}\n`);
}
process.exit(failed.length === 0 ? 0 : 1);
