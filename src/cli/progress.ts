/**
 * One line on a terminal that says how far a verb is: after half a second, at most ten times a
 * second, on stderr only, and gone when the verb ends.
 */

/** What is needed of process.stderr. */
export interface Terminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Progress {
  /** `total` 0 = not known. */
  step(what: string, done: number, total: number): void;
  clear(): void;
}

const PATIENCE_MS = 500;
const PAUSE_MS = 100;
const ERASE_LINE = '\r\x1b[K';

export function progressOn(terminal: Terminal, clock: () => number): Progress {
  const started = clock();
  let next = started + PATIENCE_MS;
  let isShown = false;
  return {
    step(what, done, total) {
      if (terminal.isTTY !== true) return;
      const now = clock();
      if (now < next) return;
      next = now + PAUSE_MS;
      isShown = true;
      const left = total > 0 && done > 0 ? (now - started) * (total / done - 1) : 0;
      terminal.write(ERASE_LINE + lineOf(what, done, total, left, terminal.columns ?? 80));
    },
    clear() {
      if (isShown) terminal.write(ERASE_LINE);
      isShown = false;
    },
  };
}

function lineOf(
  what: string, done: number, total: number, leftMs: number, columns: number,
): string {
  const of = total > 0 ? ` of ${total}` : '';
  const left = leftMs >= 1000 ? `, ${Math.ceil(leftMs / 1000)} s left` : '';
  return `${what} ${done}${of}${left}`.slice(0, columns - 1);
}
