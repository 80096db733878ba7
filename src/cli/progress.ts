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
  /** `total` 0 = not known. `show` says how numbers are written, as bytes for instance. */
  step(what: string, done: number, total: number, show?: (n: number) => string): void;
  clear(): void;
}

const PATIENCE_MS = 500;
const PAUSE_MS = 100;
/** Cells of the bar, and the width of a terminal that has room for it. */
const BAR = 20;
const BAR_COLUMNS = 72;
const ERASE_LINE = '\r\x1b[K';

export function progressOn(terminal: Terminal, clock: () => number): Progress {
  let next = clock() + PATIENCE_MS;
  /** Since when each kind of work is done, which its time left is counted from; how far it is. */
  const started = new Map<string, { since: number; done: number }>();
  let isShown = false;
  return {
    step(what, done, total, show = String) {
      if (terminal.isTTY !== true) return;
      const now = clock();
      const before = started.get(what);
      // The same work, on something else.
      const { since } = before === undefined || done < before.done / 2 ? { since: now } : before;
      started.set(what, { since, done });
      if (now < next) return;
      next = now + PAUSE_MS;
      isShown = true;
      const part = total > 0 ? Math.min(1, done / total) : 0;
      const left = part > 0 ? (now - since) * (1 / part - 1) : 0;
      const of = total > 0 ? ` of ${show(total)}` : '';
      const columns = terminal.columns ?? 80;
      const bar = total > 0 && columns >= BAR_COLUMNS ? barOf(part) : '';
      const line = `${what} ${show(done)}${of}${bar}${timeLeft(left)}`;
      terminal.write(ERASE_LINE + line.slice(0, columns - 1));
    },
    clear() {
      if (isShown) terminal.write(ERASE_LINE);
      isShown = false;
    },
  };
}

function barOf(part: number): string {
  const full = Math.floor(part * BAR);
  return ` ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${Math.floor(part * 100)} %`;
}

function timeLeft(ms: number): string {
  if (ms < 1000) return '';
  const seconds = Math.ceil(ms / 1000);
  return seconds < 100 ? `, ${seconds} s left` : `, ${Math.ceil(seconds / 60)} min left`;
}
