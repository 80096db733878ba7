/** Errors by their code: the message is for people. */
import { expect } from 'vitest';
import { type ErrorCode, RegionError } from '../../src/errors.ts';

/** `work` throws a RegionError with this code; returns it. */
export function expectCode(code: ErrorCode, work: () => unknown): RegionError {
  let thrown: unknown = null;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof RegionError)) {
    expect.fail(`expected ${code}, got ${thrown === null ? 'no error' : String(thrown)}`);
  }
  // Asked tens of thousands of times, where an `expect` would cost more than the call.
  if (thrown.code !== code) {
    expect.fail(`expected ${code}, got ${thrown.code}: ${thrown.message}`);
  }
  return thrown;
}
