/** What a workload of the crash tests is, and the changes they all make. */
import type { Region } from '../../src/types.ts';
import type { Random } from './random.ts';
import type { Session, StoreOptions } from './session.ts';

export interface Workload {
  readonly name: string;
  readonly options: StoreOptions;
  /** Power loss may lose the last checkpoints (sync 'normal'). */
  readonly mayLoseLast?: boolean;
  /** Where only one of them can be seen by the recorder. */
  readonly mapper?: 'shim' | 'file';
  run(session: Session): void;
}

function busyBlocks(region: Region): number[] {
  return [...region.blocks()].filter((block) => block.busy).map((block) => block.address);
}

/** A few changes: blocks come, go, change size and content. */
export function change(region: Region, random: Random, count: number, largest = 2500): void {
  for (let i = 0; i < count; i++) {
    const blocks = busyBlocks(region);
    const action = blocks.length < 4 ? 0 : random.int(4);
    const address = blocks.length === 0 ? 0 : random.pick(blocks);
    if (action === 0) {
      const fresh = region.alloc(1 + random.int(largest));
      random.fill(region.bytes(fresh));
      if (random.chance(0.3)) region.roots.set(`root${random.int(6)}`, fresh);
    } else if (action === 1) {
      region.free(address);
    } else if (action === 2) {
      random.fill(region.bytes(region.resize(address, 1 + random.int(largest))));
    } else {
      const bytes = region.bytes(address);
      if (bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256);
    }
  }
}
