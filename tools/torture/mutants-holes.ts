/** Mutants of the disk that is given back under free blocks. */
import type { Mutant } from './mutant.ts';

export const HOLE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a hole where something lies',
    patches: [{ find: 'if (!crcs.subarray(0, pages.length).every((crc) => crc === zero)) {',
      put: 'if (false) {' }],
    workloads: ['holes'],
  },
  {
    name: 'holes before they are committed',
    patches: [{
      find: 'this.spare.note(segment, runs, this.sequence);',
      put: 'for (let i = 0; i < runs.length; i += 2) this.#mapper.punchHole(this.#fd, ' +
        'runs[i] * PAGE, runs[i + 1] * PAGE);',
    }],
    workloads: ['holes'],
  },
];
