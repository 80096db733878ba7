/** Mutants of readers beside a writer. */
import type { Mutant } from './mutant.ts';

export const READER_MUTANTS: readonly Mutant[] = [
  {
    name: 'readers hold nothing back',
    patches: [{ find: 'return live.length === 0 || sequence <=',
      put: 'return live.length >= 0 || sequence <=' }],
    workloads: ['generations'],
  },
  {
    name: 'settling ignores readers',
    patches: [{ find: 'if (core.mayWrite(file, file.sequence))', put: 'if (true)' }],
    workloads: ['generations'],
  },
  {
    name: 'recovery ignores readers',
    patches: [{
      find: 'const isFree = !core.options.readOnly && core.mayWrite(file, record.sequence);',
      put: 'const isFree = !core.options.readOnly;',
    }],
    workloads: ['readerRecovery'],
  },
  {
    name: 'a new generation takes the name before it is synced',
    patches: [{ find: 'if (core.durable) syncFile(fd); file.sums.renew(core.durable);',
      put: 'file.sums.renew(core.durable);' }],
    workloads: ['generations'],
  },
  {
    name: 'a new generation lacks what waited',
    patches: [{ put: '',
      find: 'for (const [page, image] of file.overlay) writeWhole(fd, image, page * PAGE);' }],
    workloads: ['generations'],
  },
  {
    name: 'a writer forgets what was changed when it goes on in a new file',
    patches: [{ find: 'if (Buffer.compare(was, now) !== 0) now.set(was);', put: '' }],
    workloads: ['readerChanges'],
  },
  {
    name: 'pins of living readers are swept',
    patches: [{ find: `if (code?.startsWith('SQLITE_BUSY')) return true; // Its holder`,
      put: `if (code?.startsWith('SQLITE_BUSY')) return false; // Its holder` }],
    workloads: ['generations'],
  },
];
