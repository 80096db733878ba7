/**
 * Joins what was compiled into the few files that programs load: Node reads a hundred small ones
 * in the time in which a command should have answered. Packages stay packages, names stay names.
 */
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const at = (path) => fileURLToPath(new URL(`../dist/${path}`, import.meta.url));

const bundle = await rolldown({
  input: {
    index: at('src/index.js'),
    malloc: at('src/malloc/malloc.js'),
    register: at('src/malloc/register.js'),
    cli: at('src/cli/main.js'),
    // A thread of its own, found beside what starts it.
    'commit-worker': at('src/store/commit-worker.js'),
    // Processes of their own.
    trial: at('src/study/trial.js'),
    'replay-trial': at('src/study/replay-trial.js'),
    'direct-trial': at('tools/study/direct-trial.js'),
  },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
});
await bundle.write({ dir: at('bundle'), format: 'esm', comments: false });
await bundle.close();
