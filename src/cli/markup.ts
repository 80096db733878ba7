/** Text of files that may be hostile, as a part of SVG or HTML. */
import { printable } from './table.ts';

export function escaped(text: string): string {
  return printable(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
