/**
 * The text of REGIONSTORE_OPTIONS as words: `name` or `name=value`, separated by commas and white
 * space. Between double quotes both are part of the value, and `""` there is one quote.
 */
import { RegionError } from '../errors.ts';

export interface Word {
  readonly name: string;
  /** null = there was no `=`. */
  readonly value: string | null;
}

/** A separator, a quoted piece, a piece without quotes, or a quote that is never closed. */
const PIECE = /[\s,]+|"(?:[^"]|"")*"|[^\s,"]+|"/gy;
const SEPARATOR = /^[\s,]/;

/**
 * The words of an option text. ERR_BAD_OPTION for a quote without an end or a value without a name.
 *
 * @example wordsOf('check,trace="a file.txt"') // check → null, trace → 'a file.txt'
 */
export function wordsOf(text: string, where: string): Word[] {
  const words: Word[] = [];
  let raw = '';
  for (const [piece] of text.matchAll(PIECE)) {
    if (piece === '"') throw bad(`${where}: the quote in '${raw}"' has no end; close it`);
    if (!SEPARATOR.test(piece)) {
      raw += piece;
      continue;
    }
    if (raw !== '') words.push(wordFrom(raw, where));
    raw = '';
  }
  if (raw !== '') words.push(wordFrom(raw, where));
  return words;
}

function wordFrom(raw: string, where: string): Word {
  const at = raw.indexOf('=');
  const name = at < 0 ? raw : raw.slice(0, at);
  if (name === '' || name.includes('"')) {
    throw bad(`${where}: '${raw}' is no option; write name or name=value`);
  }
  return { name, value: at < 0 ? null : unquoted(raw.slice(at + 1)) };
}

function unquoted(value: string): string {
  return value.replace(/"((?:[^"]|"")*)"/g, (_all, inner: string) => inner.replaceAll('""', '"'));
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
