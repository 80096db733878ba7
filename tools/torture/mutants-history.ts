/** Mutants of history: of undo records, restoring, forgetting, joining. */
import type { Mutant } from './mutant.ts';

export const HISTORY_MUTANTS: readonly Mutant[] = [
  {
    name: 'undo records go back in the wrong order',
    patches: [{ find: 'sort((a, b) => a.sequence - b.sequence || a.part - b.part)',
      put: 'sort((a, b) => b.sequence - a.sequence || a.part - b.part)' }],
    workloads: ['history'],
  },
  {
    name: 'undo holds what the pages are, not what they were',
    patches: [{ find: 'gather: (list, out, at, crcs) => file.original(list, out, at, crcs)',
      put: 'gather: capture.gather' }],
    workloads: ['history'],
  },
  {
    name: 'undo ignores images that are not applied yet',
    patches: [{
      find: 'this.memory.pages.read(pages, out, at, crcs); if (this.overlay.size === 0) return;',
      put: 'this.memory.pages.read(pages, out, at, crcs); return;',
    }],
    workloads: ['historyPending'],
  },
  {
    name: 'pages that are cut off are not kept',
    patches: [{ find: 'if (cut.length === 0) return changed;', put: 'return changed;' }],
    workloads: ['historyShrink'],
  },
  {
    name: 'restoring forgets names',
    patches: [{ find: 'if (move.sequence > sequence && !before.has(move.id))',
      put: 'if (false)' }],
    workloads: ['history'],
  },
  {
    name: 'files of dropped regions go while history needs them',
    patches: [{
      find: "dropped !== null && (dropped <= horizon || kind === 'ring'));",
      put: 'dropped !== null);',
    }],
    workloads: ['historyShrink'],
  },
  {
    name: 'joined records keep the newest contents',
    patches: [{ find: 'if (!wasThere || before.seen.has(page)) return;',
      put: 'if (!wasThere) return;' }],
    workloads: ['joining'],
  },
  {
    name: 'records go before their joined form is synced',
    patches: [{ find: 'core.images.sync(); core.catalog.changeHistory((tables) => {',
      put: 'core.catalog.changeHistory((tables) => {' }],
    workloads: ['joining'],
  },
  {
    name: 'space of undo records is used again',
    patches: [{ find: 'return [...catalog.parts(), ...undo];', put: 'return catalog.parts();' }],
    workloads: ['history'],
  },
];
