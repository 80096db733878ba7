/**
 * Standard output of a verb: lines, written in pieces and each piece awaited, so that an output of
 * any length needs little memory and a reader that goes away ends the verb.
 */
import { styleText } from 'node:util';
import { systemError } from '../files.ts';
import type { Paint } from './table.ts';

/** What is needed of process.stdout. */
export interface Sink {
  write(text: string, done?: (error?: Error | null) => void): boolean;
  on(event: 'error', listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean;
  hasColors?(): boolean;
}

export interface Output {
  readonly isTerminal: boolean;
  /** Bold for headings; plain where the terminal or NO_COLOR says so. */
  readonly head: Paint;
  readonly alarm: Paint;
  /** Resolves when the lines are written. Throws OutputClosed when nobody reads any more. */
  print(lines: Iterable<string>): Promise<void>;
  hasPrinted(): boolean;
}

/** The reader of our output went away (`| head`): no failure, and nothing to report to. */
export class OutputClosed extends Error {}

const PIECE_CHARACTERS = 64 * 1024;

export function outputTo(sink: Sink): Output {
  // A failed write is reported by its own callback; the event would end the process before that.
  sink.on('error', () => {});
  const isTerminal = sink.isTTY === true;
  // hasColors is only there on terminals, and knows NO_COLOR and TERM.
  const isColoured = isTerminal && sink.hasColors?.() === true;
  const paint = (style: 'bold' | 'red'): Paint =>
    (text) => isColoured ? styleText(style, text, { validateStream: false }) : text;
  let hasPrinted = false;
  return {
    isTerminal,
    head: paint('bold'),
    alarm: paint('red'),
    print: (lines) => print(lines, (piece) => {
      hasPrinted = true;
      return written(sink, piece);
    }),
    hasPrinted: () => hasPrinted,
  };
}

async function print(
  lines: Iterable<string>, write: (piece: string) => Promise<void>,
): Promise<void> {
  let piece = '';
  for (const line of lines) {
    piece += `${line}\n`;
    if (piece.length < PIECE_CHARACTERS) continue;
    await write(piece);
    piece = '';
  }
  if (piece !== '') await write(piece);
}

function written(sink: Sink, piece: string): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(piece, (error) => {
      if (error === null || error === undefined) resolve();
      else if ((error as NodeJS.ErrnoException).code === 'EPIPE') reject(new OutputClosed());
      else reject(systemError('writing the output', error));
    });
  });
}
