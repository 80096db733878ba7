/** Mutants of rings. */
import type { Mutant } from './mutant.ts';

function ofRing(name: string, find: string, put: string): Mutant {
  return { name: `ring: ${name}`, mapper: 'file', workloads: ['rings'], patches: [{ find, put }] };
}

export const RING_MUTANTS: readonly Mutant[] = [
  ofRing('sync syncs nothing', "guarded('syncing', () => syncFile(this.#fd));", ''),
  ofRing('a checksum is not compared', 'head.getUint32(CRC, true) === crc &&', ''),
  ofRing('a record is not written', 'this.#memory.store(start, total);', ''),
  ofRing('recovery ends where one is damaged',
    'if (found === null || found.record.seq === 0) continue;',
    'if (found === null || found.record.seq === 0) break;'),
  ofRing('recovery takes records of earlier laps',
    'kept.filter(({ position }) => position >= head - log.size)', 'kept.slice()'),
  ofRing('its file has a name before it is there', 'writeWhole(fd, header, 0); syncFile(fd);',
    'writeWhole(fd, header, 0);'),
];
