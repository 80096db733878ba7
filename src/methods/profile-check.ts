/** Invariants of `profile`, named in profile.ts. Reads only, bounded by what the blocks show. */
import { GRANULE } from '../layout.ts';
import type { Arena, Finding } from '../types.ts';
import type { Ledger } from './profile-state.ts';

const LIMIT = 100;

/** Visits every live block with what its header says; null = its header is damaged. */
export type EachBlock = (visit: (granule: number, header: BlockHeader | null) => void) => void;
interface BlockHeader {
  readonly stack: number;
  readonly size: number;
}
interface Live {
  bytes: number;
  blocks: number;
}

/** Live bytes and blocks by stack, as the blocks say. */
export function liveIn(ledger: Ledger, each: EachBlock): Map<number, Live> {
  const live = new Map<number, Live>();
  each((_granule, header) => {
    const { stack, size } = header ?? { stack: 0, size: 0 };
    const name = ledger.has(stack) ? stack : 0;
    const held = live.get(name) ?? { bytes: 0, blocks: 0 };
    held.bytes += size;
    held.blocks += 1;
    live.set(name, held);
  });
  return live;
}

export function checkProfile(
  arena: Arena, isSane: boolean, ledger: Ledger, each: EachBlock,
  report: (finding: Finding) => void,
): void {
  const address = arena.start * GRANULE;
  const problem = isSane ? ledger.sites.problem() || ledger.stacks.problem()
    : 'the state of profile is damaged';
  if (problem !== '') {
    report({ id: 'P1', address, detail: problem });
    return;
  }
  let damaged = 0;
  each((granule, header) => {
    if (header !== null) return;
    damaged += 1;
    const detail = 'bytes before the block were written over';
    if (damaged > LIMIT) return;
    report({ id: 'P2', address: granule * GRANULE, detail, byProgram: true });
  });
  if (damaged === 0) checkCounters(address, ledger, each, report);
}

function checkCounters(
  address: number, ledger: Ledger, each: EachBlock, report: (finding: Finding) => void,
): void {
  const live = liveIn(ledger, each);
  let bytes = 0;
  let blocks = 0;
  for (const [stack, held] of live) {
    bytes += held.bytes;
    blocks += held.blocks;
    if (stack === 0) continue;
    const said = ledger.liveOf(stack);
    if (said.bytes === held.bytes && said.blocks === held.blocks) continue;
    report({ id: 'P3', address, detail: `stack ${stack} says it has ${said.bytes} live bytes in ` +
      `${said.blocks} blocks, it has ${held.bytes} in ${held.blocks}` });
  }
  for (const stack of ledger.stacks.names()) {
    const said = ledger.liveOf(stack);
    if (live.has(stack) || (said.bytes === 0 && said.blocks === 0)) continue;
    report({ id: 'P3', address, detail: `stack ${stack} says it has ${said.bytes} live bytes in ` +
      `${said.blocks} blocks, it has none` });
  }
  const { total } = ledger.read();
  if (total.live === bytes && total.liveBlocks === blocks) return;
  report({ id: 'P3', address, detail: `${total.live} bytes in ${total.liveBlocks} blocks are ` +
    `counted as live, there are ${bytes} in ${blocks}` });
}
