import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// vitest accepts a configuration only as the default export.
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  // The documentation's examples name the package; here they run on its sources.
  resolve: { alias: { regionstore: fileURLToPath(new URL('../src/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    // A busy machine is no failure: ten seconds are what the longest test takes on a quiet one.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // By default one processor is left idle. Here one worker more: many tests wait for a disk or a
    // process they started.
    maxWorkers: availableParallelism() + 1,
  },
});
