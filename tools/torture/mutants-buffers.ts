/** Mutants of commits of one buffer, and of transactions. */
import type { Mutant } from './mutant.ts';

export const BUFFER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a commit of one buffer takes all regions along',
    patches: [{
      find: 'for (const { file } of only === null ? core.current.values() : [only]) {',
      put: 'for (const { file } of core.current.values()) {',
    }],
    workloads: ['buffers'],
  },
  {
    name: 'a commit of one buffer takes nothing',
    patches: [{
      find: 'for (const { file } of only === null ? core.current.values() : [only]) {',
      put: 'for (const { file } of only === null ? core.current.values() : []) {',
    }],
    workloads: ['buffers'],
  },
  {
    name: 'a transaction forgets what was changed before it',
    patches: [{
      find: 'if (then !== null) file.lay(then.pages, then.images);',
      put: '',
    }],
    workloads: ['transactions'],
  },
  {
    name: 'a transaction that throws forgets what it dropped',
    patches: [{ find: 'for (const [name, entry] of before.current) {',
      put: 'for (const [name, entry] of [...before.current].filter(([n]) => n !== "b")) {' }],
    workloads: ['transactions'],
  },
  {
    name: 'an inner transaction checkpoints',
    patches: [{ find: 'if (isOutermost) commit();',
      put: 'const depth = core.depth; core.depth = 0; commit(); core.depth = depth;' }],
    workloads: ['transactions'],
  },
  {
    name: 'a transaction that throws keeps its changes',
    patches: [{ find: 'if (isSame(now, then)) return; file.revert();',
      put: 'if (isSame(now, then)) return;' }],
    workloads: ['transactions'],
  },
];
