/** Mutants of checkpoints in flight. */
import type { Mutant } from './mutant.ts';

export const ASYNC_MUTANTS: readonly Mutant[] = [
  {
    name: 'what is in flight does not count as committed',
    patches: [{ find: 'const takeBack = this.overlay.lend(change, bytes);',
      put: 'const takeBack = () => {};' }],
    workloads: ['backAndForth'],
  },
  {
    name: 'the commit of a flight does not wait for its images',
    patches: [{ find: 'for (const fd of images) fdatasyncSync(fd);', put: '' }],
    workloads: ['flights'],
  },
  {
    name: 'a flight is in the region files before its commit',
    patches: [{ find: 'const takeBack = stage(core, logged);',
      put: `const takeBack = stage(core, logged);
        for (const record of logged.redo.records) for (const change of record.regions) {
          logged.changed.find(({ id }) => id === change.id)
            .land(change, record.bytes, record.sequence, true);
        }` }],
    workloads: ['flights', 'backAndForth'],
  },
  {
    name: 'nobody waits for what is in flight',
    patches: [{ find: 'core.awaitFlights = () => this.await();',
      put: 'core.awaitFlights = () => {};' }],
    workloads: ['flights'],
  },
  {
    name: 'the thread commits without FULL',
    patches: [{ find: 'catalog ??= Catalog.open(path, sync, crc32c, null);',
      put: `catalog ??= Catalog.open(path, 'normal', crc32c, null);` }],
    workloads: ['flights'],
  },
];
