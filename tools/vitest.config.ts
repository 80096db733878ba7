import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

// What is tested is what is shipped: it is compiled where a source changed, and Node loads it as it
// is, which takes a fraction of the time that transforming every source for every test file would.
const { status } = spawnSync(process.execPath, [join(root, 'tools', 'setup.mjs')],
  { stdio: ['ignore', 2, 2] });
if (status !== 0) throw new Error('set-up failed');

const compiled: Plugin = {
  name: 'compiled',
  enforce: 'pre',
  resolveId(source, importer) {
    // The documentation's examples name the package.
    const file = source === 'regionstore' ? 'src/index.ts'
      : relative(root, resolve(dirname(importer ?? root), source));
    const [, module] = /^((?:src|tools)\/.*)\.ts$/.exec(file) ?? [];
    return module === undefined || module === 'tools/vitest.config' ? null
      : join(root, 'dist', `${module}.js`);
  },
};

// vitest accepts a configuration only as the default export.
export default defineConfig({
  root,
  plugins: [compiled],
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\/(src|tools)\//] } },
    // A busy machine is no failure: ten seconds are what the longest test takes on a quiet one.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // By default one processor is left idle. Here one worker more: many tests wait for a disk or a
    // process they started.
    maxWorkers: availableParallelism() + 1,
    // V8 takes the address space of a region for memory and collects everything for each: as far as
    // it thinks that there is enough, it does so in steps. Threads that help it only take the
    // processors of the other workers.
    execArgv: ['--max-old-space-size=40000', '--single-threaded-gc'],
  },
});
