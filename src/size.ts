/** Sizes as people write them: a number of bytes, or a string like '64KiB' or '1.5GiB'. */
import { RegionError } from './errors.ts';

const UNITS: Record<string, number> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/**
 * Bytes, a safe integer ≥ 0. `name` is what the message calls the value.
 *
 * @example parseSize('64KiB', 'capacity') // 65536
 */
export function parseSize(value: unknown, name: string): number {
  const bytes = typeof value === 'string' ? parseText(value) : value;
  if (typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw new RegionError(
    'ERR_BAD_OPTION',
    `${name} is ${typeof value === 'string' ? `'${value}'` : String(value)}; give a whole number ` +
      "of bytes or a string such as '64KiB', '16MiB' or '1GiB'",
  );
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB|)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]];
}
