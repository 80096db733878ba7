/**
 * What the main job shows: results on stdout, progress on stderr — a bar that redraws itself on a
 * terminal, a line now and then elsewhere. Colours only on a terminal and without NO_COLOR.
 */
import { styleText } from 'node:util';

export interface Screen {
  say(text?: string): void;
  good(text: string): string;
  bad(text: string): string;
  strong(text: string): string;
  faint(text: string): string;
  /** `share` of the whole that is done, 0 … 1, and what is going on. */
  progress(share: number, text: string): void;
  /** Takes the bar away. */
  clear(): void;
}

const BAR = 28;

export function makeScreen(
  out: NodeJS.WriteStream, log: NodeJS.WriteStream, noColor: boolean,
): Screen {
  const isColored = out.isTTY === true && !noColor;
  const style = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    isColored ? styleText(format, text) : text;
  const isLive = log.isTTY === true;
  let tenth = -1;
  const clear = () => {
    if (isLive) log.write('\r\u001b[K');
  };
  return {
    say: (text = '') => {
      clear();
      out.write(`${text}\n`);
    },
    good: style('green'),
    bad: style('red'),
    strong: style('bold'),
    faint: style('gray'),
    progress: (share, text) => {
      if (isLive) {
        const full = Math.round(share * BAR);
        log.write(`\r  ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${text}\u001b[K`);
        return;
      }
      if (Math.floor(share * 10) === tenth) return;
      tenth = Math.floor(share * 10);
      log.write(`  ${String(Math.round(share * 100)).padStart(3)} % ${text}\n`);
    },
    clear,
  };
}

/** 1234567 → '1,234,567'. */
export function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** Bytes in the unit that leaves one to three digits before the point. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
