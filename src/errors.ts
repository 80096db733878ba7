/** The one error class of the library, and every code it can carry. */

export const ERROR_CODES = [
  'ERR_NO_SPACE',
  'ERR_BAD_ADDRESS',
  'ERR_BAD_SIZE',
  'ERR_BAD_OPTION',
  'ERR_CLOSED',
  'ERR_LOCKED',
  'ERR_READ_ONLY',
  'ERR_CORRUPT',
  'ERR_VERSION',
  'ERR_MISMATCH',
  'ERR_NOT_FOUND',
  'ERR_EXISTS',
  'ERR_SCHEMA',
  'ERR_STALE',
  'ERR_IO',
  'ERR_NATIVE',
  'ERR_BUSY',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * What a correct program can meet. `code` is stable, the message says what to do, `cause` holds the
 * system error where there was one.
 *
 * @example
 * try { region.alloc(2 ** 40) } catch (e) { if (e.code === 'ERR_NO_SPACE') region.compact() }
 */
export class RegionError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RegionError';
    this.code = code;
  }
}

/** For what only a bug of ours can cause. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`regionstore: internal error: ${what}`);
}

/** Is it a file, or what is in it, that cannot be used, while everything else can? */
export function isDamage(error: unknown): error is RegionError {
  return error instanceof RegionError
    && ['ERR_CORRUPT', 'ERR_MISMATCH', 'ERR_VERSION'].includes(error.code);
}
