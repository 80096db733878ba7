/** Mutants of backups and of adopting. */
import type { Mutant } from './mutant.ts';

export const COPY_MUTANTS: readonly Mutant[] = [
  {
    name: 'a copied region is not synced',
    patches: [{ find: 'segmentPages: pages }); syncFile(fd);', put: 'segmentPages: pages });' }],
    workloads: ['copies'],
  },
  {
    name: 'a copy lacks what waits for a reader',
    patches: [{ find: 'writeWhole(fd, image, page * PAGE); } } file.sums.copyTo(',
      put: '} } file.sums.copyTo(' }],
    workloads: ['copies'],
  },
  {
    name: 'the catalog of a copy is not synced',
    patches: [{ find: "Catalog.open(join(this.#dir, 'catalog.db'), 'full',",
      put: "Catalog.open(join(this.#dir, 'catalog.db'), 'off'," },
    { find: 'const store = open(dir); try {', put: 'return; const store = open(dir); try {' }],
    workloads: ['copies'],
  },
  {
    name: 'the name of a copy is not synced',
    patches: [{ find: 'renameSync(made, place); syncDirectory(dirname(place));',
      put: 'renameSync(made, place);' }],
    workloads: ['copies'],
  },
  {
    name: 'a copy is made in its place',
    patches: [{ find: 'return join(dirname(place),', put: 'return place; join(' }],
    workloads: ['copies'],
  },
  {
    name: 'the files of a copy have no synced names',
    patches: [{ find: "['regions', 'images', '.']) syncDirectory(join(this.#dir, name));",
      put: '[]);' },
    { find: 'const store = open(dir); try {', put: 'return; const store = open(dir); try {' }],
    workloads: ['copies'],
  },
  {
    name: 'an adopted file counts as committed at once',
    patches: [{ find: 'storeId: core.id, sequence: 0,',
      put: 'storeId: core.id, sequence: core.sequence,' }],
    workloads: ['copies'],
  },
  {
    name: 'an adopted file is not synced',
    patches: [{ find: 'syncFile(to); renameSync(temporary, path);',
      put: 'renameSync(temporary, path);' }],
    workloads: ['copies'],
  },
  {
    name: 'the name of an adopted file is not synced',
    patches: [{ find: 'copyVerified(core, from, id); syncDirectory(dirname(path));',
      put: 'copyVerified(core, from, id);' }],
    workloads: ['copies'],
  },
];
