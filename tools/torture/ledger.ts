/**
 * What was announced so far, and the one rule of all crash tests: a disk must hold exactly a
 * checkpoint c with lastAcknowledged ≤ c ≤ lastBegun.
 */
import type { Mark } from './marks.ts';

export interface Ledger {
  /** Newest number by content. */
  readonly numbers: Map<string, number>;
  acked: number;
  begun: number;
}

export function emptyLedger(): Ledger {
  return { numbers: new Map(), acked: 0, begun: 0 };
}

export function announce(ledger: Ledger, mark: Mark): void {
  if ('begun' in mark) {
    ledger.begun = mark.begun;
    ledger.numbers.set(mark.digest, mark.begun);
  } else if ('acked' in mark) {
    ledger.acked = mark.acked;
  } else {
    const loss = judge(ledger, mark.seen, ledger.acked);
    if (loss !== null) throw new Error(`torture: the workload itself saw a loss: ${loss}`);
    ledger.acked = Math.max(ledger.acked, ledger.numbers.get(mark.seen) ?? 0);
  }
}

/** Why a disk with this content is a loss, or null. */
export function judge(ledger: Ledger, digest: string, least: number): string | null {
  const k = ledger.numbers.get(digest);
  const range = `${least} … ${ledger.begun}`;
  if (k === undefined) return `holds no checkpoint that was begun (${digest}); allowed: ${range}`;
  return k >= least ? null : `holds checkpoint ${k}, not one of ${range}`;
}
