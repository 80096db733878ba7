/**
 * `npm run fuzz`: the random tests (models, conformance, damage) again and again with fresh seeds.
 * A failing seed repeats with REGIONSTORE_SEED=… npm test.
 *
 *   npm run fuzz -- --minutes 10 --seed 1
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const SUITES = ['best-model', 'slab-model', 'conformance', 'roots', 'disciplines', 'last', 'region',
  'compressed', 'compressed-damage', 'nested', 'debug',
  'debug-cuts', 'shared', 'shared-cut', 'store-damage',
  'objects-collect', 'objects-collect-steps', 'objects-compact', 'objects-check', 'objects-model',
  'objects-hash-model', 'objects-list-model', 'objects-sorted', 'objects-sorted-damage',
  'objects-plain', 'objects-export', 'objects-import', 'objects-any-keys', 'objects-damage',
  'objects-fields', 'objects-text', 'objects-handles', 'objects-kinds'];
const vitest = join(root, 'node_modules', '.bin', 'vitest');
const until = Date.now() + Number(values.minutes) * 60_000;
const first = Number(values.seed);

const failed = [];
let runs = 0;
process.stderr.write(`fuzz: seeds from ${first}, ${values.minutes} minutes\n`);
do {
  const seed = (first + runs) % 2 ** 31;
  const files = SUITES.map((name) => `test/${name}.test.ts`);
  const { status, stdout } = spawnSync(vitest,
    ['run', '--config', 'tools/vitest.config.ts', ...files],
    { cwd: root, encoding: 'utf8', env: { ...process.env, REGIONSTORE_SEED: String(seed) } });
  runs += 1;
  if (status !== 0) {
    failed.push(seed);
    process.stderr.write(`fuzz: seed ${seed} fails\n${stdout.slice(-4000)}\n`);
  }
} while (Date.now() < until);

process.stdout.write(`| suites | seeds | failed |\n|---|---|---|\n`);
process.stdout.write(`| ${SUITES.join(', ')} | ${first} … ${first + runs - 1} `
  + `(${runs}) | ${failed.join(', ') || 'none'} |\n`);
process.exit(failed.length === 0 ? 0 : 1);
