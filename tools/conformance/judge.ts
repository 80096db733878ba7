/** Which tests prove which row, and how they ended. */
import type { Row } from './rows.ts';

export interface Test {
  /** `file: suite > title`. */
  readonly name: string;
  /** 'passed', 'failed' and so on; 'listed' = not run. */
  readonly status: string;
}

export interface Proved {
  readonly row: Row;
  readonly tests: number;
  readonly failed: number;
  /** Proofs that name no test, as text. */
  readonly missing: readonly string[];
}

export function judge(rows: readonly Row[], tests: readonly Test[]): Proved[] {
  return rows.map((row) => {
    const matching = tests.filter(({ name }) => row.proofs.some((proof) => proof.test(name)));
    const missing = row.proofs.filter((proof) => !tests.some(({ name }) => proof.test(name)));
    const failed = matching.filter(({ status }) => status !== 'passed' && status !== 'listed');
    return { row, tests: matching.length, failed: failed.length, missing: missing.map(String) };
  });
}
