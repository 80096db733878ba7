/** Bytes as `hexdump -C` shows them. */

const ROW = 16;

/** A line for each sixteen bytes; those that repeat the line before are a `*`. `at` = address. */
export function* hexLines(bytes: Uint8Array, at: number): Generator<string> {
  let before = '';
  let isSkipping = false;
  for (let from = 0; from < bytes.length; from += ROW) {
    const row = bytes.subarray(from, from + ROW);
    const hex = Buffer.from(row).toString('hex');
    const isSame = hex === before && from + ROW < bytes.length;
    if (!isSame) yield lineOf(row, hex, at + from);
    else if (!isSkipping) yield '*';
    isSkipping = isSame;
    before = hex;
  }
}

function lineOf(row: Uint8Array, hex: string, address: number): string {
  const pairs = hex.match(/../g) ?? [];
  const half = (from: number) => pairs.slice(from, from + ROW / 2).join(' ').padEnd(23);
  const text = [...row].map((byte) =>
    (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
  return `${address.toString(16).padStart(10, '0')}  ${half(0)}  ${half(ROW / 2)}  |${text}|`;
}
