/** Methods by the name that is stored in a region's header. */
import { RegionError } from '../errors.ts';
import type { Method } from '../types.ts';
import { best } from './best.ts';
import { debugAsStored } from './debug.ts';
import { last } from './last.ts';
import { pool } from './pool.ts';
import { profileAsStored } from './profile.ts';
import { slab } from './slab.ts';

const methods = new Map<string, Method>(
  [best, last, pool, slab].map((method) => [method.name, method]),
);

/**
 * Makes a method known, so that regions that name it can be opened. The last one of a name wins.
 */
export function registerMethod(method: Method): void {
  methods.set(method.name, method);
}

/** Names that `methodNamed` knows by themselves. */
export function methodNames(): string[] {
  return [...methods.keys()];
}

/** Methods that wrap the one in parentheses. */
const wrappers = new Map<string, (inner: Method) => Method>(
  [['debug', debugAsStored], ['profile', profileAsStored]],
);
const WRAPPED = /^(\w+)\((.+)\)$/;

/** ERR_NOT_FOUND. `debug(best)` is made of what its parts are called. */
export function methodNamed(name: string): Method {
  const method = methods.get(name);
  if (method !== undefined) return method;
  const [, outer = '', inner = ''] = WRAPPED.exec(name) ?? [];
  const wrap = wrappers.get(outer);
  if (wrap !== undefined) return wrap(methodNamed(inner));
  const known = [...methods.keys(), ...[...wrappers.keys()].map((one) => `${one}(…)`)].join(', ');
  throw new RegionError(
    'ERR_NOT_FOUND',
    `no method '${name}' is registered (known: ${known}); registerMethod makes one known`,
  );
}
